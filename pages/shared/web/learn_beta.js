// Chapter 3: what the two terms do. One slider over models trained at several weights of the KL term.
import { el, framed } from "./common.js";
import { LEARN_HUES, learnButton, LearnChapter, LearnChart, LearnMap, learnNoise, learnPart, learnPicture, learnSlider, learnStill } from "./learn_kit.js";

const BETA_SAMPLES = 16, BETA_TWEEN_MS = 260;
const betaName = (beta) => `β = ${beta}`;

export class LearnBeta extends LearnChapter {
  build() {
    const { digits, shape } = this.data;
    this.seed = 1;
    this.index = this.models.findIndex((model) => model.beta === 1);
    this.at = this.index;  // where the dot is on its way to
    this.move = framed(() => this.show());
    this.slider = learnSlider({ label: [el("b", { text: "β" }), ", the weight of the KL term"], min: 0, max: this.models.length - 1, step: 1, value: this.index, testid: "beta-slider", show: (i) => betaName(this.models[i].beta), on: (i) => { this.index = i; this.move(); } });
    this.pairs = digits.pixels.map((pixels, i) => {
      const original = learnStill(`Digit ${digits.labels[i]}`, pixels, shape), rebuilt = learnPicture(`Digit ${digits.labels[i]} rebuilt`, { "data-testid": `beta-rebuilt-${i}` });
      return { rebuilt, root: el("div", { class: "lxl-pair" }, original, rebuilt) };
    });
    this.samples = Array.from({ length: BETA_SAMPLES }, (_, i) => learnPicture(`Sample ${i + 1}`));
    this.map = this.chart(LearnMap, { label: "Map of the codes at this β", testid: "beta-map", over: (chart) => this.paintMap(chart) });
    this.bars = this.chart(LearnChart, { label: "Both terms at every β", testid: "beta-bars", view: [-0.6, this.models.length - 0.4, 0, 55], margin: [18, 4, 34, 30], step: 1, on: ([x]) => this.choose(x), paint: (chart) => this.paintBars(chart) });
    this.plane = this.chart(LearnChart, { label: "Distortion against rate, one dot per β", testid: "beta-curve", view: [0, 9, 12.5, 29], margin: [14, 14, 34, 34], paint: (chart) => this.paintCurve(chart) });
    this.words = el("p", { class: "lxl-verdict" });
    this.figures = el("p", { class: "lx-detail lx-number", "data-testid": "beta-figures" });
    return [
      el("div", { class: "lxl-controls lxl-sticky" }, this.slider.root, this.words),
      el("div", { class: "lxl-beta-grid" },
        learnPart("The same digits, rebuilt from their mean codes", "lxl-beta-pairs", el("div", { class: "lxl-pairs" }, ...this.pairs.map((pair) => pair.root))),
        learnPart("Codes of all digits, with the bells of these twelve", "lxl-beta-map", this.map.canvas, this.figures),
        learnPart("Pictures of z drawn from N(0, I)", "lxl-beta-samples", el("div", { class: "lxl-samples" }, ...this.samples), learnButton("Draw again", () => { this.seed++; this.move(); })),
        learnPart("Both terms, nats per picture", "lxl-beta-bars", this.bars.canvas, this.legend()),
        learnPart("Rate and distortion", "lxl-beta-curve", this.plane.canvas, el("p", { class: "lx-detail", text: "Each dot is a model. Down is a better copy, left a cheaper code." }))),
    ];
  }

  legend() {
    const key = (hue, text, more = "") => el("b", { class: `lxl-key ${more}`, style: `--lxl-hue: ${hue}`, text });
    return el("p", { class: "lxl-legend" }, key(LEARN_HUES.reconstruction, "reconstruction"), key(LEARN_HUES.reconstruction, "of it unavoidable", "lxl-key-hatched"), key(LEARN_HUES.kl, "KL"), "▾ reconstruction + β × KL, what training lowers");
  }

  choose(x) {
    this.slider.set(Math.max(0, Math.min(this.models.length - 1, Math.round(x))));
    this.index = this.slider.value;
    this.move();
  }

  get model() { return this.models[this.index]; }

  show() {
    const { model } = this, { decoder } = model, noise = learnNoise(2 * BETA_SAMPLES, this.seed);
    this.pairs.forEach(({ rebuilt }, i) => decoder.paint(rebuilt, model.chosen.mean[i]));
    this.samples.forEach((canvas, i) => decoder.paint(canvas, noise.subarray(2 * i, 2 * i + 2)));
    const reach = model.reach;
    this.map.show(model.xy, model.kinds, [-reach, reach, -reach, reach]);
    this.words.textContent = this.data.words[this.index];
    this.figures.textContent = `The axes reach from −${reach} to ${reach}; dashed: two σ of the prior. Reconstruction ${model.distortion.toFixed(1)}, KL ${model.rate.toFixed(2)} nats on ${this.data.n_held_out} held-out digits.`;
    this.bars.at = [this.index, 0];
    this.root.dataset.beta = model.beta;
    this.glide();
    this.draw();
  }

  /** The dot on the curve slides to its new place. */
  glide() {
    const from = this.at, to = this.index, start = performance.now();
    if (from === to || matchMedia("(prefers-reduced-motion: reduce)").matches) { this.at = to; return; }
    const step = () => {
      if (this.index !== to) return;
      const share = Math.min(1, (performance.now() - start) / BETA_TWEEN_MS);
      this.at = from + (to - from) * (1 - (1 - share) ** 2);
      this.plane.draw();
      if (share < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  paintMap(chart) {
    const { mean, log_std } = this.model.chosen;
    chart.ellipse([0, 0], [2, 2], { colour: chart.soft, width: 1.5, dash: [4, 4] });
    mean.forEach((at, i) => chart.ellipse(at, log_std[i].map(Math.exp), { colour: chart.theme.text, width: 1.5, fill: "rgba(128,128,140,.25)" }));
  }

  paintBars(chart) {
    const { pen } = chart, floor = this.data.floor, wide = Math.min(34, (chart.px(1) - chart.px(0)) * 0.62);
    const box = (i, from, to, hue) => { pen.fillStyle = hue; pen.fillRect(chart.px(i) - wide / 2, chart.py(to), wide, chart.py(from) - chart.py(to)); };
    for (const y of [0, 10, 20, 30, 40, 50]) {
      pen.fillStyle = chart.line;
      pen.fillRect(chart.px(-0.6), chart.py(y), chart.px(this.models.length - 0.4) - chart.px(-0.6), 1);
      chart.words(String(y), -0.6, y, { align: "right", size: 11, by: [-5, 0] });
    }
    this.models.forEach(({ beta, distortion, rate }, i) => {
      pen.globalAlpha = i === this.index ? 1 : 0.4;
      box(i, 0, Math.min(floor, distortion), LEARN_HUES.reconstruction);
      this.hatch(chart, i, wide, floor);
      box(i, floor, distortion, LEARN_HUES.reconstruction);
      box(i, distortion, Math.min(55, distortion + rate), LEARN_HUES.kl);
      const weighed = distortion + beta * rate, y = Math.min(55, weighed);
      pen.fillStyle = chart.theme.text;
      pen.beginPath();
      pen.moveTo(chart.px(i) - 6, chart.py(y) - 7);
      pen.lineTo(chart.px(i) + 6, chart.py(y) - 7);
      pen.lineTo(chart.px(i), chart.py(y));
      pen.fill();
      pen.globalAlpha = 1;
      chart.words(String(beta), i, 0, { size: 12, weight: i === this.index ? 700 : 400, colour: i === this.index ? chart.theme.text : chart.soft, by: [0, 12] });
    });
    chart.words("β", (this.models.length - 1) / 2, 0, { size: 12, by: [0, 26] });
  }

  hatch(chart, i, wide, top) {
    const { pen } = chart, left = chart.px(i) - wide / 2, y0 = chart.py(top), y1 = chart.py(0);
    pen.save();
    pen.beginPath();
    pen.rect(left, y0, wide, y1 - y0);
    pen.clip();
    pen.strokeStyle = "rgba(255,255,255,.55)";
    pen.lineWidth = 2;
    pen.beginPath();
    for (let y = y0 - wide; y < y1; y += 7) { pen.moveTo(left, y + wide); pen.lineTo(left + wide, y); }
    pen.stroke();
    pen.restore();
  }

  /** Whether a model and the next one share a place on the curve. */
  isNear(points, i) {
    const [a, b] = [points[i], points[i + 1]];
    return Boolean(a && b) && Math.hypot(a[0] - b[0], a[1] - b[1]) < 0.25;
  }

  paintCurve(chart) {
    const points = this.models.map((model) => [Math.min(model.rate, chart.view[1]), model.distortion]);
    chart.ticks([0, 2, 4, 6, 8]);
    for (const y of [15, 20, 25]) chart.words(String(y), 0, y, { align: "right", size: 11, by: [-6, 0] });
    chart.path([[0, this.data.floor], [chart.view[1], this.data.floor]], { colour: chart.soft, width: 1, dash: [4, 4] });
    chart.words("unavoidable", chart.view[1], this.data.floor, { align: "right", size: 11, by: [0, -8] });
    chart.words("rate: KL, nats", chart.view[1] / 2, chart.view[2], { size: 11, by: [0, 26] });
    chart.words("distortion: reconstruction, nats", 0, chart.view[3], { align: "left", size: 11, by: [6, -2] });
    chart.path(points, { colour: chart.soft, width: 2 });
    points.forEach(([x, y], i) => {
      const beyond = this.models[i].rate > chart.view[1];
      chart.dot(x, y, { colour: chart.soft, radius: 4 });
      if (beyond) chart.words(`${this.models[i].beta} (at ${this.models[i].rate.toFixed(0)} nats →)`, x, y, { align: "right", size: 11, by: [2, 13] });
      else if (!this.isNear(points, i - 1)) chart.words(this.isNear(points, i) ? `${this.models[i].beta}, ${this.models[i + 1].beta}` : String(this.models[i].beta), x, y, { align: "left", size: 11, by: [7, -9] });
    });
    const low = Math.floor(this.at), high = Math.min(points.length - 1, low + 1), share = this.at - low;
    chart.dot(...[0, 1].map((q) => points[low][q] * (1 - share) + points[high][q] * share), { radius: 8 });
  }
}
