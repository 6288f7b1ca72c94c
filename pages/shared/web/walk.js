// The latent walk: sliders along dimensions or vectors, the picture follows while they move.
import { decoderFor, el, framed, mount, normals, settled, snap3, styleForSize } from "./common.js";
import { WalkHistory } from "./walk_history.js";
import { PlanePad } from "./walk_pad.js";
import { codeAlong, coordinate, WalkRow } from "./walk_rows.js";
import { WalkTrust } from "./walk_trust.js";

const SLICE_MS = 8;
const TELL_MS = 250;
const PLAY_SECONDS = 4;  // there and back
const MAX_TEMPERATURE = 1.5;

class WalkView {
  constructor(host) {
    this.listeners = new AbortController();
    this.rows = [];
    this.used = 0;
    this.temperature = 1;
    this.normal = normals(20240607);  // a sequence of random codes can be repeated
    this.follow = framed(() => this.paint());
    this.tell = settled(() => this.send(), TELL_MS);
    this.refill = settled(() => this.startStrips(), 120);
    this.buildDom(host);
    const { signal } = this.listeners;
    window.addEventListener("keydown", (event) => this.key(event), { signal, capture: true });
    window.addEventListener("pointerup", () => { if (this.gesture) { this.gesture = false; this.refill(); } }, { signal });
    // Whatever is clicked outside may ask Python for the code: it must know the latest.
    window.addEventListener("pointerdown", (event) => { if (this.z && !this.root.contains(event.target)) { this.stop(); this.send(); } }, { signal, capture: true });
  }

  buildDom(host) {
    const button = (text, key, run, label) => el("button", { type: "button", class: "lx-button", "aria-label": label, "aria-keyshortcuts": key, title: `${label} (${key})`, on: { click: run } }, el("span", { text }), el("kbd", { text: key }));
    this.canvas = el("canvas", { class: "lx-picture", "data-testid": "decoded-image", role: "img", "aria-label": "Picture of the current code", width: 1, height: 1 });
    this.frame = el("div", { class: "lx-frame" }, this.canvas);
    this.trust = new WalkTrust(this.frame);
    this.undoButton = button("Undo", "Z", () => this.back("undo"), "Undo the last move");
    this.redoButton = button("Redo", "Y", () => this.back("redo"), "Redo the move");
    this.playButton = button("Play", "Space", () => this.togglePlay(), "Play along the last slider");
    this.speed = el("span", { class: "lx-ms lx-number" });
    const buttons = el("div", { class: "lx-buttons" }, button("Random", "R", () => this.random(), "Random code"), button("Mean", "M", () => this.jump(this.data.mean), "Mean code"), button("Reset", "0", () => this.jump(this.data.start), "Back to the code this walk started from"), this.undoButton, this.redoButton, this.playButton);
    this.panel = el("aside", { class: "lx-panel lx-sticky" }, this.frame, el("div", { class: "lx-words" }, this.trust.root, buttons, this.buildTemperature(), el("div", { class: "lx-foot" }, this.speed)));
    this.list = el("div", { class: "lx-sliders" });
    this.dead = el("div", { class: "lx-sliders" });
    this.deadTitle = el("summary");
    this.pad = new PlanePad({ pressed: () => { this.holdPad(); this.gesture = true; }, move: (z) => this.moveOnPad(z), settled: () => this.settle(), changed: () => { this.follow(); this.refill(); } });
    this.details = el("details", { class: "lx-details", on: { toggle: () => this.refill() } }, this.deadTitle, this.dead);
    this.notice = el("div", { class: "lx-notice lx-notice-inline", role: "status" }, el("span", { class: "lx-spinner" }), el("span", { text: "Loading the decoder" }));
    this.root = el("div", { class: "lx-root lx-walk", "data-testid": "latent-walk" }, el("div", { class: "lx-columns" }, el("div", { class: "lx-main" }, this.notice, this.pad.root, this.list, this.details), this.panel));
    host.append(this.root);
  }

  buildTemperature() {
    const shown = el("output", { class: "lx-number", text: "1.00" });
    const input = el("input", { type: "range", class: "lx-range", min: 0, max: MAX_TEMPERATURE, step: 0.05, value: 1, "data-testid": "temperature", "aria-label": "Temperature of random codes" });
    const fill = () => {
      this.temperature = Number(input.value);
      shown.textContent = this.temperature.toFixed(2);
      input.style.setProperty("--lx-fill", `${100 * this.temperature / MAX_TEMPERATURE}%`);
    };
    input.addEventListener("input", fill);
    fill();
    return el("label", { class: "lx-temperature", title: "How far random codes spread: 0 is the mean, 1 as far as the real codes" }, el("span", { text: "Temperature" }), input, shown);
  }

  // ---- data ---------------------------------------------------------------------------------------
  update(args) {
    this.args = args;
    this.data = args.data;
    const { model, rows, n_live } = this.data;
    this.root.classList.toggle("lx-compact", Boolean(this.data.compact));
    const built = JSON.stringify([model, rows.map((row) => ({ ...row, name: "" })), n_live]);
    if (built !== this.built) {
      this.built = built;
      this.load().catch((error) => this.fail(error));
    } else if (this.z) {
      rows.forEach(({ name }, i) => { if (this.rows[i].name !== name && !this.rows[i].editing) this.rows[i].setName(name); });
      this.take();
    }
  }

  async load() {
    const mine = this.built;
    this.stop();
    this.notice.hidden = false;
    this.root.removeAttribute("data-ready");
    const [decoder] = await Promise.all([decoderFor(this.data.model), this.trust.load(this.data)]);
    if (mine !== this.built) return;
    this.decoder = decoder;
    styleForSize(this.canvas, decoder.shape);
    const { rows, n_live, folded, model } = this.data;
    this.rows = rows.map((along, i) => this.buildRow(along, i));
    this.used = 0;
    this.list.replaceChildren(...this.rows.slice(0, n_live).map((row) => row.root));
    this.dead.replaceChildren(...this.rows.slice(n_live).map((row) => row.root));
    this.pad.load(this.rows, decoder);
    this.details.hidden = rows.length === n_live;
    this.deadTitle.textContent = folded;
    this.notice.hidden = true;
    if (this.modelKey !== model.key) { this.version = undefined; this.z = null; this.history = new WalkHistory(model.key); }
    this.modelKey = model.key;
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
    if (this.z) this.history.remember(this.z);
    this.version = this.data.z_version;
    this.z = Float64Array.from(this.data.z, snap3);
    this.told = JSON.stringify(Array.from(this.z));
    this.show();
  }

  buildRow(along, i) {
    return new WalkRow(along, i, this.decoder.shape, {
      slide: (value) => this.slide(i, value),
      settled: () => this.settle(),
      pressed: () => { this.hold(i); this.gesture = true; },
      focused: () => { this.used = i; },
      pick: (value) => { this.used = i; this.jump(codeAlong(along, this.z, value)); },
      rename: (name) => this.args.setTriggerValue("rename", { id: along.id, name }),
    });
  }

  // ---- moves --------------------------------------------------------------------------------------
  /** A run of moves of one slider starts: one step to undo, all measured from the same code. */
  hold(i) {
    this.stop();
    this.used = i;
    this.history.remember(this.z);
    this.held = { i, z: this.z.slice() };
    this.showHistory();
  }

  settle() {
    this.gesture = false;
    this.held = null;
    this.tell();
    this.refill();
  }

  /** A run of moves on the plane is one step to undo, like one of a slider. */
  holdPad() {
    this.stop();
    this.history.remember(this.z);
    this.held = { i: "pad" };
    this.showHistory();
  }

  moveOnPad(z) {
    if (this.held?.i !== "pad") this.holdPad();
    this.z = z;
    this.rows.forEach((row) => row.show(z));
    this.stopStrips();
    this.follow();
    this.tell();
    this.refill();
  }

  slide(i, value) {
    if (this.held?.i !== i) this.hold(i);
    this.place(value);
    this.tell();
    this.refill();
  }

  place(value) {
    this.z = this.pad.z = codeAlong(this.rows[this.held.i].along, this.held.z, value);
    this.rows.forEach((row, i) => row.show(this.z, i === this.held.i && !this.playing));
    this.stopStrips();
    this.follow();
  }

  nudge(steps) {
    const { along } = this.rows[this.used];
    this.slide(this.used, coordinate(along, this.z) + steps * (along.high - along.low) / 100);
    this.held = { i: this.used, z: this.z.slice() };
  }

  jump(z, keep = true) {
    this.stop();
    if (keep) this.history.remember(this.z);
    this.z = Float64Array.from(z, snap3);
    this.show();
    this.tell();
  }

  random() {
    const { mean, std } = this.data.random;
    this.jump(mean.map((m, q) => m + this.temperature * std[q] * this.normal()));
  }

  back(way) {
    this.stop();
    const z = this.history[way](this.z);
    if (z) this.jump(z, false);
    this.showHistory();
  }

  showHistory() {
    this.undoButton.disabled = !this.history.canUndo;
    this.redoButton.disabled = !this.history.canRedo;
  }

  // ---- play ---------------------------------------------------------------------------------------
  togglePlay() {
    if (this.playing) { this.stop(); return; }
    const { low, high } = this.rows[this.used].along;
    this.hold(this.used);
    const share = Math.min(1, Math.max(0, (coordinate(this.rows[this.used].along, this.z) - low) / (high - low)));
    const begin = performance.now() - 500 * PLAY_SECONDS * share;
    const step = (now) => {
      if (!this.playing) return;
      const phase = Math.max(0, now - begin) / (500 * PLAY_SECONDS) % 2;
      this.place(low + (high - low) * Math.max(0, phase > 1 ? 2 - phase : phase));
      this.playing = requestAnimationFrame(step);
    };
    this.playing = requestAnimationFrame(step);
    this.showPlay();
  }

  stop() {
    if (!this.playing) return;
    cancelAnimationFrame(this.playing);
    this.playing = this.held = null;
    this.showPlay();
    this.tell();
    this.refill();
  }

  showPlay() {
    this.root.toggleAttribute("data-playing", Boolean(this.playing));
    this.playButton.firstChild.textContent = this.playing ? "Stop" : "Play";
    this.playButton.setAttribute("aria-pressed", String(Boolean(this.playing)));
  }

  key(event) {
    const { target } = event, name = event.key.toLowerCase();
    if (!this.root.offsetParent) return;  // out of sight: in a shared view the keys may be the map's
    if (!this.z || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (this.data.compact && !this.root.contains(target)) return;  // beside a map the keys are the map's
    if (target.isContentEditable || target.matches?.("input:not(.lx-range), textarea, select")) return;
    const isFree = target === document.body || this.root.contains(target), isPressable = target.matches?.("button, a, summary, input[type=checkbox]");
    if (this.pad.key(event)) { event.preventDefault(); event.stopImmediatePropagation(); return; }
    const arrow = !target.matches?.("input") && isFree && { arrowleft: -1, arrowright: 1 }[name];
    const run = { r: () => this.random(), m: () => this.jump(this.data.mean), 0: () => this.jump(this.data.start), z: () => this.back("undo"), y: () => this.back("redo") }[name]
      ?? (arrow ? () => this.nudge(arrow) : null) ?? (name === " " && isFree && !isPressable ? () => this.togglePlay() : null);
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
    this.held = null;
    this.pad.z = this.z;
    this.stopStrips();
    this.rows.forEach((row) => row.show(this.z));
    this.showHistory();
    this.follow();
    this.refill();
  }

  paint() {
    if (!this.decoder || !this.z) return;
    const ms = this.decoder.paint(this.canvas, this.z);
    this.trust.follow(this.z);
    this.pad.follow(this.canvas, this.z);
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
    if (!this.decoder || !this.z || this.gesture || this.playing) return;
    const job = (this.job = {});
    const z = this.z.slice();
    const rows = this.details.open ? this.rows : this.rows.slice(0, this.data.n_live);
    const seen = (row) => { const box = row.root.getBoundingClientRect(); return box.bottom < 0 || box.top > innerHeight ? 1 : 0; };
    const todo = rows.map((row) => [seen(row), row]).sort((a, b) => a[0] - b[0])
      .flatMap(([, row]) => row.thumbs.map((thumb) => ({ row, thumb })));
    this.pad.prepare();
    const idle = window.requestIdleCallback ?? ((run) => setTimeout(run, 16));
    const slice = () => {
      const start = performance.now();
      while (job === this.job && performance.now() - start < SLICE_MS) {
        if (this.pad.paintNext()) continue;
        if (!todo.length) return;
        const { row, thumb } = todo.shift();
        row.paintThumb(thumb, z, this.decoder);
      }
      if (job === this.job) idle(slice, { timeout: 200 });
    };
    idle(slice, { timeout: 200 });
  }

  destroy() {
    this.listeners.abort();
    this.stop();
    this.stopStrips();
    for (const late of [this.follow, this.tell, this.refill, this.trust.later]) late.cancel();
    this.root.remove();
  }
}

export const mountWalk = (args) => mount(WalkView, args);
