// The latent walk: one slider per dimension, the picture follows while the slider moves.
import { count, decoderFor, el, framed, mount, settled, signed, snap3, styleForSize } from "./common.js";

const N_THUMBS = 9;
const SLICE_MS = 8;
const TELL_MS = 250;

/** Small seeded generator (mulberry32), so that a sequence of random draws can be repeated. */
function generator(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

class WalkView {
  constructor(host) {
    this.listeners = new AbortController();
    this.history = [];
    this.rows = [];
    this.normal = generator(20240607);
    this.follow = framed(() => this.paint());
    this.tell = settled(() => this.send(), TELL_MS);
    this.refill = settled(() => this.startStrips(), 120);
    this.buildDom(host);
    const { signal } = this.listeners;
    window.addEventListener("keydown", (event) => this.key(event), { signal, capture: true });
    window.addEventListener("pointerup", () => { if (this.gesture) { this.gesture = false; this.refill(); } }, { signal });
  }

  buildDom(host) {
    const button = (text, key, run, label) => el("button", { type: "button", class: "lx-button", "aria-label": label, "aria-keyshortcuts": key, title: `${label} (${key})`, on: { click: run } }, el("span", { text }), el("kbd", { text: key }));
    this.canvas = el("canvas", { class: "lx-picture", "data-testid": "decoded-image", role: "img", "aria-label": "Picture of the current code", width: 1, height: 1 });
    this.undoButton = button("Undo", "Z", () => this.undo(), "Undo the last move");
    this.undoButton.disabled = true;
    this.speed = el("span", { class: "lx-ms lx-number" });
    const buttons = el("div", { class: "lx-buttons" }, button("Random", "R", () => this.random(), "Random code"), button("Mean", "M", () => this.jump(this.data.mean), "Mean code"), button("Reset", "0", () => this.jump(this.data.z), "Back to the code this walk started from"), this.undoButton);
    this.panel = el("aside", { class: "lx-panel lx-sticky" }, el("div", { class: "lx-frame" }, this.canvas), el("div", { class: "lx-words" }, buttons, el("div", { class: "lx-foot" }, this.speed)));
    this.list = el("div", { class: "lx-sliders" });
    this.dead = el("div", { class: "lx-sliders" });
    this.deadTitle = el("summary");
    this.details = el("details", { class: "lx-details", on: { toggle: () => this.refill() } }, this.deadTitle, this.dead);
    this.notice = el("div", { class: "lx-notice lx-notice-inline", role: "status" }, el("span", { class: "lx-spinner" }), el("span", { text: "Loading the decoder" }));
    this.root = el("div", { class: "lx-root lx-walk", "data-testid": "latent-walk" }, el("div", { class: "lx-columns" }, el("div", { class: "lx-main" }, this.notice, this.list, this.details), this.panel));
    host.append(this.root);
  }

  // ---- data ---------------------------------------------------------------------------------------
  update(args) {
    this.args = args;
    this.data = args.data;
    const { model, dims, n_live } = this.data;
    const built = JSON.stringify([model, dims, n_live]);
    if (built !== this.built) {
      this.built = built;
      this.load().catch((error) => this.fail(error));
    } else if (this.decoder) this.take();
  }

  async load() {
    const mine = this.built;
    this.notice.hidden = false;
    this.root.removeAttribute("data-ready");
    const decoder = await decoderFor(this.data.model);
    if (mine !== this.built) return;
    this.decoder = decoder;
    styleForSize(this.canvas, decoder.shape);
    const { dims, n_live } = this.data;
    const most = Math.max(...dims.map((dim) => dim.kl), 1e-9);
    this.rows = dims.map((dim, i) => this.buildRow(dim, i, most));
    this.list.replaceChildren(...this.rows.slice(0, n_live).map((row) => row.root));
    this.dead.replaceChildren(...this.rows.slice(n_live).map((row) => row.root));
    const n_dead = dims.length - n_live;
    this.details.hidden = n_dead === 0;
    this.deadTitle.textContent = `${count(n_dead)} ${n_dead === 1 ? "dimension" : "dimensions"} the model does not use`;
    this.notice.hidden = true;
    if (this.modelKey !== this.data.model.key) { this.version = undefined; this.z = null; this.history = []; }
    this.modelKey = this.data.model.key;
    this.take();
    this.show();
    this.root.dataset.ready = "true";
  }

  fail(error) {
    this.built = null;
    this.notice.classList.add("lx-error");
    this.notice.replaceChildren(el("span", { text: `The decoder could not be loaded. ${error.message}` }));
    console.error(error);
  }

  /** Python's code counts only when its version changed; otherwise a rerun leaves the sliders alone. */
  take() {
    if (this.z && this.data.z_version === this.version) return;
    const first = !this.z;
    this.version = this.data.z_version;
    if (!first) this.remember();
    this.z = Float64Array.from(this.data.z, snap3);
    this.show();
  }

  buildRow(dim, i, most) {
    const name = dim.name ?? `dim ${dim.dim}`;
    const value = el("output", { class: "lx-value lx-number" });
    const input = el("input", { type: "range", class: "lx-range", "data-testid": `latent-slider-${i}`, min: dim.low, max: dim.high, step: 0.01, "aria-label": `${name}, ${dim.kl.toFixed(2)} nats` });
    input.addEventListener("input", () => this.slide(i, Number(input.value)));
    input.addEventListener("change", () => { this.gesture = false; this.keyRow = null; this.tell(); this.refill(); });
    input.addEventListener("pointerdown", () => { this.remember(); this.gesture = true; });
    const thumbs = Array.from({ length: N_THUMBS }, (_, j) => {
      const at = snap3(dim.low + (dim.high - dim.low) * j / (N_THUMBS - 1));
      const canvas = el("canvas", { width: 1, height: 1 });
      styleForSize(canvas, this.decoder.shape);
      return { at, canvas, button: el("button", { type: "button", class: "lx-thumb-button", tabindex: "-1", title: `${name} = ${signed(at)}`, "aria-label": `Set ${name} to ${signed(at)}`, on: { click: () => this.setOne(i, at) } }, canvas) };
    });
    const kl = el("span", { class: "lx-kl", title: `${dim.kl.toFixed(3)} nats of information` }, el("span", { class: "lx-kl-bar" }, el("i", { style: `width: ${Math.max(2, 100 * dim.kl / most)}%` })), el("span", { class: "lx-number", text: `${dim.kl.toFixed(2)} nats` }));
    const root = el("div", { class: "lx-slider" }, el("div", { class: "lx-slider-head" }, el("span", { class: "lx-slider-name", text: name }), kl, value), input, el("div", { class: "lx-strip" }, ...thumbs.map((thumb) => thumb.button)));
    return { dim, root, input, value, thumbs, low: dim.low, high: dim.high };
  }

  // ---- moves --------------------------------------------------------------------------------------
  remember() {
    const last = this.history.at(-1);
    if (last && last.every((v, q) => v === this.z[q])) return;
    this.history.push(this.z.slice());
    if (this.history.length > 100) this.history.shift();
    this.undoButton.disabled = false;
  }

  slide(i, value) {
    if (!this.gesture && this.keyRow !== i) { this.remember(); this.keyRow = i; }  // first of a run of key presses
    this.z[this.rows[i].dim.dim] = snap3(value);
    this.showRow(this.rows[i]);
    this.stopStrips();
    this.follow();
    this.tell();
    this.refill();
  }

  setOne(i, value) {
    const z = this.z.slice();
    z[this.rows[i].dim.dim] = value;
    this.jump(z);
  }

  jump(z, keep = true) {
    if (keep) this.remember();
    this.z = Float64Array.from(z, snap3);
    this.show();
    this.tell();
  }

  random() {
    const { mean, std } = this.data.random;
    this.jump(mean.map((m, q) => m + std[q] * this.normal()));
  }

  undo() {
    let before = this.history.pop();
    while (before && before.every((v, q) => v === this.z[q])) before = this.history.pop();
    this.undoButton.disabled = this.history.length === 0;
    if (before) this.jump(before, false);
  }

  key(event) {
    const target = event.target;
    if (!this.z || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (target.isContentEditable || target.matches?.("input:not(.lx-range), textarea, select")) return;
    const run = { r: () => this.random(), m: () => this.jump(this.data.mean), 0: () => this.jump(this.data.z), z: () => this.undo() }[event.key.toLowerCase()];
    if (!run) return;
    event.preventDefault();
    event.stopImmediatePropagation();  // R alone would rerun the whole app in Streamlit
    run();
  }

  send() {
    const key = JSON.stringify(Array.from(this.z));
    if (key === this.told) return;
    this.told = key;
    this.args.setStateValue("z", Array.from(this.z));
  }

  // ---- pictures -----------------------------------------------------------------------------------
  show() {
    this.keyRow = null;
    this.stopStrips();
    this.rows.forEach((row) => this.showRow(row));
    this.follow();
    this.refill();
  }

  /** A code beyond the slider's range widens the range; the browser would silently clamp it. */
  showRow({ dim, input, value, low, high }) {
    const v = this.z[dim.dim];
    input.min = Math.min(low, Math.floor(100 * v) / 100);
    input.max = Math.max(high, Math.ceil(100 * v) / 100);
    if (Math.abs(Number(input.value) - v) > 0.0051) input.value = v;
    value.textContent = signed(v);
    input.style.setProperty("--lx-fill", `${100 * (v - input.min) / (input.max - input.min)}%`);
  }

  paint() {
    const ms = this.decoder.paint(this.canvas, this.z);
    const now = performance.now();
    if (now - (this.lastPaint ?? 0) < 250) this.fps = 0.85 * (this.fps || 30) + 0.15 * 1000 / (now - this.lastPaint);
    this.lastPaint = now;
    this.ms = this.ms ? 0.8 * this.ms + 0.2 * ms : ms;
    this.speed.textContent = `${this.ms.toFixed(1)} ms per picture${this.fps ? ` \u00b7 ${Math.round(this.fps)} fps` : ""}`;
  }

  stopStrips() {
    this.job = null;
  }

  /** Repaints the filmstrips in slices, so that a new drag is never kept waiting for them. */
  startStrips() {
    if (!this.decoder || !this.z || this.gesture) return;
    const job = (this.job = {});
    const z = this.z.slice();
    const rows = this.details.open ? this.rows : this.rows.slice(0, this.data.n_live);
    const seen = (row) => { const box = row.root.getBoundingClientRect(); return box.bottom < 0 || box.top > innerHeight ? 1 : 0; };
    const todo = rows.map((row) => [seen(row), row]).sort((a, b) => a[0] - b[0])
      .flatMap(([, row]) => row.thumbs.map((thumb) => ({ row, thumb })));
    const idle = window.requestIdleCallback ?? ((run) => setTimeout(run, 16));
    const slice = () => {
      const start = performance.now();
      while (job === this.job && todo.length && performance.now() - start < SLICE_MS) {
        const { row, thumb } = todo.shift();
        const code = z.slice();
        code[row.dim.dim] = thumb.at;
        this.decoder.paint(thumb.canvas, code);
        const step = (row.high - row.low) / (N_THUMBS - 1);
        thumb.button.classList.toggle("lx-here", Math.abs(z[row.dim.dim] - thumb.at) <= step / 2);
      }
      if (job === this.job && todo.length) idle(slice, { timeout: 200 });
    };
    idle(slice, { timeout: 200 });
  }

  destroy() {
    this.listeners.abort();
    this.stopStrips();
    this.follow.cancel();
    this.tell.cancel();
    this.refill.cancel();
    this.root.remove();
  }
}

export const mountWalk = (args) => mount(WalkView, args);
