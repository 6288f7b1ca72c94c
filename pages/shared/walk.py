"""The Walk page: sliders, paths, arithmetic and what can be taken away, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import streamlit as st

from pages.shared import (
    cache,
    shelf,
    show,
    state,
    walk_arithmetic,
    walk_code,
    walk_export,
    walk_grid,
    walk_paths,
    walk_payload,
    walk_shelf,
)
from pages.shared.components import latent_walk
from pages.shared.walk_code import Stand
from pages.shared.walk_payload import Kind
from vae_core.checkpoint import Checkpoint
from vae_core.export import write_plain

SECTIONS: Final = ("Sliders", "Paths", "Grid", "Arithmetic", "Export")
_NAMES: Final = "walk_names"


@st.fragment
def sections(checkpoint: Checkpoint, *, beside: Callable[[Checkpoint], None]) -> None:
    """The chosen part of the page; only that one is computed, and only it runs again.

    `beside` fills the place to the right of the choice.
    """
    walk_code.hear(checkpoint)
    left, right = st.columns([8, 1.9])
    with right:
        beside(checkpoint)
    chosen = left.segmented_control(
        "Section",
        SECTIONS,
        default="Sliders",
        required=True,
        key=walk_code.SECTION,
        persist_state="session",
        label_visibility="collapsed",
        width="stretch",
    )
    parts = {
        "Paths": walk_paths.paths,
        "Grid": walk_grid.grid,
        "Arithmetic": walk_arithmetic.arithmetic,
        "Export": walk_export.export,
    }
    parts.get(str(chosen), _sliders)(checkpoint)


def _sliders(checkpoint: Checkpoint) -> None:
    stand = walk_code.current(checkpoint)
    st.caption(
        f"Started from {show.plain(stand.source)}. Drag a slider: the picture follows while you "
        "drag." + show.judged_by(checkpoint.codes).replace("Judged", "Names and figures judged")
    )
    kind = _choose_kind()
    part = rows(checkpoint, kind)
    if not part["rows"]:
        st.info(_EMPTY[kind])
        part = rows(checkpoint, "Dimensions")
    _walk(checkpoint, stand, part)
    if kind == "Saved vectors":
        walk_shelf.vectors_change(checkpoint)
    walk_shelf.keep_form(checkpoint)
    walk_shelf.codes_row(checkpoint)


_EMPTY: Final[dict[Kind, str]] = {
    "Dimensions": "This model has no dimensions.",
    "Principal axes": "The codes are all alike, so there is no axis along which they vary.",
    "Attributes": "This data set has neither labels nor factors, so there is nothing to name "
    "directions after; here are the dimensions.",
    "Saved vectors": "No vector is kept yet: Arithmetic keeps A − B, and Explore the difference "
    "of two groups. Here are the dimensions.",
}


def _choose_kind() -> Kind:
    chosen: Kind = st.segmented_control(
        "Sliders along",
        walk_payload.KINDS,
        default="Dimensions",
        required=True,
        key="walk_kind",
        label_visibility="collapsed",
        persist_state="session",
        help="Dimensions are what the model itself calls its axes. Principal axes are the "
        "directions in which the codes vary most. Attributes are fitted to labels and factors; "
        "their figure is measured on held-out codes.",
    )
    return chosen


def rows(checkpoint: Checkpoint, kind: Kind) -> dict[str, Any]:
    """The sliders along directions of a kind, under the names the visitor gave them."""
    if kind == "Saved vectors":
        found = walk_payload.kept_directions(shelf.vectors(checkpoint.key))
        rows = [walk_payload.vector_row(checkpoint, item) for item in found]
        return {"rows": rows, "n_live": len(rows), "folded": ""}
    part = cache.walk_rows(checkpoint, kind)
    names = st.session_state.get(_NAMES, {}).get(checkpoint.key, {})
    rows = [row | {"name": names.get(row["id"], row["name"])} for row in part["rows"]]
    return part | {"rows": rows}


def _walk(checkpoint: Checkpoint, stand: Stand, part: dict[str, Any]) -> None:
    """The element itself; releasing a slider puts the code into the URL."""
    data = cache.walk_data(checkpoint) | part
    data |= {"z": stand.code.tolist(), "start": stand.start.tolist(), "z_version": stand.version}
    # Taken first: a name is told once, and a rerun may come before each look.
    names = st.session_state.setdefault(_NAMES, {}).setdefault(checkpoint.key, {})
    moved = latent_walk(data=data, key=f"walk_{stand.version}")
    if moved.rename is not None:
        names[str(moved.rename["id"])] = str(moved.rename["name"])[: shelf.MAX_NAME]
    if moved.z is not None and len(moved.z) == checkpoint.model.n_latent:
        walk_code.move_to(checkpoint, np.array(moved.z, np.float32))
    state.put_in_url(z=write_plain(walk_code.current(checkpoint).code), code=None)
