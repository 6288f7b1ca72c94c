// Two fingers and the keyboard, as moves of the map.
const ZOOMS = { "+": 1.25, "=": 1.25, "-": 0.8 };
const KEY_STEP = 0.02;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Two fingers zoom about the point between them; a pan that the first one began ends. */
export class Pinch {
  constructor() {
    this.fingers = new Map();
  }

  /** Follows a finger; tells (px, py, factor) to `zoom` while there are two, and `begin` when the second comes. */
  follow(event, box, { begin, zoom }) {
    const { fingers } = this;
    if (event.pointerType !== "touch" || (event.type === "pointermove" && !fingers.has(event.pointerId))) return;
    const spread = () => { const [a, b] = fingers.values(); return Math.hypot(a.x - b.x, a.y - b.y) || 1; };
    const before = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size !== 2) return;
    begin();
    if (!before) return;
    const [a, b] = fingers.values();
    zoom((a.x + b.x) / 2 - box.left, (a.y + b.y) / 2 - box.top, spread() / before);
  }

  lift(event) {
    this.fingers.delete(event.pointerId);
  }
}

/** Where a key's move begins: at the selection where it is in view, else in the middle. */
export function startOf(at, view) {
  const inside = at && at.x >= view.x0 && at.x <= view.x1 && at.y >= view.y0 && at.y <= view.y1;
  return inside ? at : { x: (view.x0 + view.x1) / 2, y: (view.y0 + view.y1) / 2 };
}

/** What a key means on the map: {move: [x, y]} | {pick: true} | {zoom} | {reset} | {mode} | null. */
export function keyAction(key, from, view) {
  if (ARROWS[key]) {
    const limit = (v, low, high) => Math.min(high, Math.max(low, v)), [dx, dy] = ARROWS[key];
    return { move: [limit(from.x + dx * KEY_STEP * (view.x1 - view.x0), view.x0, view.x1), limit(from.y + dy * KEY_STEP * (view.y1 - view.y0), view.y0, view.y1)] };
  }
  if (key === "Enter") return { pick: true };
  if (ZOOMS[key]) return { zoom: ZOOMS[key] };
  if (key === "0") return { reset: true };
  return { l: { mode: "lasso" }, b: { mode: "box" }, Escape: { mode: "move" } }[key] ?? null;
}
