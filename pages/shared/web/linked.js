// Several maps of the same images: what is chosen or looked at on one lights up on all.
import { TEN, VIRIDIS } from "./colouring.js";
import { array, count, el, fade, framed, mount, theme } from "./common.js";
import { bitsOf, rowsInside } from "./lasso.js";
import { pointAt } from "./space.js";

const LINKED_REACH_PX = 14;
const LINKED_MARGIN_PX = 12;
const LINKED_STEP_PX = 3;
const CLICK_PX = 4;
const LINKED_TOOLS = [["lasso", "Draw around points"], ["box", "Pull up a box"]];

/** One map: its points once, and above them what changes with the choice and the pointer. */
class LinkedPanel {
  constructor(owner, { name, colour }) {
    this.owner = owner;
    this.points = el("canvas", { class: "lxk-layer", "aria-hidden": "true" });
    this.marks = el("canvas", { class: "lxk-layer", "aria-hidden": "true" });
    this.stage = el("div", { class: "lxk-stage", tabindex: "0", role: "img", "data-testid": "linked-stage", "aria-label": `Map of ${name}: draw around points to choose them on all maps` }, this.points, this.marks);
    this.root = el("figure", { class: "lxk-panel", "data-testid": "linked-panel" }, el("figcaption", { style: `--lxk-colour: ${colour}`, text: name }), this.stage);
    for (const [event, run] of [["pointerdown", this.press], ["pointermove", this.move], ["pointerup", this.release], ["pointercancel", this.cancel], ["pointerleave", this.leave]]) this.stage.addEventListener(event, run.bind(this));
  }

  /** Fits the places [2 * n] into the stage with equal scales. */
  layout(xy) {
    this.xy = xy;
    const { clientWidth: w, clientHeight: h } = this.stage, ratio = window.devicePixelRatio || 1;
    if (!w || !h) return;
    let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
    for (let i = 0; i < xy.length; i += 2) {
      x0 = Math.min(x0, xy[i]); x1 = Math.max(x1, xy[i]);
      y0 = Math.min(y0, xy[i + 1]); y1 = Math.max(y1, xy[i + 1]);
    }
    const free = (size) => size - 2 * LINKED_MARGIN_PX;
    const scale = Math.min(free(w) / (x1 - x0 || 1), free(h) / (y1 - y0 || 1));
    this.px = new Float32Array(xy.length);
    for (let i = 0; i < xy.length; i += 2) {
      this.px[i] = w / 2 + (xy[i] - (x0 + x1) / 2) * scale;
      this.px[i + 1] = h / 2 - (xy[i + 1] - (y0 + y1) / 2) * scale;
    }
    for (const canvas of [this.points, this.marks]) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
      canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.paintPoints();
    this.paintMarks();
  }

  clear(canvas) {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, this.stage.clientWidth, this.stage.clientHeight);
    return context;
  }

  dot(context, i, radius) {
    context.beginPath();
    context.arc(this.px[2 * i], this.px[2 * i + 1], radius, 0, 2 * Math.PI);
  }

  paintPoints() {
    if (!this.px) return;
    const context = this.clear(this.points), { chosen, css } = this.owner;
    const radius = this.px.length > 1500 ? 2 : 2.6;
    context.globalAlpha = chosen.size ? 0.16 : 0.8;
    for (let i = 0; i < css.length; i++) {
      context.fillStyle = css[i];
      this.dot(context, i, radius);
      context.fill();
    }
  }

  paintMarks() {
    if (!this.px) return;
    const context = this.clear(this.marks), { chosen, css, looked, text } = this.owner;
    context.lineWidth = 1;
    context.strokeStyle = text;
    for (const i of chosen) {
      context.fillStyle = css[i];
      this.dot(context, i, 3.8);
      context.fill();
      context.stroke();
    }
    if (looked !== null) {
      context.lineWidth = 2.5;
      this.dot(context, looked, 8);
      context.stroke();
    }
    if (this.line) this.paintLine(context);
  }

  paintLine(context) {
    const { accent } = this.owner;
    context.beginPath();
    for (const [x, y] of this.outline()) context.lineTo(x, y);
    context.closePath();
    context.fillStyle = fade(accent, 0.12);
    context.strokeStyle = accent;
    context.lineWidth = 1.5;
    context.fill();
    context.stroke();
  }

  outline() {
    if (this.owner.tool === "lasso") return this.line;
    const [[ax, ay], [bx, by]] = [this.line[0], this.line[this.line.length - 1]];
    return [[ax, ay], [bx, ay], [bx, by], [ax, by]];
  }

  at(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  nearest([x, y]) {
    const row = pointAt(this.px, x, y, 1, 1, LINKED_REACH_PX);
    return row < 0 ? null : row;
  }

  press(event) {
    if (event.button !== 0 || !this.px) return;
    this.stage.setPointerCapture(event.pointerId);
    this.line = [this.at(event)];
    this.way = 0;
  }

  move(event) {
    if (!this.px) return;
    const here = this.at(event);
    if (!this.line) { this.owner.look(this.nearest(here)); return; }
    const [x, y] = this.line[this.line.length - 1], step = Math.hypot(here[0] - x, here[1] - y);
    if (step < LINKED_STEP_PX) return;
    this.way += step;
    this.line.push(here);
    this.owner.look(null);
    this.paintMarks();
  }

  release(event) {
    if (!this.line) return;
    const here = this.at(event), drawn = this.way > CLICK_PX, line = this.outline();
    this.line = null;
    if (drawn) this.owner.choose(rowsInside(this.px, line));
    else { const row = this.nearest(here); this.owner.choose(row === null ? [] : [row]); }
  }

  cancel() {
    this.line = null;
    this.paintMarks();
  }

  leave() {
    if (!this.line) this.owner.look(null);
  }
}

class LinkedView {
  constructor(host) {
    this.chosen = new Set();
    this.looked = null;
    this.tool = "lasso";
    this.panels = [];
    this.css = [];
    this.relayout = framed(() => this.panels.forEach((panel) => panel.layout(panel.xy)));
    this.resized = new ResizeObserver(() => { if (this.root.dataset.ready) this.relayout(); });
    this.tools = LINKED_TOOLS.map(([name, text]) => el("button", { type: "button", class: "lx-button", "aria-pressed": String(name === this.tool), text: name === "lasso" ? "Lasso" : "Box", title: text, on: { click: () => this.use(name) } }));
    this.letGo = el("button", { type: "button", class: "lx-button", text: "Let go", title: "Let the chosen images go (Esc)", on: { click: () => this.choose([]) } });
    this.said = el("span", { class: "lxk-said lx-number", role: "status", "data-testid": "linked-said" });
    this.legend = el("div", { class: "lxk-legend" });
    this.grid = el("div", { class: "lxk-grid" });
    this.root = el("div", { class: "lx-root lxk", "data-testid": "linked-maps", on: { keydown: (event) => { if (event.key === "Escape") this.choose([]); } } }, el("div", { class: "lx-buttons lxk-head" }, ...this.tools, this.letGo, this.said), this.grid, this.legend);
    host.append(this.root);
    this.resized.observe(this.grid);
  }

  update(args) {
    this.args = args;
    this.data = args.data;
    const { text, primary } = theme(this.root);
    const built = JSON.stringify([this.data.version, this.data.panels, this.data.colour, text]);
    this.text = text;
    this.accent = primary;
    if (built === this.built) return;
    this.built = built;
    this.load().catch((error) => this.fail(error));
  }

  async load() {
    const { panels, colour, version, n } = this.data, mine = this.built;
    const [xy, values] = await Promise.all([Promise.all(panels.map((panel) => array(panel.xy, "f32"))), colour && array(colour.values, colour.kind === "categories" ? "u8" : "f32")]);
    if (mine !== this.built) return;
    if (version !== this.version) { this.chosen = new Set(); this.looked = null; }
    this.version = version;
    this.css = this.colours(colour, values, n);
    this.showLegend(colour);
    const names = panels.map((panel) => panel.name).join("|");
    if (names !== this.names) {
      this.panels = panels.map((panel) => new LinkedPanel(this, panel));
      this.grid.replaceChildren(...this.panels.map((panel) => panel.root));
      this.names = names;
    }
    this.panels.forEach((panel, i) => panel.layout(xy[i]));
    this.show();
    this.root.dataset.ready = "true";
  }

  fail(error) {
    this.built = null;
    this.said.textContent = `The maps could not be loaded. ${error.message}`;
    console.error(error);
  }

  colours(colour, values, n) {
    if (!colour) return Array(n).fill(TEN[0]);
    if (colour.kind === "categories") return Array.from(values, (kind) => TEN[kind % TEN.length]);
    const span = colour.high - colour.low || 1, last = VIRIDIS.length - 1;
    return Array.from(values, (value) => VIRIDIS[Math.max(0, Math.min(last, Math.round(last * (value - colour.low) / span)))]);
  }

  showLegend(colour) {
    const chip = (css, text) => el("span", { class: "lxk-chip" }, el("i", { style: `background: ${css}` }), el("span", { text }));
    const shown = !colour ? [] : colour.kind === "categories"
      ? colour.names.slice(0, 20).map((name, i) => chip(TEN[i % TEN.length], name))
      : [el("span", { text: colour.label }), chip(VIRIDIS[0], colour.low.toFixed(2)), el("i", { class: "lxk-scale", style: `background: linear-gradient(90deg, ${VIRIDIS.join(",")})` }), chip(VIRIDIS[VIRIDIS.length - 1], colour.high.toFixed(2))];
    this.legend.replaceChildren(...shown);
  }

  use(name) {
    this.tool = name;
    this.tools.forEach((button, i) => button.setAttribute("aria-pressed", String(LINKED_TOOLS[i][0] === name)));
  }

  look(row) {
    if (row === this.looked) return;
    this.looked = row;
    this.panels.forEach((panel) => panel.paintMarks());
  }

  choose(rows) {
    const { n, version } = this.data, bits = rows.length ? bitsOf(rows, n) : "";
    const same = rows.length === this.chosen.size && rows.every((row) => this.chosen.has(row));
    this.chosen = new Set(rows);
    this.show();
    if (!same) this.args.setStateValue("chosen", { version, bits });
  }

  show() {
    this.letGo.disabled = !this.chosen.size;
    this.said.textContent = this.chosen.size ? `${count(this.chosen.size)} chosen` : "";
    this.root.dataset.chosen = String(this.chosen.size);
    this.panels.forEach((panel) => { panel.paintPoints(); panel.paintMarks(); });
  }

  destroy() {
    this.resized.disconnect();
    this.relayout.cancel();
    this.root.remove();
  }
}

export const mountLinked = (args) => mount(LinkedView, args);
