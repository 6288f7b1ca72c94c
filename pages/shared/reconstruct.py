"""The parts of the Reconstruct page: all pictures at a glance, and one result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, figures, payload, show, state
from pages.shared.components import latent_map
from vae_core.checkpoint import Checkpoint
from vae_core.examine import Examination, nearest_codes

IMAGES_SHOWN = 24


@dataclass(frozen=True)
class Item:
    """A picture ready for the model: `pixels` uint8 `[C,H,W]`, and how it became so."""

    name: str
    pixels: NDArray[np.uint8]
    steps: tuple[str, ...]


def overview(checkpoint: Checkpoint, items: list[Item]) -> Item | None:
    """All pictures with their reconstructions, worst first; returns the one to look closer at."""
    if len(items) < 2:
        return items[0] if items else None
    seen = [(cache.examination(checkpoint, item.pixels), item) for item in items]
    seen.sort(key=lambda pair: -pair[0].squared_error)
    shown = "" if len(items) <= IMAGES_SHOWN else f", here the first {IMAGES_SHOWN}"
    st.markdown(
        f"**{len(items)} pictures**, the worst rebuilt first{shown}: original | reconstruction"
    )
    pairs = [
        (np.concatenate([found.seen / 255, found.rebuilt], axis=2), _short(item.name))
        for found, item in seen[:IMAGES_SHOWN]
    ]
    show.pictures(pairs, width=170)
    names = [item.name for _, item in seen]
    name = st.selectbox("Look closer at", names, key="closer")
    return next(item for _, item in seen if item.name == name)


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:12]}…{name[-10:]}"


def result(checkpoint: Checkpoint, item: Item, items: list[Item]) -> None:
    """All that is known of one picture; the map shows the places of all of them."""
    seen = cache.examination(checkpoint, item.pixels)
    with st.container(border=True):
        st.subheader(item.name)
        st.caption(" → ".join(item.steps))
        show.pictures(
            [
                (seen.seen, "what the model sees"),
                (seen.rebuilt, "reconstruction"),
                (show.heat(seen.difference), "difference ×3"),
            ],
            width=200,
            testids=("original-image", "reconstructed-image", "difference-image"),
        )
        _measures(checkpoint, seen)
        _place(checkpoint, seen, item, items)


def _measures(checkpoint: Checkpoint, seen: Examination) -> None:
    codes = checkpoint.codes
    errors = codes.squared_error[codes.held_out]
    divergences = codes.kl_nats[codes.held_out].sum(1)
    left, middle, right = st.columns([4, 3, 3])
    figure = figures.posterior_figure(seen.mean, seen.std, codes.dimension_order)
    left.markdown("**Posterior** μ ± σ per dimension, over the prior")
    left.plotly_chart(figure, key="posterior", config={"displayModeBar": False})
    kl = float(seen.kl_nats.sum())
    middle.metric("Squared error", f"{seen.squared_error:.4f}")
    middle.caption(f"{show.share_in_words(seen.error_share)}")
    error_figure = figures.among_figure(errors, seen.squared_error, title="error")
    middle.plotly_chart(error_figure, key="error", config={"displayModeBar": False})
    right.metric("KL", f"{kl:.1f} nats")
    right.caption(f"{show.share_in_words(seen.kl_share)}")
    kl_figure = figures.among_figure(divergences, kl, title="KL (nats)")
    right.plotly_chart(kl_figure, key="kl", config={"displayModeBar": False})


def _place(checkpoint: Checkpoint, seen: Examination, item: Item, items: list[Item]) -> None:
    projection = payload.projection_choices(checkpoint)[0]
    colour = payload.colour_choices(checkpoint)[0]
    codes = np.stack([cache.examination(checkpoint, other.pixels).mean for other in items])
    places = payload.projection_of(checkpoint, projection).transform(codes)
    with st.expander("Its place on the map", expanded=True):
        data = dict(cache.map_data(checkpoint, projection, colour))
        # The ring marks the nearest real image, the stars the pictures themselves.
        data["select"] = {"row": int(nearest_codes(checkpoint, seen.mean, k=1)[0][0])}
        data["marks"] = [
            {"x": float(x), "y": float(y), "text": _short(other.name)}
            for (x, y), other in zip(places, items, strict=True)
        ]
        data |= {"trust": cache.trust_part(checkpoint), "tools": False}
        latent_map(data=data, key="place_map", height=420)
    if st.button("Walk from here", icon=":material/tune:", key="walk_from_upload"):
        state.keep_code(seen.mean, source=item.name)
        st.switch_page("pages/walk.py")
