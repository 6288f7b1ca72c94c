// Decoder kernel: the few layer types of an image decoder, one picture at a time.
//
// Activations are float32, flat (h, w, c). Freestanding WebAssembly with 128-bit SIMD: no libc, no
// allocation; decoder.js owns the arena and calls one exported function per layer. Build with
// build_kernel.sh, which embeds the result in kernel.wasm.js.
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define INLINE static inline __attribute__((always_inline))
typedef v128_t vec;

INLINE vec mul_add(vec a, vec b, vec c) { return wasm_f32x4_add(wasm_f32x4_mul(a, b), c); }

// ---- convolution ---------------------------------------------------------------------------------
// Computes PX neighbouring pixels times 4*NV output channels with all sums in registers. In (h, w, c)
// order the taps of one kernel row are contiguous (kw*c_in floats), so the reduction is kh straight
// runs. `weights` is packed as [kh][kw*c_in][4*NV] for this block of channels (see pack in decoder.js).
#define STEP(j)                                                          \
  {                                                                      \
    vec w[NV];                                                           \
    for (int v = 0; v < NV; v++) w[v] = wasm_v128_load(k + (j) * 4 * NV + 4 * v); \
    for (int p = 0; p < PX; p++) {                                       \
      vec x = wasm_v128_load32_splat(row + p * px_step + (j));           \
      for (int v = 0; v < NV; v++) sum[p][v] = mul_add(x, w[v], sum[p][v]); \
    }                                                                    \
  }

INLINE void block(const int PX, const int NV, const float *in, int row_stride, int px_step,
                  const float *k, const float *bias, float *out, int out_px, int kh, int run,
                  int n_valid) {
  vec sum[4][2];
#pragma unroll
  for (int p = 0; p < PX; p++)
#pragma unroll
    for (int v = 0; v < NV; v++) sum[p][v] = wasm_v128_load(bias + 4 * v);
  for (int y = 0; y < kh; y++) {
    const float *row = in + y * row_stride;
    int left = run;
#pragma clang loop unroll(disable)
    for (; left >= 4; left -= 4, row += 4, k += 16 * NV) {
#pragma unroll
      for (int j = 0; j < 4; j++) STEP(j)
    }
#pragma clang loop unroll(disable)
    for (; left > 0; left--, row++, k += 4 * NV) STEP(0)
  }
#pragma unroll
  for (int p = 0; p < PX; p++) {
    float *o = out + p * out_px;
    if (n_valid >= 4 * NV) {
#pragma unroll
      for (int v = 0; v < NV; v++) wasm_v128_store(o + 4 * v, sum[p][v]);
    } else {
      float lanes[8];
#pragma unroll
      for (int v = 0; v < NV; v++) wasm_v128_store(lanes + 4 * v, sum[p][v]);
      for (int c = 0; c < n_valid; c++) o[c] = lanes[c];
    }
  }
}

INLINE void rows(const int NV, const float *in, int row_stride, int row_step, int px_step,
                 const float *k, const float *bias, float *out, int out_row, int out_px, int h, int w,
                 int kh, int run, int n_valid) {
  for (int y = 0; y < h; y++) {
    const float *i = in + y * row_step;
    float *o = out + y * out_row;
    int x = 0;
    for (; x + 4 <= w; x += 4)
      block(4, NV, i + x * px_step, row_stride, px_step, k, bias, o + x * out_px, out_px, kh, run, n_valid);
    i += x * px_step;
    o += x * out_px;
    if (w - x == 3) block(3, NV, i, row_stride, px_step, k, bias, o, out_px, kh, run, n_valid);
    if (w - x == 2) block(2, NV, i, row_stride, px_step, k, bias, o, out_px, kh, run, n_valid);
    if (w - x == 1) block(1, NV, i, row_stride, px_step, k, bias, o, out_px, kh, run, n_valid);
  }
}

// `in` is already padded with zeros. Channels go in blocks of 8, the last one of 4 where that is
// enough; `weights` and `bias` are padded with zeros to whole blocks.
EXPORT(conv) void conv(const float *in, int row_stride, int row_step, int px_step, const float *weights,
                       const float *bias, float *out, int out_row, int out_px, int h, int w, int kh,
                       int run, int c_out) {
  for (int c = 0; c < c_out; c += 8) {
    int left = c_out - c;
    if (left > 4)
      rows(2, in, row_stride, row_step, px_step, weights, bias + c, out + c, out_row, out_px, h, w, kh, run, left);
    else
      rows(1, in, row_stride, row_step, px_step, weights, bias + c, out + c, out_row, out_px, h, w, kh, run, left);
    weights += kh * run * 8;
  }
}

// Copies (h, w*c) into the middle of a zeroed, padded buffer.
EXPORT(pad) void pad(const float *in, float *out, int h, int row, int out_row, int offset) {
  for (int y = 0; y < h; y++)
    __builtin_memcpy(out + offset + y * out_row, in + y * row, row * sizeof(float));
}

EXPORT(dense) void dense(const float *x, const float *weights, const float *bias, float *out, int n_in,
                         int n_out) {
  int o = 0;
  for (; o + 16 <= n_out; o += 16) {
    vec s[4];
    for (int v = 0; v < 4; v++) s[v] = wasm_v128_load(bias + o + 4 * v);
    for (int i = 0; i < n_in; i++) {
      vec xi = wasm_v128_load32_splat(x + i);
      const float *w = weights + i * n_out + o;
      for (int v = 0; v < 4; v++) s[v] = mul_add(xi, wasm_v128_load(w + 4 * v), s[v]);
    }
    for (int v = 0; v < 4; v++) wasm_v128_store(out + o + 4 * v, s[v]);
  }
  for (; o < n_out; o++) {
    float s = bias[o];
    for (int i = 0; i < n_in; i++) s += x[i] * weights[i * n_out + o];
    out[o] = s;
  }
}

// ---- element-wise --------------------------------------------------------------------------------
// exp by range reduction to |r| <= ln2/2 and the degree-6 Cephes polynomial: relative error < 2e-7.
INLINE vec vexp(vec x) {
  x = wasm_f32x4_pmin(wasm_f32x4_splat(88.0f), wasm_f32x4_pmax(wasm_f32x4_splat(-87.0f), x));
  vec n = wasm_f32x4_nearest(wasm_f32x4_mul(x, wasm_f32x4_splat(1.44269504088896341f)));
  vec r = wasm_f32x4_sub(x, wasm_f32x4_mul(n, wasm_f32x4_splat(0.693359375f)));
  r = wasm_f32x4_sub(r, wasm_f32x4_mul(n, wasm_f32x4_splat(-2.12194440e-4f)));
  vec p = wasm_f32x4_splat(1.9875691500e-4f);
  p = mul_add(p, r, wasm_f32x4_splat(1.3981999507e-3f));
  p = mul_add(p, r, wasm_f32x4_splat(8.3334519073e-3f));
  p = mul_add(p, r, wasm_f32x4_splat(4.1665795894e-2f));
  p = mul_add(p, r, wasm_f32x4_splat(1.6666665459e-1f));
  p = mul_add(p, r, wasm_f32x4_splat(5.0000001201e-1f));
  p = wasm_f32x4_add(mul_add(p, wasm_f32x4_mul(r, r), r), wasm_f32x4_splat(1.0f));
  vec scale = wasm_i32x4_shl(wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(n), wasm_i32x4_splat(127)), 23);
  return wasm_f32x4_mul(p, scale);
}

INLINE vec activate(int kind, vec x) {
  const vec one = wasm_f32x4_splat(1.0f), zero = wasm_f32x4_splat(0.0f);
  switch (kind) {
    case 0: return wasm_f32x4_max(x, zero);                                                // relu
    case 1: return wasm_f32x4_div(x, wasm_f32x4_add(one, vexp(wasm_f32x4_neg(x))));        // silu
    case 2: {                                                                             // tanh
      vec e = vexp(wasm_f32x4_add(x, x));
      return wasm_f32x4_sub(one, wasm_f32x4_div(wasm_f32x4_splat(2.0f), wasm_f32x4_add(e, one)));
    }
    case 3: return wasm_f32x4_div(one, wasm_f32x4_add(one, vexp(wasm_f32x4_neg(x))));      // sigmoid
    default: return wasm_f32x4_min(one, wasm_f32x4_max(zero, x));                          // clamp01
  }
}

// In place; buffers are rounded up to 4 floats by the arena, so the tail needs no scalar code.
EXPORT(act) void act(float *x, int n, int kind) {
  for (int i = 0; i < n; i += 4) wasm_v128_store(x + i, activate(kind, wasm_v128_load(x + i)));
}

EXPORT(add) void add(float *x, const float *y, int n) {
  for (int i = 0; i < n; i += 4)
    wasm_v128_store(x + i, wasm_f32x4_add(wasm_v128_load(x + i), wasm_v128_load(y + i)));
}

EXPORT(copy) void copy(const float *in, float *out, int n) { __builtin_memcpy(out, in, n * sizeof(float)); }

// ---- layout --------------------------------------------------------------------------------------
EXPORT(up) void up(const float *in, float *out, int h, int w, int c) {
  for (int y = 0; y < h; y++) {
    float *o = out + y * 4 * w * c;
    for (int x = 0; x < w; x++, in += c)
      for (int dx = 0; dx < 2; dx++) __builtin_memcpy(o + (2 * x + dx) * c, in, c * sizeof(float));
    __builtin_memcpy(o + 2 * w * c, o, 2 * w * c * sizeof(float));
  }
}

// out[y*r+dy][x*r+dx][q] = in[y][x][q*r*r + dy*r + dx], as torch.nn.PixelShuffle.
EXPORT(shuffle) void shuffle(const float *in, float *out, int h, int w, int c, int r) {
  int n = c / (r * r);
  for (int y = 0; y < h; y++)
    for (int dy = 0; dy < r; dy++)
      for (int x = 0; x < w; x++)
        for (int dx = 0; dx < r; dx++) {
          const float *i = in + (y * w + x) * c + dy * r + dx;
          for (int q = 0; q < n; q++) *out++ = i[q * r * r];
        }
}

EXPORT(crop) void crop(const float *in, float *out, int w, int c, int h2, int w2, int top, int left) {
  for (int y = 0; y < h2; y++)
    __builtin_memcpy(out + y * w2 * c, in + ((y + top) * w + left) * c, w2 * c * sizeof(float));
}

// ---- group normalisation, in place ---------------------------------------------------------------
// `scratch` holds 2*c floats: first the sums of each channel, then its scale and shift.
EXPORT(groupnorm) void groupnorm(float *x, const float *weight, const float *bias, float *scratch,
                                 int n_px, int c, int groups, float eps) {
  int per = c / groups, vc = c & ~3;
  float *scale = scratch, *shift = scratch + c;
  for (int i = 0; i < c; i++) shift[i] = 0;
  for (int pass = 0; pass < 2; pass++) {  // pass 0: mean into shift; pass 1: variance into scale
    for (int i = 0; i < c; i++) scale[i] = 0;
    int q = 0;
    for (; q < vc; q += 4) {
      vec s = wasm_f32x4_splat(0), m = wasm_v128_load(shift + q);
      for (int p = 0; p < n_px; p++) {
        vec d = wasm_f32x4_sub(wasm_v128_load(x + p * c + q), m);
        s = wasm_f32x4_add(s, pass ? wasm_f32x4_mul(d, d) : d);
      }
      wasm_v128_store(scale + q, s);
    }
    for (; q < c; q++)
      for (int p = 0; p < n_px; p++) {
        float d = x[p * c + q] - shift[q];
        scale[q] += pass ? d * d : d;
      }
    for (int g = 0; g < groups; g++) {
      float s = 0;
      for (int i = 0; i < per; i++) s += scale[g * per + i];
      s /= (float)(n_px * per);
      for (int i = g * per; i < (g + 1) * per; i++) {
        if (!pass) {
          shift[i] = s;
        } else {
          scale[i] = weight[i] / __builtin_sqrtf(s + eps);
          shift[i] = bias[i] - shift[i] * scale[i];
        }
      }
    }
  }
  for (int p = 0; p < n_px; p++, x += c) {
    int q = 0;
    for (; q < vc; q += 4)
      wasm_v128_store(x + q, mul_add(wasm_v128_load(x + q), wasm_v128_load(scale + q), wasm_v128_load(shift + q)));
    for (; q < c; q++) x[q] = x[q] * scale[q] + shift[q];
  }
}
