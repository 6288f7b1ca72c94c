// Chapters 5 and 6: what a sum or a mean does to the balance of the terms, and two losses for one pixel.
import { count, el, framed, signed } from "./common.js";
import { LEARN_HUES, LearnChapter, LearnChart, learnPart, learnPicture, learnSlider, learnStill } from "./learn_kit.js";

const LOSS_SIZES = [["8 × 8", 64], ["28 × 28", 784], ["64 × 64 × 3", 12288], ["256 × 256 × 3", 196608]];
const LOSS_DIMENSIONS = [2, 32], LOSS_BATCH = 128;
const lossNumber = (v) => (v >= 100 ? count(Math.round(v)) : String(Number(v.toPrecision(3))));

/** The β that a choice of reductions stands for: how much more a nat of KL weighs than a nat of reconstruction. */
export function hiddenBeta({ meanPixels, meanDimensions, nPixels, nDimensions }) {
  return (meanPixels ? nPixels : 1) / (meanDimensions ? nDimensions : 1);
}

/** Buttons of which one is pressed. */
function lossChoice(label, names, on, testid) {
  const buttons = names.map((name, i) => el("button", { type: "button", class: "lx-button", "aria-pressed": String(i === 0), text: name, on: { click: () => { buttons.forEach((button, j) => button.setAttribute("aria-pressed", String(i === j))); on(i); } } }));
  return el("div", { class: "lxl-choice", role: "group", "aria-label": label, "data-testid": testid }, el("span", { text: label }), el("div", { class: "lxl-joined" }, ...buttons));
}

export class LearnReductions extends LearnChapter {
  build() {
    const { digits, shape } = this.data;
    this.state = { meanPixels: false, meanDimensions: false, nPixels: LOSS_SIZES[0][1], nDimensions: LOSS_DIMENSIONS[0], sumBatch: false };
    this.move = framed(() => this.show());
    const put = (name, values) => (i) => { this.state[name] = values[i]; this.move(); };
    this.formula = el("p", { class: "lxl-formula lx-number" });
    this.verdict = el("p", { class: "lxl-verdict", "data-testid": "loss-beta" });
    this.shares = el("div", { class: "lxl-stack lxl-stack-tall", "aria-hidden": "true" });
    this.sharesSaid = el("p", { class: "lxl-legend" });
    this.axis = this.chart(LearnChart, { label: "The hidden β on a scale of powers of ten, with the trained models", view: [-1.3, 5.6, 0, 1], className: "lxl-low", paint: (chart) => this.paintAxis(chart) });
    this.caption = el("p", { class: "lx-detail", "data-testid": "loss-model" });
    this.pairs = digits.pixels.map((pixels, i) => {
      const original = learnStill(`Digit ${digits.labels[i]}`, pixels, shape), rebuilt = learnPicture(`Digit ${digits.labels[i]} rebuilt`);
      return { rebuilt, root: el("div", { class: "lxl-pair" }, original, rebuilt) };
    });
    return [
      el("div", { class: "lxl-choices" },
        lossChoice("reconstruction", ["sum over pixels", "mean over pixels"], put("meanPixels", [false, true]), "loss-pixels"),
        lossChoice("KL", ["sum over dimensions", "mean over dimensions"], put("meanDimensions", [false, true]), "loss-dimensions"),
        lossChoice("batch of 128", ["mean over pictures", "sum over pictures"], put("sumBatch", [false, true]), "loss-batch"),
        lossChoice("picture", LOSS_SIZES.map(([name]) => name), put("nPixels", LOSS_SIZES.map(([, n]) => n)), "loss-size"),
        lossChoice("code", LOSS_DIMENSIONS.map((n) => `${n} dimensions`), put("nDimensions", LOSS_DIMENSIONS), "loss-code")),
      this.formula,
      learnPart("Each term's part in the loss, for what the β = 1 model costs per pixel and per dimension", "", this.shares, this.sharesSaid),
      this.verdict, this.axis.canvas, this.caption,
      el("div", { class: "lxl-pairs" }, ...this.pairs.map((pair) => pair.root)),
    ];
  }

  /** Reconstruction and KL as the chosen reductions count them, per picture. */
  parts() {
    const { meanPixels, meanDimensions, nPixels, nDimensions } = this.state, { reconstruction, kl } = this.data.per;
    return [reconstruction * (meanPixels ? 1 : nPixels), kl * (meanDimensions ? 1 : nDimensions)];
  }

  show() {
    const { meanPixels, meanDimensions, nPixels, nDimensions, sumBatch } = this.state, beta = hiddenBeta(this.state);
    const [reconstruction, kl] = this.parts(), total = reconstruction + kl;
    this.formula.textContent = `loss = ${sumBatch ? `${LOSS_BATCH} × ( ` : ""}reconstruction${meanPixels ? ` ÷ ${count(nPixels)}` : ""} + KL${meanDimensions ? ` ÷ ${nDimensions}` : ""}${sumBatch ? " )" : ""}  =  ${lossNumber(sumBatch ? LOSS_BATCH * reconstruction : reconstruction)} + ${lossNumber(sumBatch ? LOSS_BATCH * kl : kl)}`;
    const shares = [[reconstruction, LEARN_HUES.reconstruction, "reconstruction"], [kl, LEARN_HUES.kl, "KL"]].map(([value, hue, name]) => [(100 * value) / total, hue, name]);
    this.shares.replaceChildren(...shares.map(([share, hue]) => el("i", { style: `width: ${share}%; background-color: ${hue}` })));
    this.sharesSaid.replaceChildren(...shares.map(([share, hue, name]) => el("b", { class: "lxl-key lx-number", style: `--lxl-hue: ${hue}`, text: `${name} ${lossNumber(share)} %` })));
    this.verdict.replaceChildren("The same as ", el("b", { text: `β = ${lossNumber(beta)}` }), " in a β-VAE", sumBatch ? `: the sum over pictures multiplies both terms by ${LOSS_BATCH}, so it changes the step, not the balance.` : ".");
    const logs = this.models.map((model) => Math.log10(Math.max(model.beta, 0.05)));
    this.nearest = logs.reduce((best, at, i) => (Math.abs(at - Math.log10(beta)) < Math.abs(logs[best] - Math.log10(beta)) ? i : best), 0);
    const model = this.models[this.nearest];
    const exact = Math.abs(model.beta - beta) < 1e-9 ? "Trained with this balance" : beta > model.beta ? `The nearest of the trained models (β = ${model.beta}; with more of it a model stays like this)` : `The nearest of the trained models (β = ${model.beta})`;
    this.caption.textContent = `${exact}: originals above, rebuilt below. Its code carries ${model.rate.toFixed(2)} nats.`;
    this.pairs.forEach(({ rebuilt }, i) => model.decoder.paint(rebuilt, model.chosen.mean[i]));
    this.root.dataset.beta = beta;
    this.draw();
  }

  paintAxis(chart) {
    chart.ticks([-1, 0, 1, 2, 3, 4, 5], (v) => (v < 0 ? "0.1" : count(10 ** v)));
    this.models.forEach((model, i) => {
      const x = Math.log10(Math.max(model.beta, 0.06));
      chart.dot(x, 0.12, { colour: i === this.nearest ? LEARN_HUES.kl : chart.soft, radius: 5 });
    });
    chart.words("dots: trained models", 5.6, 0.35, { align: "right", size: 11 });
    const at = Math.log10(hiddenBeta(this.state));
    chart.path([[at, 0], [at, 0.62]], { colour: chart.theme.primary, width: 2 });
    chart.words(`β = ${lossNumber(hiddenBeta(this.state))}`, at, 0.8, { size: 13, weight: 700, colour: chart.theme.text, align: at > 4.6 ? "right" : "center" });
  }
}

const pixelSigmoid = (a) => 1 / (1 + Math.exp(-a));
const pixelCross = (x, p) => -(x ? x * Math.log(p) : 0) - (x < 1 ? (1 - x) * Math.log(1 - p) : 0);

/** Both losses of one pixel, target x and prediction p, and their slopes in the raw output a, p = sigmoid(a). */
export function pixelLosses(x, p) {
  return { squared: (x - p) ** 2, cross: pixelCross(x, p), squaredSlope: 2 * (p - x) * p * (1 - p), crossSlope: p - x };
}

export class LearnPixel extends LearnChapter {
  build() {
    Object.assign(this, { x: 1, p: 0.05 });
    this.move = framed(() => this.show());
    // Not the slider's own value: its steps are coarser than those of the arrow keys near 0 and 1.
    const guess = (value) => { this.p = Math.min(0.995, Math.max(0.005, value)); this.guess.set(this.p); this.move(); };
    this.target = learnSlider({ label: [el("i", { text: "x" }), " the pixel's true grey"], min: 0, max: 1, step: 0.01, value: this.x, testid: "pixel-target", show: (v) => v.toFixed(2), on: (v) => { this.x = v; this.move(); } });
    this.guess = learnSlider({ label: [el("i", { text: "p" }), " what the decoder says"], min: 0.005, max: 0.995, step: 0.005, value: this.p, testid: "pixel-guess", show: (v) => v.toFixed(3), on: (v) => { this.p = v; this.move(); } });
    this.curves = this.chart(LearnChart, { label: "Both losses over the predicted value. Drag to move the prediction", testid: "pixel-curves", view: [0, 1, 0, 3.2], on: ([p]) => guess(p), paint: (chart) => this.paintCurves(chart) });
    this.slopes = this.chart(LearnChart, { label: "How hard each loss pulls at the raw output", testid: "pixel-slopes", view: [-6, 6, -1.1, 1.1], on: ([a]) => guess(pixelSigmoid(a)), paint: (chart) => this.paintSlopes(chart) });
    this.patches = el("div", { class: "lxl-patches" });
    this.said = el("div", { class: "lxl-figures", "data-testid": "pixel-figures" });
    return [
      el("div", { class: "lxl-controls" }, this.patches, this.target.root, this.guess.root),
      el("div", { class: "lxl-two" },
        learnPart("The loss over the predicted grey p", "", this.curves.canvas, el("p", { class: "lx-detail", text: "Dotted line: the true grey, where both losses are lowest." })),
        learnPart("The pull on the raw output a, where p = 1 / (1 + e⁻ᵃ)", "", this.slopes.canvas, el("p", { class: "lx-detail", text: "Zero means: nothing to learn here." }))),
      this.said,
    ];
  }

  show() {
    const { x, p } = this, found = pixelLosses(x, p);
    this.curves.at = [p, 0];
    this.slopes.at = [Math.log(p / (1 - p)), 0];
    const patch = (value, name) => el("figure", {}, el("i", { style: `background: rgb(${[0, 0, 0].fill(Math.round(255 * value)).join(" ")})` }), el("figcaption", { text: name }));
    this.patches.replaceChildren(patch(x, "x"), patch(p, "p"));
    const row = (hue, name, loss, slope) => el("p", {}, el("b", { class: "lxl-key", style: `--lxl-hue: ${hue}`, text: name }), el("span", { class: "lx-number", text: ` loss ${loss.toFixed(3)}, pull ${signed(-slope, 3)}` }));
    this.said.replaceChildren(row(LEARN_HUES.reconstruction, "squared error", found.squared, found.squaredSlope), row(LEARN_HUES.inside, "cross-entropy", found.cross, found.crossSlope));
    Object.assign(this.root.dataset, found);
    this.draw();
  }

  paintCurves(chart) {
    const { x, p } = this, inside = (v) => Math.min(0.9995, Math.max(0.0005, v)), low = (y) => Math.min(3.4, y);
    chart.ticks([0, 0.25, 0.5, 0.75, 1], (v) => String(v));
    chart.path([[x, 0], [x, 3.2]], { colour: chart.soft, width: 1.5, dash: [3, 4] });
    chart.curve((v) => (x - v) ** 2, { colour: LEARN_HUES.reconstruction });
    chart.curve((v) => low(pixelCross(x, inside(v))), { colour: LEARN_HUES.inside }, 400);
    chart.dot(p, (x - p) ** 2, { colour: LEARN_HUES.reconstruction });
    chart.dot(p, Math.min(3.1, pixelCross(x, p)), { colour: LEARN_HUES.inside });
  }

  paintSlopes(chart) {
    const { x, p } = this, at = Math.log(p / (1 - p)), lines = [[LEARN_HUES.reconstruction, "squaredSlope"], [LEARN_HUES.inside, "crossSlope"]];
    chart.ticks([-6, -4, -2, 0, 2, 4, 6]);
    chart.path([[-6, 0], [6, 0]], { colour: chart.line, width: 1 });
    for (const [hue, name] of lines) {
      chart.curve((a) => -pixelLosses(x, pixelSigmoid(a))[name], { colour: hue });
      chart.dot(at, -pixelLosses(x, p)[name], { colour: hue });
    }
    const side = x > 0.5 ? 1 : -1, align = x > 0.5 ? "right" : "left";  // where the curves are not
    chart.words("↑ brighter", 5.9 * side, 0.98, { align, size: 11 });
    chart.words("↓ darker", 5.9 * side, -0.95, { align, size: 11 });
  }
}
