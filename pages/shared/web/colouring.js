// What colour a point has, which points the legend lets through, and the legend itself.
import { el } from "./common.js";

// Okabe-Ito, its yellow darkened for light backgrounds, and three more that stay apart from it.
export const TEN = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a100", "#7f4fc9", "#8c6d46", "#7d828c"];
export const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const UNNAMED = "#9a9a9a";
const N_SHADES = 128;

/** n colours that stay apart; ten of them for colour-blind eyes too. */
export function colours(n) {
  if (n <= TEN.length) return TEN.slice(0, n);
  return Array.from({ length: n }, (_, i) => `hsl(${Math.round((i * 137.508) % 360)}, 60%, ${i % 2 ? 42 : 58}%)`);
}

const pot = document.createElement("canvas").getContext("2d");
/** [r, g, b] of any CSS colour. */
export function rgbOf(colour) {
  pot.fillStyle = colour;
  const value = pot.fillStyle;  // "#rrggbb" for every opaque colour
  return [1, 3, 5].map((i) => parseInt(value.slice(i, i + 2), 16));
}

function shades() {
  const stops = VIRIDIS.map(rgbOf);
  return Array.from({ length: N_SHADES }, (_, i) => {
    const at = (i * (stops.length - 1)) / (N_SHADES - 1), low = Math.min(Math.floor(at), stops.length - 2);
    return stops[low].map((value, c) => Math.round(value + (at - low) * (stops[low + 1][c] - value)));
  });
}

/** 2nd and 98th percentile, so that one outlier does not flatten the colours. */
function robust(values) {
  const n = Math.min(values.length, 4096);
  const sample = Float32Array.from({ length: n }, (_, i) => values[Math.floor((i * values.length) / n)]).sort();
  return [sample[Math.floor(0.02 * (n - 1))], sample[Math.ceil(0.98 * (n - 1))]];
}

export class Colouring {
  /**
   * `colour` is null, {label, kind: "categories", names, values, muted} or {label, kind: "continuous", values}.
   * Kinds in `muted` are grey and lie below the others.
   */
  constructor(colour, n) {
    Object.assign(this, { colour, n, highlighted: null, range: null, shown: null });
    this.index = new Uint8Array(n);
    if (!colour) this.palette = [rgbOf(TEN[0])];
    else if (colour.kind === "continuous") this.shade(colour.values);
    else {
      const n_names = colour.names.length, muted = new Set(colour.muted ?? []);
      this.css = colours(n_names).map((css, kind) => (muted.has(kind) ? UNNAMED : css));
      this.palette = [...this.css, UNNAMED].map(rgbOf);
      for (let i = 0; i < n; i++) this.index[i] = Math.min(colour.values[i], n_names);
      if (muted.size) this.back = this.index.map((kind) => (muted.has(kind) ? 1 : 0));
    }
  }

  shade(values) {
    const [low, high] = (this.limits = robust(values)), scale = (N_SHADES - 1) / (high - low || 1);
    this.palette = shades();
    for (let i = 0; i < this.n; i++) this.index[i] = Math.min(N_SHADES - 1, Math.max(0, Math.round((values[i] - low) * scale)));
  }

  isShown(row) {
    return !this.shown || this.shown[row] === 1;
  }

  /** How many points the legend lets through. */
  get n_shown() {
    return this.shown ? this.shown.reduce((sum, one) => sum + one, 0) : this.n;
  }

  where(lets) {
    const { values } = this.colour;
    this.shown = lets && Uint8Array.from({ length: this.n }, (_, row) => (lets(values[row]) ? 1 : 0));
  }

  /** Lets the values in [low, high] through; null lets all. */
  filter(range) {
    this.range = range;
    this.where(range && ((value) => value >= range[0] && value <= range[1]));
  }

  /** Lets one category through; the same one again, or null, lets all. */
  highlight(index) {
    this.highlighted = this.highlighted === index ? null : index;
    this.where(this.highlighted === null ? null : (value) => value === this.highlighted);
    return this.highlighted;
  }

  /** The legend's parts; `onFilter` is called whenever it lets other points through. */
  legend(onFilter) {
    if (!this.colour) return [];
    const title = el("span", { class: "lx-legend-title", text: this.colour.label });
    return [title, ...(this.colour.kind === "continuous" ? this.scale(onFilter) : this.chips(onFilter))];
  }

  /** A colour bar between two handles that hide what lies outside them. */
  scale(onFilter) {
    const [low, high] = this.limits, text = (value) => Number(value.toPrecision(3)).toString().replace("-", "\u2212");
    const ends = [low, high].map((at, i) => el("input", {
      type: "range", class: "lx-range lx-end", min: low, max: high, step: "any", value: at, "data-testid": `filter-${i ? "high" : "low"}`,
      "aria-label": `Hide points ${i ? "above" : "below"} this ${this.colour.label}`,
    }));
    const numbers = [low, high].map((at) => el("span", { class: "lx-number", text: text(at) }));
    const read = () => ends.map((end) => Number(end.value)).sort((a, b) => a - b);
    const follow = () => {
      const [a, b] = read();
      numbers.forEach((node, i) => { node.textContent = text([a, b][i]); });
      // At its end a handle hides nothing: the bar's limits leave outliers out, the filter does not.
      this.filter(a <= low && b >= high ? null : [a <= low ? -Infinity : a, b >= high ? Infinity : b]);
      onFilter();
    };
    for (const end of ends) end.addEventListener("input", follow);
    const bar = el("span", { class: "lx-colourbar", style: `background: linear-gradient(90deg, ${VIRIDIS.join(", ")})` });
    return [numbers[0], el("span", { class: "lx-scale" }, bar, ...ends), numbers[1]];
  }

  chips(onFilter) {
    const chips = this.colour.names.map((name, i) => {
      const swatch = el("span", { class: "lx-swatch", style: `background: ${this.css[i]}` });
      const chip = el("button", { class: "lx-chip", type: "button", "aria-pressed": "false", title: `Show only ${name}` }, swatch, el("span", { text: name }));
      chip.addEventListener("click", () => {
        const on = this.highlight(i);
        chips.forEach((other, j) => other.setAttribute("aria-pressed", String(j === on)));
        onFilter();
      });
      return chip;
    });
    return chips;
  }
}
