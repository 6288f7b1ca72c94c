// The scatter itself: Plotly traces, axes, backdrop and theme. Knows nothing of codes or decoding.
import { el, fade } from "./common.js";

// Okabe-Ito, its yellow darkened for light backgrounds, and three more that stay apart from it.
const TEN = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a100", "#7f4fc9", "#8c6d46", "#7d828c"];
const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const N_SVG_POINTS = 20000;
const DIM = 0.06;

/** n colours that stay apart; ten of them for colour-blind eyes too. */
export function colours(n) {
  if (n <= TEN.length) return TEN.slice(0, n);
  return Array.from({ length: n }, (_, i) => `hsl(${Math.round((i * 137.508) % 360)}, 60%, ${i % 2 ? 42 : 58}%)`);
}

let hasWebGL = null;
function webgl() {
  if (hasWebGL === null) {
    const context = document.createElement("canvas").getContext("webgl");
    hasWebGL = Boolean(context);
    context?.getExtension("WEBGL_lose_context")?.loseContext();
  }
  return hasWebGL;
}

function extent(values, start, step) {
  let low = Infinity, high = -Infinity;
  for (let i = start; i < values.length; i += step) {
    if (values[i] < low) low = values[i];
    if (values[i] > high) high = values[i];
  }
  return low <= high ? [low, high] : [-1, 1];
}

function padded([low, high]) {
  const room = 0.06 * (high - low || 1);
  return [low - room, high + room];
}

/** 2nd and 98th percentile, so that one outlier does not flatten the colours. */
function robust(values) {
  const sample = Float32Array.from({ length: Math.min(values.length, 4096) }, (_, i) => values[Math.floor(i * values.length / Math.min(values.length, 4096))]).sort();
  return [sample[Math.floor(0.02 * (sample.length - 1))], sample[Math.ceil(0.98 * (sample.length - 1))]];
}

export class Chart {
  constructor(gd, Plotly) {
    this.gd = gd;
    this.Plotly = Plotly;
    this.highlighted = null;
  }

  /** `colour` is null, {kind: "categories", names, values} or {kind: "continuous", values}. */
  async draw({ xy, colour, projection, backdrop, look }) {
    this.xy = xy;
    this.colour = colour;
    this.highlighted = this.range = null;
    this.ranges = { x: padded(extent(xy, 0, 2)), y: padded(extent(xy, 1, 2)) };
    if (backdrop) {
      this.ranges.x = [Math.min(this.ranges.x[0], backdrop.x0), Math.max(this.ranges.x[1], backdrop.x1)];
      this.ranges.y = [Math.min(this.ranges.y[0], backdrop.y0), Math.max(this.ranges.y[1], backdrop.y1)];
    }
    this.projection = projection;
    this.backdrop = backdrop;
    const config = { displayModeBar: false, scrollZoom: true, doubleClick: false, responsive: false, plotGlPixelRatio: Math.min(2, window.devicePixelRatio || 1) };
    await this.Plotly.react(this.gd, this.traces(), this.layout(look), config);
  }

  restyle(look) {
    return this.Plotly.relayout(this.gd, this.layoutColours(look));
  }

  traces() {
    const n = this.xy.length / 2, gl = webgl();
    this.n_drawn = gl ? n : Math.min(n, N_SVG_POINTS);
    const rows = Array.from({ length: this.n_drawn }, (_, i) => Math.floor(i * n / this.n_drawn));
    const size = n > 40000 ? 3 : n > 4000 ? 4.5 : 6;
    const trace = (picked, marker) => ({
      type: gl ? "scattergl" : "scatter", mode: "markers", hoverinfo: "skip",
      x: Float32Array.from(picked, (row) => this.xy[2 * row]), y: Float32Array.from(picked, (row) => this.xy[2 * row + 1]),
      marker: { size, opacity: this.opacity(), line: { width: 0 }, ...marker },
    });
    if (!this.colour) return [trace(rows, { color: TEN[0] })];
    if (this.colour.kind === "continuous") {
      const [cmin, cmax] = (this.limits = robust(this.colour.values));
      const colorscale = VIRIDIS.map((colour, i) => [i / (VIRIDIS.length - 1), colour]);
      return [trace(rows, { color: Float32Array.from(rows, (row) => this.colour.values[row]), cmin, cmax, colorscale, showscale: false })];
    }
    const n_names = this.colour.names.length;
    const groups = Array.from({ length: n_names + 1 }, () => []);  // the last: values without a name
    for (const row of rows) groups[Math.min(this.colour.values[row], n_names)].push(row);
    const palette = [...colours(n_names), "#9a9a9a"];
    return groups.map((picked, i) => trace(picked, { color: palette[i] }));
  }

  opacity() {
    const n = this.xy.length / 2;
    const full = n > 40000 ? 0.55 : n > 4000 ? 0.7 : 0.85;
    return this.backdrop ? 0.6 * full : full;
  }

  layout(look) {
    const spans = [this.ranges.x, this.ranges.y].map(([low, high]) => high - low);
    const ratio = spans[0] / spans[1];
    const axis = {
      zeroline: true, zerolinewidth: 1, ticks: "", ticklabelposition: "inside", nticks: 7, showline: false,
      tickfont: { size: 11, family: look.font }, title: { text: "" },
    };
    const layout = {
      margin: { l: 0, r: 0, t: 0, b: 0, pad: 0 }, autosize: true, dragmode: "pan", hovermode: false, clickmode: "none", showlegend: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", uirevision: this.projection.id,
      xaxis: { ...axis, range: this.ranges.x.slice() },
      // One unit is as long on both axes, unless that would squash the map to a line.
      yaxis: { ...axis, range: this.ranges.y.slice(), ...(ratio < 3 && ratio > 1 / 3 ? { scaleanchor: "x", scaleratio: 1 } : {}) },
      images: this.backdrop ? [{
        source: this.backdrop.url, xref: "x", yref: "y", layer: "below", sizing: "stretch", opacity: 0.9,
        x: this.backdrop.x0, y: this.backdrop.y1, sizex: this.backdrop.x1 - this.backdrop.x0, sizey: this.backdrop.y1 - this.backdrop.y0,
      }] : [],
    };
    for (const [path, value] of Object.entries(this.layoutColours(look))) {
      const [name, key, inner] = path.split(".");
      if (inner) layout[name][key][inner] = value;
      else layout[name][key] = value;
    }
    return layout;
  }

  layoutColours(look) {
    return Object.fromEntries(["xaxis", "yaxis"].flatMap((axis) => [
      [`${axis}.gridcolor`, fade(look.text, 0.07)], [`${axis}.zerolinecolor`, fade(look.text, 0.16)],
      [`${axis}.tickfont.color`, fade(look.text, 0.5)],
    ]));
  }

  /** The plot fills the element, so pixels of the element are pixels of the plot. */
  get view() {
    const { xaxis, yaxis } = this.gd._fullLayout;
    const width = this.gd.clientWidth, height = this.gd.clientHeight;
    const [x0, x1] = xaxis.range, [y0, y1] = yaxis.range;
    const sx = width / (x1 - x0), sy = height / (y1 - y0);
    return {
      width, height, sx, sy, x0, x1, y0, y1,
      toPixel: (x, y) => [(x - x0) * sx, height - (y - y0) * sy],
      toData: (px, py) => [x0 + px / sx, y0 + (height - py) / sy],
    };
  }

  /** Hands a drag that began at this place of the window to Plotly, which pans until the button is up. */
  startPan(clientX, clientY) {
    const press = new MouseEvent("mousedown", { bubbles: true, cancelable: true, view: window, button: 0, buttons: 1, clientX, clientY });
    this.gd.querySelector(".nsewdrag").dispatchEvent(press);
  }

  endPan() {
    document.dispatchEvent(new MouseEvent("mouseup", { bubbles: true, view: window }));
  }

  /** Zooms so that what is under this pixel of the element stays there. */
  zoomAt(px, py, factor) {
    const { x0, x1, y0, y1, toData } = this.view;
    const [x, y] = toData(px, py);
    const about = (at, low, high) => [at - (at - low) / factor, at + (high - at) / factor];
    return this.Plotly.relayout(this.gd, { "xaxis.range": about(x, x0, x1), "yaxis.range": about(y, y0, y1) });
  }

  reset() {
    return this.Plotly.relayout(this.gd, { "xaxis.range": this.ranges.x.slice(), "yaxis.range": this.ranges.y.slice() });
  }

  resize() {
    return this.Plotly.Plots.resize(this.gd);
  }

  /** Whether the legend lets this row through. */
  isShown(row) {
    const { colour, highlighted, range } = this;
    if (highlighted !== null) return colour.values[row] === highlighted;
    return !range || (colour.values[row] >= range[0] && colour.values[row] <= range[1]);
  }

  /** How many points the legend lets through. */
  get n_shown() {
    let n = 0;
    for (let row = 0; row < this.xy.length / 2; row++) if (this.isShown(row)) n++;
    return n;
  }

  /** Fades the points whose value lies outside [low, high]; null shows all. */
  filter(range) {
    this.range = range;
    const full = this.opacity(), n = this.xy.length / 2;
    const rows = Array.from({ length: this.n_drawn }, (_, i) => Math.floor(i * n / this.n_drawn));
    const opacity = range ? rows.map((row) => (this.isShown(row) ? full : DIM * full)) : full;
    this.Plotly.restyle(this.gd, { "marker.opacity": [opacity] });
  }

  /** Shows one category and fades the others; the same one again, or null, shows all. */
  highlight(index) {
    this.highlighted = this.highlighted === index ? null : index;
    const full = this.opacity();
    const opacity = [...this.colour.names, ""].map((_, i) => (this.highlighted === null || i === this.highlighted ? full : DIM * full));
    this.Plotly.restyle(this.gd, { "marker.opacity": opacity });
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
    const [low, high] = this.limits, text = (value) => Number(value.toPrecision(3)).toString();
    const ends = [low, high].map((at, i) => el("input", {
      type: "range", class: "lx-range lx-end", min: low, max: high, step: "any", value: at, "data-testid": `filter-${i ? "high" : "low"}`,
      "aria-label": `Hide points ${i ? "above" : "below"} this ${this.colour.label}`,
    }));
    const numbers = [low, high].map((at) => el("span", { class: "lx-number", text: text(at) }));
    const read = () => ends.map((end) => Number(end.value)).sort((a, b) => a - b);
    const follow = () => read().forEach((at, i) => { numbers[i].textContent = text(at); });
    const apply = () => {
      const [a, b] = read();
      // At its end a handle hides nothing: the bar's limits leave outliers out, the filter does not.
      this.filter(a <= low && b >= high ? null : [a <= low ? -Infinity : a, b >= high ? Infinity : b]);
      onFilter();
    };
    for (const end of ends) { end.addEventListener("input", follow); end.addEventListener("change", apply); }
    const bar = el("span", { class: "lx-colourbar", style: `background: linear-gradient(90deg, ${VIRIDIS.join(", ")})` });
    return [numbers[0], el("span", { class: "lx-scale" }, bar, ...ends), numbers[1]];
  }

  chips(onFilter) {
    const palette = colours(this.colour.names.length);
    const chips = this.colour.names.map((name, i) => {
      const swatch = el("span", { class: "lx-swatch", style: `background: ${palette[i]}` });
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

  destroy() {
    this.Plotly.purge(this.gd);
  }
}
