// The scatter itself: axes, backdrop, points, contours and the view on them. Knows nothing of codes or decoding.
import { el, fade, framed } from "./common.js";
import { Colouring } from "./colouring.js";
import { densityContours } from "./contours.js";
import { densityImage, Raster } from "./raster.js";

const N_DENSITY = 150000;   // more points than this in view are shown as density
const DENSITY_CELL = 2;
const DIM = 0.06;
const N_TICKS = 7;
const COARSE_MS = 12;       // a frame dearer than this is drawn in single pixels, and its density from
const COARSE_STEP = 5;      // every fifth point, while the map moves
const REST_MS = 140;
const WHEEL = 0.0016;

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

/** Round numbers that part [low, high] into about `n` steps. */
export function ticks(low, high, n) {
  const rough = (high - low) / n, ten = 10 ** Math.floor(Math.log10(rough));
  const step = ten * [1, 2, 5, 10].find((factor) => factor * ten >= rough);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

const between = (low, value, high) => Math.min(high, Math.max(low, value));

export class Chart {
  /** `onView` is called in each frame that shows another part of the map. */
  constructor(gd, onView) {
    Object.assign(this, { gd, onView, raster: new Raster(), wantsContours: false, cost: 0 });
    this.axes = el("canvas", { class: "lx-layer", "aria-hidden": "true" });
    this.canvas = el("canvas", { class: "lx-layer", "aria-hidden": "true", "data-testid": "points" });
    gd.replaceChildren(this.axes, this.canvas);
    gd.lxChart = this;  // what tests and benchmarks look at
    this.later = framed(() => { this.paint(); this.onView(); });
    gd.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  /** `colour` is null, {kind: "categories", names, values} or {kind: "continuous", values}. */
  async draw({ xy, colour, projection, backdrop, look }) {
    const x = padded(extent(xy, 0, 2)), y = padded(extent(xy, 1, 2));
    if (backdrop) {
      x[0] = Math.min(x[0], backdrop.x0); x[1] = Math.max(x[1], backdrop.x1);
      y[0] = Math.min(y[0], backdrop.y0); y[1] = Math.max(y[1], backdrop.y1);
    }
    const isSameMap = this.xy && this.projection.id === projection.id && this.n === xy.length >> 1;
    Object.assign(this, { xy, projection, look, n: xy.length >> 1, ranges: { x, y }, lines: null });
    this.colouring = new Colouring(colour, this.n);
    this.backdrop = backdrop && { ...backdrop, image: await picture(backdrop.url) };
    if (!isSameMap || !this.frame) this.fit();
    this.paint();
  }

  restyle(look) {
    this.look = look;
    this.later();
  }

  // ---- the view -----------------------------------------------------------------------------------
  /** All points in view. One unit is as long on both axes, unless that would squash the map to a line. */
  fit() {
    const { x, y } = this.ranges, { clientWidth: width, clientHeight: height } = this.gd;
    const ratio = (x[1] - x[0]) / (y[1] - y[0]);
    let sx = width / (x[1] - x[0]), sy = height / (y[1] - y[0]);
    if (ratio < 3 && ratio > 1 / 3) sx = sy = Math.min(sx, sy);
    this.frame = { x: (x[0] + x[1]) / 2, y: (y[0] + y[1]) / 2, sx, sy, width, height };
    this.home = { ...this.frame };
  }

  /** Pixels of the element are pixels of the plot. */
  get view() {
    const { x, y, sx, sy } = this.frame, { clientWidth: width, clientHeight: height } = this.gd;
    const [x0, x1] = [x - width / 2 / sx, x + width / 2 / sx], [y0, y1] = [y - height / 2 / sy, y + height / 2 / sy];
    return {
      width, height, sx, sy, x0, x1, y0, y1,
      toPixel: (u, v) => [(u - x0) * sx, height - (v - y0) * sy],
      toData: (px, py) => [x0 + px / sx, y0 + (height - py) / sy],
    };
  }

  /** Moves the map by pixels. */
  panBy(dx, dy) {
    this.frame.x -= dx / this.frame.sx;
    this.frame.y += dy / this.frame.sy;
    this.moved();
  }

  /** Zooms so that what is under this pixel of the element stays there. */
  zoomAt(px, py, factor) {
    const { toData, width, height } = this.view, { frame, home } = this;
    const by = between(0.2 * home.sx, frame.sx * factor, 1e5 * home.sx) / frame.sx;
    const [x, y] = toData(px, py);
    frame.sx *= by;
    frame.sy *= by;
    frame.x = x - (px - width / 2) / frame.sx;
    frame.y = y + (py - height / 2) / frame.sy;
    this.moved();
  }

  wheel(event) {
    if (!this.frame) return;
    event.preventDefault();
    const box = this.gd.getBoundingClientRect(), pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    this.zoomAt(event.clientX - box.left, event.clientY - box.top, Math.exp(-WHEEL * between(-400, pixels, 400) * (event.ctrlKey ? 4 : 1)));
  }

  reset() {
    this.fit();
    this.moved();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.gd, { frame } = this;
    if (!frame || !width || (frame.width === width && frame.height === height)) return;
    const atHome = ["x", "y", "sx", "sy"].every((name) => frame[name] === this.home[name]);
    if (atHome) this.fit();
    else Object.assign(frame, { width, height });
    this.paint();
  }

  moved() {
    this.isMoving = true;
    clearTimeout(this.rest);
    this.rest = setTimeout(() => { this.isMoving = false; if (this.isCoarse) this.later(); }, REST_MS);
    this.later();
  }

  // ---- what the legend lets through ---------------------------------------------------------------
  isShown(row) {
    return this.colouring.isShown(row);
  }

  get n_shown() {
    return this.colouring.n_shown;
  }

  legend(onFilter) {
    return this.colouring.legend(() => { this.lines = null; this.later(); onFilter(); });
  }

  want(name, on) {
    if (name === "contours") this.wantsContours = on;
    if (this.frame) this.later();
  }

  // ---- painting -----------------------------------------------------------------------------------
  /** How many of the points that the legend lets through are in view. */
  count({ x0, x1, y0, y1 }) {
    const { xy } = this, { shown } = this.colouring;
    let n = 0;
    for (let row = 0, i = 0; i < xy.length; row++, i += 2) {
      if (xy[i] >= x0 && xy[i] <= x1 && xy[i + 1] >= y0 && xy[i + 1] <= y1 && (!shown || shown[row])) n++;
    }
    return n;
  }

  paint() {
    const { view } = this, full = Math.min(2, window.devicePixelRatio || 1);
    if (!view.width || !view.height) return;
    this.isCoarse = this.isMoving && this.cost > COARSE_MS;
    this.paintAxes(view, full);
    const begun = performance.now();
    this.paintPoints(view, this.isCoarse ? 1 : full);
    if (!this.isCoarse) this.cost = performance.now() - begun;
    this.canvas.dataset.ms = (performance.now() - begun).toFixed(1);
  }

  paintPoints(view, ratio) {
    const { xy, colouring } = this, { index, shown, palette } = colouring, pen = sized(this.canvas, view, ratio);
    const n = (this.n_in_view = this.count(view)), log = Math.log10(Math.max(10, n));
    const [sx, sy] = [view.sx * ratio, -view.sy * ratio];
    const at = { sx, tx: -view.x0 * sx, sy, ty: view.height * ratio - view.y0 * sy };
    const { width, height } = this.canvas;
    this.isDensity = n > N_DENSITY;
    this.canvas.dataset.kind = this.isDensity ? "density" : "points";
    if (this.isDensity) {
      const cell = DENSITY_CELL * ratio, image = densityImage({ xy, index, shown }, at, { width, height, cell, palette, step: this.isCoarse ? COARSE_STEP : 1 });
      this.still = bitmap(this.still, image);
      pen.drawImage(this.still, 0, 0, image.width * cell, image.height * cell);
    } else {
      const size = Math.round(2 * ratio * between(3, 14 - 2.4 * log, 7.5)) / 2;
      const opacity = Math.round(20 * between(0.5, 1.3 - 0.15 * log, 0.85) * (this.backdrop ? 0.6 : 1)) / 20;
      const key = colouring.colour ? `${colouring.colour.kind} ${colouring.css}` : "one";
      this.raster.begin(width, height, Math.ceil(size) + 4);
      if (shown) this.raster.points(this.raster.stamps(palette, key, size, DIM), { xy, index, shown, wanted: 0 }, at);
      const stamps = this.raster.stamps(palette, key, size, opacity), { back } = colouring;
      if (back) this.raster.points(stamps, { xy, index, shown, wanted: 1, back, layer: 1 }, at);
      this.raster.points(stamps, { xy, index, shown, wanted: 1, back, layer: 0 }, at);
      pen.putImageData(this.raster.image(), 0, 0);
    }
    if (this.wantsContours) this.paintContours(pen, at, ratio);
  }

  paintContours(pen, { sx, tx, sy, ty }, ratio) {
    this.lines ??= densityContours(this.xy, this.ranges, (row) => this.isShown(row));
    this.lines.forEach((pieces, level) => {
      pen.beginPath();
      for (let i = 0; i < pieces.length; i += 4) {
        pen.moveTo(pieces[i] * sx + tx, pieces[i + 1] * sy + ty);
        pen.lineTo(pieces[i + 2] * sx + tx, pieces[i + 3] * sy + ty);
      }
      pen.lineWidth = (1.8 - 0.4 * level) * ratio;
      pen.strokeStyle = fade(this.look.text, 0.8 - 0.2 * level);
      pen.stroke();
    });
  }

  paintAxes(view, ratio) {
    const pen = sized(this.axes, view, ratio), { look, backdrop } = this;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (backdrop) {
      const [left, top] = view.toPixel(backdrop.x0, backdrop.y1), [right, bottom] = view.toPixel(backdrop.x1, backdrop.y0);
      pen.globalAlpha = 0.9;
      pen.drawImage(backdrop.image, left, top, right - left, bottom - top);
      pen.globalAlpha = 1;
    }
    pen.font = `11px ${look.font}`;
    const line = (strength, ...ends) => {
      pen.fillStyle = fade(look.text, strength);
      pen.fillRect(...ends);
    };
    const write = (text, x, y) => { pen.fillStyle = fade(look.text, 0.5); pen.fillText(text, x, y); };
    const words = (value, digits) => value.toFixed(digits).replace("-", "\u2212").replace(/^\u2212(0(\.0*)?)$/, "$1");
    const across = ticks(view.x0, view.x1, N_TICKS), up = ticks(view.y0, view.y1, N_TICKS);
    for (const x of across.found) line(Math.abs(x) < 1e-9 ? 0.16 : 0.07, Math.round(view.toPixel(x, 0)[0]), 0, 1, view.height);
    for (const y of up.found) line(Math.abs(y) < 1e-9 ? 0.16 : 0.07, 0, Math.round(view.toPixel(0, y)[1]), view.width, 1);
    pen.textAlign = "center";
    for (const x of across.found) if (view.toPixel(x, 0)[0] > 40) write(words(x, across.digits), view.toPixel(x, 0)[0], view.height - 6);
    pen.textAlign = "left";
    for (const y of up.found) { const at = view.toPixel(0, y)[1]; if (at < view.height - 20 && at > 12) write(words(y, up.digits), 6, at + 4); }
  }

  destroy() {
    clearTimeout(this.rest);
    this.later.cancel();
  }
}

function sized(canvas, { width, height }, ratio) {
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  const pen = canvas.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, w, h);
  return pen;
}

function bitmap(canvas, image) {
  const kept = canvas ?? document.createElement("canvas");
  kept.width = image.width;
  kept.height = image.height;
  kept.getContext("2d").putImageData(image, 0, 0);
  return kept;
}

async function picture(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}
