// What floats above the points: the ring of the selection, named marks, the card that follows the pointer.
import { el, styleForSize } from "./common.js";

const CARD_GAP_PX = 16;

export class Overlay {
  constructor() {
    this.ring = el("div", { class: "lx-ring", hidden: "" });
    this.marks = el("div", { class: "lx-marks" });
    this.root = el("div", { class: "lx-overlay" }, this.marks, this.ring);
    this.thumb = el("canvas", { class: "lx-thumb", width: 1, height: 1 });
    this.title = el("strong");
    this.detail = el("span");
    this.card = el("div", { class: "lx-card", "aria-hidden": "true", "data-testid": "hover-card" }, this.thumb, el("div", {}, this.title, this.detail));
    this.cardRow = -1;
    this.marked = [];
  }

  setModel(decoder) {
    styleForSize(this.thumb, decoder.shape);
    this.cardRow = -1;
  }

  setMarks(marks) {
    const key = JSON.stringify(marks);
    if (key === this.key) return;
    this.key = key;
    this.marked = marks;
    // A draw is a dot: many of them are one cloud, and none has a name.
    this.marks.replaceChildren(...marks.map(({ text, kind }) =>
      el("div", { class: "lx-mark" }, el("span", { class: kind === "draw" ? "lx-dot" : "lx-star" }), text ? el("span", { class: "lx-mark-text", text }) : null)));
  }

  /** Puts the ring and the marks where the axes now have them. */
  place(view, selected) {
    const put = (node, x, y) => {
      node.hidden = !Number.isFinite(x);
      const [px, py] = view.toPixel(x, y);
      node.style.transform = `translate(${px}px, ${py}px)`;
    };
    if (selected) {
      put(this.ring, selected.x, selected.y);
      this.ring.dataset.kind = selected.kind;
    } else this.ring.hidden = true;
    this.marked.forEach(({ x, y }, i) => put(this.marks.children[i], x, y));
  }

  /** Moves the card beside the pointer; `fill` draws it, only when the row is another one. */
  showCard(row, event, stage, fill) {
    if (row !== this.cardRow) {
      this.cardRow = row;
      fill(this);
    }
    const box = stage.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const { offsetWidth: w, offsetHeight: h } = this.card;
    const left = x + CARD_GAP_PX + w > box.width ? Math.max(4, x - CARD_GAP_PX - w) : x + CARD_GAP_PX;
    const top = Math.min(Math.max(4, y - h / 2), box.height - h - 4);
    this.card.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
    this.card.classList.add("lx-on");
  }

  hideCard() {
    this.cardRow = -1;
    this.card.classList.remove("lx-on");
  }
}
