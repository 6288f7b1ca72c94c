"""Sums of codes: what A has and B has not, added to C; and averages."""

from __future__ import annotations

from typing import Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, shelf, show, walk_code, walk_stops
from pages.shared.walk_stops import Stop
from vae_core.checkpoint import Checkpoint
from vae_core.examine import snap
from vae_core.latent.trust_words import explain

Floats = NDArray[np.float32]
ANALOGY, AVERAGE = "A − B + C", "Average"
PIXELS: Final = 150


def arithmetic(checkpoint: Checkpoint) -> None:
    """The whole section: choose codes, see the result, take it along."""
    on_offer = walk_stops.stops(checkpoint)
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    form = left.segmented_control(
        "Form",
        (ANALOGY, AVERAGE),
        default=ANALOGY,
        required=True,
        key="sum_form",
        persist_state="session",
    )
    with right:
        walk_stops.more_images_button("sum_more_images")
    walk_stops.gallery(checkpoint, on_offer)
    if form == ANALOGY:
        _analogy(checkpoint, on_offer)
    else:
        _average(checkpoint, on_offer)


def _analogy(checkpoint: Checkpoint, on_offer: dict[str, Stop]) -> None:
    names = list(on_offer)
    a, b, c = (
        on_offer[
            column.selectbox(
                letter,
                names,
                index=place % len(names),
                key=f"sum_{letter}",
                persist_state="session",
            )
        ]
        for place, (letter, column) in enumerate(zip("ABC", st.columns(3), strict=True))
    )
    result = snap(a.z - b.z + c.z)
    terms = [(a.z, a.name), (b.z, f"− {b.name}"), (c.z, f"+ {c.name}")]
    _show(checkpoint, terms, result)
    _take_along(checkpoint, result, name=f"{a.name} − {b.name} + {c.name}")
    if np.any(a.z != b.z):
        st.button(
            "Keep A − B as a vector",
            icon=":material/arrow_outward:",
            on_click=_keep_difference,
            args=(checkpoint, a, b),
            help="It gets a slider of its own among the saved vectors.",
        )


def _average(checkpoint: Checkpoint, on_offer: dict[str, Stop]) -> None:
    names = st.multiselect(
        "Codes to average",
        list(on_offer),
        default=list(on_offer)[:3],
        key="sum_average",
        persist_state="session",
    )
    if not names:
        st.info("Choose one code or more.")
        return
    chosen = [on_offer[name] for name in names]
    result = snap(np.mean([stop.z for stop in chosen], axis=0, dtype=np.float64))
    _show(checkpoint, [(stop.z, stop.name) for stop in chosen], result)
    _take_along(checkpoint, result, name=f"average of {len(chosen)}")


def _show(checkpoint: Checkpoint, terms: list[tuple[Floats, str]], result: Floats) -> None:
    images = cache.decoded(checkpoint, np.stack([*(z for z, _ in terms), result]))
    captions = [*(name for _, name in terms), "= result"]
    marks = (*[""] * len(terms), "sum-result")
    show.pictures(list(zip(images, captions, strict=True)), width=PIXELS, testids=marks)
    st.caption(explain(cache.trust_along(checkpoint, result[None]), 0))


def _take_along(checkpoint: Checkpoint, result: Floats, *, name: str) -> None:
    left, right = st.columns(2)
    left.button(
        "Walk from here",
        icon=":material/tune:",
        key="sum_walk",
        on_click=walk_code.walk_from,
        args=(checkpoint, result),
        kwargs={"source": name},
        width="stretch",
    )
    right.button(
        "Keep",
        icon=":material/bookmark_add:",
        key="sum_keep",
        on_click=_keep,
        args=(checkpoint.key, name, result),
        width="stretch",
    )


def _keep(checkpoint_key: str, name: str, z: Floats) -> None:
    made = shelf.keep(checkpoint_key, name, z)
    st.toast(f"Kept: {show.plain(made.name)}")


def _keep_difference(checkpoint: Checkpoint, a: Stop, b: Stop) -> None:
    difference = (a.z - b.z).astype(np.float64)
    unit = difference / np.linalg.norm(difference)
    scale = float((checkpoint.codes.mean @ unit).std())
    name = f"{a.name} − {b.name}"
    shelf.keep_vector(checkpoint.key, name, unit.astype(np.float32), scale, f"from {name}")
    st.toast(f"Kept as a vector: {show.plain(name)}")
