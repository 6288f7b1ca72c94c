// The latent map: pick a point or any empty place, see its decoded picture in the same frame.
import { array, realCodes, count, decoderFor, el, framed, mount, settled, snap3, theme } from "./common.js";
import { Chart } from "./chart.js";
import { keyAction, Pinch, startOf } from "./gestures.js";
import { bitsOf, Lasso } from "./lasso.js";
import { Names, selectKey } from "./names.js";
import { Overlay } from "./overlay.js";
import { Panel } from "./panel.js";
import { Pictures } from "./pictures.js";
import { codeAt, codeOf, pointAt } from "./space.js";
import { Tools } from "./tools.js";
import { judgesOf, readTrust } from "./trust.js";

const PICK_PX = 7;
const TOUCH_PX = 14;
const KEEP_HOVER_PX = 10;
const DRAG_PX = 4;
const ECHO_MS = 10000;
const DOUBLE_CLICK_MS = 320;

class MapView {
  constructor(host) {
    this.selected = null;
    this.sent = new Map();
    this.pinch = new Pinch();
    this.names = new Names();
    this.live = false;
    this.listeners = new AbortController();
    this.buildDom(host);
    this.listen();
    this.onMove = framed((event) => this.moved(event));
    this.place = framed(() => this.placeOverlay());
    this.send = settled((pick) => this.args.setTriggerValue("pick", pick), 120);
    this.fit = framed(() => { if (this.ready && this.gd.offsetParent) { this.chart.resize(); this.placeOverlay(); } });
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this.gd);
  }

  buildDom(host) {
    this.gd = el("div", { class: "lx-plot", "data-testid": "latent-map", tabindex: "0", role: "application" });
    this.chart = new Chart(this.gd, () => this.placeOverlay());
    this.overlay = new Overlay();
    this.lasso = new Lasso({ toData: (event) => this.toData(event), isShown: (row) => this.chart.isShown(row), onChosen: (rows) => this.chooseRegion(rows) });
    this.pictures = new Pictures({
      codeOf: (row) => codeOf(this.space, row),
      codeAt: (x, y) => codeAt(this.args.data.projection.inverse, this.space, x, y),
      say: (text) => { this.pictureCount.textContent = text; },
    });
    this.tools = new Tools({ onMode: (mode) => this.setMode(mode), onToggle: (name, on) => (name === "contours" ? this.chart : this.pictures).want(name, on) });
    this.notice = el("div", { class: "lx-notice", role: "status" }, el("span", { class: "lx-spinner" }), el("span", { text: "Loading the map" }));
    this.xTitle = el("span", { class: "lx-axis lx-axis-x" });
    this.yTitle = el("span", { class: "lx-axis lx-axis-y" });
    this.stage = el("div", { class: "lx-stage" }, this.pictures.back, this.gd, this.pictures.front, this.lasso.canvas, this.overlay.root, this.xTitle, this.yTitle, this.overlay.card, this.tools.root, this.notice);
    this.legend = el("div", { class: "lx-legend", role: "group", "aria-label": "Colours" });
    this.counter = el("span", { class: "lx-count", "data-testid": "point-count" });
    this.pictureCount = el("span", { class: "lx-count", "data-testid": "picture-count" });
    this.panel = new Panel({ onLive: (on) => { this.live = on; if (!on) this.restore(); } });
    const bar = el("div", { class: "lx-bar" }, this.legend, this.pictureCount, this.counter);
    this.root = el("div", { class: "lx-root lx-map" }, el("div", { class: "lx-columns" }, el("div", { class: "lx-main" }, this.stage, bar), this.panel.root));
    host.append(this.root);
  }

  listen() {
    const { signal } = this.listeners;
    const on = (node, type, run, options = {}) => node.addEventListener(type, run, { signal, ...options });
    on(this.gd, "pointerdown", (event) => this.pressed(event), { capture: true });
    on(window, "pointermove", (event) => this.drag(event), { capture: true });
    on(window, "pointerup", (event) => this.released(event), { capture: true });
    on(window, "pointermove", (event) => { if (this.lasso.drawing && this.lasso.move(event)) this.place(); }, { capture: true });
    on(window, "pointercancel", (event) => { this.press = null; this.pinch.lift(event); this.lasso.clear(); this.place(); }, { capture: true });
    for (const type of ["pointerdown", "pointermove"]) on(this.gd, type, (event) => this.finger(event));
    on(this.gd, "pointermove", (event) => this.onMove(event));
    on(this.gd, "pointerleave", () => { this.onMove.cancel(); this.hideCard(); this.restore(); });
    on(this.gd, "wheel", () => this.hideCard(), { passive: true });
    on(this.gd, "keydown", (event) => this.key(event));
    on(window, "keyup", (event) => { if (event.key === "Shift") this.restore(); });
  }

  update(args) {
    this.args = args;
    const { data } = args;
    this.tools.root.hidden = data.tools === false;
    this.tools.toggles.originals.hidden = !data.atlas;
    this.pictures.atlas.set(data.atlas);
    this.root.style.setProperty("--lx-height", `${data.height ?? 620}px`);
    const [x, y] = data.projection.axis_labels ?? ["", ""];
    this.xTitle.textContent = x;
    this.yTitle.textContent = y;
    this.gd.setAttribute("aria-label", `Map of ${count(data.points.n)} codes, ${data.projection.label ?? ""}. Arrow keys move a crosshair and decode that place; Enter picks the nearest point; plus, minus and 0 zoom.`);
    const look = theme(this.root), lookKey = JSON.stringify(look);
    const { model, points, projection, colour, hover, backdrop } = data;
    const drawn = JSON.stringify([model, points, projection, colour, hover, backdrop]);
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      this.look = lookKey;
      this.load(data, look).catch((error) => this.fail(error));
    } else if (this.ready) {
      if (lookKey !== this.look) { this.look = lookKey; this.chart.restyle(look); }
      this.follow(data);
    }
  }

  async load(data, look) {
    const mine = this.drawn;
    this.ready = false;
    this.gd.removeAttribute("data-ready");
    this.notice.hidden = false;
    const { model, points, projection, colour, hover } = data;
    const labels = hover?.labels;
    const [decoder, judges, codes, xy, values, labelValues, ids] = await Promise.all([
      decoderFor(model), judgesOf(data), realCodes(points), array(projection.xy, "f32"),
      colour && array(colour.values, colour.kind === "categories" ? "u8" : "f32"),
      labels && array(labels.values, "u8"), hover?.ids && array(hover.ids, "i32"),
    ]);
    if (mine !== this.drawn) return;  // a later rerun changed the data meanwhile
    this.judges = judges;
    this.space = { xy, codes, d: points.d, url: points.codes };
    this.names.labels = labels ? { names: labels.names, values: labelValues } : null;
    this.names.ids = ids;
    this.panel.setModel(decoder);
    this.overlay.setModel(decoder);
    this.pictures.setModel(decoder, `${model.key} ${points.codes}`);
    this.decoder = decoder;
    await this.chart.draw({ xy, colour: colour && { ...colour, values }, projection, backdrop: data.backdrop, look });
    if (mine !== this.drawn) return;
    this.tellCount();
    this.legend.replaceChildren(...this.chart.legend(() => this.tellCount()));
    if (this.modelKey !== model.key || this.codesUrl !== points.codes) { this.selected = null; this.lastSelect = undefined; }
    else if (this.projectionId !== projection.id && this.selected) this.reproject();
    if (this.projectionId !== projection.id) this.lasso.clear();
    this.pictures.forget();
    this.modelKey = model.key;
    this.codesUrl = points.codes;
    this.projectionId = projection.id;
    this.notice.hidden = true;
    this.ready = true;
    this.follow(data);
    if (this.selected) this.show(this.selected);
    this.placeOverlay();
    this.gd.dataset.ready = "true";
  }

  /** What is shown of how many, always. */
  tellCount() {
    const { n, n_total } = this.args.data.points, { n_shown, isDensity } = this.chart;
    const text = `${n_shown < n ? `${count(n_shown)} of ` : ""}${count(n)} of ${count(n_total)} points${isDensity ? ", as density: zoom in for points" : ""}`;
    if (this.counter.textContent !== text) this.counter.textContent = text;
  }

  fail(error) {
    this.drawn = null;
    this.notice.hidden = false;
    this.notice.classList.add("lx-error");
    this.notice.replaceChildren(el("span", { text: `The map could not be loaded. ${error.message}` }));
    console.error(error);
  }

  /** Another projection of the same codes: a point stays picked; a place has no counterpart and loses its mark. */
  reproject() {
    const { kind, row } = this.selected;
    if (kind === "point") this.selected = this.pointPick(row);
    else this.selected = { ...this.selected, x: NaN, y: NaN };
  }

  /** Takes over Python's selection when it changed, unless it is only the echo of an earlier pick. */
  follow(data) {
    this.overlay.setMarks(data.marks ?? []);
    this.placeOverlay();
    const wanted = selectKey(data.select);
    if (wanted === this.lastSelect) return;
    this.lastSelect = wanted;
    const sentAt = this.sent.get(wanted) ?? -Infinity;
    this.sent.delete(wanted);
    if (performance.now() - sentAt < ECHO_MS || !data.select || wanted === selectKey(this.selected)) return;
    const { row, x, y } = data.select;
    if (row !== undefined && row !== null && row >= 0 && row < data.points.n) this.choose(this.pointPick(row), false);
    else if (Number.isFinite(x) && Number.isFinite(y)) this.choose(this.placePick(x, y), false);
  }

  pointPick(row) {
    const { xy } = this.space;
    return { kind: "point", row, x: xy[2 * row], y: xy[2 * row + 1], z: codeOf(this.space, row) };
  }

  placePick(x, y) {
    const at = { kind: "place", row: null, x: snap3(x), y: snap3(y) };
    return { ...at, z: codeAt(this.args.data.projection.inverse, this.space, at.x, at.y) };
  }

  rowAt(event, radius = PICK_PX) {
    const { x, y, view } = this.toData(event);
    return pointAt(this.space.xy, x, y, view.sx, view.sy, radius, (row) => this.chart.isShown(row));
  }

  toData(event) {
    const box = this.gd.getBoundingClientRect(), view = this.chart.view;
    const [x, y] = view.toData(event.clientX - box.left, event.clientY - box.top);
    return { x, y, view };
  }

  pressed(event) {
    this.hideCard();
    if (!event.isPrimary || event.button !== 0) return;
    if (this.ready && this.tools.mode !== "move") this.lasso.begin(event, this.tools.mode);
    else this.press = { x: event.clientX, y: event.clientY, at: { x: event.clientX, y: event.clientY } };
  }

  /** A press that moves pans the map; with a finger in the live mode it decodes instead. */
  drag(event) {
    const { press } = this;
    if (!press || !this.ready || !event.isPrimary || (this.live && event.pointerType === "touch")) return;
    if (!press.dragging && Math.hypot(event.clientX - press.x, event.clientY - press.y) <= DRAG_PX) return;
    press.dragging = true;
    this.gd.classList.add("lx-dragging");
    this.chart.panBy(event.clientX - press.at.x, event.clientY - press.at.y);
    press.at = { x: event.clientX, y: event.clientY };
  }

  finger(event) {
    if (!this.ready) return;
    this.pinch.follow(event, this.gd.getBoundingClientRect(), {
      begin: () => { this.press = null; this.lasso.clear(); },
      zoom: (px, py, factor) => this.chart.zoomAt(px, py, factor),
    });
  }

  released(event) {
    this.pinch.lift(event);
    if (this.lasso.drawing) { this.lasso.end(event, this.space.xy); return; }
    const press = this.press;
    this.press = null;
    this.gd.classList.remove("lx-dragging");
    if (!press || press.dragging || !this.ready || event.button !== 0) return;
    const before = this.lastClick;
    this.lastClick = { at: event.timeStamp, x: press.x, y: press.y };
    if (before && event.timeStamp - before.at < DOUBLE_CLICK_MS && Math.hypot(before.x - press.x, before.y - press.y) <= DRAG_PX) {
      this.lastClick = null;
      this.chart.reset();
      return;
    }
    const row = this.rowAt(event, event.pointerType === "touch" ? TOUCH_PX : PICK_PX);
    const { x, y } = this.toData(event);
    this.choose(row >= 0 ? this.pointPick(row) : this.placePick(x, y), true);
  }

  setMode(mode) {
    this.tools.setMode(mode);
    this.gd.dataset.mode = mode;
    if (mode === "move" && this.lasso.polygon) { this.lasso.clear(); this.chooseRegion([]); }
  }

  /** A region's rows go to Python as bits; an empty one takes the last away. */
  chooseRegion(rows) {
    this.placeOverlay();
    const { xy } = this.space;
    this.gd.dataset.chosen = rows.length;
    this.args.setTriggerValue("region", { n: rows.length, bits: rows.length ? bitsOf(rows, xy.length / 2) : "" });
  }

  choose(pick, tell) {
    this.selected = pick;
    const ms = this.show(pick);
    this.placeOverlay();
    if (!tell) return;
    const { kind, row, x, y, z } = pick;
    this.sent.set(selectKey(pick), performance.now());
    this.send({ kind, row, x, y, z: Array.from(z, snap3), ms: snap3(ms), projection: this.projectionId });
  }

  show(pick) {
    this.shown = pick;
    const ms = this.panel.paint(pick.z);
    this.panel.say(...this.names.words(pick, this.args.data.projection));
    this.updateTrust();
    return ms;
  }

  updateTrust() {
    const { shown, judges } = this;
    this.panel.trust.show(judges && readTrust(this.args.data.trust, judges, shown.z));
  }

  moved(event) {
    const finger = this.live && event.pointerType === "touch";  // a finger cannot hover, so it decodes and does not pan
    if (!this.ready || (this.press && !finger)) return;
    if (this.live || event.shiftKey) {
      const { x, y } = this.toData(event);
      const pick = { ...this.placePick(x, y), kind: "pointer" };
      this.peeking = true;
      this.shown = pick;
      this.panel.paint(pick.z);
      this.panel.say(...this.names.words(pick, this.args.data.projection));
      this.updateTrust();
      this.hideCard();
      return;
    }
    let row = this.rowAt(event);
    if (row < 0 && this.overlay.cardRow >= 0) row = this.rowAt(event, KEEP_HOVER_PX);
    if (row < 0) this.hideCard();
    else this.showCard(row, event);
  }

  /** Leaving the live mode or the map: the picture is that of the selection again. */
  restore() {
    if (this.peeking && this.selected) this.show(this.selected);
    this.peeking = false;
  }

  showCard(row, event) {
    this.gd.classList.add("lx-over");
    this.overlay.showCard(row, event, this.stage, ({ thumb, title, detail }) => {
      this.decoder.paint(thumb, codeOf(this.space, row));
      title.textContent = this.names.label(row) || "Point";
      detail.textContent = `#${this.names.id(row)}`;
    });
  }

  hideCard() {
    this.gd.classList.remove("lx-over");
    this.overlay.hideCard();
  }

  key(event) {
    if (!this.ready || event.ctrlKey || event.metaKey || event.altKey) return;
    const { view } = this.chart, from = startOf(this.selected, view), act = keyAction(event.key, from, view);
    if (!act) return;
    if (act.move) this.choose(this.placePick(...act.move), true);
    else if (act.pick) this.choose(this.pointPick(pointAt(this.space.xy, from.x, from.y, view.sx, view.sy, 1e9)), true);
    else if (act.zoom) this.chart.zoomAt(...view.toPixel(from.x, from.y), act.zoom);
    else if (act.reset) this.chart.reset();
    else this.setMode(act.mode);
    event.preventDefault();
  }

  placeOverlay() {
    if (!this.ready || !this.gd.isConnected) return;
    const { view } = this.chart;
    this.tellCount();
    this.overlay.place(view, this.selected);
    this.lasso.draw(view, this.space.xy);
    this.pictures.follow(view, this.space.xy);
  }

  destroy() {
    this.listeners.abort();
    this.observer.disconnect();
    this.ready = this.drawn = null;
    for (const late of [this.onMove, this.place, this.fit, this.send]) late.cancel();
    this.pictures.destroy();
    this.chart.destroy();
    this.root.remove();
  }
}

export const mountMap = (args) => mount(MapView, args);
