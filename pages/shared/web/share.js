// A shared view: map, sliders and card in one page that needs no server (pages/shared/share.py writes it).
// Everything comes from blocks of the page itself; words reach the page as text only.
import { el, LX } from "./common.js";
import { mountMap } from "./map.js";
import { mountWalk } from "./walk.js";

const ABOVE_MAP_PX = 290;
const MAP_HEIGHTS_PX = [380, 720];
const FIRST_CODE = "shared";

/** Bytes of the files that the page carries, by the path that the messages name them with. */
function carriedFiles() {
  const blocks = new Map(Array.from(document.querySelectorAll("script[data-path]"), (block) => [block.dataset.path, block]));
  return async (path) => {
    const block = blocks.get(path);
    if (!block) throw new Error(`${path} is missing in this file.`);
    const text = atob(block.textContent), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    if (!block.dataset.packed) return bytes.buffer;
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  };
}

/** A labelled list; null where there is nothing to choose. `own` names what is shown now if no item does. */
function choice(label, { now, items }, own, onChange) {
  const names = [...(now < 0 ? [own] : []), ...items.map((item) => item.name)];
  if (names.length < 2) return null;
  const options = names.map((text, i) => el("option", { text, value: i }));
  const select = el("select", { class: "lx-select", "aria-label": label, on: { change: () => onChange(Number(select.value) - (now < 0 ? 1 : 0)) } }, ...options);
  select.value = Math.max(now, 0);
  return el("label", { class: "lxs-choice" }, el("span", { text: label }), select);
}

class SharedMap {
  constructor({ map, maps, colours }, onWalk) {
    this.data = { ...map, height: Math.min(MAP_HEIGHTS_PX[1], Math.max(MAP_HEIGHTS_PX[0], innerHeight - ABOVE_MAP_PX)) };
    const first = map, set = (names, { items }) => (i) => {
      const from = i < 0 ? first : items[i];
      for (const name of names) this.data[name] = from[name] ?? null;
      this.update();
    };
    this.host = el("div", {});
    this.root = el("div", {}, el("div", { class: "lxs-choices" },
      choice("Map", maps, map.projection.label, set(["projection", "backdrop"], maps)),
      choice("Colour by", colours, map.colour?.label ?? "nothing", set(["colour"], colours))), this.host);
    this.host.addEventListener("keydown", (event) => { if (/^[lb]$/i.test(event.key)) event.stopPropagation(); }, { capture: true });
    this.go = el("button", { type: "button", class: "lx-button lxs-go", "data-testid": "walk-from-here", text: "Walk from here", on: { click: () => onWalk(this.host.lxView.selected) } });
  }

  /** To be called when the host stands in the page: the map measures itself. */
  update() {
    mountMap({ data: this.data, parentElement: this.host, setTriggerValue() {}, setStateValue() {} });
    this.host.querySelector(".lx-words").append(this.go);
  }
}

class SharedWalk {
  constructor({ walk, sliders }) {
    this.data = { ...walk, z_version: FIRST_CODE };
    this.n_starts = 0;
    const own = Object.fromEntries(["rows", "n_live", "folded"].map((name) => [name, walk[name]]));
    this.host = el("div", {});
    this.root = el("div", {}, el("div", { class: "lxs-choices" },
      choice("Sliders along", sliders, "those shared", (i) => { Object.assign(this.data, i < 0 ? own : sliders.items[i]); this.update(); })), this.host);
  }

  from(z) {
    const code = Array.from(z);
    Object.assign(this.data, { z: code, start: code, z_version: `${FIRST_CODE} ${++this.n_starts}` });
    this.update();
  }

  /** A name given to a slider lasts as long as the page. */
  told(name, value) {
    if (name !== "rename") return;
    this.data.rows = this.data.rows.map((row) => (row.id === value.id ? { ...row, name: value.name } : row));
    this.update();
  }

  update() {
    mountWalk({ data: this.data, parentElement: this.host, setTriggerValue: (name, value) => this.told(name, value), setStateValue() {} });
  }
}

function about({ facts, needs_the_app }) {
  const rows = facts.flatMap(([name, text]) => [el("dt", { text: name }), el("dd", {}, el(/^python /.test(text) ? "code" : "span", { text }))]);
  return el("div", { class: "lxs-about" },
    el("dl", {}, ...rows),
    el("h2", { text: "What this page is" }),
    el("p", { text: "Each point of the map is the code of one image: the few numbers the model describes it with. A click decodes the code of a point or of an empty place, the sliders change one direction of a code at a time. All pictures are drawn by the model itself, in this browser." }),
    el("p", { text: "The badge below a picture says how far its code lies from the codes of real images: on the data, between the data, or off the manifold, where the model guesses." }),
    el("p", { text: "Codes, weights and scripts are inside this file. It loads nothing and sends nothing." }),
    el("h2", { text: "What needs the app" }),
    el("ul", {}, ...needs_the_app.map((text) => el("li", { text }))));
}

/** Tabs by the book: one stop of the tab key, arrows between them. */
function tabs(pages, onOpen) {
  const names = Object.keys(pages);
  const buttons = names.map((name) => el("button", { type: "button", role: "tab", id: `lxs-tab-${name}`, class: "lxs-tab", "aria-controls": `lxs-${name}`, text: name, on: { click: () => open(name) } }));
  names.forEach((name) => { const page = pages[name]; page.id = `lxs-${name}`; page.setAttribute("role", "tabpanel"); page.setAttribute("aria-labelledby", `lxs-tab-${name}`); page.classList.add("lxs-page"); });
  const bar = el("div", { class: "lxs-tabs", role: "tablist", on: { keydown: (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (names.findIndex((name) => !pages[name].hidden) + step + names.length) % names.length;
    open(names[next]);
    buttons[next].focus();
    event.preventDefault();
  } } }, ...buttons);
  function open(wanted) {
    names.forEach((name, i) => {
      pages[name].hidden = name !== wanted;
      buttons[i].setAttribute("aria-selected", String(name === wanted));
      buttons[i].tabIndex = name === wanted ? 0 : -1;
    });
    onOpen(wanted);
  }
  return { bar, open };
}

function build(root, view) {
  const walk = new SharedWalk(view);
  const map = new SharedMap(view, (picked) => { if (picked) { walk.from(picked.z); open("Sliders"); scrollTo(0, 0); } });
  const parts = { Map: map, Sliders: walk }, seen = new Set();
  const pages = { Map: map.root, Sliders: walk.root, About: el("div", {}, about(view)) };
  // A part is mounted when it is first opened: it measures itself, and the map need not wait for the sliders.
  const { bar, open } = tabs(pages, (name) => {
    if (!parts[name] || seen.has(name)) return;
    seen.add(name);
    parts[name].update();
  });
  const head = el("header", { class: "lxs-head" }, el("h1", { text: view.title }), el("p", { class: "lxs-soft", text: view.summary }));
  root.replaceChildren(head, bar, ...Object.values(pages));
  open(view.open);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => seen.forEach((name) => parts[name].update()));
}

/** The page's start; a browser too old for it is told so. */
export function openSharedView() {
  const root = document.getElementById("lx-share");
  try {
    if (!("DecompressionStream" in window)) throw new Error("This browser cannot unpack it: Chrome 80, Firefox 113 and Safari 16.4 can, and whatever is newer.");
    LX.embedded = carriedFiles();
    build(root, JSON.parse(document.getElementById("lx-view").textContent));
  } catch (error) {
    root.replaceChildren(el("p", { class: "lxs-error", text: `This view could not be opened. ${error.message}` }));
    console.error(error);
  }
}
