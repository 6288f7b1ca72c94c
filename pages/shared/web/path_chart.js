// What goes with a path: how far each frame is from the real codes, and where it runs on the map.
import { colours } from "./colouring.js";
import { svg } from "./common.js";

const TRACE_HEIGHT = 100;
const MAP_MARGIN = 0.06;
const POINT_ALPHA = 0.4;

/** One bar per frame, its height the distance to the nearest real code in typical distances. */
export class TraceChart {
  constructor(onFrame) {
    this.root = svg("svg", { class: "lx-trace", "data-testid": "trust-trace", role: "img", preserveAspectRatio: "none" });
    this.onFrame = onFrame;
    const at = (event) => {
      const box = this.root.getBoundingClientRect();
      const share = (event.clientX - box.left) / Math.max(1, box.width);
      if (this.n) this.onFrame(Math.min(this.n - 1, Math.max(0, Math.floor(share * this.n))));
    };
    this.root.addEventListener("pointerdown", (event) => { this.root.setPointerCapture(event.pointerId); at(event); });
    this.root.addEventListener("pointermove", (event) => { if (event.buttons) at(event); });
  }

  /** `found`: a reading of trust for each frame; `usual`: the distance that is still usual. */
  draw(found, usual) {
    this.n = found.length;
    const top = 1.1 * Math.max(usual, ...found.map((one) => Math.min(one.ratio, 4 * usual)));
    const bars = found.map(({ ratio, level }, i) => {
      const height = Math.max(1.5, TRACE_HEIGHT * Math.min(1, ratio / top));
      return svg("rect", { x: i + 0.08, y: TRACE_HEIGHT - height, width: 0.84, height, "data-level": level });
    });
    const line = TRACE_HEIGHT * (1 - usual / top);
    this.cursor = svg("rect", { class: "lx-cursor", x: 0, y: 0, width: 1, height: TRACE_HEIGHT });
    this.root.setAttribute("viewBox", `0 0 ${this.n} ${TRACE_HEIGHT}`);
    this.root.setAttribute("data-n", this.n);
    const off = found.filter((one) => one.level === 1).length;
    this.root.setAttribute("aria-label", `Distance to the nearest real code for each of ${this.n} frames; ${off} lie off the manifold`);
    this.root.replaceChildren(...bars, this.cursor, svg("line", { class: "lx-usual", x1: 0, x2: this.n, y1: line, y2: line }));
  }

  show(i) {
    this.cursor?.setAttribute("x", i);
  }
}

/** All points, the path over them, and a dot for the frame shown. */
export class PathMap {
  constructor(canvas) {
    this.canvas = canvas;
    this.still = document.createElement("canvas");
  }

  /** `groups`: {values, n} to colour the points by, or null. */
  draw({ points, groups, path, stops, look }) {
    Object.assign(this, { points, groups, path, stops, look });
    this.resize();
  }

  resize() {
    const box = this.canvas.getBoundingClientRect(), scale = window.devicePixelRatio || 1;
    if (!this.points || !box.width) return;
    const w = Math.round(box.width * scale), h = Math.round(box.height * scale);
    Object.assign(this.canvas, { width: w, height: h });
    Object.assign(this.still, { width: w, height: h });
    this.scale = scale;
    this.place = placing(this.points, w, h);
    this.drawStill();
    this.show(this.frame ?? 0);
  }

  drawStill() {
    const context = this.still.getContext("2d"), { points, groups, path, look, scale } = this;
    const size = scale * (points.length > 8000 ? 1.5 : 2.5), palette = groups ? colours(groups.n) : [];
    context.fillStyle = look.text;
    context.globalAlpha = POINT_ALPHA;
    for (let i = 0; i < points.length; i += 2) {
      const [x, y] = this.place(points[i], points[i + 1]);
      if (groups) context.fillStyle = palette[groups.values[i / 2]] ?? look.text;
      context.fillRect(x - size / 2, y - size / 2, size, size);
    }
    context.globalAlpha = 1;
    context.lineJoin = context.lineCap = "round";
    for (const [width, colour] of [[6.5, look.page], [3, look.text]]) {
      context.beginPath();
      for (const at of path) context.lineTo(...this.place(...at));
      context.lineWidth = width * scale;
      context.strokeStyle = colour;
      context.stroke();
    }
    for (const i of this.stops) this.dot(context, i, 4.5, look.page, look.text);
  }

  dot(context, i, radius, fill, line) {
    context.beginPath();
    context.arc(...this.place(...this.path[i]), radius * this.scale, 0, 7);
    context.fillStyle = fill;
    context.fill();
    context.lineWidth = 2 * this.scale;
    context.strokeStyle = line;
    context.stroke();
  }

  show(i) {
    this.frame = i;
    if (!this.place) return;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.still, 0, 0);
    this.dot(context, i, 7, this.look.primary, this.look.page);
  }
}

/** From map to pixels: all points fit, both axes in their own scale. */
function placing(points, w, h) {
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < points.length; i += 2) {
    x0 = Math.min(x0, points[i]); x1 = Math.max(x1, points[i]);
    y0 = Math.min(y0, points[i + 1]); y1 = Math.max(y1, points[i + 1]);
  }
  const inner = 1 - 2 * MAP_MARGIN;
  return (x, y) => [w * (MAP_MARGIN + inner * (x - x0) / (x1 - x0 || 1)), h * (MAP_MARGIN + inner * (y1 - y) / (y1 - y0 || 1))];
}
