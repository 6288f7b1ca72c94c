// A grid of codes between four corners: every cell decoded in the browser, framed by how real it is.
import { decoderFor, el, mount, snap3, styleForSize } from "./common.js";
import { WalkTrust } from "./walk_trust.js";

const GRID_SLICE_MS = 8;
const GRID_KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

class GridView {
  constructor(host) {
    this.canvas = el("canvas", { class: "lx-picture", "data-testid": "decoded-image", role: "img", "aria-label": "Picture of the cell looked at", width: 1, height: 1 });
    this.frame = el("div", { class: "lx-frame" }, this.canvas);
    this.trust = new WalkTrust(this.frame);
    this.place = el("p", { class: "lx-caption", "data-testid": "grid-place" });
    const hint = el("p", { class: "lx-detail", text: "Look at a cell to see it here, click it to walk from there. The frame of a cell says how near real codes are." });
    this.panel = el("aside", { class: "lx-panel lx-sticky" }, this.frame, el("div", { class: "lx-words" }, this.place, this.trust.root, hint));
    this.cells = el("div", { class: "lx-cells", role: "group", "aria-label": "Grid of codes, arrow keys go from cell to cell" });
    this.notice = el("div", { class: "lx-notice lx-notice-inline", role: "status" }, el("span", { class: "lx-spinner" }), el("span", { text: "Loading the decoder" }));
    this.root = el("div", { class: "lx-root lx-grid", "data-testid": "latent-grid" }, el("div", { class: "lx-columns" }, el("div", { class: "lx-main" }, this.notice, this.cells), this.panel));
    host.append(this.root);
  }

  update(args) {
    this.args = args;
    this.data = args.data;
    if (this.data.version === this.built) return;
    this.built = this.data.version;
    this.load().catch((error) => this.fail(error));
  }

  async load() {
    const { model, codes, n_columns, version } = this.data;
    this.job = null;
    this.root.removeAttribute("data-ready");
    this.notice.hidden = Boolean(this.decoder);
    const [decoder] = await Promise.all([decoderFor(model), this.trust.load(this.data)]);
    if (version !== this.built) return;
    this.decoder = decoder;
    this.notice.hidden = true;
    styleForSize(this.canvas, decoder.shape);
    this.codes = codes.map((z) => Float64Array.from(z, snap3));
    this.cells.style.setProperty("--lx-n", n_columns);
    this.buttons = this.codes.map((_, i) => this.buildCell(i));
    this.cells.replaceChildren(...this.buttons);
    this.look(Math.floor(this.codes.length / 2));
    this.paint();
  }

  fail(error) {
    this.built = null;
    this.notice.hidden = false;
    this.notice.classList.add("lx-error");
    this.notice.replaceChildren(el("span", { text: `The grid could not be shown. ${error.message}` }));
    console.error(error);
  }

  titleOf(i) {
    const { n_columns } = this.data;
    return `Row ${Math.floor(i / n_columns) + 1}, column ${(i % n_columns) + 1}`;
  }

  buildCell(i) {
    const canvas = el("canvas", { width: 1, height: 1 }), title = this.titleOf(i);
    styleForSize(canvas, this.decoder.shape);
    const look = () => this.look(i);
    const pick = () => this.args.setTriggerValue("pick", { cell: i });
    return el("button", { type: "button", class: "lx-cell", tabindex: "-1", title, "aria-label": `${title}: walk from here`, on: { pointerenter: look, focus: look, click: pick, keydown: (event) => this.step(event, i) } }, canvas);
  }

  step(event, i) {
    const move = GRID_KEYS[event.key], { n_columns } = this.data;
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const row = Math.floor(i / n_columns) + move[0], column = (i % n_columns) + move[1];
    if (row >= 0 && column >= 0 && column < n_columns && row * n_columns + column < this.codes.length) this.buttons[row * n_columns + column].focus();
  }

  look(i) {
    this.decoder.paint(this.canvas, this.codes[i]);
    this.trust.follow(this.codes[i]);
    this.place.textContent = this.titleOf(i);
    this.buttons.forEach((button, j) => { button.tabIndex = j === i ? 0 : -1; button.classList.toggle("lx-here", j === i); });
  }

  /** In slices, so that the page answers while a large grid fills. */
  paint() {
    const job = (this.job = {}), todo = [...this.codes.keys()];
    const slice = () => {
      const start = performance.now();
      while (job === this.job && todo.length && performance.now() - start < GRID_SLICE_MS) this.paintCell(todo.shift());
      if (job !== this.job) return;
      if (todo.length) requestAnimationFrame(slice);
      else this.root.dataset.ready = "true";
    };
    slice();
  }

  paintCell(i) {
    const found = this.trust.of(this.codes[i]), button = this.buttons[i];
    this.decoder.paint(button.firstChild, this.codes[i]);
    if (!found) return;
    button.dataset.level = found.level;
    button.title = `${this.titleOf(i)}: ${found.words}, ${found.ratio.toFixed(1)}\u00d7 typical distance`;
    button.setAttribute("aria-label", `${this.titleOf(i)}, ${found.words}: walk from here`);
  }

  destroy() {
    this.job = null;
    this.trust.later.cancel();
    this.root.remove();
  }
}

export const mountGrid = (args) => mount(GridView, args);
