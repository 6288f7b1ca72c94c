// Lines around the densest parts of a map: inside the outermost lie 95 % of the points, then 80 and 50 %.
const N_CELLS = 120;
const SHARES = [0.5, 0.8, 0.95];
const N_BLURS = 3;  // three box blurs come close to a Gaussian
const REACH = 2;    // cells to either side that one blur takes in

function blurred(grid, n, step, line) {
  const out = new Float32Array(grid.length), width = 2 * REACH + 1;
  for (let a = 0; a < n; a++) {
    let sum = 0;
    for (let b = -REACH; b < n + REACH; b++) {
      if (b + REACH < n) sum += grid[a * line + (b + REACH) * step];
      if (b - REACH - 1 >= 0) sum -= grid[a * line + (b - REACH - 1) * step];
      if (b >= 0 && b < n) out[a * line + b * step] = sum / width;
    }
  }
  return out;
}

/** Ends of the line pieces that cross a cell, by which of its corners lie inside (bits: 1 lower left, 2 lower right, 4 upper right, 8 upper left). */
const EDGES = { 1: [3, 0], 2: [0, 1], 3: [3, 1], 4: [1, 2], 5: [3, 2, 0, 1], 6: [0, 2], 7: [3, 2], 8: [2, 3], 9: [2, 0], 10: [0, 3, 2, 1], 11: [2, 1], 12: [1, 3], 13: [1, 0], 14: [0, 3] };

function march(grid, n, level, place) {
  const pieces = [];
  for (let j = 0; j + 1 < n; j++) for (let i = 0; i + 1 < n; i++) {
    const at = j * n + i, [p, q, r, s] = [grid[at], grid[at + 1], grid[at + n + 1], grid[at + n]];
    const kind = (p > level) | ((q > level) << 1) | ((r > level) << 2) | ((s > level) << 3);
    if (!EDGES[kind]) continue;
    const part = (a, b) => (level - a) / (b - a);
    const cut = [() => [i + part(p, q), j], () => [i + 1, j + part(q, r)], () => [i + part(s, r), j + 1], () => [i, j + part(p, s)]];
    for (const edge of EDGES[kind]) pieces.push(...place(...cut[edge]()));
  }
  return Float32Array.from(pieces);
}

/**
 * Line pieces [x, y, x, y, ...] per level, in the map's units, innermost first. `isShown(row)` says which
 * points count. Density: counts in a grid of 120 × 120 cells over the map, blurred by about 3 cells.
 */
export function densityContours(xy, { x, y }, isShown) {
  const n = N_CELLS, sx = (n - 1) / (x[1] - x[0]), sy = (n - 1) / (y[1] - y[0]), cells = [];
  let grid = new Float32Array(n * n);
  for (let row = 0; row < xy.length >> 1; row++) {
    const i = Math.round((xy[2 * row] - x[0]) * sx), j = Math.round((xy[2 * row + 1] - y[0]) * sy);
    if (!(i >= 0 && i < n && j >= 0 && j < n) || !isShown(row)) continue;
    grid[j * n + i]++;
    cells.push(j * n + i);
  }
  if (!cells.length) return [];
  for (let k = 0; k < N_BLURS; k++) grid = blurred(blurred(grid, n, 1, n), n, n, 1);
  const found = Float32Array.from(cells, (cell) => grid[cell]).sort();
  const place = (i, j) => [x[0] + i / sx, y[0] + j / sy];
  return SHARES.map((share) => march(grid, n, found[Math.floor((1 - share) * (found.length - 1))] * (1 - 1e-6), place));
}
