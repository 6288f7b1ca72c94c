// What the chapters of the Learn page share: a slider, pictures, a chart to drag in, a map of codes.
import { TEN } from "./colouring.js";
import { array, decoderFor, el, fade, framed, normals, signed, theme } from "./common.js";

export const LEARN_HUES = { reconstruction: "#2f7fc1", kl: "#e69f00", inside: "#d55e00", outside: "#009e73" };

/** n normal draws that are the same on every visit: noise held still can be compared. */
export const learnNoise = (n, seed) => Float64Array.from({ length: n }, normals(seed));

export const learnBell = (x, mean, std) => Math.exp(-0.5 * ((x - mean) / std) ** 2) / (std * Math.sqrt(2 * Math.PI));

/** KL(N(mean, std²) ‖ N(0, 1)) of one dimension, nats; `logStd` and not the std itself, as the model gives it. */
export const learnKl = (mean, logStd) => 0.5 * (mean * mean + Math.expm1(2 * logStd) - 2 * logStd);

/** Cross-entropy of a picture in [0, 1] against what the decoder says, summed over pixels, nats. */
export function learnCrossEntropy(picture, decoded) {
  let total = 0;
  for (let i = 0; i < picture.length; i++) {
    const p = Math.min(1 - 1e-7, Math.max(1e-7, decoded[i]));
    total -= picture[i] * Math.log(p) + (1 - picture[i]) * Math.log(1 - p);
  }
  return total;
}

/** A labelled slider; `on` hears of each move, `show` writes the value. */
export function learnSlider({ label, min, max, step, value, testid, on, show = (v) => signed(v) }) {
  const output = el("output", { class: "lx-number lxl-value" });
  const input = el("input", { type: "range", class: "lx-range", min, max, step, value, "data-testid": testid });
  const name = el("span", { class: "lxl-slider-name" });
  name.append(...(Array.isArray(label) ? label : [label]));
  const root = el("label", { class: "lxl-slider" }, el("span", { class: "lxl-slider-head" }, name, output), input);
  const tell = (v = Number(input.value)) => {
    output.textContent = show(v);
    input.setAttribute("aria-valuetext", output.textContent);
    input.style.setProperty("--lx-fill", `${(100 * (input.value - min)) / (max - min)}%`);
  };
  input.addEventListener("input", () => { tell(); on(Number(input.value)); });
  tell();
  return { root, input, tell, get value() { return Number(input.value); }, set(v) { input.value = v; tell(v); } };
}

export const learnButton = (text, on, testid = null) => el("button", { type: "button", class: "lx-button", "data-testid": testid, text, on: { click: on } });

/** z with a small index: sub("z", 1) */
export const learnSub = (symbol, index) => el("span", { class: "lxl-symbol" }, el("i", { text: symbol }), el("sub", { text: String(index) }));

export function learnPicture(label, options = {}) {
  return el("canvas", { class: "lxl-picture", width: 8, height: 8, role: "img", "aria-label": label, ...options });
}

/** Grey values 0 to 255 [H * W] as a picture. */
export function paintGrey(canvas, values, [h, w]) {
  canvas.width = w;
  canvas.height = h;
  const context = canvas.getContext("2d"), image = context.createImageData(w, h);
  values.forEach((value, i) => image.data.set([value, value, value, 255], 4 * i));
  context.putImageData(image, 0, 0);
}

/** A picture that never changes, as an image: each canvas is a layer of its own and costs at every frame. */
export function learnStill(label, values, shape) {
  const canvas = el("canvas");
  paintGrey(canvas, values, shape);
  return el("img", { class: "lxl-picture", src: canvas.toDataURL(), alt: label });
}

/** A row of pictures one of which is chosen. */
export class LearnPicker {
  constructor(digits, shape, { label, on, chosen = 0 }) {
    this.on = on;
    this.buttons = digits.pixels.map((pixels, i) => {
      const name = `${digits.labels[i]}${digits.hard[i] ? ", a hard one" : ""}`;
      return el("button", { type: "button", class: "lxl-pick", title: name, "aria-label": `Digit ${name}`, on: { click: () => this.choose(i) } }, learnStill("", pixels, shape));
    });
    this.root = el("div", { class: "lxl-picker", role: "group", "aria-label": label }, ...this.buttons);
    this.mark(chosen);
  }

  mark(i) {
    this.chosen = i;
    this.buttons.forEach((button, j) => button.setAttribute("aria-pressed", String(i === j)));
  }

  choose(i) {
    this.mark(i);
    this.on(i);
  }
}

/** A canvas with two linear axes. `paint(chart)` draws it; with `on` a point is moved by pointer or arrow keys: on([x, y]). */
export class LearnChart {
  constructor({ label, testid = null, view, paint, on = null, step = null, square = false, className = "", margin = [8, 8, 22, 8] }) {
    this.view = view;  // [x0, x1, y0, y1]
    this.margin = margin;  // top, right, bottom, left
    this.paintOn = paint;
    this.on = on;
    this.step = step;  // of an arrow key, in values; a hundredth of the axis if null
    this.canvas = el("canvas", { class: `lxl-chart ${square ? "lxl-square" : ""} ${className}`, "data-testid": testid, role: "img", "aria-label": label });
    this.draw = framed(() => this.paintNow());
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(this.canvas);
    if (on) this.listen();
  }

  listen() {
    const { canvas } = this, go = (event) => this.on(this.valueAt(event));
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.classList.add("lxl-drag");
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); this.held = true; go(event); });
    canvas.addEventListener("pointermove", (event) => { if (this.held) go(event); });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { this.held = false; });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step || !this.at || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const [x0, x1, y0, y1] = this.view, share = event.shiftKey ? 0.05 : 0.01, by = (size) => this.step ?? share * size;
      this.on([this.at[0] + step[0] * by(x1 - x0), this.at[1] + step[1] * by(y1 - y0)]);
    });
  }

  valueAt(event) {
    const [x0, x1, y0, y1] = this.view, [top, right, bottom, left] = this.margin, box = this.canvas.getBoundingClientRect();
    const share = (v) => Math.min(1, Math.max(0, v));
    const u = share((event.clientX - box.left - left) / (box.width - left - right)), v = share((event.clientY - box.top - top) / (box.height - top - bottom));
    return [x0 + u * (x1 - x0), y1 - v * (y1 - y0)];
  }

  px(x) {
    const [x0, x1] = this.view, [, right, , left] = this.margin;
    return left + ((x - x0) / (x1 - x0)) * (this.width - left - right);
  }

  py(y) {
    const [, , y0, y1] = this.view, [top, , bottom] = this.margin;
    return this.height - bottom - ((y - y0) / (y1 - y0)) * (this.height - top - bottom);
  }

  paintNow() {
    this.draw.cancel();
    const { canvas } = this, ratio = window.devicePixelRatio || 1;
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    if (!this.width || !this.height) return;
    const w = Math.round(this.width * ratio), h = Math.round(this.height * ratio);
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    this.ratio = ratio;
    this.theme = theme(canvas);
    this.page = getComputedStyle(canvas).getPropertyValue("--lx-page") || "#fff";
    this.soft = fade(this.theme.text, 0.6);
    this.line = fade(this.theme.text, 0.16);
    this.pen = canvas.getContext("2d");
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.pen.clearRect(0, 0, this.width, this.height);
    this.paintOn(this);
  }

  /** A path through points [[x, y], …] in values. */
  path(points, { colour = this.theme.text, width = 2, dash = [], fill = null } = {}) {
    const { pen } = this;
    pen.beginPath();
    points.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](this.px(x), this.py(y)));
    if (fill) { pen.fillStyle = fill; pen.fill(); }
    pen.setLineDash(dash);
    pen.lineWidth = width;
    pen.strokeStyle = colour;
    if (width) pen.stroke();
    pen.setLineDash([]);
  }

  /** y = f(x) over the whole width. */
  curve(f, style = {}, n = 120) {
    const [x0, x1] = this.view, points = Array.from({ length: n + 1 }, (_, i) => x0 + (i / n) * (x1 - x0)).map((x) => [x, f(x)]);
    this.path(style.fill ? [[x0, 0], ...points, [x1, 0]] : points, style);
  }

  dot(x, y, { colour = this.theme.primary, radius = 7 } = {}) {
    const { pen } = this;
    pen.beginPath();
    pen.arc(this.px(x), this.py(y), radius, 0, 2 * Math.PI);
    pen.fillStyle = colour;
    pen.fill();
    pen.lineWidth = 2;
    pen.strokeStyle = this.page;
    pen.stroke();
  }

  ellipse([x, y], [a, b], { colour = this.theme.text, width = 1.5, fill = null, dash = [] } = {}) {
    const { pen } = this, sx = Math.abs(this.px(1) - this.px(0)), sy = Math.abs(this.py(1) - this.py(0));
    pen.beginPath();
    pen.ellipse(this.px(x), this.py(y), Math.max(0.5, a * sx), Math.max(0.5, b * sy), 0, 0, 2 * Math.PI);
    if (fill) { pen.fillStyle = fill; pen.fill(); }
    pen.setLineDash(dash);
    pen.lineWidth = width;
    pen.strokeStyle = colour;
    pen.stroke();
    pen.setLineDash([]);
  }

  /** Words at a place in values, moved by pixels. */
  words(text, x, y, { colour = this.soft, align = "center", size = 12, weight = 400, by = [0, 0] } = {}) {
    const { pen } = this;
    pen.font = `${weight} ${size}px ${this.theme.font}`;
    pen.fillStyle = colour;
    pen.textAlign = align;
    pen.textBaseline = "middle";
    pen.fillText(text, this.px(x) + by[0], this.py(y) + by[1]);
  }

  /** The line at the bottom with its ticks. */
  ticks(values, write = (v) => signed(v, 0)) {
    const { pen } = this, [, , y0] = this.view, y = this.py(y0);
    pen.fillStyle = this.line;
    pen.fillRect(this.margin[3], y, this.width - this.margin[1] - this.margin[3], 1);
    for (const v of values) {
      pen.fillStyle = this.line;
      pen.fillRect(this.px(v), y, 1, 4);
      this.words(write(v), v, y0, { size: 11, by: [0, 12] });
    }
  }

  destroy() {
    this.draw.cancel();
    this.watch.disconnect();
  }
}

/** All codes of a model as dots by digit, kept as a picture of their own; `over(chart)` draws what moves. */
export class LearnMap extends LearnChart {
  constructor({ over, view = [-4, 4, -4, 4], ...options }) {
    super({ square: true, margin: [0, 0, 0, 0], view, paint: () => { this.blit(); over(this); }, ...options });
  }

  /** xy: float32 [2 N]; kinds: uint8 [N]; a wider view where the codes need one. */
  show(xy, kinds, view = this.view) {
    Object.assign(this, { xy, kinds, view, layer: null });
    this.draw();
  }

  blit() {
    const stamp = `${this.canvas.width} ${this.canvas.height} ${this.theme.text}`;
    if (!this.xy) return;
    if (!this.layer || this.layer.stamp !== stamp) this.layer = this.paintLayer(stamp);
    this.pen.drawImage(this.layer.canvas, 0, 0, this.width, this.height);
  }

  paintLayer(stamp) {
    const canvas = el("canvas", { width: this.canvas.width, height: this.canvas.height }), pen = canvas.getContext("2d");
    pen.scale(this.ratio, this.ratio);
    pen.fillStyle = this.line;
    pen.fillRect(this.px(0), 0, 1, this.height);
    pen.fillRect(0, this.py(0), this.width, 1);
    pen.globalAlpha = 0.55;
    const side = this.width < 260 ? 2.6 : 3.4;
    for (let i = 0; i < this.kinds.length; i++) {
      pen.fillStyle = TEN[this.kinds[i]];
      pen.fillRect(this.px(this.xy[2 * i]) - side / 2, this.py(this.xy[2 * i + 1]) - side / 2, side, side);
    }
    pen.globalAlpha = 1;
    const sums = Array.from({ length: 10 }, () => [0, 0, 0]);
    for (let i = 0; i < this.kinds.length; i++) { const s = sums[this.kinds[i]]; s[0] += this.xy[2 * i]; s[1] += this.xy[2 * i + 1]; s[2]++; }
    pen.font = `700 ${this.width < 260 ? 12 : 15}px ${this.theme.font}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineWidth = 3.5;
    pen.strokeStyle = this.page;
    pen.lineJoin = "round";
    sums.forEach(([x, y, n], digit) => {
      if (!n) return;
      pen.strokeText(String(digit), this.px(x / n), this.py(y / n));
      pen.fillStyle = TEN[digit];
      pen.fillText(String(digit), this.px(x / n), this.py(y / n));
    });
    return { canvas, stamp };
  }
}

/** A model of the lesson with its decoder and all its codes. */
export async function learnModel(model) {
  const [decoder, codes, kinds] = await Promise.all([decoderFor(model.model), array(model.codes, "f32"), array(model.kinds, "u8")]);
  return { ...model, decoder, xy: codes, kinds };
}

/** A chapter: builds itself once per version of its data, then only draws anew (a rerun, a change of theme). */
export class LearnChapter {
  constructor(host) {
    this.root = el("div", { class: "lx-root lxl" });
    this.charts = [];
    host.append(this.root);
  }

  update({ data }) {
    if (data.version === this.built) { this.draw(); return; }
    this.built = data.version;
    this.data = data;
    this.root.dataset.testid = `learn-${data.chapter}`;
    this.root.classList.add(`lxl-${data.chapter}`);
    this.root.replaceChildren(el("div", { class: "lx-notice lx-notice-inline", role: "status" }, el("span", { class: "lx-spinner" }), el("span", { text: "Loading" })));
    this.root.removeAttribute("data-ready");
    this.open(data.version).catch((error) => {
      if (data.version !== this.built) return;
      this.built = null;
      this.root.replaceChildren(el("p", { class: "lx-error", text: `This part could not be shown. ${error.message}` }));
      console.error(error);
    });
  }

  async open(version) {
    const models = await Promise.all((this.data.models ?? []).map(learnModel));
    if (version !== this.built) return;  // a later rerun brought other data meanwhile, or the element is gone
    this.models = models;
    for (const chart of this.charts.splice(0)) chart.destroy();
    this.root.replaceChildren(...this.build());
    this.show();
    this.root.dataset.ready = "true";
  }

  /** Remembers the chart, so that it is drawn and ended with the chapter. */
  chart(Kind, options) {
    const chart = new Kind(options);
    this.charts.push(chart);
    return chart;
  }

  /** In the frame it is called in: a picture and the numbers beside it move together. */
  draw() {
    for (const chart of this.charts) chart.paintNow();
  }

  destroy() {
    this.built = null;
    for (const chart of this.charts) chart.destroy();
    this.root.remove();
  }
}

export const learnPart = (title, className, ...children) => el("section", { class: `lxl-part ${className}` }, title && el("h4", { class: "lxl-title", text: title }), ...children);
