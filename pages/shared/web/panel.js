// The picture beside the map: canvas, caption, trust reading, speed.
import { el, styleForSize } from "./common.js";
import { TrustBadge } from "./trust.js";

export class Panel {
  constructor({ onLive }) {
    this.canvas = el("canvas", { class: "lx-picture", "data-testid": "decoded-image", role: "img", "aria-label": "No picture decoded yet", width: 1, height: 1 });
    this.title = el("p", { class: "lx-caption", "aria-live": "polite", text: "Click anywhere on the map" });
    this.detail = el("p", { class: "lx-detail", text: "A point shows its decoded code; an empty spot, what the model draws there." });
    this.toggle = el("input", { type: "checkbox", "data-testid": "decode-under-pointer", on: { change: () => onLive(this.toggle.checked) } });
    this.ms = el("span", { class: "lx-ms lx-number" });
    this.frame = el("div", { class: "lx-frame lx-empty" }, this.canvas);
    this.trust = new TrustBadge(this.frame);
    this.root = el("aside", { class: "lx-panel" }, this.frame,
      el("div", { class: "lx-words" }, this.title, this.detail, this.trust.root,
        el("div", { class: "lx-foot" }, el("label", { class: "lx-switch", title: "Also while Shift is held" }, this.toggle, el("span", { class: "lx-knob", "aria-hidden": "true" }), el("span", { text: "Decode under the pointer" })), this.ms)));
  }

  setModel(decoder) {
    this.decoder = decoder;
    styleForSize(this.canvas, decoder.shape);
  }

  paint(z) {
    this.frame.classList.remove("lx-empty");
    const ms = this.decoder.paint(this.canvas, z);
    this.average = this.average ? 0.8 * this.average + 0.2 * ms : ms;
    this.ms.textContent = `${this.average.toFixed(1)} ms per picture`;
    return ms;
  }

  say(title, detail) {
    if (this.title.textContent !== title) this.title.textContent = title;
    if (this.detail.textContent !== detail) this.detail.textContent = detail;
    this.canvas.setAttribute("aria-label", `Decoded picture: ${title}, ${detail}`);
  }
}
