// How far a decoded picture can be trusted: distance to the real codes and radius, against the limits that
// Python learnt from held-out codes (vae_core/latent/trust.py). The cycle error needs the encoder: Python adds it.
import { array, el, once, realCodes } from "./common.js";

const LEVELS = [
  { level: 3, words: "on the data", hint: "Like a real picture's code." },
  { level: 2, words: "between the data", hint: "Unusual: 1 real picture in 20 lies so." },
  { level: 1, words: "off the manifold", hint: "The decoder guesses here: hardly any real picture lies so." },
];

/** The real codes that a code is held against: all of them, or of very many the part the limits were learnt from. */
export async function judgesOf({ trust, points }) {
  if (!trust) return null;
  const codes = await realCodes(points), { d } = points;
  if (!trust.rows) return { codes, d };
  return once(`judges:${points.codes} ${trust.rows}`, async () => {
    const rows = await array(trust.rows, "i32"), part = new Float32Array(rows.length * d);
    rows.forEach((row, i) => part.set(codes.subarray(row * d, (row + 1) * d), i * d));
    return { codes: part, d };
  });
}

/** Distance to the nearest real code over the dimensions in use. */
export function distanceToCodes(codes, d, z, used) {
  const n_used = used.length;
  let best = Infinity;
  for (let i = 0; i < codes.length; i += d) {
    let sum = 0;
    for (let k = 0; k < n_used && sum < best; k++) {
      const difference = codes[i + used[k]] - z[used[k]];
      sum += difference * difference;
    }
    if (sum < best) best = sum;
  }
  return Math.sqrt(best);
}

/** Diagonal Mahalanobis distance from the centre of the codes over the root of the dimensions in use. */
function radiusOf({ centre, spread, used }, z) {
  let sum = 0;
  for (const q of used) sum += ((z[q] - centre[q]) / (spread[q] || 1)) ** 2;
  return Math.sqrt(sum / used.length);
}

/** {level, words, ratio, text} of a code; null where too few codes say how far is far. */
export function readTrust(trust, { codes, d }, z) {
  if (!trust) return null;
  const ratio = distanceToCodes(codes, d, z, trust.used) / (trust.typical_distance || 1), radius = radiusOf(trust, z);
  const found = { distance: ratio, radius };
  const worst = Math.max(...Object.entries(found).map(([name, value]) => (value > trust.limits[name][0]) + (value > trust.limits[name][1])));
  const text = `The nearest real code is ${ratio.toFixed(2)} typical distances away (usual up to ${trust.limits.distance[0].toFixed(2)}); `
    + `the code lies at ${radius.toFixed(2)} of the usual radius (usual up to ${trust.limits.radius[0].toFixed(2)}).`;
  return { ...LEVELS[worst], ratio, radius, text };
}

/** The verdict below a picture, its reasons on hover; greys the picture's frame where nothing supports it. */
export class TrustBadge {
  constructor(frame) {
    this.frame = frame;
    this.words = el("span", { class: "lx-trust-words" });
    this.ratio = el("span", { class: "lx-trust-ratio lx-number" });
    this.root = el("div", { class: "lx-trust", "data-level": "0", "data-testid": "trust", hidden: "" },
      el("span", { class: "lx-meter", "aria-hidden": "true" }, el("i"), el("i"), el("i")), this.words, this.ratio);
  }

  /** What `readTrust` gave, or null to say nothing. */
  show(found) {
    this.root.hidden = !found;
    this.frame.classList.toggle("lx-unsupported", found?.level === 1);
    if (!found) return;
    this.root.dataset.level = found.level;
    this.root.title = `${found.hint} ${found.text}`;
    this.words.textContent = found.words;
    this.ratio.textContent = `${found.ratio.toFixed(1)}\u00d7 typical distance`;
  }
}
