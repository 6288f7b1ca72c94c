// What both elements share: one fetch per URL for the life of the page, decoders, DOM and theme helpers.
import { Decoder } from "./decoder.js";

/** Page-wide store; also what browser tests look at. */
export const LX = (window.__lx ??= {});
LX.decoders ??= {};
LX.assets ??= new Map();

/** Remembers the promise of `make` under `id`; a failed one is forgotten, so that the next rerun tries again. */
export function once(id, make) {
  if (!LX.assets.has(id)) {
    const promise = make();
    LX.assets.set(id, promise);
    promise.catch(() => LX.assets.delete(id));
  }
  return LX.assets.get(id);
}

/**
 * Absolute URL of a path such as "app/static/x.bin". The app's root is not the page's own URL (/explore,
 * perhaps under a base path), so it is taken from where Streamlit's own bundle came from.
 */
export function resolve(path) {
  LX.root ??= LX.appRoot?.() ?? document.baseURI;
  return new URL(path, LX.root).href;
}

const thousandths = (buffer) => Float32Array.from(new Int16Array(buffer), (value) => value / 1000);
const TYPED = { f32: (buffer) => new Float32Array(buffer), i16: thousandths, i32: (buffer) => new Int32Array(buffer), u8: (buffer) => new Uint8Array(buffer) };

/** The bytes behind a path: a shared view carries them inside (share.js), the app's are fetched. */
export async function bytesOf(path) {
  if (LX.embedded) return LX.embedded(path);
  const response = await fetch(resolve(path));
  if (!response.ok) throw new Error(`Could not load ${path} (${response.status}).`);
  return response.arrayBuffer();
}

export function array(path, type) {
  return once(`${type}:${resolve(path)}`, async () => TYPED[type](await bytesOf(path)));
}

/** The real codes [N * D], from whichever form they travel in. */
export const realCodes = (points) => array(points.codes, points.type ?? "f32");

export function decoderFor(model) {
  return once(`decoder:${model.decoder_bin}`, async () => {
    const [program, weights] = await Promise.all([bytesOf(model.decoder_json), bytesOf(model.decoder_bin)]);
    const decoder = await Decoder.create(JSON.parse(new TextDecoder().decode(program)), new Float32Array(weights));
    decoder.decode(new Float32Array(decoder.n_latent));  // first run compiles; do it before the first click
    return (LX.decoders[model.key] = decoder);
  });
}

/** el("div", {class, text, on: {click}, attribute: value}, ...children) */
export function el(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value === null || value === undefined) continue;
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, run] of Object.entries(value)) node.addEventListener(event, run);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter(Boolean));
  return node;
}

/** svg("line", {x1: 0, ...}, ...children) */
export function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Streamlit's theme variables, read where the element stands. */
export function theme(node) {
  const style = getComputedStyle(node);
  const read = (name, otherwise) => style.getPropertyValue(`--st-${name}`).trim() || otherwise;
  return { text: read("text-color", "#31333f"), font: read("font", "sans-serif"), primary: read("primary-color", "#ff4b4b") };
}

const probe = document.createElement("canvas").getContext("2d");
/** Any CSS colour with the given opacity, as rgba(). */
export function fade(colour, alpha) {
  probe.fillStyle = "#808080";
  probe.fillStyle = colour;
  const value = probe.fillStyle;
  const rgb = value.startsWith("#")
    ? [1, 3, 5].map((i) => parseInt(value.slice(i, i + 2), 16))
    : value.match(/[\d.]+/g).slice(0, 3).map(Number);
  return `rgba(${rgb.join(",")},${alpha})`;
}

/** At most one call per animation frame, always with the latest arguments. */
export function framed(run) {
  let pending = null, latest = [];
  const call = (...values) => {
    latest = values;
    pending ??= requestAnimationFrame(() => { pending = null; run(...latest); });
  };
  call.cancel = () => { if (pending !== null) cancelAnimationFrame(pending); pending = null; };
  return call;
}

/** Calls once, `ms` after the last request. */
export function settled(run, ms) {
  let timer = null;
  const call = (...values) => { clearTimeout(timer); timer = setTimeout(() => run(...values), ms); };
  call.cancel = () => clearTimeout(timer);
  return call;
}

export function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}

/** Normal draws, the same for the same seed (mulberry32, Box-Muller). */
export function normals(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

export const snap3 = (v) => Math.round(v * 1000) / 1000;
export const count = (n) => n.toLocaleString("en-US");
export const signed = (v, digits = 2) => v.toFixed(digits).replace("-", "\u2212");

/** Small pictures stay crisp squares; larger ones are smoothed by the browser. */
export function styleForSize(canvas, [h, w]) {
  canvas.style.imageRendering = Math.max(h, w) <= 32 ? "pixelated" : "auto";
  canvas.style.aspectRatio = `${w} / ${h}`;
}

/** Notes when a link to another page of the app is followed, before Streamlit hears of it. */
function noteLeaving(event) {
  const link = event.target.closest?.("a[href]");
  const stays = !link || link.target || link.hasAttribute("download") || event.ctrlKey || event.metaKey || event.shiftKey;
  if (!stays && link.origin === location.origin && link.pathname !== location.pathname) LX.leftAt = performance.now();
}

/**
 * `send`, but not from a page that was just left: Streamlit answers what an element tells then with a run of the
 * old page, and its browser side takes the new page's content away. A page that stays is drawn anew, and tells again.
 */
function unlessLeft(host, send) {
  if (LX.leftAt === undefined) {
    LX.leftAt = -1;
    document.addEventListener("click", noteLeaving, true);
  }
  return (...values) => { if (LX.leftAt <= host.lxUpdatedAt) send(...values); };
}

/**
 * Streamlit calls the element on each rerun and each change of theme. It also runs the returned clean-up
 * when a rerun overtakes a pending call, so a view is destroyed only if its host really left the page.
 */
export function mount(View, args) {
  const host = args.parentElement;
  const view = (host.lxView ??= new View(host));
  host.lxUpdatedAt = performance.now();
  view.update({ ...args, setTriggerValue: unlessLeft(host, args.setTriggerValue), setStateValue: unlessLeft(host, args.setStateValue) });
  return () => setTimeout(() => {
    if (host.isConnected || host.lxView !== view) return;
    view.destroy();
    delete host.lxView;
  }, 0);
}
