"""The pictures of the Reconstruct page: what one is, and all of them at a glance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, show
from vae_core.checkpoint import Checkpoint

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
