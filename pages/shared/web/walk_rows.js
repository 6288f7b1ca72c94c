// One slider of the walk: along a latent dimension, or along a vector of the code space.
import { el, signed, snap3, styleForSize } from "./common.js";

const N_THUMBS = 9;
const MAX_NAME = 60;

/** Where a code lies along a row: the dimension itself, or standard deviations from the average code. */
export function coordinate({ dim, vector, origin, scale }, z) {
  if (dim !== null) return z[dim];
  let sum = -origin;
  for (let q = 0; q < vector.length; q++) sum += z[q] * vector[q];
  return sum / scale;
}

/** The code that lies at `value` along a row and differs from `z` in nothing else. */
export function codeAlong(along, z, value) {
  const code = Float64Array.from(z);
  if (along.dim !== null) code[along.dim] = value;
  else {
    const step = (value - coordinate(along, z)) * along.scale;
    for (let q = 0; q < code.length; q++) code[q] += step * along.vector[q];
  }
  return code.map(snap3);
}

export class WalkRow {
  /** `on`: slide(value), pressed(), settled(), pick(value), rename(name). */
  constructor(along, i, shape, on) {
    this.along = along;
    this.on = on;
    this.value = el("output", { class: "lx-value lx-number" });
    this.input = el("input", { type: "range", class: "lx-range", "data-testid": `latent-slider-${i}`, min: along.low, max: along.high, step: 0.01 });
    this.input.addEventListener("input", () => on.slide(Number(this.input.value)));
    this.input.addEventListener("change", on.settled);
    this.input.addEventListener("pointerdown", on.pressed);
    this.input.addEventListener("focus", on.focused);
    this.thumbs = Array.from({ length: N_THUMBS }, (_, j) => this.buildThumb(j, shape));
    this.nameText = el("span", { class: "lx-given-name" });
    this.nameBox = el("span", { class: "lx-slider-name" }, along.prefix && el("span", { class: "lx-prefix", text: along.prefix }), this.nameText);
    const figure = el("span", { class: "lx-kl", title: along.text }, el("span", { class: "lx-kl-bar" }, el("i", { style: `width: ${Math.max(2, 100 * along.bar)}%` })), el("span", { class: "lx-number", text: along.figure }));
    this.head = el("div", { class: "lx-slider-head" }, el("span", { class: "lx-named" }, this.nameBox, along.dim !== null && this.buildPencil()), figure, this.value);
    this.root = el("div", { class: "lx-slider" }, this.head, this.input, el("div", { class: "lx-strip" }, ...this.thumbs.map((thumb) => thumb.button)));
    this.setName(along.name);
  }

  buildThumb(j, shape) {
    const { low, high } = this.along;
    const at = snap3(low + (high - low) * j / (N_THUMBS - 1)), canvas = el("canvas", { width: 1, height: 1 });
    styleForSize(canvas, shape);
    return { at, canvas, button: el("button", { type: "button", class: "lx-thumb-button", tabindex: "-1", on: { click: () => this.on.pick(at) } }, canvas) };
  }

  buildPencil() {
    this.nameBox.addEventListener("dblclick", () => this.edit());
    this.pencil = el("button", { type: "button", class: "lx-pencil", on: { click: () => this.edit() } });
    this.pencil.innerHTML = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M10.5 2.5l3 3L5.5 13.5l-3.5.5.5-3.5z"/></svg>';
    return this.pencil;
  }

  get title() {
    return [this.along.prefix, this.name].filter(Boolean).join(" \u00b7 ");
  }

  setName(name) {
    this.name = name;
    this.nameText.textContent = name;
    this.nameText.classList.toggle("lx-after", Boolean(name && this.along.prefix));
    this.nameBox.title = this.title;
    this.input.setAttribute("aria-label", [this.title, this.along.figure].filter(Boolean).join(", "));
    this.pencil?.setAttribute("aria-label", `Rename ${this.along.prefix}`);
    this.pencil?.setAttribute("title", `Rename ${this.along.prefix}`);
    for (const { at, button } of this.thumbs) {
      button.title = `${this.title} = ${signed(at)}`;
      button.setAttribute("aria-label", `Set ${this.title} to ${signed(at)}`);
    }
  }

  edit() {
    if (this.editing) return;
    const box = el("input", { class: "lx-rename", type: "text", maxlength: MAX_NAME, value: this.name, "aria-label": `Name of ${this.along.prefix}`, "data-testid": "rename" });
    const end = (keep) => {
      if (this.editing !== box) return;
      this.editing = null;
      box.replaceWith(this.nameText);
      const name = box.value.trim();
      if (keep && name !== this.name) { this.setName(name); this.on.rename(name); }
    };
    box.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter" || event.key === "Escape") end(event.key === "Enter");
    });
    box.addEventListener("blur", () => end(true));
    this.editing = box;
    this.nameText.replaceWith(box);
    box.focus();
    box.select();
  }

  /** A code beyond the slider's range widens the range; the browser would silently clamp it. */
  show(z, isHeld) {
    const v = coordinate(this.along, z), { input } = this;
    // Most sliders stand still while one moves: touching them all would cost a third of the frames.
    if (v === this.at && Math.abs(Number(input.value) - v) <= 0.0051) return;
    this.at = v;
    input.min = Math.min(this.along.low, Math.floor(100 * v) / 100);
    input.max = Math.max(this.along.high, Math.ceil(100 * v) / 100);
    if (!isHeld && Math.abs(Number(input.value) - v) > 0.0051) input.value = v;
    const shown = signed(Math.abs(v) < 0.005 ? 0 : v);  // no −0.00
    this.value.textContent = this.along.dim !== null ? shown : `${shown} \u03c3`;
    input.style.setProperty("--lx-fill", `${100 * (v - input.min) / (input.max - input.min)}%`);
  }

  paintThumb(thumb, z, decoder) {
    decoder.paint(thumb.canvas, codeAlong(this.along, z, thumb.at));
    const step = (this.along.high - this.along.low) / (N_THUMBS - 1);
    thumb.button.classList.toggle("lx-here", Math.abs(coordinate(this.along, z) - thumb.at) <= step / 2);
  }
}
