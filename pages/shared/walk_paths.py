"""Paths between codes: chosen stops, a player, and how real each kind of path stays."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, payload, show, walk_stops
from pages.shared.components import latent_path
from pages.shared.walk_stops import Stop
from vae_core.checkpoint import Checkpoint
from vae_core.examine import snap
from vae_core.latent.paths import along_data, through
from vae_core.latent.trust import OFF, UNKNOWN

Floats = NDArray[np.float32]
PathKind = Literal["straight", "spherical", "along the data"]
KINDS: Final[tuple[PathKind, ...]] = ("straight", "spherical", "along the data")
FRAMES: Final = (12, 24, 36, 60, 90, 120)
_LAST: Final = "walk_path"


@dataclass(frozen=True)
class Walked:
    """The last path shown: what to call it, its codes `[n,D]`, its kind and its stops."""

    checkpoint_key: str
    title: str
    codes: Floats
    kind: str
    stops: tuple[str, ...]


def last_path(checkpoint: Checkpoint) -> Walked | None:
    """The path last shown for this model, for export."""
    held: Walked | None = st.session_state.get(_LAST)
    return held if held is not None and held.checkpoint_key == checkpoint.key else None


def paths(checkpoint: Checkpoint) -> None:
    """The whole section: stops, kind, player, comparison."""
    on_offer = walk_stops.stops(checkpoint)
    chosen = _choose_stops(on_offer)
    walk_stops.gallery(checkpoint, on_offer)
    kind, n = _choose_kind()
    if len(chosen) < 2:
        st.info("Choose two codes or more: the path runs through them in this order.")
        return
    n = max(n, len(chosen))
    codes = frames(checkpoint, chosen, kind=kind, n=n)
    names = tuple(stop.name for stop in chosen)
    title = f"{kind} path, {' → '.join(names)}"
    st.session_state[_LAST] = Walked(checkpoint.key, title, codes, kind, names)
    _player(checkpoint, chosen, codes)
    # Last: the first comparison on a model links all its codes, and the player need not wait.
    _compare(checkpoint, chosen, kind=kind, n=n)


def _choose_stops(on_offer: dict[str, Stop]) -> list[Stop]:
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    names = left.multiselect(
        "From, through, to",
        list(on_offer),
        default=walk_stops.far_apart(on_offer),
        key="path_stops",
        persist_state="session",
        help="In this order. Held-out images, codes you kept, and the code of the sliders.",
    )
    with right:
        walk_stops.more_images_button("path_more_images")
    return [on_offer[name] for name in names]


def _choose_kind() -> tuple[PathKind, int]:
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    kind: PathKind = left.segmented_control(
        "Kind of path",
        KINDS,
        default="straight",
        required=True,
        key="path_kind",
        persist_state="session",
        help="Straight: the line. Spherical: around the origin, so that the radius stays. Along "
        "the data: from real code to real code, where many lie.",
    )
    n: int = right.select_slider(
        "Frames", FRAMES, value=60, key="path_n_frames", persist_state="session"
    )
    return kind, n


def frames(checkpoint: Checkpoint, chosen: list[Stop], *, kind: PathKind, n: int) -> Floats:
    """n codes `[n,D]` of a path through the stops, with three decimals as they are decoded."""
    points = np.stack([stop.z for stop in chosen])
    if kind != "along the data":
        return snap(through(points, n, kind))
    ends = [stop.z if stop.row is None else stop.row for stop in chosen]
    graph = cache.neighbour_graph(checkpoint)
    return snap(along_data(checkpoint.codes.mean, ends, graph=graph, n=n).frames)


def _player(checkpoint: Checkpoint, chosen: list[Stop], codes: Floats) -> None:
    name = payload.projection_choices(checkpoint)[0]
    places = payload.projection_of(checkpoint, name).transform(codes)
    data: dict[str, Any] = cache.walk_data(checkpoint) | {
        "projection": payload.projection_part(checkpoint, name),
        "frames": np.round(codes.astype(np.float64), 3).tolist(),
        "xy": np.round(places.astype(np.float64), 4).tolist(),
        "stops": [round(i * (len(codes) - 1) / (len(chosen) - 1)) for i in range(len(chosen))],
        "colour": payload.colour_part(checkpoint, payload.LABEL),
        "version": hashlib.sha256(codes.tobytes()).hexdigest()[:12],
    }
    latent_path(data=data, key="path_player")


def _compare(checkpoint: Checkpoint, chosen: list[Stop], *, kind: PathKind, n: int) -> None:
    """How far each kind of path stays from the real codes, side by side."""
    said = show.judged_by(checkpoint.codes)
    st.markdown("**The three kinds compared** by the distance of their frames to the nearest real "
                "code, in typical distances between real codes"
                + (said and "." + said))  # fmt: skip
    for column, each in zip(st.columns(3), KINDS, strict=True):
        trust = cache.trust_along(checkpoint, frames(checkpoint, chosen, kind=each, n=n))
        n_off, n_known = int((trust.verdict == OFF).sum()), int((trust.verdict != UNKNOWN).sum())
        said = f"{n_off} of {n} frames off the manifold" if n_known else "not calibrated"
        with column.container(border=True):
            st.markdown(f"{each.capitalize()}{' · shown' if each == kind else ''}")
            st.markdown(f"**{trust.distance.mean():.2f}** on average, {trust.distance.max():.2f} "
                        f"at worst · {said}")  # fmt: skip
