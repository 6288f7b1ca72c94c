// What is said of a pick: its number, its label, and where its code comes from.
import { signed, snap3 } from "./common.js";

export class Names {
  constructor() {
    this.labels = this.ids = null;
  }

  label(row) {
    return this.labels ? this.labels.names[this.labels.values[row]] ?? "" : "";
  }

  id(row) {
    return this.ids ? this.ids[row] : row;
  }

  point(row) {
    const label = this.label(row);
    return `Point #${this.id(row)}${label ? ` \u00b7 ${label}` : ""}`;
  }

  /** Title and detail of a pick on this projection. */
  words({ kind, row, x, y }, { inverse, label }) {
    const blend = inverse.kind === "neighbours" ? `blend of the ${inverse.k} nearest codes` : "read off this plane of the code space";
    if (kind === "point") return [this.point(row), "decoded from its code"];
    if (!Number.isFinite(x)) return ["An earlier place", `picked on another map, so it has no mark in ${label ?? "this one"}`];
    const place = `(${signed(x)}, ${signed(y)})`;
    return [kind === "pointer" ? `Under the pointer, ${place}` : `Empty spot at ${place}`, blend];
  }
}

/** One spelling for a selection, whether it came from a pick or from Python. */
export function selectKey(select) {
  if (!select) return "";
  return select.row !== undefined && select.row !== null ? `row ${select.row}` : `${snap3(select.x)} ${snap3(select.y)}`;
}
