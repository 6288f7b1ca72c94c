"""Do the models agree on which images are alike? Shares of common neighbours, and examples."""

from __future__ import annotations

from typing import Final

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, show
from pages.shared.acts import presses
from pages.shared.compare_basis import Basis, basis_of
from pages.shared.compare_choice import Comparison, colour_of
from pages.shared.compare_rows import PictureRow, show_rows
from vae_core.apply.compare import Likeness, agreement_per_image, likeness, neighbours_of

NEAR: Final = 10
CKA: Final = "Alignment (CKA)"
ORDERS: Final = {"agree most": -1, "agree least": 1}


def section(comparison: Comparison) -> None:
    """The table of all pairs as a picture, then single images with their neighbours."""
    basis = basis_of(comparison)
    found: Likeness = cache.kept(
        lambda: likeness(basis.descriptions),
        "likeness", tuple(basis.codes), *comparison.checkpoints,
    )  # fmt: skip
    _matrix(basis, found)
    st.divider()
    _examples(comparison, basis)


@st.fragment
def _matrix(basis: Basis, found: Likeness) -> None:
    names = [f"{k} nearest" for k in found.agreement]
    chosen = st.segmented_control("Compare by", [*names, CKA], default=names[0], required=True,
                                  key="compare_likeness")  # fmt: skip
    if chosen == CKA:
        values, low = found.cka, 0.0
    else:
        k = list(found.agreement)[names.index(str(chosen))]
        values, low = found.agreement[k], found.chance[k]
    left, right = st.columns([3, 2], vertical_alignment="center")
    with left:
        st.plotly_chart(matrix_figure(found.names, values, low=low), key="compare_matrix",
                        config={"displayModeBar": False}, theme="streamlit")  # fmt: skip
    with right:
        st.markdown(_words(found, values, str(chosen), low))
        st.caption(
            f"On {len(basis.places):,} images"
            + ("." if basis.is_original else ", as the first model rebuilds them: the originals "
               "are not on this machine.")
            + " Neighbours by Euclidean distance of codes, of PCA's numbers, of pixels."
            + (" CKA: Kornblith et al. 2019, the unbiased estimate." if chosen == CKA else "")
        )  # fmt: skip


def matrix_figure(names: tuple[str, ...], values: NDArray[np.float64], *, low: float) -> go.Figure:
    """All pairs as shaded squares with their shares; `low` is what chance gives."""
    n = len(names)
    short = [_short(name) for name in names]
    # Each pair once, below the diagonal; the last column and first row would be empty.
    below = np.where(np.tri(n, k=-1, dtype=bool), values, np.nan)[1:, :-1]
    is_share = low > 0
    texts = [["" if np.isnan(v) else f"{v:.0%}" if is_share else f"{v:.2f}" for v in row]
             for row in below]  # fmt: skip
    figure = go.Figure(
        go.Heatmap(
            z=below, x=short[:-1], y=short[1:], text=texts, texttemplate="%{text}",
            zmin=low, zmax=1, colorscale=[[0, "#edf2ff"], [1, "#748ffc"]],
            xgap=3, ygap=3, showscale=False, hoverongaps=False,
            textfont={"size": 15, "color": "#11141b"},
            hovertemplate="%{y} and %{x}: %{text}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", showgrid=False, zeroline=False)
    figure.update_xaxes(showgrid=False, zeroline=False, side="bottom", tickangle=0)
    figure.update_layout(height=90 + 62 * (n - 1), margin={"l": 8, "r": 8, "t": 8, "b": 8},
                         paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")  # fmt: skip
    return figure


def _short(name: str, *, width: int = 16) -> str:
    """Words broken into lines, so that names fit below and beside the squares."""
    lines = [""]
    for word in name.split():
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return "<br>".join(line.replace("<", "‹").replace(">", "›") for line in lines)


def _words(found: Likeness, values: NDArray[np.float64], chosen: str, low: float) -> str:
    a, b = show.plain(found.names[0]), show.plain(found.names[1])
    if chosen == CKA:
        return (
            f"**{a}** and **{b}** are aligned to **{values[1, 0]:.2f}**. 1 means that one code "
            "is the other one turned, shifted and scaled; 0 that they have nothing in common. "
            "Large directions count most."
        )
    pixels, pca = values[0, -1], values[0, -2]
    nearer = "PCA" if pca >= pixels else "raw pixels"
    return (
        f"Of the {chosen} images in **{a}**, **{values[1, 0]:.0%}** are also among the {chosen} "
        f"in **{b}**; chance would give {low:.0%}. With raw pixels {a} shares {pixels:.0%}, with "
        f"PCA {pca:.0%}: its idea of what is alike is closer to that of {nearer}."
    )


# ---- single images ------------------------------------------------------------------------------
@st.fragment
def _examples(comparison: Comparison, basis: Basis) -> None:
    names = list(basis.codes)
    first, second = show.plain(names[0]), show.plain(names[1])
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    order = left.segmented_control(
        f"Images on whose neighbours {first} and {second} …", list(ORDERS),
        default="agree least", required=True, key="compare_order",
    )  # fmt: skip
    with right:
        n_seen = presses("Next image", key="compare_example", icon=":material/arrow_forward:")
    agreed = agreement_per_image(basis.codes[names[0]], basis.codes[names[1]], k=NEAR)
    ranked = np.argsort(ORDERS[str(order)] * agreed.per_image, kind="stable")
    row = int(ranked[n_seen % len(ranked)])
    k = min(NEAR, len(basis.images) - 1)
    near = {name: neighbours_of(codes, row, k=k) for name, codes in basis.descriptions.items()}
    shared = set(near[names[0]].tolist()) & set(near[names[1]].tolist())
    rows = [
        _neighbour_row(basis, name, row, found, shared, colour_of(comparison, place))
        for place, (name, found) in enumerate(near.items())
    ]
    show_rows(rows, testid="compare-neighbours")
    st.caption(
        f"The image asked about is framed in orange, then its {k} nearest, nearest first. Green: "
        f"near it both in {first} and in {second}."
    )


def _neighbour_row(
    basis: Basis, name: str, row: int, near: NDArray[np.int64], shared: set[int], colour: str
) -> PictureRow:
    framed = {i + 1 for i, other in enumerate(near.tolist()) if other in shared}
    images = [basis.images[row], *basis.images[near]]
    notes = [f"{len(framed)} of {len(near)} shared"]
    return PictureRow(name, images, notes, colour=colour, framed=framed, asked={0})
