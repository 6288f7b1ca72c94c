// Runs a decoder program (decoder.json + decoder.bin, see vae_core/portable.py) in the browser.
// WasmRunner drives the SIMD kernel; ScriptRunner is the same arithmetic in plain JavaScript for
// browsers without WebAssembly SIMD. Activations are float32, flat (h, w, c).
import { KERNEL_WASM } from "./kernel.wasm.js";

const ACTS = { relu: 0, silu: 1, tanh: 2, sigmoid: 3, clamp01: 4 };
const PAGE_BYTES = 65536;

let kernelModule = null;
function compileKernel() {
  kernelModule ??= WebAssembly.compile(Uint8Array.from(atob(KERNEL_WASM), (c) => c.charCodeAt(0)));
  return kernelModule;
}

/** Codes are snapped to three decimals everywhere, so that a link with three decimals gives the same pixels. */
export function snap(z) {
  return Float32Array.from(z, (v) => Math.round(v * 1000) / 1000);
}

/** Follows the shape through the program: each op with its input and output (h, w, c). */
function trace(program) {
  let at = { h: 1, w: 1, c: program.n_latent };
  return program.ops.map((op) => {
    const from = at;
    if (op.op === "dense") at = { h: 1, w: 1, c: op.n_out };
    else if (op.op === "view") at = { h: op.h, w: op.w, c: op.c };
    else if (op.op === "conv") {
      const size = (n) => Math.floor((n + 2 * op.pad - op.k) / op.stride) + 1;
      at = { h: size(at.h), w: size(at.w), c: op.c_out };
    } else if (op.op === "conv_transpose") {
      const size = (n) => (n - 1) * op.stride - 2 * op.pad + op.k;
      at = { h: size(at.h), w: size(at.w), c: op.c_out };
    } else if (op.op === "up") at = { h: at.h * 2, w: at.w * 2, c: at.c };
    else if (op.op === "shuffle") at = { h: at.h * op.r, w: at.w * op.r, c: at.c / (op.r * op.r) };
    else if (op.op === "crop") at = { h: op.h, w: op.w, c: at.c };
    return { ...op, from, to: at };
  });
}

/** Per output row or column phase of a transposed convolution: which taps meet it and at what input offset. */
function phases({ k, stride, pad }) {
  return Array.from({ length: stride }, (_, phase) => {
    const taps = [];
    for (let t = 0; t < k; t++) if ((phase + pad - t) % stride === 0) taps.push({ t, at: (phase + pad - t) / stride });
    return taps.sort((a, b) => a.at - b.at);
  });
}

class WasmRunner {
  static async create(program, weights) {
    const { exports } = await WebAssembly.instantiate(await compileKernel());
    return new WasmRunner(exports, program, weights);
  }

  constructor(kernel, program, weights) {
    this.kernel = kernel;
    this.top = (kernel.__heap_base.value + 15) & ~15;
    this.weights = this.store(weights);
    this.input = this.alloc(program.n_latent);
    this.n_latent = program.n_latent;
    this.steps = [];
    const stack = [];
    let x = this.input;
    for (const op of trace(program)) x = this.compile(op, x, weights, stack);
    const [h, w, c] = program.shape;
    this.output = x;
    this.n_out = h * w * c;
  }

  alloc(n) {
    const at = this.top;
    this.top += (((n + 3) & ~3) + 4) * 4;
    this.top = (this.top + 15) & ~15;
    const missing = this.top - this.kernel.memory.buffer.byteLength;
    if (missing > 0) this.kernel.memory.grow(Math.ceil(missing / PAGE_BYTES));
    return at;
  }

  store(values) {
    const at = this.alloc(values.length);
    new Float32Array(this.kernel.memory.buffer, at, values.length).set(values);
    return at;
  }

  compile(op, x, weights, stack) {
    const { kernel, steps } = this;
    const { h, w, c } = op.from;
    const n = h * w * c;
    const at = (offset) => this.weights + 4 * offset;
    const emit = (n_out, run) => {
      const out = this.alloc(n_out);
      steps.push(() => run(out));
      return out;
    };
    switch (op.op) {
      case "view": return x;
      case "dense": return emit(op.n_out, (out) => kernel.dense(x, at(op.w), at(op.b), out, op.n_in, op.n_out));
      case "up": return emit(4 * n, (out) => kernel.up(x, out, h, w, c));
      case "shuffle": return emit(n, (out) => kernel.shuffle(x, out, h, w, c, op.r));
      case "crop": return emit(op.h * op.w * c, (out) => kernel.crop(x, out, w, c, op.h, op.w, op.top ?? 0, op.left ?? 0));
      case "act": steps.push(() => kernel.act(x, n, ACTS[op.kind])); return x;
      case "groupnorm": {
        const scratch = this.alloc(2 * c);
        steps.push(() => kernel.groupnorm(x, at(op.w), at(op.b), scratch, h * w, c, op.groups, op.eps));
        return x;
      }
      case "push": stack.push(emit(n, (out) => kernel.copy(x, out, n))); return x;
      case "add": { const y = stack.pop(); steps.push(() => kernel.add(x, y, n)); return x; }
      case "conv": return this.conv(op, x, weights);
      case "conv_transpose": return this.convTranspose(op, x, weights);
      default: throw new Error(`decoder op "${op.op}" is not known`);
    }
  }

  /** Copies x into a zeroed buffer with `lo` pixels before and `hi` after; returns its address and row length. */
  padded({ h, w, c }, x, lo, hi) {
    const row = (w + lo + hi) * c;
    const buffer = this.alloc((h + lo + hi) * row);
    this.steps.push(() => this.kernel.pad(x, buffer, h, w * c, row, lo * (row + c)));
    return { buffer, row };
  }

  /** Weights of the chosen taps as [block of 8 channels][tap][c_in][8], zero-padded. */
  pack(op, weights, rows, cols) {
    const { c_in, c_out } = op;
    const n_blocks = Math.ceil(c_out / 8);
    const values = new Float32Array(n_blocks * rows.length * cols.length * c_in * 8);
    let to = 0;
    for (let block = 0; block < n_blocks; block++) {
      const lanes = c_out - 8 * block > 4 ? 8 : 4;
      for (const ky of rows) for (const kx of cols) for (let i = 0; i < c_in; i++, to += lanes) {
        const from = op.w + ((ky * op.k + kx) * c_in + i) * c_out + 8 * block;
        for (let lane = 0; lane < Math.min(lanes, c_out - 8 * block); lane++) values[to + lane] = weights[from + lane];
      }
    }
    const bias = new Float32Array(8 * n_blocks);
    bias.set(weights.subarray(op.b, op.b + c_out));
    return { packed: this.store(values), bias: this.store(bias) };
  }

  conv(op, x, weights) {
    const { buffer, row } = op.pad ? this.padded(op.from, x, op.pad, op.pad) : { buffer: x, row: op.from.w * op.from.c };
    const taps = Array.from({ length: op.k }, (_, i) => i);
    const { packed, bias } = this.pack(op, weights, taps, taps);
    const { h, w, c } = op.to;
    const out = this.alloc(h * w * c);
    this.steps.push(() => this.kernel.conv(
      buffer, row, op.stride * row, op.stride * op.c_in, packed, bias, out, w * c, c, h, w, op.k, op.k * op.c_in, c));
    return out;
  }

  /** One small convolution per output phase (stride² of them), each writing every stride-th pixel. */
  convTranspose(op, x, weights) {
    const byPhase = phases(op);
    const offsets = byPhase.flat().map((tap) => tap.at);
    const lo = Math.max(0, -Math.min(...offsets));
    const s = op.stride;
    const hi = Math.max(0, Math.max(...offsets)) + Math.ceil(Math.max(0, op.to.h / s - op.from.h, op.to.w / s - op.from.w));
    const { buffer, row } = this.padded(op.from, x, lo, hi);
    const { h, w, c } = op.to;
    const out = this.alloc(h * w * c);
    byPhase.forEach((rows, py) => byPhase.forEach((cols, px) => {
      const { packed, bias } = this.pack(op, weights, rows.map((r) => r.t), cols.map((q) => q.t));
      const start = buffer + 4 * ((rows[0].at + lo) * row + (cols[0].at + lo) * op.c_in);
      const to = out + 4 * (py * w + px) * c;
      const n_h = Math.ceil((h - py) / s), n_w = Math.ceil((w - px) / s);
      this.steps.push(() => this.kernel.conv(start, row, row, op.c_in, packed, bias, to, s * w * c, s * c,
        n_h, n_w, rows.length, cols.length * op.c_in, c));
    }));
    return out;
  }

  decode(z) {
    new Float32Array(this.kernel.memory.buffer, this.input, this.n_latent).set(z);
    for (const step of this.steps) step();
    return new Float32Array(this.kernel.memory.buffer, this.output, this.n_out).slice();
  }
}

class ScriptRunner {
  constructor(program, weights) {
    this.ops = trace(program);
    this.weights = weights;
  }

  decode(z) {
    const stack = [];
    let x = Float32Array.from(z);
    for (const op of this.ops) {
      if (op.op === "push") stack.push(x.slice());
      else if (op.op === "add") { const y = stack.pop(); for (let i = 0; i < x.length; i++) x[i] += y[i]; }
      else if (op.op !== "view") x = SCRIPT[op.op](op, x, this.weights);
    }
    return x;
  }
}

const SCRIPT_ACTS = {
  relu: (v) => Math.max(0, v), silu: (v) => v / (1 + Math.exp(-v)), tanh: Math.tanh,
  sigmoid: (v) => 1 / (1 + Math.exp(-v)), clamp01: (v) => Math.min(1, Math.max(0, v)),
};

/** Adds the product of one input pixel and one tap's [c_in][c_out] weights to an output pixel. */
function addPixel(x, from, out, to, weights, w, c_in, c_out) {
  for (let i = 0; i < c_in; i++) {
    const v = x[from + i];
    if (v !== 0) for (let o = 0, k = w + i * c_out; o < c_out; o++) out[to + o] += v * weights[k + o];
  }
}

function scriptConv(op, x, weights) {
  const { from, to, k, stride, pad, c_in, c_out } = op;
  const transposed = op.op === "conv_transpose";
  const out = new Float32Array(to.h * to.w * c_out);
  for (let i = 0; i < out.length; i++) out[i] = weights[op.b + (i % c_out)];
  const [outer, inner] = transposed ? [from, to] : [to, from];
  for (let a = 0; a < outer.h; a++) for (let b = 0; b < outer.w; b++)
    for (let ky = 0; ky < k; ky++) for (let kx = 0; kx < k; kx++) {
      const y = a * stride - pad + ky, xx = b * stride - pad + kx;
      if (y < 0 || xx < 0 || y >= inner.h || xx >= inner.w) continue;
      const outerAt = a * outer.w + b, innerAt = y * inner.w + xx;
      const [source, target] = transposed ? [outerAt, innerAt] : [innerAt, outerAt];
      addPixel(x, source * c_in, out, target * c_out, weights, op.w + (ky * k + kx) * c_in * c_out, c_in, c_out);
    }
  return out;
}

/** out[y][x][c] = in[source(y, x, c)] */
function rearrange({ to }, x, source) {
  const out = new Float32Array(to.h * to.w * to.c);
  for (let y = 0, i = 0; y < to.h; y++) for (let xx = 0; xx < to.w; xx++) for (let c = 0; c < to.c; c++) out[i++] = x[source(y, xx, c)];
  return out;
}

const SCRIPT = {
  conv: scriptConv,
  conv_transpose: scriptConv,
  dense(op, x, weights) {
    const out = weights.slice(op.b, op.b + op.n_out);
    addPixel(x, 0, out, 0, weights, op.w, op.n_in, op.n_out);
    return out;
  },
  act: (op, x) => x.map(SCRIPT_ACTS[op.kind]),
  up: (op, x) => rearrange(op, x, (y, xx, c) => ((y >> 1) * op.from.w + (xx >> 1)) * op.from.c + c),
  crop: (op, x) => rearrange(op, x, (y, xx, c) => ((y + (op.top ?? 0)) * op.from.w + xx + (op.left ?? 0)) * op.from.c + c),
  shuffle: (op, x) => rearrange(op, x, (y, xx, c) =>
    (((y / op.r) | 0) * op.from.w + ((xx / op.r) | 0)) * op.from.c + c * op.r * op.r + (y % op.r) * op.r + (xx % op.r)),
  groupnorm({ from, groups, eps, w, b }, x, weights) {
    const n_px = from.h * from.w, per = from.c / groups, out = new Float32Array(x.length);
    for (let g = 0; g < groups; g++) {
      const each = (visit) => { for (let p = 0; p < n_px; p++) for (let q = g * per; q < (g + 1) * per; q++) visit(p * from.c + q, q); };
      let mean = 0, square = 0;
      each((i) => { mean += x[i] / (n_px * per); });
      each((i) => { square += (x[i] - mean) ** 2 / (n_px * per); });
      const scale = 1 / Math.sqrt(square + eps);
      each((i, q) => { out[i] = (x[i] - mean) * scale * weights[w + q] + weights[b + q]; });
    }
    return out;
  },
};

export class Decoder {
  /** `engine` is "wasm", "script" or null for the best available. */
  static async create(program, weights, engine = null) {
    let runner = null, used = engine ?? "wasm";
    if (used === "wasm") {
      try {
        runner = await WasmRunner.create(program, weights);
      } catch (error) {
        if (engine === "wasm" || !(error instanceof WebAssembly.CompileError)) throw error;
        used = "script";
      }
    }
    return new Decoder(program, runner ?? new ScriptRunner(program, weights), used);
  }

  constructor(program, runner, engine) {
    this.program = program;
    this.shape = program.shape;
    this.n_latent = program.n_latent;
    this.runner = runner;
    this.engine = engine;
    this.ms = 0;
  }

  /** [D] code -> float32 [H*W*C] in [0, 1]. */
  decode(z) {
    const start = performance.now();
    const picture = this.runner.decode(snap(z));
    this.ms = performance.now() - start;
    return picture;
  }

  /** Decodes and draws at the model's own size; the page scales the canvas. Returns the decode's milliseconds. */
  paint(canvas, z) {
    const [h, w, c] = this.shape;
    const picture = this.decode(z);
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    const context = canvas.getContext("2d");
    const image = context.createImageData(w, h);
    for (let i = 0, p = 0; p < h * w; p++) {
      for (let q = 0; q < 3; q++) image.data[i++] = 255 * picture[p * c + (c === 1 ? 0 : q)] + 0.5;
      image.data[i++] = 255;
    }
    context.putImageData(image, 0, 0);
    canvas.dataset.painted = String(Number(canvas.dataset.painted ?? 0) + 1);
    canvas.dataset.ms = this.ms.toFixed(2);
    return this.ms;
  }
}
