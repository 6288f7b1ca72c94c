// The picture beside the map: canvas, caption, trust reading, speed.
import { el, styleForSize } from "./common.js";

const HINTS = { 3: "Like a real picture's code.", 2: "Unusual: 1 real picture in 20 lies so.", 1: "The decoder guesses here: no real picture lies so." };

export class Panel {
  constructor({ onLive }) {
    this.canvas = el("canvas", { class: "lx-picture", "data-testid": "decoded-image", role: "img", "aria-label": "No picture decoded yet", width: 1, height: 1 });
    this.title = el("p", { class: "lx-caption", "aria-live": "polite", text: "Click anywhere on the map" });
    this.detail = el("p", { class: "lx-detail", text: "A point shows its decoded code; an empty spot, what the model draws there." });
    this.trust = el("div", { class: "lx-trust", "data-level": "0", "data-testid": "trust", hidden: "" },
      el("span", { class: "lx-meter", "aria-hidden": "true" }, el("i"), el("i"), el("i")), el("span", { class: "lx-trust-words" }), el("span", { class: "lx-trust-ratio lx-number" }));
    this.toggle = el("input", { type: "checkbox", "data-testid": "decode-under-pointer", on: { change: () => onLive(this.toggle.checked) } });
    this.ms = el("span", { class: "lx-ms lx-number" });
    this.frame = el("div", { class: "lx-frame lx-empty" }, this.canvas);
    this.root = el("aside", { class: "lx-panel" }, this.frame,
      el("div", { class: "lx-words" }, this.title, this.detail, this.trust,
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

  /** The badge, its reasons on hover, and a greyed picture where nothing supports it. */
  showTrust(found) {
    this.trust.hidden = !found;
    this.frame.classList.toggle("lx-unsupported", found?.level === 1);
    if (!found) return;
    const { level, words, ratio, text } = found;
    this.trust.dataset.level = level;
    this.trust.title = `${HINTS[level]} ${text}`;
    this.trust.children[1].textContent = words;
    this.trust.children[2].textContent = `${ratio.toFixed(1)}\u00d7 typical distance`;
  }
}
