// Pictures made in the browser: a canvas to draw on, seen as the network will see it, and pictures pasted.
import { el, mount, settled, toBase64 } from "./common.js";

const DRAW_SCALE = 10;     // strokes are kept at ten times the model's size
const DRAW_TELL_MS = 350;
const INK_SHARE = 20 / 28; // of the side: MNIST's makers scaled digits to 20 of 28 pixels
const FAINT_INK = 0.25;
const PASTE_SIDE = 1024;   // a pasted picture's longer side at most, before it is sent

/** Average of source over each target pixel: target x covers source [x0 + x * step, x0 + (x + 1) * step). */
function averaged(ink, [h, w], { x0, y0, step }, [rows, columns]) {
  const out = new Float32Array(rows * columns);
  for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) {
    const left = x0 + x * step, top = y0 + y * step;
    let sum = 0;
    for (let v = Math.max(0, Math.floor(top)); v < Math.min(h, Math.ceil(top + step)); v++) {
      const part = Math.min(v + 1, top + step) - Math.max(v, top);
      for (let u = Math.max(0, Math.floor(left)); u < Math.min(w, Math.ceil(left + step)); u++) {
        sum += ink[v * w + u] * part * (Math.min(u + 1, left + step) - Math.max(u, left));
      }
    }
    out[y * columns + x] = sum / (step * step);
  }
  return out;
}

/** Where the ink is: its box and its centre of mass in source pixels, or null on an empty sheet. */
function inkPlace(ink, [h, w]) {
  let x0 = w, x1 = -1, y0 = h, y1 = -1, mass = 0, mx = 0, my = 0;
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const value = ink[y * w + x];
    mass += value; mx += value * (x + 0.5); my += value * (y + 0.5);
    if (value <= FAINT_INK) continue;
    x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y);
  }
  return x1 < 0 ? null : { side: Math.max(x1 - x0, y1 - y0) + 1, x: mx / mass, y: my / mass };
}

/** Ink in [0,1] at the model's size: as it stands, or scaled and centred by its mass as MNIST's digits are. */
export function networkInk(ink, size, target, centred) {
  const place = centred && inkPlace(ink, size);
  if (!place) return averaged(ink, size, { x0: 0, y0: 0, step: size[0] / target[0] }, target);
  const step = place.side / Math.round(INK_SHARE * Math.min(...target));
  return averaged(ink, size, { x0: place.x - step * target[1] / 2, y0: place.y - step * target[0] / 2, step }, target);
}

class DrawView {
  constructor(host) {
    this.strokes = [];
    this.undone = [];
    this.centred = true;
    this.tell = settled(() => this.send(), DRAW_TELL_MS);
    const button = (text, label, run) => el("button", { type: "button", class: "lx-button", text, "aria-label": label, on: { click: run } });
    this.sheet = el("canvas", { class: "lx-sheet", "data-testid": "drawing-sheet", role: "img", "aria-label": "Sheet to draw on", on: { pointerdown: (e) => this.begin(e), pointermove: (e) => this.draw(e), pointerup: (e) => this.end(e), pointercancel: (e) => this.end(e) } });
    this.seen = el("canvas", { class: "lx-picture", "data-testid": "drawing-seen", role: "img", "aria-label": "What the network sees" });
    this.undoStroke = button("Undo", "Undo the last stroke", () => this.undo());
    this.redoStroke = button("Redo", "Draw the stroke again", () => this.redo());
    this.clearButton = button("Clear", "Clear the sheet", () => { this.strokes = []; this.undone = []; this.changed(); });
    this.brush = el("input", { type: "range", class: "lx-range", min: 1, max: 5, step: 0.5, value: 2.5, "aria-label": "Brush width in pixels of the model", on: { input: () => this.fill() } });
    this.centre = el("input", { type: "checkbox", checked: "", "aria-label": "Centre by mass", on: { change: () => { this.centred = this.centre.checked; this.changed(); } } });
    const words = el("div", { class: "lx-words" },
      el("div", { class: "lx-frame lx-seen" }, this.seen),
      el("p", { class: "lx-detail", text: "Exactly what the network sees" }),
      el("label", { class: "lx-temperature" }, el("span", { text: "Brush" }), this.brush),
      el("label", { class: "lx-switch" }, this.centre, el("span", { class: "lx-knob" }), el("span", { text: "Centre and scale as MNIST does" })),
      el("div", { class: "lx-buttons" }, this.undoStroke, this.redoStroke, this.clearButton));
    this.root = el("div", { class: "lx-root lx-draw", "data-testid": "drawing" }, this.sheet, words);
    host.append(this.root);
  }

  update(args) {
    this.args = args;
    const { height, width, ground } = args.data;
    if (this.size?.join() === [height, width].join() && this.ground === ground) return;
    this.target = this.size = [height, width];
    this.ground = ground;
    [this.sheet.height, this.sheet.width] = this.target.map((side) => side * DRAW_SCALE);
    [this.seen.height, this.seen.width] = this.target;
    this.sheet.style.aspectRatio = `${width} / ${height}`;
    this.fill();
    this.paint();
    this.root.dataset.ready = "true";
  }

  fill() { this.brush.style.setProperty("--lx-fill", `${25 * (this.brush.value - 1)}%`); }

  at(event) {
    const box = this.sheet.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * this.sheet.width, (event.clientY - box.top) / box.height * this.sheet.height];
  }

  begin(event) {
    if (event.button) return;
    this.sheet.setPointerCapture(event.pointerId);
    this.stroke = { width: Number(this.brush.value) * DRAW_SCALE, points: [this.at(event)] };
    this.strokes.push(this.stroke);
    this.undone = [];
    this.paint();
    event.preventDefault();
  }

  draw(event) {
    if (!this.stroke) return;
    for (const e of event.getCoalescedEvents?.() ?? [event]) this.stroke.points.push(this.at(e));
    this.paint();
  }

  end() {
    if (!this.stroke) return;
    this.stroke = null;
    this.changed();
  }

  undo() { if (this.strokes.length) this.undone.push(this.strokes.pop()); this.changed(); }

  redo() { if (this.undone.length) this.strokes.push(this.undone.pop()); this.changed(); }

  changed() { this.paint(); this.tell(); }

  /** The sheet, white strokes on black; the ground of the model's own pictures decides about dark and bright. */
  paint() {
    const { width, height } = this.sheet;
    const pen = this.sheet.getContext("2d", { willReadFrequently: true });
    Object.assign(pen, { fillStyle: "#000", strokeStyle: "#fff", lineCap: "round", lineJoin: "round" });
    pen.fillRect(0, 0, width, height);
    for (const { width: thick, points } of this.strokes) {
      pen.lineWidth = thick;
      pen.beginPath();
      pen.moveTo(...points[0]);
      for (const point of points.length > 1 ? points.slice(1) : points) pen.lineTo(...point);
      pen.stroke();
    }
    const rgba = pen.getImageData(0, 0, width, height).data;
    const ink = Float32Array.from({ length: width * height }, (_, i) => rgba[4 * i] / 255);
    this.sheet.style.filter = this.ground > 127 ? "invert(1)" : "";
    this.show(networkInk(ink, [height, width], this.target, this.centred));
    this.undoStroke.disabled = this.clearButton.disabled = !this.strokes.length;
    this.redoStroke.disabled = !this.undone.length;
  }

  show(ink) {
    const bright = this.ground > 127;
    this.bytes = Uint8Array.from(ink, (value) => Math.round(255 * Math.min(1, bright ? 1 - value : value)));
    const image = new ImageData(this.target[1], this.target[0]);
    this.bytes.forEach((value, i) => image.data.set([value, value, value, 255], 4 * i));
    this.seen.getContext("2d").putImageData(image, 0, 0);
  }

  send() {
    const [height, width] = this.target;
    this.args.setStateValue("drawing", this.strokes.length ? { height, width, centred: this.centred, pixels: toBase64(this.bytes) } : null);
  }

  destroy() { this.tell.cancel(); this.root.remove(); }
}

export const mountDraw = (args) => mount(DrawView, args);

/** The first picture among what is pasted or read, as PNG of at most 1,024 pixels a side. */
async function smallPng(blob) {
  const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
  const scale = Math.min(1, PASTE_SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = el("canvas", { width, height }), pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, width, height);
  const png = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return { png: toBase64(new Uint8Array(await png.arrayBuffer())), size: [bitmap.width, bitmap.height] };
}

class PasteView {
  constructor(host) {
    this.listeners = new AbortController();
    const { signal } = this.listeners;
    window.addEventListener("paste", (event) => this.pasted(event), { signal });
    this.button = el("button", { type: "button", class: "lx-button", text: "Paste", "aria-label": "Paste a picture", on: { click: () => this.read() } });
    this.notice = el("span", { class: "lx-detail", role: "status", text: "or press Ctrl+V to paste a picture" });
    this.root = el("div", { class: "lx-root lx-paste", "data-testid": "paste" }, this.button, this.notice);
    host.append(this.root);
  }

  update(args) { this.args = args; this.root.dataset.ready = "true"; }

  pasted(event) {
    const file = Array.from(event.clipboardData?.files ?? []).find(({ type }) => type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    this.take(file);
  }

  async read() {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((name) => name.startsWith("image/"));
        if (type) { await this.take(await item.getType(type)); return; }
      }
      this.say("There is no picture in the clipboard; copy one first.");
    } catch {
      this.say("The browser did not let this page read the clipboard; press Ctrl+V instead.");
    }
  }

  async take(blob) {
    try {
      this.args.setTriggerValue("picture", await smallPng(blob));
      this.say("Pasted.");
    } catch {
      this.say("What was pasted is no picture this browser can read; save it and upload the file.");
    }
  }

  say(text) { this.notice.textContent = text; }

  destroy() { this.listeners.abort(); this.root.remove(); }
}

export const mountPaste = (args) => mount(PasteView, args);
