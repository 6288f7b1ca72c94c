"""A grid of codes between four corners, decoded in the browser; a click walks from a cell."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, walk_code, walk_export, walk_stops
from pages.shared.components import latent_grid
from pages.shared.walk_stops import Stop
from vae_core.checkpoint import Checkpoint
from vae_core.examine import snap
from vae_core.latent.paths import corner_grid

Floats = NDArray[np.float32]
GridKind = Literal["straight", "spherical"]
CORNERS: Final = ("Top left", "Top right", "Bottom left", "Bottom right")
KINDS: Final[tuple[GridKind, ...]] = ("straight", "spherical")
SIZES: Final = (3, 5, 7, 9, 11, 13)
_SEED: Final = "grid_seed"


@dataclass(frozen=True)
class Shown:
    """A grid of `n` × `n` codes `[n·n,D]`, row by row, and what to call it."""

    title: str
    codes: Floats
    n: int


def grid(checkpoint: Checkpoint) -> None:
    """The whole section: corners, kind, the grid itself, files."""
    on_offer = _on_offer(checkpoint)
    corners = _choose_corners(on_offer)
    walk_stops.gallery(checkpoint, on_offer)
    kind, n = _choose_kind()
    codes = snap(corner_grid(np.stack([stop.z for stop in corners]), n, n, kind=kind))
    title = f"{kind} grid between {', '.join(stop.name for stop in corners)}"
    shown = Shown(title, codes, n)
    _element(checkpoint, shown)
    walk_export.sheet_and_arrays(checkpoint, shown.codes, title=title, n_columns=n, key="grid")


def _on_offer(checkpoint: Checkpoint) -> dict[str, Stop]:
    """What stops are offered elsewhere, and four random codes."""
    seed = st.session_state.get(_SEED, 0)
    codes, random = checkpoint.codes.mean, np.random.default_rng(seed)
    draws = codes.mean(0) + codes.std(0) * random.standard_normal((len(CORNERS), codes.shape[1]))
    drawn = [Stop(f"random {i}", z) for i, z in enumerate(snap(draws.astype(np.float32)), 1)]
    return walk_stops.stops(checkpoint) | {stop.name: stop for stop in drawn}


def _choose_corners(on_offer: dict[str, Stop]) -> list[Stop]:
    names = list(on_offer)
    chosen = [
        column.selectbox(
            corner,
            names,
            index=place % len(names),
            key=_key(corner),
            persist_state="session",
        )
        for place, (corner, column) in enumerate(zip(CORNERS, st.columns(4), strict=True))
    ]
    left, right = st.columns(2)
    left.button(
        "Four random codes",
        icon=":material/casino:",
        key="grid_random",
        on_click=_draw,
        help="Draws four codes as far spread as the real ones and makes them the corners.",
        width="stretch",
    )
    with right:
        walk_stops.more_images_button("grid_more_images")
    return [on_offer[name] for name in chosen]


def _key(corner: str) -> str:
    return f"grid_{corner.lower().replace(' ', '_')}"


def _draw() -> None:
    st.session_state[_SEED] = st.session_state.get(_SEED, 0) + 1
    for i, corner in enumerate(CORNERS, 1):
        st.session_state[_key(corner)] = f"random {i}"


def _choose_kind() -> tuple[GridKind, int]:
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    kind: GridKind = left.segmented_control(
        "Kind of grid",
        KINDS,
        default="straight",
        required=True,
        key="grid_kind",
        persist_state="session",
        help="Straight is bilinear: each row and column is a line. Spherical turns around the "
        "origin, so that the radius stays.",
    )
    n: int = right.select_slider(
        "Cells along each side", SIZES, value=7, key="grid_n", persist_state="session"
    )
    return kind, n


def _element(checkpoint: Checkpoint, shown: Shown) -> None:
    data: dict[str, Any] = cache.walk_data(checkpoint) | {
        "codes": np.round(shown.codes.astype(np.float64), 3).tolist(),
        "n_columns": shown.n,
        "version": f"{checkpoint.key} {hashlib.sha256(shown.codes.tobytes()).hexdigest()[:12]}",
    }

    def walk_from(cell: int) -> None:
        row, column = divmod(cell, shown.n)
        source = f"row {row + 1}, column {column + 1} of the {shown.title}"
        walk_code.walk_from(checkpoint, shown.codes[cell], source=source)

    latent_grid(data=data, key="grid_element", on_pick=walk_from)
