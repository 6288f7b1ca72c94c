// Small originals from sheets that the server draws meanwhile: loads the sheets that are needed, once they are there.
import { once, resolve, settled } from "./common.js";

const POLL_MS = 1500;

export class Atlas {
  /** `onSheet()` is called whenever another sheet can be drawn from. */
  constructor(onSheet) {
    this.onSheet = onSheet;
    this.sheets = new Map();
    this.missing = new Set();
    this.poll = settled(() => this.look(), POLL_MS);
  }

  /** What Python says of the atlas, or null; another one forgets the sheets of the last. */
  set(spec) {
    if (spec?.index === this.spec?.index) return;
    this.poll.cancel();
    this.spec = spec ?? null;
    this.index = null;
    this.sheets.clear();
    this.missing.clear();
  }

  has(row) {
    return Boolean(this.spec) && row < this.spec.n && this.sheets.get(Math.floor(row / this.spec.per_sheet)) instanceof ImageBitmap;
  }

  /** Draws the original of a row for which `has` is true. */
  draw(pen, row, x, y, w, h) {
    const { per_sheet, columns, tile: [th, tw] } = this.spec, at = row % per_sheet;
    pen.drawImage(this.sheets.get(Math.floor(row / per_sheet)), (at % columns) * tw, Math.floor(at / columns) * th, tw, th, x, y, w, h);
  }

  /** Asks for the sheets of these rows; those not drawn yet are looked for again and again. */
  need(rows) {
    if (!this.spec) return;
    this.missing = new Set(rows.filter((row) => row < this.spec.n).map((row) => Math.floor(row / this.spec.per_sheet)).filter((sheet) => !this.sheets.has(sheet)));
    if (this.missing.size) this.look();
  }

  async look() {
    const { spec } = this;
    try {
      if (!this.index || [...this.missing].some((sheet) => !this.index.sheets[sheet])) await this.readIndex(spec);
    } catch { /* a server that restarts: the next look finds it */ }
    if (spec !== this.spec || this.gone) return;
    const ready = [...this.missing].filter((sheet) => this.index?.sheets[sheet]);
    ready.forEach((sheet) => this.load(spec, sheet));
    if (ready.length < this.missing.size && !this.index?.done) this.poll();
    ready.forEach((sheet) => this.missing.delete(sheet));
  }

  async readIndex(spec) {
    if (this.index?.done) return;
    const response = await fetch(resolve(spec.index), { cache: "no-store" });
    const index = response.ok ? await response.json() : null;
    if (spec === this.spec && index) this.index = index;
  }

  async load(spec, sheet) {
    const url = resolve(this.index.sheets[sheet]);
    this.sheets.set(sheet, null);  // on its way
    try {
      const bitmap = await once(`sheet:${url}`, async () => createImageBitmap(await (await fetch(url)).blob()));
      if (spec !== this.spec || this.gone) return;
      this.sheets.set(sheet, bitmap);
      this.onSheet();
    } catch {
      if (spec === this.spec) this.sheets.delete(sheet);  // asked for again with the next view
    }
  }

  destroy() {
    this.gone = true;
    this.poll.cancel();
  }
}
