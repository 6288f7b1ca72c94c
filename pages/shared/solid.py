"""The codes in three dimensions: their first three principal axes, to be turned by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from pages.shared import lenses, payload
from vae_core.checkpoint import Checkpoint
from vae_core.latent.region import principal_axes

NAME = "3-d"
HEIGHT = 620
_PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9",
    "#d55e00", "#b5a100", "#7f4fc9", "#8c6d46", "#7d828c",
)  # fmt: skip


def cloud(checkpoint: Checkpoint, colour: str) -> None:
    """The cloud of all codes; it shows, and leaves picking to the flat maps."""
    axes = principal_axes(checkpoint.codes.mean, n=3)
    if len(axes.axes) < 3:
        st.info("This model's codes fill fewer than three dimensions; a flat map shows them all.")
        return
    xyz = (checkpoint.codes.mean - axes.mean) @ axes.axes.T
    figure = go.Figure(_traces(checkpoint, xyz, colour))
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


def _traces(checkpoint: Checkpoint, xyz: NDArray[np.float32], colour: str) -> list[go.Scatter3d]:
    kinds, names = kinds_of(checkpoint, colour)
    if kinds is None:
        values = values_of(checkpoint, colour)
        marker = {"color": values, "colorscale": "Viridis", "colorbar": {"title": colour}}
        return [_trace(xyz, colour, marker)]
    return [
        _trace(xyz[kinds == i], name, {"color": _PALETTE[i % len(_PALETTE)]})
        for i, name in enumerate(names)
    ]


def _trace(xyz: NDArray[np.float32], name: str, marker: dict[str, Any]) -> go.Scatter3d:
    x, y, z = xyz.T
    look = {"size": 2.5, "opacity": 0.75} | marker
    return go.Scatter3d(x=x, y=y, z=z, mode="markers", name=name, marker=look, hoverinfo="name")


def kinds_of(
    checkpoint: Checkpoint, colour: str
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Number and names of the kinds a colouring has, or None where it is continuous."""
    codes = checkpoint.codes
    factor = codes.factors.get(colour)
    if factor is not None and factor.categories:
        return factor.values.astype(np.int64), tuple(factor.categories)
    if colour == payload.LABEL and codes.labels is not None:
        names = codes.label_names or tuple(map(str, range(int(codes.labels.max()) + 1)))
        return codes.labels, tuple(names)
    if colour == payload.SPLIT:
        return codes.split.astype(np.int64), ("train", "validation", "test")
    return None, ()


def values_of(checkpoint: Checkpoint, colour: str) -> NDArray[np.float32]:
    """The values a continuous colouring shows `[N]`."""
    codes = checkpoint.codes
    factor = codes.factors.get(colour)
    if factor is not None:
        return np.asarray(factor.values, np.float32)
    if colour == payload.ELBO:
        return codes.elbo
    return lenses.measure_of(checkpoint, "KL" if colour == payload.KL else "reconstruction error")
