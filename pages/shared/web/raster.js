// Points to pixels on the CPU: typed arrays and a stamp per colour. It needs no WebGL, so a map of 70,000
// points pans smoothly where the browser has no graphics card as well (docs/decisions/0010).
const PAIR = 0xff00ff;  // two of a pixel's four channels, so that one multiplication blends both
const N_PHASES = 2;     // stamps per axis between two pixels: points glide instead of jumping

/** Discs of one size in every colour of a palette: premultiplied pixels and what shines through them. */
class Stamps {
  /** `palette`: [[r, g, b], ...] 0..255; `diameter` in pixels; `opacity` 0..1. */
  constructor(palette, diameter, opacity) {
    this.side = Math.ceil(diameter) + 2;
    this.middle = this.side >> 1;
    const covers = [], area = this.side * this.side;
    for (let j = 0; j < N_PHASES; j++) for (let i = 0; i < N_PHASES; i++) covers.push(this.cover(diameter / 2, i / N_PHASES, j / N_PHASES, opacity));
    this.through = covers.map((cover) => Uint16Array.from(cover, (a) => 256 - a));
    this.pixels = covers.map((cover) => {
      const pixels = new Uint32Array(palette.length * area);
      palette.forEach(([r, g, b], k) => cover.forEach((a, i) => {
        const part = (value) => (value * a) >> 8;
        pixels[k * area + i] = ((Math.min(255, a) << 24) | (part(b) << 16) | (part(g) << 8) | part(r)) >>> 0;
      }));
      return pixels;
    });
  }

  /** How much of each pixel the disc covers, 0..256. */
  cover(radius, dx, dy, opacity) {
    const { side, middle } = this, cover = new Uint16Array(side * side);
    for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) {
      const away = Math.hypot(x + 0.5 - middle - dx, y + 0.5 - middle - dy);
      cover[y * side + x] = Math.round(256 * opacity * Math.min(1, Math.max(0, radius + 0.5 - away)));
    }
    return cover;
  }
}

export class Raster {
  constructor() {
    this.kept = new Map();
    this.unmultiply = Float32Array.from({ length: 256 }, (_, a) => (a ? 255 / a : 0));
  }

  stamps(palette, key, diameter, opacity) {
    const id = `${key} ${diameter} ${opacity}`;
    if (!this.kept.has(id)) {
      if (this.kept.size > 24) this.kept.clear();
      this.kept.set(id, new Stamps(palette, diameter, opacity));
    }
    return this.kept.get(id);
  }

  begin(width, height, margin) {
    Object.assign(this, { width, height, margin, stride: width + 2 * margin });
    const n = this.stride * (height + 2 * margin);
    if (!this.buffer || this.buffer.length !== n) this.buffer = new Uint32Array(n);
    else this.buffer.fill(0);
  }

  /**
   * Stamps the points whose `shown` is `wanted`. `index` [N] says each one's colour in the palette;
   * a point lies at pixel (x * sx + tx, y * sy + ty). With `back` [N], only points of that `layer`.
   */
  points(stamps, { xy, index, shown, wanted, back, layer }, { sx, tx, sy, ty }) {
    const { buffer, stride, width, height, margin } = this, { side, middle } = stamps, area = side * side;
    const n = xy.length >> 1, from = margin - middle;
    for (let row = 0; row < n; row++) {
      if ((shown && shown[row] !== wanted) || (back && back[row] !== layer)) continue;
      const x = xy[2 * row] * sx + tx, y = xy[2 * row + 1] * sy + ty;
      if (!(x > -middle && x < width + middle && y > -middle && y < height + middle)) continue;
      const left = Math.floor(x), top = Math.floor(y);
      const phase = (x - left >= 0.5 ? 1 : 0) + (y - top >= 0.5 ? N_PHASES : 0);
      const pixels = stamps.pixels[phase], through = stamps.through[phase];
      let at = (top + from) * stride + left + from, source = index[row] * area;
      for (let j = 0, k = 0; j < side; j++, at += stride - side) for (let i = 0; i < side; i++, k++, at++, source++) {
        const seen = through[k];
        if (seen === 256) continue;
        const old = buffer[at];
        buffer[at] = pixels[source] + (((Math.imul(old & PAIR, seen) >>> 8) & PAIR) | (Math.imul((old >>> 8) & PAIR, seen) & ~PAIR));
      }
    }
  }

  /** What was stamped, as straight colours for putImageData. */
  image() {
    const { buffer, stride, width, height, margin, unmultiply } = this;
    if (this.out?.width !== width || this.out?.height !== height) this.out = new ImageData(width, height);
    const out = new Uint32Array(this.out.data.buffer);
    for (let y = 0, to = 0; y < height; y++) for (let x = 0, at = (y + margin) * stride + margin; x < width; x++, at++, to++) {
      const v = buffer[at], a = v >>> 24;
      if (a === 0 || a === 255) { out[to] = v; continue; }
      const f = unmultiply[a];
      out[to] = ((a << 24) | (Math.min(255, ((v >>> 16) & 255) * f) << 16) | (Math.min(255, ((v >>> 8) & 255) * f) << 8) | Math.min(255, (v & 255) * f)) >>> 0;
    }
    return this.out;
  }
}

/**
 * How many points lie in each cell, as a picture: the logarithm of the count is the opacity, the mean
 * colour of the points the colour. Cells are `cell` pixels wide; only every `step`-th point counts.
 */
export function densityImage({ xy, index, shown }, { sx, tx, sy, ty }, { width, height, cell, palette, step }) {
  const w = Math.ceil(width / cell), h = Math.ceil(height / cell), counts = new Uint32Array(w * h);
  const sums = [0, 1, 2].map(() => new Float32Array(w * h)), [red, green, blue] = sums;
  const tables = [0, 1, 2].map((c) => Float32Array.from(palette, (rgb) => rgb[c])), [r, g, b] = tables;
  const [ax, bx, ay, by] = [sx / cell, tx / cell, sy / cell, ty / cell];
  let most = 0;
  for (let row = 0, n = xy.length >> 1; row < n; row += step) {
    if (shown && !shown[row]) continue;
    const x = xy[2 * row] * ax + bx, y = xy[2 * row + 1] * ay + by;
    if (!(x >= 0 && x < w && y >= 0 && y < h)) continue;
    const at = (y | 0) * w + (x | 0), k = index[row];
    if (++counts[at] > most) most = counts[at];
    red[at] += r[k]; green[at] += g[k]; blue[at] += b[k];
  }
  const image = new ImageData(w, h), top = Math.log1p(most);
  for (let i = 0; i < counts.length; i++) {
    const n = counts[i];
    if (!n) continue;
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = sums[c][i] / n;
    image.data[4 * i + 3] = 255 * (0.18 + 0.8 * Math.log1p(n) / top);
  }
  return image;
}
