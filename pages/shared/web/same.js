// One code given to several decoders: the sliders move all pictures at once.
import { decoderFor, el, framed, mount, normals, signed, snap3, styleForSize } from "./common.js";

class SameView {
  constructor(host) {
    this.normal = normals(Date.now());
    this.paint = framed(() => this.shown.forEach(({ decoder, canvas }) => decoder.paint(canvas, this.z)));
    const button = (text, run, title) => el("button", { type: "button", class: "lx-button", text, title, on: { click: run } });
    this.pictures = el("div", { class: "lxk-pictures" });
    this.live = el("div", { class: "lxk-sliders" });
    this.rest = el("div", { class: "lxk-sliders" });
    this.restTitle = el("summary");
    this.details = el("details", { class: "lx-details" }, this.restTitle, this.rest);
    this.notice = el("div", { class: "lx-notice lx-notice-inline", role: "status" }, el("span", { class: "lx-spinner" }), el("span", { text: "Loading the decoders" }));
    const buttons = el("div", { class: "lx-buttons" }, button("Random", () => this.jump(() => snap3(Math.max(-3, Math.min(3, this.normal())))), "A draw from N(0, I) for all"), button("Zero", () => this.jump(() => 0), "All numbers to zero"));
    this.root = el("div", { class: "lx-root", "data-testid": "latent-same" }, this.notice, this.pictures, buttons, this.live, this.details);
    host.append(this.root);
  }

  update({ data }) {
    if (data.version === this.built) return;
    this.built = data.version;
    this.data = data;
    this.load().catch((error) => this.fail(error));
  }

  async load() {
    const { models, order, n_live, version } = this.data;
    this.root.removeAttribute("data-ready");
    this.notice.hidden = false;
    const decoders = await Promise.all(models.map(({ model }) => decoderFor(model)));
    if (version !== this.built) return;
    this.shown = models.map((item, i) => this.buildPicture(item, decoders[i]));
    this.pictures.replaceChildren(...this.shown.map(({ root }) => root));
    if (this.z?.length !== order.length) this.z = new Float64Array(order.length);
    this.rows = order.map((dim) => this.buildRow(dim));
    this.live.replaceChildren(...this.rows.slice(0, n_live).map(({ root }) => root));
    this.rest.replaceChildren(...this.rows.slice(n_live).map(({ root }) => root));
    this.details.hidden = order.length <= n_live;
    this.restTitle.textContent = `${order.length - n_live} more numbers, less used by the first model`;
    this.notice.hidden = true;
    this.paint();
    this.root.dataset.ready = "true";
  }

  fail(error) {
    this.built = null;
    this.notice.hidden = false;
    this.notice.classList.add("lx-error");
    this.notice.replaceChildren(el("span", { text: `The decoders could not be loaded. ${error.message}` }));
    console.error(error);
  }

  buildPicture({ name, colour }, decoder) {
    const canvas = el("canvas", { width: 1, height: 1, role: "img", "aria-label": `What ${name} makes of this code`, "data-testid": "same-picture" });
    styleForSize(canvas, decoder.shape);
    return { decoder, canvas, root: el("figure", { class: "lxk-panel" }, canvas, el("figcaption", { style: `--lxk-colour: ${colour}`, text: name })) };
  }

  buildRow(dim) {
    const { reach } = this.data;
    const value = el("output", { class: "lx-number" });
    const input = el("input", { type: "range", class: "lx-range", min: -reach, max: reach, step: 0.01, "aria-label": `Number ${dim}`, "data-testid": `same-slider-${dim}` });
    const show = () => {
      input.value = this.z[dim];
      input.style.setProperty("--lx-fill", `${100 * (this.z[dim] + reach) / (2 * reach)}%`);
      value.textContent = signed(this.z[dim]);
    };
    input.addEventListener("input", () => { this.z[dim] = snap3(Number(input.value)); show(); this.paint(); });
    show();
    return { show, root: el("label", { class: "lxk-slider" }, el("span", { text: `z${dim}` }), input, value) };
  }

  jump(value) {
    if (!this.z) return;  // the decoders are still on their way
    this.z = this.z.map(value);
    this.rows.forEach((row) => row.show());
    this.paint();
  }

  destroy() {
    this.paint.cancel();
    this.root.remove();
  }
}

export const mountSame = (args) => mount(SameView, args);
