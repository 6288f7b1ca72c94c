"""Plotly figures of one posterior and of one value among many."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

Floats = NDArray[np.float32]
_ACCENT, _QUIET, _MARK = "#4c6ef5", "rgba(128,128,140,.45)", "#e8590c"


def _frame(figure: go.Figure, *, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
    )
    return figure


def posterior_figure(mean: Floats, std: Floats, order: NDArray[np.int64]) -> go.Figure:
    """Mean ± one standard deviation of each dimension, over the prior's ±1 and ±2 bands."""
    names = [f"z{dim}" for dim in order]
    figure = go.Figure()
    for reach, opacity in ((2, 0.10), (1, 0.16)):
        figure.add_hrect(-reach, reach, fillcolor="#8890a8", opacity=opacity, line_width=0)
    figure.add_scatter(
        x=names,
        y=mean[order],
        error_y={"type": "data", "array": std[order], "thickness": 2, "width": 3},
        mode="markers",
        marker={"size": 8, "color": _ACCENT},
        hovertemplate="%{x}: %{y:.2f} ± %{error_y.array:.2f}<extra></extra>",
    )
    figure.update_yaxes(title="μ ± σ", zeroline=True)
    return _frame(figure, height=260)


def kl_figure(kl: Floats, average: Floats, order: NDArray[np.int64]) -> go.Figure:
    """One image's KL per dimension as bars, the average of all images as marks."""
    names = [f"z{dim}" for dim in order]
    figure = go.Figure()
    figure.add_bar(
        x=names,
        y=kl[order],
        marker_color=_ACCENT,
        hovertemplate="%{x}: %{y:.2f} nats<extra></extra>",
    )
    figure.add_scatter(
        x=names,
        y=average[order],
        mode="markers",
        marker={"symbol": "line-ew-open", "size": 12, "color": _MARK, "line": {"width": 2}},
        hovertemplate="average %{y:.2f} nats<extra></extra>",
    )
    figure.update_yaxes(title="KL, nats (mark: average)")
    return _frame(figure, height=240)


def prior_figure(
    grid: Floats, density: Floats, prior: Floats, order: NDArray[np.int64], kl: Floats
) -> go.Figure:
    """Small multiples: each dimension's density `[n,G]` over the prior's `[G]`."""
    n_columns = min(4, len(order))
    n_rows = -(-len(order) // n_columns)
    titles = [f"z{dim} · {value:.2f} nats" for dim, value in zip(order, kl, strict=True)]
    figure = make_subplots(
        n_rows, n_columns, subplot_titles=titles, horizontal_spacing=0.03, vertical_spacing=0.16
    )
    for number, values in enumerate(density):
        place = {"row": number // n_columns + 1, "col": number % n_columns + 1}
        figure.add_scatter(
            x=grid, y=values, fill="tozeroy", mode="lines", hoverinfo="skip",
            line={"color": _ACCENT, "width": 1.5}, **place,
        )  # fmt: skip
        figure.add_scatter(
            x=grid, y=prior, mode="lines", hoverinfo="skip",
            line={"color": _MARK, "width": 1.5, "dash": "dot"}, **place,
        )  # fmt: skip
    figure.update_yaxes(visible=False)
    figure.update_annotations(font_size=12)
    return _frame(figure, height=40 + 140 * n_rows)
