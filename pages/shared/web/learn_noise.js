// Chapter 2: where the noise stands. The same loss with the noise inside and outside, and the two slopes it allows.
import { el, framed, signed } from "./common.js";
import { LEARN_HUES, learnButton, LearnChapter, LearnChart, learnNoise, learnPart, learnSlider } from "./learn_kit.js";

const NOISE_TRIALS = 2000, NOISE_MOST = 32, NOISE_TARGET = 3, NOISE_GRID = 90, NOISE_BINS = 70, NOISE_STEPS = 60;
const noiseLoss = (z) => (z - NOISE_TARGET) ** 2;

/** Slopes of E[(z − 3)²] in μ, z = μ + σε, from the draws ε[from..from + n): by the score, and through the draw. */
export function noiseSlopes(epsilon, from, n, mean, std) {
  let score = 0, path = 0;
  for (let i = from; i < from + n; i++) {
    const e = epsilon[i], gap = mean + std * e - NOISE_TARGET;
    score += (gap * gap * e) / std;
    path += 2 * gap;
  }
  return [score / n, path / n];
}

/** Variance of a slope from n draws, as it follows from the moments of ε: [score, path]. */
export function noiseVariances(n, mean, std) {
  const gap = mean - NOISE_TARGET;
  return [(gap ** 4 / std ** 2 + 14 * gap ** 2 + 15 * std ** 2) / n, (4 * std ** 2) / n];
}

function noiseMoments(values) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, variance: values.reduce((a, v) => a + (v - mean) ** 2, 0) / (values.length - 1) };
}

export class LearnNoise extends LearnChapter {
  build() {
    Object.assign(this, { mean: 1, std: 0.8, n: 2, seed: 1 });
    this.move = framed(() => this.show());
    this.reseed();
    const surface = (kind, label) => this.chart(LearnChart, { label, testid: `noise-${kind}`, view: [-1, 6, 0, 20], on: ([x]) => { this.sliders.mean.set(Math.min(5, Math.max(-1, x))); this.mean = this.sliders.mean.value; this.move(); }, paint: (chart) => this.paintSurface(chart, kind) });
    this.inside = surface("inside", "Loss with fresh noise for each mean. Drag to move the mean");
    this.outside = surface("outside", "Loss with the same noise for each mean. Drag to move the mean");
    this.histogram = this.chart(LearnChart, { label: "Histograms of both slopes", testid: "noise-histogram", view: [-1, 1, 0, 1], className: "lxl-tall", paint: (chart) => this.paintHistogram(chart) });
    this.descent = this.chart(LearnChart, { label: "Sixty steps downhill with either slope", view: [0, NOISE_STEPS, -2, 6], paint: (chart) => this.paintDescent(chart) });
    this.insideSlope = el("p", { class: "lx-number lxl-formula" });
    this.outsideSlope = el("p", { class: "lx-number lxl-formula" });
    this.figures = el("div", { class: "lxl-figures" });
    const slider = (name, label, min, max, step, show) => learnSlider({ label, min, max, step, value: this[name], testid: `noise-${name}`, show, on: (v) => { this[name] = v; this.move(); } });
    this.sliders = {
      mean: slider("mean", [el("i", { text: "μ" }), " the mean"], -1, 5, 0.05),
      std: slider("std", [el("i", { text: "σ" }), " the width"], 0.2, 2, 0.05, (v) => v.toFixed(2)),
      n: slider("n", "draws per slope", 1, NOISE_MOST, 1, (v) => String(v)),
    };
    return [
      el("div", { class: "lxl-controls" }, this.sliders.mean.root, this.sliders.std.root, this.sliders.n.root, learnButton("New noise", () => { this.seed++; this.reseed(); this.move(); }, "noise-again")),
      el("div", { class: "lxl-two" },
        learnPart("Noise inside: z is drawn anew at each μ", "", this.inside.canvas, this.insideSlope),
        learnPart("Noise outside: z = μ + σε, ε kept", "", this.outside.canvas, this.outsideSlope)),
      el("div", { class: "lxl-two" },
        learnPart("2,000 estimates of the same slope, either way", "", this.histogram.canvas, this.figures),
        learnPart("Sixty steps downhill from μ = −1 with either slope", "", this.descent.canvas, el("p", { class: "lx-detail", text: "Both go to μ = 3 on average; the wide one wanders. The same draws ε serve both." }))),
    ];
  }

  reseed() {
    this.epsilon = learnNoise(NOISE_TRIALS * NOISE_MOST, this.seed);
    this.fresh = learnNoise((NOISE_GRID + 1) * NOISE_MOST, this.seed + 1000);
  }

  show() {
    const { mean, std, n } = this;
    this.slopes = [new Float64Array(NOISE_TRIALS), new Float64Array(NOISE_TRIALS)];
    for (let t = 0; t < NOISE_TRIALS; t++) noiseSlopes(this.epsilon, t * n, n, mean, std).forEach((slope, i) => { this.slopes[i][t] = slope; });
    this.tell();
    this.inside.at = this.outside.at = [mean, 0];
    this.draw();
  }

  tell() {
    const { mean, std, n } = this, known = noiseVariances(n, mean, std), found = this.slopes.map(noiseMoments), truth = 2 * (mean - NOISE_TARGET);
    const [left, right] = this.curves(), step = 7 / NOISE_GRID, at = Math.max(0, Math.min(NOISE_GRID - 1, Math.floor((mean + 1) / step)));
    const rise = (points) => (points[at + 1][1] - points[at][1]) / step;
    this.insideSlope.replaceChildren("from one point to the next: ", el("strong", { text: signed(rise(left), 1) }), `; true slope ${signed(truth, 1)}`);
    this.outsideSlope.replaceChildren("slope of this curve: ", el("strong", { text: signed(noiseSlopes(this.epsilon, 0, n, mean, std)[1], 1) }), `; true slope ${signed(truth, 1)}`);
    const row = (name, hue, i) => el("p", {}, el("b", { class: "lxl-key", style: `--lxl-hue: ${hue}`, text: name }), el("span", { class: "lx-number", "data-testid": `noise-figure-${i}`, "data-variance": found[i].variance, "data-known": known[i], text: ` mean ${signed(found[i].mean)}, variance ${found[i].variance.toPrecision(3)} (by formula ${known[i].toPrecision(3)})` }));
    this.figures.replaceChildren(row("score function", LEARN_HUES.inside, 0), row("reparameterised", LEARN_HUES.outside, 1),
      el("p", {}, "The score's variance is ", el("strong", { text: `${(found[0].variance / found[1].variance).toPrecision(2)} times` }), " as large: it would need that many times the draws."));
  }

  /** The loss over the mean from n draws: with fresh draws at each mean, and with the same ones. */
  curves() {
    const { std, n } = this, average = (source, from, mean) => {
      let total = 0;
      for (let i = from; i < from + n; i++) total += noiseLoss(mean + std * source[i]);
      return total / n;
    };
    const means = Array.from({ length: NOISE_GRID + 1 }, (_, i) => -1 + (7 * i) / NOISE_GRID);
    return [means.map((m, i) => [m, average(this.fresh, i * NOISE_MOST, m)]), means.map((m) => [m, average(this.epsilon, 0, m)])];
  }

  paintSurface(chart, kind) {
    const inside = kind === "inside", points = this.curves()[inside ? 0 : 1].map(([x, y]) => [x, Math.min(y, 20.5)]), { mean, std, n } = this;
    chart.ticks([0, 1, 2, 3, 4, 5]);
    chart.curve((x) => Math.min(20.5, noiseLoss(x) + std * std), { colour: chart.soft, width: 1.5, dash: [5, 4] });
    chart.path(points, { colour: inside ? LEARN_HUES.inside : LEARN_HUES.outside, width: 2 });
    const height = inside ? points[Math.round(((mean + 1) / 7) * NOISE_GRID)][1] : this.outsideAt();
    if (!inside) {
      const slope = noiseSlopes(this.epsilon, 0, n, mean, std)[1];
      chart.path([[mean - 1, height - slope], [mean + 1, height + slope]], { colour: chart.theme.text, width: 2 });
    }
    chart.dot(mean, Math.min(19.5, height));
    chart.words("dashed: true loss", 5.9, 19, { align: "right", size: 11 });
  }

  outsideAt() {
    let total = 0;
    for (let i = 0; i < this.n; i++) total += noiseLoss(this.mean + this.std * this.epsilon[i]);
    return total / this.n;
  }

  paintHistogram(chart) {
    const truth = 2 * (this.mean - NOISE_TARGET), reach = 3.2 * Math.sqrt(noiseVariances(this.n, this.mean, this.std)[0]);
    chart.view = [truth - reach, truth + reach, 0, 1];
    const counts = this.slopes.map((values) => {
      const bins = new Float64Array(NOISE_BINS);
      for (const v of values) { const b = Math.floor(((v - truth + reach) / (2 * reach)) * NOISE_BINS); if (b >= 0 && b < NOISE_BINS) bins[b]++; }
      return bins;
    });
    const { pen } = chart, width = (chart.px(truth + reach) - chart.px(truth - reach)) / NOISE_BINS;
    counts.forEach((bins, i) => {
      const most = Math.max(...bins), base = chart.py(i ? 0 : 0.52), tall = 0.44 * (chart.py(0) - chart.py(1));
      pen.fillStyle = i ? LEARN_HUES.outside : LEARN_HUES.inside;
      bins.forEach((count, b) => pen.fillRect(chart.px(truth - reach) + b * width, base - (count / most) * tall, Math.max(1, width - 0.5), (count / most) * tall));
      chart.words(i ? "reparameterised" : "score function", truth - reach, i ? 0.4 : 0.92, { align: "left", size: 12, weight: 600, by: [4, 0] });
    });
    chart.path([[truth, 0], [truth, 1]], { colour: chart.theme.text, width: 1.5, dash: [4, 4] });
    chart.words(`true slope ${signed(truth, 1)}`, truth, 0.97, { align: "left", size: 11, by: [6, 0] });
    const step = 10 ** Math.floor(Math.log10(reach)), first = Math.ceil((truth - reach) / step);
    chart.ticks(Array.from({ length: Math.floor((truth + reach) / step) - first + 1 }, (_, i) => (first + i) * step).filter((_, i, all) => i % Math.ceil(all.length / 7) === 0), (v) => signed(v, step < 1 ? 1 : 0));
  }

  paintDescent(chart) {
    const { std, n } = this, rate = 0.05;
    chart.ticks([0, 20, 40, 60]);
    chart.path([[0, NOISE_TARGET], [NOISE_STEPS, NOISE_TARGET]], { colour: chart.soft, width: 1.5, dash: [5, 4] });
    [LEARN_HUES.inside, LEARN_HUES.outside].forEach((hue, i) => {
      let mean = -1;
      const points = [[0, mean]];
      for (let t = 1; t <= NOISE_STEPS; t++) {
        mean -= rate * noiseSlopes(this.epsilon, t * NOISE_MOST, n, mean, std)[i];
        points.push([t, Math.max(-2.4, Math.min(6.4, mean))]);
      }
      chart.path(points, { colour: hue, width: 2 });
    });
    chart.words("lowest loss: μ = 3", NOISE_STEPS, NOISE_TARGET, { align: "right", size: 11, by: [0, -10] });
    chart.words("step", NOISE_STEPS / 2, -2, { size: 11, by: [30, 12] });
  }
}
