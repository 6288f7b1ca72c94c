// Choosing a region: a freehand line or a box drawn over the map, and the points inside it.
import { el, fade, theme, toBase64 } from "./common.js";

const STEP_PX = 3;
const MAX_DOTS = 20000;

/** Rows of the points inside a polygon [[x, y], ...] in data units; the rule of odd crossings. */
export function rowsInside(xy, polygon) {
  const rows = [], n = polygon.length;
  let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
  for (const [x, y] of polygon) { x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y); }
  for (let i = 0; i < xy.length; i += 2) {
    const x = xy[i], y = xy[i + 1];
    if (x < x0 || x > x1 || y < y0 || y > y1) continue;
    let inside = false;
    for (let a = 0, b = n - 1; a < n; b = a++) {
      const [ax, ay] = polygon[a], [bx, by] = polygon[b];
      if ((ay > y) !== (by > y) && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
    }
    if (inside) rows.push(i >> 1);
  }
  return rows;
}

/** Rows as a set of bits, base64: n/8 bytes whatever was chosen. The first row is the lowest bit. */
export function bitsOf(rows, n) {
  const bytes = new Uint8Array(Math.ceil(n / 8));
  for (const row of rows) bytes[row >> 3] |= 1 << (row & 7);
  return toBase64(bytes);
}

export class Lasso {
  /** `toData(event)` gives {x, y} on the map; `isShown(row)` whether the legend lets a point
   * through; `onChosen(rows)` is told when a line is closed. */
  constructor({ toData, isShown, onChosen }) {
    this.toData = toData;
    this.isShown = isShown;
    this.onChosen = onChosen;
    this.canvas = el("canvas", { class: "lx-lasso", "data-testid": "lasso", "aria-hidden": "true" });
    this.rows = [];
    this.polygon = null;
  }

  begin(event, kind) {
    this.kind = kind;
    this.pointer = event.pointerId;
    this.last = { x: event.clientX, y: event.clientY };
    const { x, y } = this.toData(event);
    this.polygon = [[x, y]];
    this.rows = [];
  }

  get drawing() {
    return this.pointer !== undefined;
  }

  move(event) {
    if (event.pointerId !== this.pointer) return;
    if (Math.hypot(event.clientX - this.last.x, event.clientY - this.last.y) < STEP_PX) return;
    this.last = { x: event.clientX, y: event.clientY };
    const { x, y } = this.toData(event);
    if (this.kind === "lasso") this.polygon.push([x, y]);
    else {
      const [ax, ay] = this.polygon[0];
      this.polygon = [[ax, ay], [x, ay], [x, y], [ax, y]];
    }
    return true;
  }

  /** Closes the line; a mere click chooses nothing and takes an earlier region away. */
  end(event, xy) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = undefined;
    this.rows = this.polygon.length > 2 ? rowsInside(xy, this.polygon).filter(this.isShown) : [];
    if (!this.rows.length) this.polygon = null;
    this.onChosen(this.rows);
  }

  clear() {
    this.pointer = undefined;
    this.polygon = null;
    this.rows = [];
  }

  /** Line and chosen points where the axes now have them. */
  draw(view, xy) {
    const { canvas } = this, ratio = Math.min(2, window.devicePixelRatio || 1);
    const [w, h] = [Math.round(view.width * ratio), Math.round(view.height * ratio)];
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, view.width, view.height);
    if (!this.polygon) return;
    const look = theme(canvas);
    pen.beginPath();
    this.polygon.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](...view.toPixel(x, y)));
    pen.closePath();
    pen.fillStyle = fade(look.primary, 0.08);
    pen.fill();
    pen.lineWidth = 1.5;
    pen.strokeStyle = look.primary;
    pen.stroke();
    const every = Math.max(1, Math.ceil(this.rows.length / MAX_DOTS));
    pen.fillStyle = fade(look.text, 0.75);
    for (let i = 0; i < this.rows.length; i += every) {
      const [px, py] = view.toPixel(xy[2 * this.rows[i]], xy[2 * this.rows[i] + 1]);
      pen.fillRect(px - 1, py - 1, 2, 2);
    }
  }
}
