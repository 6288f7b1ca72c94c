"""The codes in three dimensions: their first three principal axes, to be turned by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from pages.shared.payload import Colouring
from vae_core.checkpoint import Checkpoint
from vae_core.latent.region import principal_axes

NAME = "3-d"
HEIGHT = 620
# Plotly sends every point as text and turns them one by one.
MOST_POINTS = 20_000
_PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9",
    "#d55e00", "#b5a100", "#7f4fc9", "#8c6d46", "#7d828c",
)  # fmt: skip


def cloud(checkpoint: Checkpoint, colour: Colouring) -> None:
    """The cloud of all codes; it shows, and leaves picking to the flat maps."""
    codes = checkpoint.codes.mean
    axes = principal_axes(checkpoint.codes.part.mean, n=3)
    if len(axes.axes) < 3:
        st.info("This model's codes fill fewer than three dimensions; a flat map shows them all.")
        return
    rows = _some_rows(len(codes))
    xyz = ((codes[rows] - axes.mean) @ axes.axes.T).astype(np.float32)
    figure = go.Figure(_traces(xyz, rows, colour))
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"itemsizing": "constant"},
        scene={f"{axis}axis_title": f"PC {i}" for i, axis in enumerate("xyz", start=1)},
    )
    st.plotly_chart(figure, key="cloud")
    st.caption(
        f"{_how_many(len(xyz), len(codes))}; the three axes hold {axes.explained.sum():.0%} of "
        "their variance. Drag to turn, scroll to zoom; take a flat map to click and decode."
    )


def _some_rows(n: int) -> NDArray[np.int64]:
    """All rows, or of too many the same random ones each time."""
    if n <= MOST_POINTS:
        return np.arange(n)
    return np.sort(np.random.default_rng(0).permutation(n)[:MOST_POINTS])


def _how_many(n: int, n_all: int) -> str:
    return f"All {n:,} codes" if n == n_all else f"{n:,} of {n_all:,} codes, drawn at random"


def _traces(
    xyz: NDArray[np.float32], rows: NDArray[np.int64], found: Colouring
) -> list[go.Scatter3d]:
    values = found.values[rows]
    if found.names is None:
        bar = {"title": found.label}
        look = {"color": values, "colorscale": "Viridis", "colorbar": bar}
        return [_trace(xyz, found.label, look)]
    return [
        _trace(xyz[values == i], name, {"color": _PALETTE[i % len(_PALETTE)]})
        for i, name in enumerate(found.names)
    ]


def _trace(xyz: NDArray[np.float32], name: str, marker: dict[str, Any]) -> go.Scatter3d:
    x, y, z = xyz.T
    look = {"size": 2.5, "opacity": 0.75} | marker
    return go.Scatter3d(x=x, y=y, z=z, mode="markers", name=name, marker=look, hoverinfo="name")
