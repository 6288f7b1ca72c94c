"""All figures of the models beside one another, what each dimension carries, and what bits buy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Final

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.shared import cache, models, show
from pages.shared.compare_choice import GREY, Comparison, colour_of, safe
from vae_core.apply.compare import ModelCoder
from vae_core.apply.compare_report import (
    Figure,
    Rates,
    card_rate,
    figures_of,
    measured_figures,
    measured_rates,
    read_report,
    reported_rates,
)
from vae_core.data.pixels import fit_images
from vae_core.evaluate.rate import plain_code_points

STEPS: Final = (0.25, 0.5, 1.0, 2.0)
_QUIET: Final = "rgba(128,128,140,.55)"

STYLE: Final = """<style>
.lxn-scroll {overflow-x:auto}
.lxn-table {border-collapse:collapse; font-size:.9rem; min-width:min(100%,62rem)}
.lxn-table th, .lxn-table td {padding:.35rem .7rem; text-align:right; white-space:nowrap;
  border-bottom:1px solid #8883; font-variant-numeric:tabular-nums}
.lxn-table thead th {white-space:normal; vertical-align:bottom; min-width:7rem;
  border-bottom:3px solid var(--lxn-colour,#8883)}
.lxn-table th:first-child {text-align:left; font-weight:500; position:sticky; left:0;
  background:var(--lxn-page,inherit)}
.lxn-table tr.lxn-part th {font-size:.78rem; opacity:.7; padding-top:.9rem; font-weight:600;
  text-transform:uppercase; letter-spacing:.04em}
.lxn-table td.lxn-best {font-weight:700; background:#2b8a3e26}
.lxn-table small {opacity:.65; font-weight:400}
@media (max-width:640px) {.lxn-table th, .lxn-table td {padding:.3rem .4rem}
  .lxn-table th:first-child {white-space:normal; min-width:8rem}}
</style>"""


def section(comparison: Comparison) -> None:
    """The table, the KL of each dimension, and the chart of bits against quality."""
    seen = safe(comparison)
    if seen is None:
        return
    sizes = [item.coder.n_latent for item in seen[len(comparison.coders) :]]
    figures = (*measured_figures(seen), *figures_of(comparison.checkpoints, linear=sizes))
    st.html(STYLE + table_html(comparison, figures, names=[s.coder.name for s in seen]))
    st.caption(
        "Green with ★: the best of the row; rows without one have no better or worse. Below the "
        "first part, figures are those of each model's card and report, measured on its own "
        "held-out images; “–” was not measured: "
        "`python -m vae_core evaluate CHECKPOINT --data … --report` does it."
    )
    with st.expander("What the measures mean"):
        st.markdown("\n".join(f"- **{row.name}**: {row.about}" for row in figures))
    left, right = st.columns(2)
    with left:
        _dimensions(comparison)
    with right:
        _rates(comparison)


def table_html(comparison: Comparison, figures: Sequence[Figure], *, names: Sequence[str]) -> str:
    """Measures down, models and PCA across."""
    heads = "".join(
        f'<th scope="col" style="--lxn-colour:{colour_of(comparison, i)}">{escape(name)}</th>'
        for i, name in enumerate(names)
    )
    parts = []
    for name, rows in groupby(figures, key=lambda figure: figure.section):
        parts.append(f'<tr class="lxn-part"><th colspan="{len(names) + 1}">{name}</th></tr>')
        parts += [_row(figure) for figure in rows]
    return (
        '<div class="lxn-scroll"><table class="lxn-table" data-testid="compare-table">'
        f"<thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(parts)}</tbody></table></div>"
    )


def _row(figure: Figure) -> str:
    cells = "".join(
        f'<td class="lxn-best">{_number(value)} ★</td>' if i in figure.best
        else f"<td>{_number(value)}</td>"
        for i, value in enumerate(figure.values)
    )  # fmt: skip
    unit = f" <small>{escape(figure.unit)}</small>" if figure.unit else ""
    title = escape(figure.about)
    return f'<tr><th scope="row" title="{title}">{escape(figure.name)}{unit}</th>{cells}</tr>'


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 1_000 or value == int(value):
        return f"{value:,.0f}".replace("-", "−")
    text = f"{value:.1f}" if abs(value) >= 100 else f"{value:#.3g}"
    return text.replace("-", "−")


# ---- dimensions ---------------------------------------------------------------------------------
def _dimensions(comparison: Comparison) -> None:
    st.markdown("**What each dimension carries**")
    figure = kl_bars(comparison)
    if not figure.data:
        st.caption(
            "None of these models has a KL: plain autoencoders have no prior to differ from."
        )
        return
    st.plotly_chart(figure, key="compare_kl", config={"displayModeBar": False})
    plain = [show.plain(coder.name) for coder in comparison.coders if coder.is_plain]
    used = "; ".join(
        f"{show.plain(c.name)} uses {int(c.checkpoint.codes.is_active.sum())} of {c.n_latent}"
        for c in comparison.coders
    )
    st.caption(
        f"KL per dimension, the fullest first: how far its posterior is from the prior. {used}."
        + (f" {plain[0]} has no KL, only codes." if plain else "")
    )


def kl_bars(comparison: Comparison) -> go.Figure:
    """Bars of the average KL of each dimension, sorted, one colour for each model."""
    figure = go.Figure()
    for place, coder in enumerate(comparison.coders):
        if coder.is_plain:
            continue
        kl = np.sort(coder.checkpoint.codes.kl_per_dimension)[::-1]
        figure.add_bar(
            x=list(range(1, len(kl) + 1)), y=kl, name=coder.name,
            marker_color=colour_of(comparison, place),
            hovertemplate="%{y:.2f} nats in the dimension at place %{x}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(title="KL, nats")
    figure.update_xaxes(title="dimensions, the fullest first")
    return _frame(figure)


def _frame(figure: go.Figure) -> go.Figure:
    figure.update_layout(
        height=360, margin={"l": 8, "r": 8, "t": 8, "b": 8}, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)", legend={"orientation": "h", "y": -0.25},
        showlegend=True,
    )  # fmt: skip
    return figure


# ---- bits against quality -----------------------------------------------------------------------
def _rates(comparison: Comparison) -> None:
    st.markdown("**What bits buy**")
    st.plotly_chart(rate_figure(comparison), key="compare_rates", config={"displayModeBar": False})
    st.caption(
        "Up and to the left is better: close to the original with few bits per image. Lines: codes "
        "rounded to coarser and coarser steps, then packed. Diamonds: the KL in bits, what a "
        "variational model needs in principle, against its mean code's quality; grey ones are the "
        "other models of these data."
    )


def rate_figure(comparison: Comparison) -> go.Figure:
    """PSNR over bits per image: compared models in colour, others in grey, PCA as a line."""
    figure = go.Figure()
    _add_others(figure, comparison)
    pca = _pca_line(comparison)
    if pca is not None:
        _add_line(figure, pca, name="PCA", colour=GREY, dash="dot")
    for place, coder in enumerate(comparison.coders):
        colour = colour_of(comparison, place)
        line = _line(comparison, coder)
        if line is not None:
            _add_line(figure, line, name=coder.name, colour=colour)
        dot = card_rate(coder.checkpoint.card)
        if dot is not None:
            _add_dot(figure, dot, name=coder.name, colour=colour, is_named=line is None)
    figure.update_xaxes(title="bits per image", type="log", tickvals=_TICKS)
    figure.update_yaxes(title="PSNR, dB")
    return _frame(figure)


_TICKS: Final = (5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
_HOVER: Final = "%{text}: %{x:,.0f} bits, %{y:.1f} dB<extra></extra>"


def _add_line(
    figure: go.Figure, rates: Rates, *, name: str, colour: str, dash: str = "solid"
) -> None:
    figure.add_scatter(
        x=rates.bits, y=rates.psnr_db, text=[f"{name}, {step}" for step in rates.steps], name=name,
        mode="lines+markers", line={"color": colour, "dash": dash}, marker={"size": 6},
        hovertemplate=_HOVER,
    )  # fmt: skip


def _add_dot(
    figure: go.Figure, dot: tuple[float, float], *, name: str, colour: str, is_named: bool
) -> None:
    figure.add_scatter(
        x=[dot[0]], y=[dot[1]], text=[f"{name}, KL"], name=name, mode="markers",
        marker={"size": 13, "symbol": "diamond", "color": colour,
                "line": {"width": 1, "color": "white"}},
        hovertemplate=_HOVER, showlegend=is_named,
    )  # fmt: skip


def _add_others(figure: go.Figure, comparison: Comparison) -> None:
    """Every other known model of the first one's data as a grey diamond."""
    source = comparison.first.card["data"].get("source")
    compared = {checkpoint.key for checkpoint in comparison.checkpoints}
    found = [
        (str(item.card.get("title") or item.path.name), dot)
        for item in models.listed_checkpoints()
        if item.card is not None and item.key not in compared
        and item.card["data"].get("source") == source
        and (dot := card_rate(item.card)) is not None
    ]  # fmt: skip
    if not found:
        return
    figure.add_scatter(
        x=[dot[0] for _, dot in found], y=[dot[1] for _, dot in found],
        text=[name for name, _ in found], name="other models", mode="markers",
        marker={"size": 11, "symbol": "diamond", "color": _QUIET}, hovertemplate=_HOVER,
    )  # fmt: skip


def _line(comparison: Comparison, coder: ModelCoder) -> Rates | None:
    """The model's line from its report, else measured on the compared images."""
    checkpoint = coder.checkpoint
    known = reported_rates(read_report(checkpoint.path, key=checkpoint.key), "mean code")
    if known is not None:
        return known
    images = comparison.images
    found: Rates | None = cache.kept(
        lambda: measured_rates(plain_code_points(
            checkpoint.model, fit_images(images, coder.spec), steps=STEPS)),
        "rates", checkpoint, images,
    )  # fmt: skip
    return found


def _pca_line(comparison: Comparison) -> Rates | None:
    """PCA's line from the first report that holds one."""
    reports = (read_report(c.path, key=c.key) for c in comparison.checkpoints)
    lines = (reported_rates(report, "PCA") for report in reports)
    return next((line for line in lines if line is not None), None)
