// The tools above the map: move, lasso, box; pictures, originals and lattice on or off.
import { el } from "./common.js";

const ICONS = {
  move: "M12 2v20M2 12h20M12 2l-3 3m3-3 3 3M12 22l-3-3m3 3 3-3M2 12l3-3m-3 3 3 3M22 12l-3-3m3 3-3 3",
  lasso: "M6 19c-1-2 0-3 1-3.600C3 13.500 2 11 2.500 8.500 3.500 5 8 3 13 3.200c5 .200 9 3 8.500 7-.500 4-5 6.300-10 6-2-.100-3.500-.500-4.500-.900M6 19c.500 1.500 2 2 3 2",
  box: "M4 4h16v16H4z",
  pictures: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4",
  originals: "M4 8h3l1.500-2.500h7L17 8h3v11H4zM12 10a3.500 3.500 0 1 0 .010 0",
  lattice: "M4 4h16v16H4zM4 9.300h16M4 14.700h16M9.300 4v16M14.700 4v16",
  contours: "M12 3c5 0 9 3 9 8s-3 10-9 10-9-4-9-9 4-9 9-9zM12 8c3 0 4.500 1.500 4.500 4S15 17 12 17s-4.500-2-4.500-4.500S9 8 12 8z",
};
export const MODES = { move: "Move the map", lasso: "Lasso: draw around a region (L)", box: "Box: choose a rectangle (B)" };
const TOGGLES = { pictures: "Pictures in place of points, once 500 or fewer are in view", originals: "Pictures are the originals; off: as the model rebuilds them", lattice: "Decoded pictures behind the points", contours: "Density contours: 50, 80 and 95 % of the points lie inside" };
const SHOWN_AT_FIRST = ["pictures", "originals"];

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export class Tools {
  constructor({ onMode, onToggle }) {
    this.mode = "move";
    const button = (name, label, run, pressed) => el("button", { type: "button", class: "lx-tool", "aria-label": label, "aria-pressed": String(pressed), title: label, "data-testid": `tool-${name}`, on: { click: run } }, icon(name));
    this.modes = Object.fromEntries(Object.entries(MODES).map(([name, label]) => [name, button(name, label, () => onMode(name), name === "move")]));
    this.toggles = Object.fromEntries(Object.entries(TOGGLES).map(([name, label]) => [name, button(name, label, () => {
      const on = this.toggles[name].getAttribute("aria-pressed") !== "true";
      this.toggles[name].setAttribute("aria-pressed", String(on));
      onToggle(name, on);
    }, SHOWN_AT_FIRST.includes(name))]));
    this.root = el("div", { class: "lx-tools", role: "toolbar", "aria-label": "Map tools" }, ...Object.values(this.modes), el("span", { class: "lx-tools-gap" }), ...Object.values(this.toggles));
  }

  setMode(mode) {
    this.mode = mode;
    for (const [name, node] of Object.entries(this.modes)) node.setAttribute("aria-pressed", String(name === mode));
  }
}
