"""The section Edit: sliders along attributes on the code of the visitor's own picture."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, frame, show, state, walk
from pages.shared.components import latent_walk
from pages.shared.reconstruct import Item
from pages.shared.walk_payload import KINDS, Kind
from vae_core.checkpoint import Checkpoint
from vae_core.examine import snap
from vae_core.grid import to_bytes, to_picture

Floats = NDArray[np.float32]
Images = NDArray[np.uint8]
_CODES: Final = "edited_codes"


@st.fragment
def section(checkpoint: Checkpoint, item: Item, items: Sequence[Item]) -> None:
    """Sliders on the picture's code; before and after, and the result to keep."""
    del items  # one picture is edited at a time
    start = snap(cache.examination(checkpoint, item.pixels).mean)
    name = _name_of(checkpoint, item)
    # Above the sliders, of which there may be twenty, but known only after them.
    above = st.container()
    z = _sliders(checkpoint, start, name)
    with above:
        _before_and_after(checkpoint, item, start, z)


def _name_of(checkpoint: Checkpoint, item: Item) -> str:
    """Names the picture and the model: another one of either starts with its own code."""
    return f"{checkpoint.key}-{hashlib.sha256(item.pixels.tobytes()).hexdigest()[:12]}"


def _sliders(checkpoint: Checkpoint, start: Floats, name: str) -> Floats:
    """The element; returns the code the sliders were last released at."""
    held: dict[str, Floats] = st.session_state.setdefault(_CODES, {})
    part = _rows(checkpoint)
    data = cache.walk_data(checkpoint) | part
    # The element keeps its own code while its version stands; built anew it begins at this one.
    data |= {"z": held.get(name, start).tolist(), "start": start.tolist(), "z_version": name}
    moved = latent_walk(data=data | {"compact": True}, key=f"edit_{name}")
    if moved.z is not None and len(moved.z) == checkpoint.model.n_latent:
        held[name] = snap(np.array(moved.z, np.float32))
    return held.get(name, start)


def _rows(checkpoint: Checkpoint) -> dict[str, Any]:
    kinds = [kind for kind in KINDS if kind != "Saved vectors"]
    has_names = bool(cache.walk_rows(checkpoint, "Attributes")["rows"])
    kind: Kind = st.segmented_control(
        "Sliders along", kinds if has_names else [k for k in kinds if k != "Attributes"],
        default="Attributes" if has_names else "Dimensions", required=True,
        key="edit_kind" if has_names else "edit_kind_unnamed", label_visibility="collapsed",
        help="Attributes are directions fitted to the data's labels or factors; their figure says "
        "how well the codes tell them on held-out pictures.",
    )  # fmt: skip
    if not has_names:
        st.caption(
            "These data have neither labels nor factors, so no direction has the name of an "
            "attribute; the dimensions can be moved instead."
        )
    return walk.rows(checkpoint, kind)


def keep_detail(original: Images, before: Floats, after: Floats) -> Images:
    """The original uint8 `[C,H,W]` plus what the edit changed (floats in [0,1]), cut to bytes."""
    return to_bytes(original / np.float32(255) + (after - before))


def _before_and_after(checkpoint: Checkpoint, item: Item, start: Floats, z: Floats) -> None:
    before, after = cache.decoded(checkpoint, np.stack([start, z]))
    with_detail = st.toggle(
        "Keep what the model lost", key="edit_detail", persist_state="session",
        help="Adds the change the edit makes to the original's own pixels: "
        "x + decode(z′) − decode(z). Detail the code does not hold stays; what moved may leave "
        "a ghost.",
    )  # fmt: skip
    result = keep_detail(item.pixels, before, after) if with_detail else to_bytes(after)
    left = (item.pixels, "original") if with_detail else (before, "before, as the model sees it")
    change = np.abs(after - before).mean(0)
    show.pictures(
        [left, (result, "after"), (show.heat(change), "what changed ×3")],
        width=220,
        testids=("edit-before", "edit-after", "edit-change"),
    )
    one, two = st.columns(2)
    one.download_button(
        "Download as PNG", _png(result), file_name="edited.png", mime="image/png",
        icon=":material/download:", key="edit_png", on_click="ignore", width="stretch",
    )  # fmt: skip
    if two.button("Walk from here", icon=":material/tune:", key="edit_walk", width="stretch"):
        state.keep_code(z, source=f"{item.name}, edited")
        frame.turn_to("pages/walk.py")


def _png(pixels: Images) -> bytes:
    buffer = BytesIO()
    to_picture(pixels).save(buffer, "PNG")
    return buffer.getvalue()
