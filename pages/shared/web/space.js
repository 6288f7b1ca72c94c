// Geometry of the map and of the code space. Plain scans: 70,000 points take about 0.1 ms in two dimensions
// and 1-3 ms in 32, which needs no index to keep up with a frame.
import { snap3 } from "./common.js";

/** Row of the point nearest to (x, y) within `radius` pixels, or -1. sx, sy: pixels per unit. */
export function pointAt(xy, x, y, sx, sy, radius, isShown = () => true) {
  let best = radius * radius, row = -1;
  for (let i = 0; i < xy.length; i += 2) {
    const dx = (xy[i] - x) * sx;
    if (dx > radius || dx < -radius) continue;
    const dy = (xy[i + 1] - y) * sy;
    const d = dx * dx + dy * dy;
    if (d <= best && isShown(i >> 1)) { best = d; row = i >> 1; }
  }
  return row;
}

/** Rows and distances of the k nearest points on the map, nearest first. */
export function nearestOnMap(xy, x, y, k) {
  const rows = new Array(k).fill(-1), squares = new Array(k).fill(Infinity);
  for (let i = 0; i < xy.length; i += 2) {
    const dx = xy[i] - x, dy = xy[i + 1] - y, d = dx * dx + dy * dy;
    if (d >= squares[k - 1]) continue;
    let j = k - 1;
    for (; j > 0 && squares[j - 1] > d; j--) { squares[j] = squares[j - 1]; rows[j] = rows[j - 1]; }
    squares[j] = d;
    rows[j] = i >> 1;
  }
  const n = rows.filter((row) => row >= 0).length;
  return { rows: rows.slice(0, n), distances: squares.slice(0, n).map(Math.sqrt) };
}

/** The code that belongs to a place on the map: on a plane, or the weighted mean of the codes nearby. */
export function codeAt(inverse, { xy, codes, d }, x, y) {
  const z = new Float64Array(d);
  if (inverse.kind === "linear") {
    for (let q = 0; q < d; q++) z[q] = inverse.origin[q] + x * inverse.x_axis[q] + y * inverse.y_axis[q];
  } else {
    const { rows, distances } = nearestOnMap(xy, x, y, inverse.k);
    const weights = distances.map((distance) => 1 / Math.max(distance, 1e-6) ** inverse.power);
    const total = weights.reduce((a, b) => a + b, 0);
    rows.forEach((row, i) => { for (let q = 0; q < d; q++) z[q] += (weights[i] / total) * codes[row * d + q]; });
  }
  return Float32Array.from(z, snap3);
}

export function codeOf({ codes, d }, row) {
  return Float32Array.from(codes.subarray(row * d, (row + 1) * d), snap3);
}
