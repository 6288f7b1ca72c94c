"""One direction tried on the picked code: a slider whose picture follows the hand."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, frame, shelf, show, state, walk_payload
from pages.shared.components import latent_walk
from vae_core.checkpoint import Checkpoint
from vae_core.examine import snap
from vae_core.export import write_plain
from vae_core.latent.directions import Direction


def slider(checkpoint: Checkpoint, z: NDArray[np.float32]) -> None:
    """Choose a kept vector or a direction from labels and factors, and move `z` `[D]` along it."""
    st.markdown("**Try a direction on the picked spot**")
    offered = _directions(checkpoint)
    if not offered:
        st.caption("This data set has no labels or factors; keep a vector between two groups.")
        return
    chosen = st.selectbox(
        "Direction",
        list(offered),
        key="attribute",
        help="Vectors you kept come first, then what labels and factors of the data set give.",
    )
    direction = offered[chosen]
    if direction.quality is not None:
        st.caption(f"{show.plain(direction.text)}, measured on held-out codes.")
    version = write_plain(z)
    row = walk_payload.vector_row(checkpoint, direction)
    data = cache.walk_data(checkpoint) | {"rows": [row], "n_live": 1, "folded": ""}
    data |= {"z": z.tolist(), "start": z.tolist(), "z_version": version, "compact": True}
    moved = latent_walk(data=data, key=f"attribute_{checkpoint.key}_{version}").z
    code = z if moved is None or len(moved) != len(z) else snap(np.array(moved, np.float32))
    left, right = st.columns([1, 4])
    if left.button("Show it on the map", icon=":material/my_location:", key="show_attribute"):
        state.go_to(z=code)
        st.rerun(scope="fragment")
    if right.button("Walk from it", icon=":material/tune:", key="walk_attribute"):
        state.keep_code(code, source=f"a spot moved along {chosen}")
        frame.turn_to("pages/walk.py")


def _directions(checkpoint: Checkpoint) -> dict[str, Direction]:
    kept = walk_payload.kept_directions(shelf.vectors(checkpoint.key))
    known = cache.directions(checkpoint, "Attributes")
    return {item.name.replace("_", " "): item for item in (*kept, *known)}
