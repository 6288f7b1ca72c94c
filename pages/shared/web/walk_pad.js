// The plane of two sliders: a square to drag over, with decoded pictures as a lattice behind the pointer.
import { el, signed, snap3, styleForSize } from "./common.js";
import { coordinate } from "./walk_rows.js";

const PAD_CELLS = 15;
const PAD_CELLS_LARGE = 9;  // of pictures over 32 pixels, which take longer
const PAD_KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const PAD_STEPS = 60;
const LEAST_SINE_SQUARED = 1e-4;
const SAME_PLANE = 0.0035;

/** The unit vector of a row: its own, or its dimension's axis. */
function axisOf({ dim, vector }, d) {
  return vector ?? Array.from({ length: d }, (_, q) => Number(q === dim));
}

/** The code nearest to `z` that lies at `a` along one row and at `b` along another, which need not be at right angles. */
export function codeOnPlane([first, second], z, [a, b]) {
  const u = axisOf(first, z.length), v = axisOf(second, z.length);
  const da = (a - coordinate(first, z)) * first.scale, db = (b - coordinate(second, z)) * second.scale;
  const c = u.reduce((sum, value, q) => sum + value * v[q], 0), free = 1 - c * c;
  // Along one line there is no plane: the first row alone moves.
  const s = free < LEAST_SINE_SQUARED ? da : (da - c * db) / free, t = free < LEAST_SINE_SQUARED ? 0 : (db - c * da) / free;
  return Float64Array.from(z, (value, q) => snap3(value + s * u[q] + t * v[q]));
}

export class PlanePad {
  /** `on`: pressed(), move(z), settled(), and changed() when there is something else to paint. */
  constructor(on) {
    this.on = on;
    this.todo = [];
    this.cell = document.createElement("canvas");
    this.still = el("canvas", { class: "lx-pad-still", width: 1, height: 1, "aria-hidden": "true" });
    this.lens = el("canvas", { class: "lx-pad-lens", width: 1, height: 1, "aria-hidden": "true" });
    this.square = el("div", { class: "lx-pad", tabindex: "0", role: "application", "data-testid": "plane-pad", "aria-roledescription": "plane of two sliders" }, this.still, this.lens);
    this.x = this.buildSelect("across", 0);
    this.y = this.buildSelect("up", 1);
    this.said = el("output", { class: "lx-number lx-detail", "data-testid": "plane-place" });
    this.head = el("div", { class: "lx-pad-head" }, el("label", {}, el("span", { text: "Across" }), this.x), el("label", {}, el("span", { text: "Up" }), this.y));
    this.title = el("summary");
    this.root = el("details", { class: "lx-plane", "data-testid": "plane", on: { toggle: () => { if (this.z) this.show(this.z); on.changed(); } } }, this.title, this.head, this.square, this.said);
    const at = (event) => this.drag(event);
    this.square.addEventListener("pointerdown", (event) => {
      if (event.button > 0) return;
      this.square.setPointerCapture(event.pointerId);
      this.square.focus({ preventScroll: true });
      event.preventDefault();
      this.from = this.z;
      on.pressed();
      at(event);
    });
    this.square.addEventListener("pointermove", (event) => { if (this.from) at(event); });
    for (const end of ["pointerup", "pointercancel"]) this.square.addEventListener(end, () => { if (this.from) { this.from = null; on.settled(); } });
  }

  buildSelect(name, place) {
    return el("select", { class: "lx-select", "aria-label": `Slider that runs ${name}`, "data-testid": `plane-${name}`, on: { change: () => { this.keepApart(place); this.take(); } } });
  }

  get pair() { return [this.rows[this.x.value].along, this.rows[this.y.value].along]; }

  /** The rows of the sliders, those in use first; the plane opens by itself where the model has two dimensions. */
  load(rows, decoder) {
    this.decoder = decoder;
    this.rows = rows;
    this.root.hidden = rows.length < 2;
    if (this.root.hidden) return;
    for (const [select, place] of [[this.x, 0], [this.y, 1]]) {
      select.replaceChildren(...rows.map((row, i) => el("option", { value: i, text: row.title })));
      select.value = this.first(place);
    }
    const isWhole = decoder.n_latent === 2;
    this.head.hidden = rows.length === 2;
    this.title.textContent = isWhole ? "The plane of codes: drag over it" : "Two sliders as a plane to drag over";
    if (isWhole) this.root.open = true;
    this.take();
  }

  /** Of two dimensions the lower runs across, as on the map. */
  first(place) {
    return this.rows.length === 2 && this.rows[0].along.dim > this.rows[1].along.dim ? 1 - place : place;
  }

  keepApart(changed) {
    const [kept, other] = changed ? [this.y, this.x] : [this.x, this.y];
    if (kept.value === other.value) other.value = [...this.rows.keys()].find((i) => String(i) !== kept.value);
  }

  take() {
    const names = [this.x, this.y].map((select) => this.rows[select.value].title);
    this.square.setAttribute("aria-label", `Plane: ${names[0]} across, ${names[1]} up; arrow keys move`);
    this.base = null;
    styleForSize(this.lens, this.decoder.shape);
    if (this.z) this.show(this.z);
    this.on.changed();
  }

  // ---- where ---------------------------------------------------------------------------------------
  /** Share of the way across and up of a code; beyond 0 to 1 for a code off the square. */
  shares(z) {
    return this.pair.map((along) => (coordinate(along, z) - along.low) / (along.high - along.low));
  }

  drag(event) {
    const box = this.square.getBoundingClientRect(), { clientLeft, clientTop, clientWidth, clientHeight } = this.square;
    const share = (v, size) => Math.min(1, Math.max(0, v / Math.max(1, size)));
    this.place([share(event.clientX - box.left - clientLeft, clientWidth), 1 - share(event.clientY - box.top - clientTop, clientHeight)]);
  }

  place(shares) {
    // Kept at once: a second key may come before the next frame shows the first.
    this.z = codeOnPlane(this.pair, this.from ?? this.z, this.pair.map(({ low, high }, i) => low + (high - low) * shares[i]));
    this.on.move(this.z);
  }

  /** Whether a key moved the plane; asked by the view, whose own arrows nudge one slider. */
  key(event) {
    const move = PAD_KEYS[event.key];
    if (!move || event.target !== this.square) return false;
    const [a, b] = this.shares(this.z), step = (event.shiftKey ? 5 : 1) / PAD_STEPS;
    this.place([a + move[0] * step, b + move[1] * step]);
    return true;
  }

  // ---- pictures -----------------------------------------------------------------------------------
  show(z) {
    this.z = z;
    if (!this.decoder || this.root.hidden || !this.root.open) return;
    const [a, b] = this.shares(z), inside = (share) => 100 * Math.min(1, Math.max(0, share));
    this.lens.style.left = `${inside(a)}%`;
    this.lens.style.top = `${100 - inside(b)}%`;
    this.lens.classList.toggle("lx-outside", a < 0 || a > 1 || b < 0 || b > 1);
    this.said.textContent = this.pair.map((along) => `${along.prefix || along.name} = ${signed(coordinate(along, z))}`).join(" \u00b7 ");
  }

  /** The picture under the hand is the one just painted. */
  follow(canvas, z) {
    this.show(z);
    if (this.lens.width !== canvas.width || this.lens.height !== canvas.height) Object.assign(this.lens, { width: canvas.width, height: canvas.height });
    this.lens.getContext("2d").drawImage(canvas, 0, 0);
  }

  /** Starts the lattice anew where it no longer fits the code. */
  prepare() {
    if (!this.decoder || !this.z || this.root.hidden || !this.root.open) { this.todo = []; return; }
    const { pair } = this, [h, w] = this.decoder.shape, n = Math.max(h, w) > 32 ? PAD_CELLS_LARGE : PAD_CELLS;
    const base = codeOnPlane(pair, this.z, pair.map(({ low, high }) => (low + high) / 2));
    // Off a right angle rounding moves the base by thousandths: that is no other plane.
    if (this.base && base.every((v, q) => Math.abs(v - this.base[q]) < SAME_PLANE)) return;
    Object.assign(this, { base, n });
    if (this.still.width !== n * w || this.still.height !== n * h) Object.assign(this.still, { width: n * w, height: n * h });
    styleForSize(this.still, [h, w]);
    const away = ([i, j]) => Math.hypot(i - (n - 1) / 2, j - (n - 1) / 2);
    // From the middle outwards: there the pictures say most.
    this.todo = Array.from({ length: n * n }, (_, k) => [k % n, Math.floor(k / n)]).sort((p, q) => away(q) - away(p));
    this.root.removeAttribute("data-ready");
  }

  /** Paints one more cell of the lattice; false when none is left. */
  paintNext() {
    if (!this.todo.length) return false;
    const [i, j] = this.todo.pop(), { pair, n } = this, [h, w] = this.decoder.shape;
    const at = ({ low, high }, k) => low + (high - low) * (k + 0.5) / n;
    this.decoder.paint(this.cell, codeOnPlane(pair, this.base, [at(pair[0], i), at(pair[1], j)]));
    this.still.getContext("2d").drawImage(this.cell, i * w, (n - 1 - j) * h);
    if (!this.todo.length) this.root.dataset.ready = "true";
    return true;
  }
}
