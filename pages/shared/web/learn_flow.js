// Chapter 1: one image flows. Picture, mean and width of its code, noise, code, picture.
import { el, framed, normals, signed, snap3 } from "./common.js";
import { LEARN_HUES, learnBell, learnButton, LearnChapter, LearnChart, learnCrossEntropy, learnKl, LearnMap, learnPart, LearnPicker, learnPicture, learnSlider, learnSub, paintGrey } from "./learn_kit.js";

const FLOW_DRAWS = 8, FLOW_REACH = 4, FLOW_EPSILON = 3;

export class LearnFlow extends LearnChapter {
  build() {
    const { digits, shape } = this.data;
    this.model = this.models[0];
    this.epsilon = [1, -0.6];
    this.normal = normals(Date.now());
    this.move = framed(() => this.show());
    this.picker = new LearnPicker(digits, shape, { label: "Choose a digit", on: () => this.move() });
    this.original = learnPicture("The picture that goes in", { "data-testid": "flow-original" });
    this.decoded = learnPicture("The picture that comes out", { "data-testid": "flow-decoded" });
    this.dimensions = [0, 1].map((d) => this.buildDimension(d));
    this.map = this.chart(LearnMap, { label: "Map of all codes. Drag, or use the arrow keys, to move z", testid: "flow-map", on: (z) => this.put(z), over: (chart) => this.paintMap(chart) });
    this.map.show(this.model.xy, this.model.kinds, [-1, 1, -1, 1].map((v) => v * this.model.reach));
    this.draws = Array.from({ length: FLOW_DRAWS }, (_, i) => learnPicture(`Draw ${i + 1}`));
    this.costs = el("div", { class: "lxl-costs" });
    return [
      this.picker.root,
      el("div", { class: "lxl-flow-grid" },
        learnPart("1  Picture x", "lxl-flow-in", this.original, el("p", { class: "lx-detail", text: "64 numbers, 8 × 8 pixels" })),
        learnPart("2  The encoder answers with a bell per number", "lxl-flow-code", ...this.dimensions.map((dimension) => dimension.root),
          el("div", { class: "lx-buttons" }, learnButton("Draw ε again", () => this.redraw(), "flow-again"), learnButton("No noise: ε = 0", () => this.set([0, 0]), "flow-still"))),
        learnPart("3  The code z on the map", "lxl-flow-map", this.map.canvas, el("p", { class: "lx-detail", text: "Drag the dot. Ellipses: one and two σ around μ. Dots: all 1,797 digits." })),
        learnPart("4  Decoded picture x̂", "lxl-flow-out", this.decoded, el("p", { class: "lx-detail", text: "drawn from z alone" })),
        learnPart("Eight draws of ε for this picture, decoded", "lxl-flow-draws", el("div", { class: "lxl-strip" }, ...this.draws)),
        learnPart("What this picture costs at this z", "lxl-flow-cost", this.costs)),
    ];
  }

  buildDimension(d) {
    const chart = this.chart(LearnChart, { label: `Bell of dimension ${d + 1}: what the encoder says, before the prior`, view: [-FLOW_REACH, FLOW_REACH, 0, 1], className: "lxl-bell", paint: (c) => this.paintBell(c, d) });
    const formula = el("p", { class: "lxl-formula lx-number", "data-testid": `flow-formula-${d}` });
    const slider = learnSlider({ label: [learnSub("ε", d + 1), " the noise"], min: -FLOW_EPSILON, max: FLOW_EPSILON, step: 0.01, value: this.epsilon[d], testid: `flow-epsilon-${d}`, on: (v) => { this.epsilon[d] = v; this.move(); } });
    const said = el("span", { class: "lx-number" });
    return { chart, formula, slider, said, root: el("div", { class: "lxl-dimension" }, el("div", { class: "lxl-said" }, learnSub("z", d + 1), said), chart.canvas, slider.root, formula) };
  }

  get chosen() { return this.picker.chosen; }
  get mean() { return this.model.chosen.mean[this.chosen]; }
  get logStd() { return this.model.chosen.log_std[this.chosen]; }
  get std() { return this.logStd.map(Math.exp); }

  codeOf(epsilon) { return epsilon.map((e, d) => this.mean[d] + this.std[d] * e); }

  set(epsilon) {
    this.epsilon = epsilon;
    this.dimensions.forEach(({ slider }, d) => slider.set(epsilon[d]));
    this.move();
  }

  /** Where the dot was dragged to; the noise that leads there may be far out of the slider's range. */
  put(z) { this.set(z.map((v, d) => (v - this.mean[d]) / this.std[d])); }

  redraw() {
    this.set([this.normal(), this.normal()]);
    this.drawsOf = null;
    this.move();
  }

  show() {
    const { decoder } = this.model, pixels = this.data.digits.pixels[this.chosen];
    this.z = this.codeOf(this.epsilon).map(snap3);
    paintGrey(this.original, pixels, this.data.shape);
    decoder.paint(this.decoded, this.z);
    this.root.dataset.z = JSON.stringify(this.z);
    this.map.at = this.z;
    this.dimensions.forEach((dimension, d) => this.tell(dimension, d));
    if (this.drawsOf !== this.chosen) this.paintDraws();
    this.tellCosts(Float64Array.from(pixels, (v) => v / 255), decoder.decode(this.z));
    this.draw();
  }

  tell({ formula, said }, d) {
    const mean = this.mean[d], std = this.std[d], e = this.epsilon[d];
    said.textContent = `mean μ = ${signed(mean)}, width σ = ${std.toFixed(2)}`;
    formula.replaceChildren(learnSub("z", d + 1), " = ", learnSub("μ", d + 1), " + ", learnSub("σ", d + 1), " · ", learnSub("ε", d + 1), ` = ${signed(mean)} + ${std.toFixed(2)} · ${e < 0 ? `(${signed(e)})` : signed(e)} = `, el("strong", { text: signed(this.z[d]) }));
  }

  paintDraws() {
    this.drawsOf = this.chosen;
    for (const canvas of this.draws) this.model.decoder.paint(canvas, this.codeOf([this.normal(), this.normal()]));
  }

  tellCosts(picture, decoded) {
    const floor = learnCrossEntropy(picture, picture), reconstruction = learnCrossEntropy(picture, decoded);
    const kl = this.mean.map((mean, d) => learnKl(mean, this.logStd[d])), total = kl[0] + kl[1];
    Object.assign(this.root.dataset, { reconstruction, kl: total });
    const most = Math.max(30, reconstruction + total), bar = (value, colour, title, hatched = false) => el("i", { style: `width: ${(100 * value) / most}%; background-color: ${colour}`, title, class: hatched ? "lxl-hatched" : null });
    this.costs.replaceChildren(
      el("div", { class: "lxl-stack", role: "img", "aria-label": `Reconstruction ${reconstruction.toFixed(1)} nats, KL ${total.toFixed(1)} nats` },
        bar(floor, LEARN_HUES.reconstruction, "floor", true), bar(reconstruction - floor, LEARN_HUES.reconstruction, "reconstruction"), bar(total, LEARN_HUES.kl, "KL")),
      el("p", {}, el("b", { class: "lxl-key", style: `--lxl-hue: ${LEARN_HUES.reconstruction}`, text: `reconstruction ${reconstruction.toFixed(2)} nats` }), ` of which ${floor.toFixed(2)} (hatched) would be left by a perfect copy: grey pixels are never certain`),
      el("p", {}, el("b", { class: "lxl-key", style: `--lxl-hue: ${LEARN_HUES.kl}`, text: `KL ${total.toFixed(2)} nats` }), ` = ${kl[0].toFixed(2)} + ${kl[1].toFixed(2)}, one part per dimension; it depends on μ and σ only, not on ε`));
  }

  paintBell(chart, d) {
    const mean = this.mean[d], std = this.std[d], z = this.z?.[d] ?? mean;
    const scale = 0.92 / Math.max(0.6, learnBell(0, 0, std)), f = (x) => scale * learnBell(x, mean, std);
    chart.curve((x) => scale * learnBell(x, 0, 1), { colour: chart.soft, width: 1.5, dash: [4, 4] });
    chart.curve(f, { colour: "#4c6ef5", width: 2, fill: "rgba(76,110,245,.28)" }, 400);
    chart.ticks([-4, -2, 0, 2, 4]);
    const at = Math.max(-FLOW_REACH, Math.min(FLOW_REACH, z));
    chart.path([[at, 0], [at, 0.98]], { colour: chart.theme.primary, width: 1.5 });
    chart.dot(at, Math.min(0.95, f(at)), { radius: 6 });
    chart.words("prior N(0, 1)", 3.9, 0.9, { align: "right", size: 11 });
  }

  paintMap(chart) {
    const { mean, std } = this;
    chart.ellipse([0, 0], [2, 2], { colour: chart.soft, width: 1, dash: [4, 4] });
    for (const k of [2, 1]) chart.ellipse(mean, std.map((s) => k * s), { colour: "#4c6ef5", width: 2, fill: "rgba(76,110,245,.18)" });
    if (!this.z) return;
    chart.path([mean, this.z], { colour: chart.theme.text, width: 1.5 });
    chart.dot(...this.z);
    // On a phone the decoded picture has scrolled away by now.
    if (window.innerWidth < 700) chart.pen.drawImage(this.decoded, chart.width - 92, 8, 84, 84);
  }
}
