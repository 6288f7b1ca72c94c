// What can be undone and redone. It lives with the page, so that it outlasts a visit to another section.
import { LX } from "./common.js";

const MAX_STEPS = 200;
const same = (a, b) => a.length === b.length && a.every((v, q) => v === b[q]);

export class WalkHistory {
  constructor(modelKey) {
    LX.walks ??= {};
    Object.assign(this, (LX.walks[modelKey] ??= { past: [], future: [] }));
  }

  get canUndo() { return this.past.length > 0; }
  get canRedo() { return this.future.length > 0; }

  /** Before a move: the code it starts from. */
  remember(z) {
    this.future.length = 0;
    if (this.past.length && same(this.past.at(-1), z)) return;
    this.past.push(Float64Array.from(z));
    if (this.past.length > MAX_STEPS) this.past.shift();
  }

  /** The last code before `z` that differs from it, or null. */
  undo(z) { return this.step(z, this.past, this.future); }
  redo(z) { return this.step(z, this.future, this.past); }

  step(z, from, to) {
    while (from.length) {
      const code = from.pop();
      if (same(code, z)) continue;
      to.push(Float64Array.from(z));
      return code;
    }
    return null;
  }
}
