// Pictures on the map: the codes in view as originals or as what they decode to, and a lattice of decoded places.
import { Atlas } from "./atlas.js";
import { el, settled } from "./common.js";

const MAX_IN_VIEW = 500;
const PICTURES_MS = 10;
const SETTLE_MS = 90;
const N_KEPT = 3000;
const LATTICE_PX = 64;

/** Paints jobs in slices between frames; a new list replaces what is left of the old one. */
class Queue {
  start(jobs) {
    const mine = (this.current = {});
    const slice = () => {
      if (mine !== this.current) return;
      const begun = performance.now();
      while (jobs.length && performance.now() - begun < PICTURES_MS) jobs.shift()();
      if (jobs.length) requestAnimationFrame(slice);
    };
    slice();
  }

  stop() {
    this.current = null;
  }
}

export class Pictures {
  /** `codeOf(row)` and `codeAt(x, y)` give codes; `say(text)` tells what is shown. */
  constructor({ codeOf, codeAt, say }) {
    Object.assign(this, { codeOf, codeAt, say });
    this.back = el("canvas", { class: "lx-back", "data-testid": "lattice", "aria-hidden": "true" });
    this.front = el("canvas", { class: "lx-front", "data-testid": "pictures", "aria-hidden": "true" });
    this.kept = new Map();
    this.queues = { points: new Queue(), lattice: new Queue() };
    this.wanted = { pictures: true, lattice: false, originals: true };
    this.fill = settled(() => this.paint(), SETTLE_MS);
    this.atlas = new Atlas(() => { if (this.view && this.decoder) this.paintPoints(); });
  }

  setModel(decoder, key) {
    this.decoder = decoder;
    if (key !== this.key) this.kept.clear();
    this.key = key;
  }

  want(name, on) {
    this.wanted[name] = on;
    this.paint();
  }

  /** The view moved: known pictures move along at once, missing ones follow when it rests. */
  follow(view, xy) {
    const shape = [view.x0, view.x1, view.y0, view.y1, view.width, view.height].join();
    if (shape === this.shape) return;
    this.shape = shape;
    this.view = view;
    this.xy = xy;
    this.queues.points.stop();
    this.queues.lattice.stop();
    this.clear(this.back);
    this.drawPoints(this.inView(), false);
    this.fill();
  }

  /** Other points or another model: the next view is a new one, even if its frame is the same. */
  forget() {
    this.shape = "";
  }

  paint() {
    if (!this.view || !this.decoder) return;
    this.paintPoints();
    this.clear(this.back);
    if (this.wanted.lattice) this.drawLattice();
    else this.queues.lattice.stop();
  }

  /** Clears and draws within one task: what is known already never flickers. */
  paintPoints() {
    const rows = this.inView();
    if (this.wanted.originals) this.atlas.need(rows);
    this.drawPoints(rows, true);
    this.say(this.words(rows));
  }

  words(rows) {
    const n_originals = this.wanted.originals ? rows.filter((row) => this.atlas.has(row)).length : 0;
    this.front.dataset.originals = n_originals;
    if (!rows.length) return "";
    if (n_originals === rows.length) return `${n_originals} originals`;
    const rebuilt = `${rows.length - n_originals} ${n_originals ? "" : "pictures, "}as the model rebuilds them`;
    return n_originals ? `${n_originals} originals, ${rebuilt}` : rebuilt;
  }

  inView() {
    const { view, xy } = this, rows = [];
    if (!this.wanted.pictures || !view) return rows;
    for (let i = 0; i < xy.length; i += 2) {
      if (xy[i] < view.x0 || xy[i] > view.x1 || xy[i + 1] < view.y0 || xy[i + 1] > view.y1) continue;
      rows.push(i >> 1);
      if (rows.length > MAX_IN_VIEW) return [];
    }
    return rows;
  }

  /** Side in pixels: as large as the number in view allows. */
  side(n) {
    return Math.max(16, Math.min(64, 0.7 * Math.sqrt((this.view.width * this.view.height) / Math.max(1, n))));
  }

  clear(canvas) {
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const [w, h] = [Math.round(this.view.width * ratio), Math.round(this.view.height * ratio)];
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.view.width, this.view.height);
    pen.imageSmoothingEnabled = Math.max(...this.decoder.shape.slice(0, 2)) > 32;
    return pen;
  }

  drawPoints(rows, complete) {
    if (!this.decoder) return;
    const pen = this.clear(this.front), side = this.side(rows.length);
    this.front.dataset.n = rows.length;
    const put = (row) => {
      const [px, py] = this.view.toPixel(this.xy[2 * row], this.xy[2 * row + 1]);
      const place = [px - side / 2, py - side / 2, side, side];
      if (this.original(row)) this.atlas.draw(pen, row, ...place);
      else pen.drawImage(this.kept.get(row), ...place);
    };
    const isKnown = (row) => this.original(row) || this.kept.has(row);
    rows.filter(isKnown).forEach(put);
    if (!complete) return;
    this.queues.points.start(rows.filter((row) => !isKnown(row)).map((row) => () => { this.keep(row); put(row); }));
  }

  /** Whether a row is drawn as its original: wanted and there. */
  original(row) {
    return this.atlas.has(row) && this.wanted.originals;
  }

  keep(row) {
    const canvas = document.createElement("canvas");
    this.decoder.paint(canvas, this.codeOf(row));
    if (this.kept.size >= N_KEPT) this.kept.delete(this.kept.keys().next().value);
    this.kept.set(row, canvas);
  }

  drawLattice() {
    const pen = this.clear(this.back), { width, height, toData } = this.view, jobs = [];
    const n_columns = Math.max(1, Math.round(width / LATTICE_PX)), n_rows = Math.max(1, Math.round(height / LATTICE_PX));
    const [w, h] = [width / n_columns, height / n_rows], side = Math.min(w, h);
    const canvas = document.createElement("canvas");
    for (let j = 0; j < n_rows; j++) for (let i = 0; i < n_columns; i++) jobs.push(() => {
      const [px, py] = [(i + 0.5) * w, (j + 0.5) * h];
      this.decoder.paint(canvas, this.codeAt(...toData(px, py)));
      pen.globalAlpha = 0.55;  // the points in front stay readable
      pen.drawImage(canvas, px - side / 2, py - side / 2, side - 2, side - 2);
    });
    this.back.dataset.n = jobs.length;
    this.queues.lattice.start(jobs);
  }

  destroy() {
    this.fill.cancel();
    this.atlas.destroy();
    this.queues.points.stop();
    this.queues.lattice.stop();
  }
}
