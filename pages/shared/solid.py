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
_PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9",
    "#d55e00", "#b5a100", "#7f4fc9", "#8c6d46", "#7d828c",
)  # fmt: skip


def cloud(checkpoint: Checkpoint, colour: Colouring) -> None:
    """The cloud of all codes; it shows, and leaves picking to the flat maps."""
    axes = principal_axes(checkpoint.codes.mean, n=3)
    if len(axes.axes) < 3:
        st.info("This model's codes fill fewer than three dimensions; a flat map shows them all.")
        return
    xyz = (checkpoint.codes.mean - axes.mean) @ axes.axes.T
    figure = go.Figure(_traces(xyz, colour))
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"itemsizing": "constant"},
        scene={f"{axis}axis_title": f"PC {i}" for i, axis in enumerate("xyz", start=1)},
    )
    st.plotly_chart(figure, key="cloud")
    st.caption(
        f"All {len(xyz):,} codes; the three axes hold {axes.explained.sum():.0%} of their "
        "variance. Drag to turn, scroll to zoom; take a flat map to click and decode."
    )


def _traces(xyz: NDArray[np.float32], found: Colouring) -> list[go.Scatter3d]:
    if found.names is None:
        bar = {"title": found.label}
        look = {"color": found.values, "colorscale": "Viridis", "colorbar": bar}
        return [_trace(xyz, found.label, look)]
    return [
        _trace(xyz[found.values == i], name, {"color": _PALETTE[i % len(_PALETTE)]})
        for i, name in enumerate(found.names)
    ]


def _trace(xyz: NDArray[np.float32], name: str, marker: dict[str, Any]) -> go.Scatter3d:
    x, y, z = xyz.T
    look = {"size": 2.5, "opacity": 0.75} | marker
    return go.Scatter3d(x=x, y=y, z=z, mode="markers", name=name, marker=look, hoverinfo="name")
