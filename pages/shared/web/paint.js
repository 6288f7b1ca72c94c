// A picture to paint on: what is painted is hidden from the model. The mask has the picture's own pixels.
import { el, mount, settled, toBase64 } from "./common.js";

const PAINT_SETTLE_MS = 300;
const PAINT_SIDES = { Left: (x, y, w) => x < Math.floor(w / 2), Right: (x, y, w) => x >= w - Math.floor(w / 2), Top: (x, y, w, h) => y < Math.floor(h / 2), Bottom: (x, y, w, h) => y >= h - Math.floor(h / 2) };

/** One bit per pixel, row by row, the first pixel the lowest bit, as base64; empty when nothing is painted. */
function maskBits(mask) {
  if (!mask.includes(1)) return "";
  const bytes = new Uint8Array(Math.ceil(mask.length / 8));
  mask.forEach((on, i) => { if (on) bytes[i >> 3] |= 1 << (i & 7); });
  return toBase64(bytes);
}

function maskOfBits(bits, n) {
  const text = atob(bits ?? "");
  return Uint8Array.from({ length: n }, (_, i) => ((text.charCodeAt(i >> 3) || 0) >> (i & 7)) & 1);
}

class PaintView {
  constructor(host) {
    this.image = el("img", { class: "lx-paint-image", alt: "The picture to paint on", draggable: "false" });
    this.canvas = el("canvas", { class: "lx-paint-mask", "data-testid": "paint-canvas", "aria-hidden": "true" });
    this.ring = el("div", { class: "lx-paint-ring", hidden: "" });
    this.board = el("div", { class: "lx-paint-board" }, this.image, this.canvas, this.ring);
    this.size = el("input", { type: "range", class: "lx-paint-size", min: 1, max: 8, step: 1, "aria-label": "Brush size in pixels", "data-testid": "paint-size" });
    this.erase = el("button", { type: "button", class: "lx-button", text: "Erase", "aria-pressed": "false", on: { click: () => this.erase.setAttribute("aria-pressed", String(!this.erasing)) } });
    const act = (text, run) => el("button", { type: "button", class: "lx-button", text, on: { click: () => { run(); this.changed(); } } });
    const half = (side) => act(side, () => this.fill((x, y) => Number(PAINT_SIDES[side](x, y, this.w, this.h))));
    this.said = el("output", { class: "lx-count", "data-testid": "paint-said" });
    const hint = el("p", { class: "lx-detail", text: "Paint over what the model shall not see, or hide a half." });
    const row = (label, ...children) => el("div", { class: "lx-paint-row", role: "group", "aria-label": label }, el("span", { class: "lx-paint-label", text: label, "aria-hidden": "true" }), ...children);
    this.tools = el("div", { class: "lx-paint-tools" }, hint,
      row("Brush", this.size, this.erase),
      row("Hide half", ...Object.keys(PAINT_SIDES).map(half)),
      row("All", act("Clear", () => this.mask.fill(0)), act("Invert", () => this.mask.forEach((on, i) => { this.mask[i] = 1 - on; }))),
      this.said);
    this.root = el("div", { class: "lx-root lx-paint", "data-testid": "latent-paint" }, this.board, this.tools);
    host.append(this.root);
    this.tell = settled(() => this.args.setTriggerValue("mask", { version: this.version, bits: maskBits(this.mask) }), PAINT_SETTLE_MS);
    this.listen();
  }

  get erasing() { return this.erase.getAttribute("aria-pressed") === "true"; }

  listen() {
    this.board.addEventListener("pointerdown", (event) => {
      if (event.button > 0 || !this.mask) return;
      this.board.setPointerCapture(event.pointerId);
      event.preventDefault();
      this.last = this.place(event);
      this.stroke(this.last, this.last);
    });
    this.board.addEventListener("pointermove", (event) => {
      this.follow(event);
      if (!this.last) return;
      // A fast hand: the places between two frames come along with the event.
      const all = event.getCoalescedEvents?.() ?? [];
      for (const each of all.length ? all : [event]) {
        const here = this.place(each);
        this.stroke(this.last, here);
        this.last = here;
      }
    });
    for (const end of ["pointerup", "pointercancel"]) this.board.addEventListener(end, () => { if (this.last) { this.last = null; this.changed(); } });
    this.board.addEventListener("pointerleave", () => { this.ring.hidden = true; });
  }

  update(args) {
    this.args = args;
    const { picture, shape: [h, w], version, bits } = args.data;
    if (version === this.version) return;
    this.tell.cancel();
    [this.version, this.h, this.w] = [version, h, w];
    this.image.src = picture;
    this.board.style.aspectRatio = `${w} / ${h}`;
    this.image.style.imageRendering = Math.max(h, w) <= 40 ? "pixelated" : "auto";
    [this.canvas.width, this.canvas.height] = [w, h];
    this.size.max = Math.max(2, Math.round(Math.min(h, w) / 3));
    this.size.value = Math.max(1, Math.round(Math.min(h, w) / 8));
    this.mask = maskOfBits(bits, h * w);
    this.paint();
    this.root.dataset.ready = "true";
  }

  /** Where an event points, in the picture's pixels. */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * this.w, (event.clientY - box.top) / box.height * this.h];
  }

  follow(event) {
    const box = this.board.getBoundingClientRect(), wide = this.size.value / this.w * box.width;
    this.ring.hidden = event.pointerType === "touch";
    Object.assign(this.ring.style, { width: `${wide}px`, height: `${wide}px`, left: `${event.clientX - box.left}px`, top: `${event.clientY - box.top}px` });
  }

  /** Every pixel whose centre lies within half a brush of the way from one place to another; at least the one pointed at. */
  stroke([ax, ay], [bx, by]) {
    const value = Number(!this.erasing), radius = this.size.value / 2, dx = bx - ax, dy = by - ay, long = dx * dx + dy * dy;
    const near = (x, y) => {
      const t = long ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / long)) : 0;
      return Math.hypot(x - ax - t * dx, y - ay - t * dy) <= radius;
    };
    this.fill((x, y, old) => (near(x + 0.5, y + 0.5) || (x === Math.floor(bx) && y === Math.floor(by)) ? value : old));
    this.paint();
  }

  fill(of) {
    for (let i = 0; i < this.mask.length; i++) this.mask[i] = of(i % this.w, Math.floor(i / this.w), this.mask[i]);
  }

  paint() {
    const context = this.canvas.getContext("2d"), picture = context.createImageData(this.w, this.h);
    // Stripes of two colours: seen on black, on white and on any skin.
    this.mask.forEach((on, i) => { if (on) picture.data.set((i % this.w + Math.floor(i / this.w)) % 2 ? [255, 75, 110, 225] : [225, 45, 85, 225], 4 * i); });
    context.putImageData(picture, 0, 0);
    const share = this.mask.reduce((sum, on) => sum + on, 0) / this.mask.length;
    this.said.textContent = share ? `${Math.max(1, Math.round(100 * share))} % hidden` : "Nothing hidden yet";
  }

  changed() {
    this.paint();
    this.tell();
  }

  destroy() {
    this.tell.cancel();
    this.root.remove();
  }
}

export const mountPaint = (args) => mount(PaintView, args);
