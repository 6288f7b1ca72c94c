// A run as it learns: pictures that get better, the map as it forms, its numbers as lines; and back to any moment.
import { bytesOf, el, mount, once, svg } from "./common.js";
import { colours } from "./colouring.js";

// While it trains few frames must do: each takes some milliseconds from the training.
const TRAINING_GLIDE_MS = 450, TRAINING_CALM_MS = 90, TRAINING_PLAY_MS = 320;
const TRAINING_CHART = { width: 240, height: 92 };

const trainingNumber = (v) => (Math.abs(v) >= 1000 ? Math.round(v).toLocaleString("en-US") : v.toFixed(Math.abs(v) >= 100 ? 0 : Math.abs(v) >= 10 ? 1 : 2)).replace("-", "\u2212");
const trainingTime = (seconds) => (seconds < 90 ? `${Math.round(seconds)} s` : `${(seconds / 60).toFixed(1)} min`);

/** A moment, fetched once: {sheets: {name: image}, xy: places [2 * m], tile: [h, w], n tiles in a sheet}. */
function trainingMoment(url) {
  return once(`moment:${url}`, async () => {
    const found = JSON.parse(new TextDecoder().decode(await bytesOf(url)));
    const raw = atob(found.xy), bytes = Uint8Array.from(raw, (letter) => letter.charCodeAt(0));
    const sheets = {};
    for (const name of ["originals", "reconstructions", "samples"]) {
      sheets[name] = new Image();
      sheets[name].src = found[name];
      await sheets[name].decode();
    }
    return { sheets, xy: Float32Array.from(new Int16Array(bytes.buffer), (v) => v * found.scale), tile: found.tile, n: found.n };
  });
}

/** Pictures of one kind as a sheet with gaps between them. */
class TrainingSheet {
  constructor(title, hint, name) {
    this.name = name;
    this.canvas = el("canvas", { class: "lxt-sheet", role: "img", "aria-label": `${title}: ${hint}`, "data-testid": `training-${name}` });
    this.root = el("figure", { class: "lxt-figure" }, el("figcaption", {}, el("b", { text: title }), el("span", { text: hint })), this.canvas);
  }

  show(moment) {
    const image = moment.sheets[this.name], [h, w] = moment.tile, columns = Math.ceil(Math.sqrt(moment.n)), rows = Math.ceil(moment.n / columns);
    const gap = Math.max(1, Math.round(w / 24));
    [this.canvas.width, this.canvas.height] = [columns * (w + gap) - gap, rows * (h + gap) - gap];
    this.canvas.style.imageRendering = Math.max(h, w) <= 40 ? "pixelated" : "auto";
    const context = this.canvas.getContext("2d");
    for (let i = 0; i < moment.n; i++) context.drawImage(image, i * w, 0, w, h, (i % columns) * (w + gap), Math.floor(i / columns) * (h + gap), w, h);
  }
}

/** The same images' codes on a plane; they glide from one moment to the next. */
class TrainingMap {
  constructor() {
    this.canvas = el("canvas", { class: "lxt-map", role: "img", "aria-label": "The map of the codes as it forms", "data-testid": "training-map" });
    this.legend = el("div", { class: "lxt-legend" });
    this.root = el("figure", { class: "lxt-figure lxt-wide" }, el("figcaption", {}, el("b", { text: "The map as it forms" }), el("span", { text: "one point per image, near means alike to the model" })), this.canvas, this.legend);
    this.watch = new ResizeObserver(() => this.paint());
    this.watch.observe(this.canvas);
  }

  group(labels, names) {
    const shown = (labels ?? []).length ? names : [];
    this.labels = labels;
    this.palette = colours(Math.max(1, names.length));
    const dots = shown.slice(0, 12).map((name, i) => el("span", {}, el("i", { style: `background:${this.palette[i]}` }), el("span", { text: name })));
    this.legend.replaceChildren(...dots, ...(shown.length > 12 ? [el("span", { text: `and ${shown.length - 12} more` })] : []));
  }

  show(xy, { isCalm }) {
    const from = this.xy?.length === xy.length ? this.xy : null;
    this.halt();
    if (!from || matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.xy = xy;
      this.paint();
      return;
    }
    const began = performance.now(), start = Float32Array.from(from);
    const glide = (now) => {
      const t = Math.min(1, (now - began) / TRAINING_GLIDE_MS), eased = t * t * (3 - 2 * t);
      this.xy = xy.map((v, i) => start[i] + eased * (v - start[i]));
      this.paint();
      if (t < 1) next();
    };
    const frame = () => { this.pending = requestAnimationFrame(glide); };
    const next = () => { if (isCalm) this.waiting = setTimeout(frame, TRAINING_CALM_MS); else frame(); };
    next();
  }

  halt() {
    clearTimeout(this.waiting);
    cancelAnimationFrame(this.pending);
  }

  paint() {
    const { clientWidth: width, clientHeight: height } = this.canvas, ratio = Math.min(2, devicePixelRatio);
    if (!this.xy || !width) return;
    [this.canvas.width, this.canvas.height] = [width * ratio, height * ratio];
    const context = this.canvas.getContext("2d"), n = this.xy.length / 2;
    context.scale(ratio, ratio);
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < n; i++) {
      left = Math.min(left, this.xy[2 * i]); right = Math.max(right, this.xy[2 * i]);
      low = Math.min(low, this.xy[2 * i + 1]); high = Math.max(high, this.xy[2 * i + 1]);
    }
    // One scale for both axes, and never so near that the tiny codes of the first step look like much.
    const scale = Math.min((width - 24) / Math.max(0.5, right - left), (height - 24) / Math.max(0.5, high - low));
    const size = n > 400 ? 2.2 : 3.2;
    for (let i = 0; i < n; i++) {
      context.fillStyle = this.palette[Math.max(0, this.labels?.[i] ?? 0) % this.palette.length];
      context.globalAlpha = 0.8;
      context.beginPath();
      context.arc(width / 2 + scale * (this.xy[2 * i] - (left + right) / 2), height / 2 - scale * (this.xy[2 * i + 1] - (low + high) / 2), size, 0, 2 * Math.PI);
      context.fill();
    }
  }

  stop() {
    this.halt();
    this.watch.disconnect();
  }
}

/** Lines over seconds of training: `chart` is {title, hint, lines: [{name, points: [[x, y]]}]}. */
function trainingChart(chart, at) {
  const { width, height } = TRAINING_CHART, all = chart.lines.flatMap((line) => line.points);
  const xs = all.map((p) => p[0]), ys = all.map((p) => p[1]).sort((a, b) => a - b);
  // The first steps tower over the rest: beyond this they leave the picture at its edge.
  const upper = ys[Math.floor(0.97 * (ys.length - 1))], lower = ys[Math.ceil(0.03 * (ys.length - 1))], room = 0.12 * (upper - lower) || 1;
  const [x0, x1] = [Math.min(...xs), Math.max(...xs, Math.min(...xs) + 1e-9)];
  const px = (x) => 4 + (width - 8) * (x - x0) / (x1 - x0);
  const py = (y) => Math.min(height - 3, Math.max(3, 3 + (height - 6) * (1 - (y - lower + room) / (upper - lower + 2 * room))));
  const lines = chart.lines.map((line, i) => svg("polyline", { class: `lxt-line lxt-line-${i}`, points: line.points.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(" ") }));
  const ends = chart.lines.map((line, i) => line.points.length && svg("path", { class: `lxt-end lxt-line-${i}`, d: `M${px(line.points.at(-1)[0])} ${py(line.points.at(-1)[1])}h.01` })).filter(Boolean);
  const cursor = at === null ? [] : [svg("line", { class: "lxt-cursor", x1: px(at), x2: px(at), y1: 0, y2: height })];
  const words = chart.lines.map((line, i) => line.points.length && el("span", { class: `lxt-value lxt-line-${i}` }, line.name ? el("span", { text: line.name }) : null, el("b", { text: trainingNumber(line.points.at(-1)[1]) })));
  return el("figure", { class: "lxt-figure", title: chart.hint }, el("figcaption", {}, el("b", { text: chart.title }), ...words),
    svg("svg", { class: "lxt-chart", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `${chart.title}: ${chart.hint}` }, ...cursor, ...lines, ...ends));
}

/** What each latent dimension carries, largest first. */
function trainingBars(kl, active) {
  const order = kl.map((v, i) => [v, i]).sort((a, b) => b[0] - a[0]), shown = order.slice(0, 64), top = Math.max(0.1, shown[0]?.[0] ?? 0);
  const bars = shown.map(([v, i]) => el("i", { class: "lxt-bar", style: `height:${(100 * v / top).toFixed(1)}%`, title: `z${i}: ${v.toFixed(2)} nats` }));
  return el("figure", { class: "lxt-figure" },
    el("figcaption", {}, el("b", { text: "KL per dimension" }), el("span", { class: "lxt-value" }, el("span", { text: "in use" }), el("b", { text: `${active} of ${kl.length}` }))),
    el("div", { class: "lxt-bars", role: "img", "aria-label": `${active} of ${kl.length} dimensions carry information` }, ...bars));
}

class TrainingView {
  constructor(host) {
    this.sheets = [
      new TrainingSheet("Originals", "not trained on", "originals"),
      new TrainingSheet("Reconstructions", "through the code and back", "reconstructions"),
      new TrainingSheet("Samples", "the same random codes, decoded", "samples"),
    ];
    this.map = new TrainingMap();
    this.charts = el("div", { class: "lxt-charts" });
    this.slider = el("input", { type: "range", min: 0, max: 0, step: 1, value: 0, class: "lxt-scrub", "aria-label": "Moment of the training", "data-testid": "training-scrub", on: { input: () => { this.pause(); this.goTo(Number(this.slider.value)); } } });
    this.play = el("button", { type: "button", class: "lx-button", text: "\u25b6 Replay", "data-testid": "training-play", on: { click: () => (this.timer ? this.pause() : this.replay()) } });
    this.said = el("output", { class: "lxt-said lx-number", "data-testid": "training-moment" });
    this.root = el("div", { class: "lx-root lxt", "data-testid": "training-view" },
      el("div", { class: "lxt-time" }, this.play, this.slider, this.said),
      el("div", { class: "lxt-scene" }, el("div", { class: "lxt-sheets" }, ...this.sheets.map((sheet) => sheet.root)), this.map.root),
      this.charts);
    host.append(this.root);
  }

  update(args) {
    const data = args.data, before = this.data, isNew = data.run !== before?.run;
    // The latest moment stays the latest, unless the visitor went back to an earlier one.
    const follows = isNew || this.at === undefined || this.at >= before.moments.length - 1;
    const looked = follows || isNew ? null : before.moments[this.at].step;
    this.data = data;
    if (isNew) { this.pause(); this.map.xy = null; this.painted = null; }
    if (isNew || data.labels_key !== before?.labels_key) this.map.group(data.labels, data.label_names);
    if (this.timer) return;
    const found = looked === null ? -1 : data.moments.findIndex((moment) => moment.step >= looked);
    this.goTo(found < 0 ? data.moments.length - 1 : found);
  }

  get isLatest() { return this.at >= this.data.moments.length - 1; }

  async goTo(index) {
    const moments = this.data.moments;
    if (!moments.length) return;
    this.at = Math.max(0, Math.min(moments.length - 1, index));
    [this.slider.max, this.slider.value] = [moments.length - 1, this.at];
    const moment = moments[this.at], isEnd = this.isLatest && !this.data.is_alive;
    const where = !moment.step ? "before training" : isEnd ? `after ${moment.epoch} epoch${moment.epoch === 1 ? "" : "s"}` : `epoch ${moment.epoch + 1}`;
    const words = `${this.isLatest && this.data.is_alive ? "now: " : ""}${where}, ${trainingTime(moment.seconds)}`;
    const sentence = this.said.textContent = words[0].toUpperCase() + words.slice(1);
    this.drawNumbers(moment);
    if (this.painted === moment.url) return;
    // Overtaken while loading: a newer wish is being answered.
    const isWanted = () => this.data.moments[this.at]?.url === moment.url && this.painted !== moment.url;
    let loaded;
    try {
      loaded = await trainingMoment(moment.url);
    } catch (error) {
      // Thinned out or cleaned away meanwhile; the next look at it, or the next moment, tries again.
      if (isWanted()) this.said.textContent = `${sentence}. Its pictures could not be loaded. ${error.message}`;
      return;
    }
    if (!isWanted()) return;
    this.painted = moment.url;
    for (const sheet of this.sheets) sheet.show(loaded);
    this.map.show(loaded.xy, { isCalm: this.data.is_alive && !this.timer });
    Object.assign(this.root.dataset, { ready: "true", step: moment.step });
  }

  drawNumbers(moment) {
    const state = JSON.stringify([this.data.charts, moment.step, this.isLatest]);
    if (state === this.drawn) return;
    this.drawn = state;
    const at = this.isLatest ? null : moment.seconds;
    const drawn = this.data.charts.filter((chart) => chart.lines.some((line) => line.points.length > 1)).map((chart) => trainingChart(chart, at));
    if (moment.kl?.length) drawn.push(trainingBars(moment.kl, moment.active));
    this.charts.replaceChildren(...drawn);
  }

  replay() {
    let next = this.isLatest ? 0 : this.at;
    this.play.textContent = "\u275a\u275a Stop";
    const step = () => {
      this.goTo(next);
      next += 1;
      this.timer = next < this.data.moments.length ? setTimeout(step, TRAINING_PLAY_MS) : this.pause();
    };
    step();
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = null;
    this.play.textContent = "\u25b6 Replay";
    return null;
  }

  destroy() {
    this.pause();
    this.map.stop();
    this.root.remove();
  }
}

export const mountTraining = (args) => mount(TrainingView, args);
