// Chapter 4: the plain autoencoder beside the VAE, asked the same things.
import { el, framed, signed, snap3 } from "./common.js";
import { learnButton, LearnChapter, LearnMap, learnNoise, learnPart, LearnPicker, learnPicture } from "./learn_kit.js";
import { nearestOnMap } from "./space.js";

const PLAIN_SAMPLES = 16, PLAIN_STEPS = 9;
const PLAIN_NAMES = { ae: "Plain autoencoder", vae: "VAE (β = 1)" };

export class LearnPlain extends LearnChapter {
  build() {
    const { digits, shape } = this.data;
    this.place = [0.9, 0.7];  // z itself, or in widths of each model's own codes
    this.own = false;
    this.draws = [];
    this.ends = [0, 3];
    this.move = framed(() => this.show());
    this.sides = this.models.map((model) => this.buildSide(model));
    this.said = el("p", { class: "lxl-formula lx-number", "data-testid": "plain-place" });
    this.stretch = el("input", { type: "checkbox", role: "switch", "data-testid": "plain-stretch", on: { change: () => { this.own = this.stretch.checked; this.decodeDraws(); this.move(); } } });
    const stretch = el("label", { class: "lx-switch" }, this.stretch, el("span", { class: "lx-knob" }), el("span", { text: "stretch N(0, I) to each model's own codes" }));
    this.pickers = ["from", "to"].map((name, end) => {
      const picker = new LearnPicker(digits, shape, { label: `Interpolate ${name}`, chosen: this.ends[end], on: (i) => { this.ends[end] = i; this.strips(); this.draw(); } });
      return el("div", { class: "lxl-end" }, el("span", { text: name }), picker.root);
    });
    this.sample();
    this.strips();
    return [
      el("div", { class: "lx-buttons lxl-wrap" }, learnButton("Draw 16 from N(0, I) in both", () => this.sample(), "plain-draw"), learnButton("A hole of the autoencoder", () => this.toHole(), "plain-hole"), stretch),
      this.said,
      el("div", { class: "lxl-two" }, ...this.sides.map((side) => side.root)),
      learnPart("Straight lines between two codes, decoded", "", ...this.pickers, ...this.sides.map((side) => el("div", { class: "lxl-line" }, el("span", { text: PLAIN_NAMES[side.model.name] }), el("div", { class: "lxl-strip lxl-nine" }, ...side.strip)))),
    ];
  }

  buildSide(model) {
    const picture = learnPicture(`What the ${PLAIN_NAMES[model.name]} decodes`, { "data-testid": `plain-picture-${model.name}` });
    const { reach } = model, map = this.chart(LearnMap, { label: `Codes of the ${PLAIN_NAMES[model.name]}. Drag, or use the arrow keys, to move z in both`, testid: `plain-map-${model.name}`, view: [-reach, reach, -reach, reach], on: (z) => this.put(this.placeOf(model, z)), over: (chart) => this.paintMap(chart, model) });
    map.show(model.xy, model.kinds);
    const samples = Array.from({ length: PLAIN_SAMPLES }, (_, i) => learnPicture(`Draw ${i + 1}`)), strip = Array.from({ length: PLAIN_STEPS }, (_, i) => learnPicture(`Step ${i + 1}`));
    const far = el("span", { class: "lx-detail lx-number" });
    const root = learnPart(PLAIN_NAMES[model.name], "lxl-side", el("div", { class: "lxl-side-top" }, map.canvas, el("div", { class: "lxl-side-picture" }, picture, far)),
      el("p", { class: "lx-detail", text: "Sixteen draws, the open circles (dashed: two widths of N(0, I)):" }), el("div", { class: "lxl-samples" }, ...samples));
    return { model, map, picture, samples, strip, far, root };
  }

  codeOf({ centre, spread }, place) {
    return place.map((v, d) => snap3(this.own ? centre[d] + spread[d] * v : v));
  }

  placeOf({ centre, spread }, z) {
    return this.own ? z.map((v, d) => (v - centre[d]) / spread[d]) : z;
  }

  put(place) {
    this.place = place.map(snap3);
    this.move();
  }

  /** Holes lie where N(0, I) falls only once it is as wide as the codes. */
  toHole() {
    this.own = this.stretch.checked = true;
    this.decodeDraws();
    this.put(this.data.hole);
  }

  sample() {
    this.seed = (this.seed ?? 4) + 1;
    const noise = learnNoise(2 * PLAIN_SAMPLES, this.seed);
    this.draws = Array.from({ length: PLAIN_SAMPLES }, (_, i) => [noise[2 * i], noise[2 * i + 1]]);
    this.decodeDraws();
    this.move();
  }

  decodeDraws() {
    for (const { model, samples } of this.sides) samples.forEach((canvas, i) => model.decoder.paint(canvas, this.codeOf(model, this.draws[i])));
  }

  strips() {
    for (const { model, strip } of this.sides) {
      const [a, b] = this.ends.map((i) => model.chosen.mean[i]);
      strip.forEach((canvas, i) => model.decoder.paint(canvas, a.map((v, d) => v + (i / (PLAIN_STEPS - 1)) * (b[d] - v))));
    }
  }

  show() {
    const written = this.place.map((v) => signed(v)).join(", ");
    this.said.textContent = this.own ? `Both at (${written}), counted from the middle of each model's codes in their own widths` : `Both at z = (${written})`;
    for (const { model, map, picture, far } of this.sides) {
      const z = this.codeOf(model, this.place), beyond = z.some((v) => Math.abs(v) > model.reach);
      map.at = z;
      model.decoder.paint(picture, z);
      picture.dataset.z = JSON.stringify(z);
      far.textContent = `z = (${z.map((v) => signed(v)).join(", ")})${beyond ? ", beyond the map" : ""}; nearest digit ${nearestOnMap(model.xy, ...z, 1).distances[0].toFixed(2)} away`;
    }
    this.draw();
  }

  paintMap(chart, model) {
    const { centre, spread } = this.own ? model : { centre: [0, 0], spread: [1, 1] };
    chart.ellipse(centre, spread.map((v) => 2 * v), { colour: chart.soft, width: 1.5, dash: [4, 4] });
    const [a, b] = this.ends.map((i) => model.chosen.mean[i]), { pen } = chart;
    chart.path([a, b], { colour: chart.theme.text, width: 1.5, dash: [2, 3] });
    for (const draw of this.draws) {
      const [x, y] = this.codeOf(model, draw);
      pen.beginPath();
      pen.arc(chart.px(x), chart.py(y), 4.5, 0, 2 * Math.PI);
      pen.strokeStyle = chart.theme.text;
      pen.lineWidth = 1.8;
      pen.stroke();
    }
    chart.dot(...this.codeOf(model, this.place));
  }
}
