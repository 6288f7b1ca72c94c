"""Posteriors over the prior as plain HTML and pictures: nothing to load, nothing to wait for."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vae_core.apply.verdict import Score, Verdict
from vae_core.apply.verdict_words import TITLES

Floats = NDArray[np.float32]
# Two curves fit side by side in a row; beyond this many the rest is folded away.
SHOWN = 12
_REACH = 3.2

STYLE = """<style>
.lxu-dims {display:grid; grid-template-columns:repeat(auto-fill,minmax(150px,1fr)); gap:.5rem .9rem}
.lxu-dim {margin:0; min-width:0}
.lxu-dim img {display:block; width:100%; height:54px}
.lxu-dim figcaption {font-size:.78rem; line-height:1.25; opacity:.85}
.lxu-dim b {font-weight:600}
.lxu-badge {display:inline-block; padding:.1rem .65rem; border-radius:.7rem; font-weight:600;
  color:#fff}
.lxu-typical {background:#2b8a3e} .lxu-unusual {background:#b35900}
.lxu-foreign {background:#c92a2a}
.lxu-verdict p {margin:.4rem 0 0; line-height:1.45}
.lxu-scores {display:grid; grid-template-columns:minmax(7rem,max-content) minmax(4rem,12rem) 1fr;
  gap:.25rem .7rem; align-items:center; font-size:.85rem; margin-top:.7rem}
.lxu-scores i {display:block; height:.6rem; border-radius:.3rem; background:#8883;
  position:relative}
.lxu-scores i::after {content:""; position:absolute; top:-.15rem; width:.3rem; height:.9rem;
  margin-left:-.15rem; border-radius:.15rem; background:#e8590c; left:var(--at)}
.lxu-scores small {opacity:.8; font-variant-numeric:tabular-nums}
.lxu-rank {border-collapse:collapse; font-size:.85rem; width:100%}
.lxu-rank td, .lxu-rank th {padding:.25rem .4rem; text-align:left; border-bottom:1px solid #8883;
  line-height:1.25}
.lxu-rank td:nth-child(2) {overflow-wrap:anywhere}
@media (max-width:640px) {.lxu-scores {grid-template-columns:7.5rem 1fr}
  .lxu-scores small {grid-column:1 / -1; margin-bottom:.35rem}}
.lxu-rank img {display:block; height:40px; border-radius:4px}
.lxu-rho {display:grid; gap:1px; max-width:22rem}
.lxu-rho span {aspect-ratio:1; min-width:0; font-size:.68rem; display:grid; place-items:center}
</style>"""


def dimensions(
    mean: Floats, std: Floats, order: Sequence[int], names: dict[int, str]
) -> tuple[str, str]:
    """Each dimension's posterior over the prior: HTML of the first twelve, and of the others."""
    cells = [_dimension(dim, float(mean[dim]), float(std[dim]), names.get(dim)) for dim in order]
    first, rest = cells[:SHOWN], cells[SHOWN:]
    return _grid(first), _grid(rest) if rest else ""


def _grid(cells: Sequence[str]) -> str:
    return f'{STYLE}<div class="lxu-dims" data-testid="posterior">{"".join(cells)}</div>'


def _dimension(dim: int, mean: float, std: float, name: str | None) -> str:
    label = f"<b>z{dim}</b>" + (f" · {escape(name)}" if name else "")
    words = f"{mean:.2f} ± {std:.2f}"
    return (
        f'<figure class="lxu-dim"><img src="{_drawing(mean, std)}" alt="z{dim}: {words}">'
        f"<figcaption>{label}<br>{words}</figcaption></figure>"
    )


def _drawing(mean: float, std: float) -> str:
    """An image: SVG within HTML is taken out by Streamlit, as a picture it is let through."""
    at, left, width = float(np.clip(mean, -_REACH, _REACH)), -_REACH, 2 * _REACH
    line = 'vector-effect="non-scaling-stroke"'
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left} -1.04 {width} 1.2" width="300" '
        f'height="54" preserveAspectRatio="none"><path d="{_PRIOR}" fill="#888" '
        f'fill-opacity=".3"/><path d="{_curve(mean, std)}" fill="#4c6ef5" fill-opacity=".55" '
        f'stroke="#4c6ef5" stroke-width="1.4" {line}/><path d="M{left} 0h{width}" stroke="#888" '
        f'stroke-opacity=".6" {line}/><path d="M{at:.3f} 0v.16" stroke="#e8590c" '
        f'stroke-width="2.5" {line}/></svg>'
    )
    return "data:image/svg+xml;base64," + b64encode(drawn.encode()).decode()


def _curve(mean: float, std: float) -> str:
    """A Gaussian of height 1: heights differ too much between posteriors to share a scale."""
    width = max(std, 0.012)
    x = np.unique(np.clip(mean + width * np.linspace(-3.5, 3.5, 41), -_REACH, _REACH))
    y = -np.exp(-0.5 * ((x - mean) / width) ** 2)
    points = " ".join(f"{a:.3f},{b:.3f}" for a, b in zip(x, y, strict=True))
    return f"M{x[0]:.3f},0 L{points} L{x[-1]:.3f},0Z"


_PRIOR: Final = _curve(0, 1)


def correlation(matrix: Floats, order: Sequence[int]) -> str:
    """ρ between dimensions, their names on the diagonal: blue for negative, orange for positive."""
    shown = list(order)[:SHOWN]
    cells = []
    for i in shown:
        for j in shown:
            value = float(matrix[i, j])
            colour = "232,89,12" if value > 0 else "76,110,245"
            shade = "128,128,140,.5" if i == j else f"{colour},{abs(value):.2f}"
            name = f"z{i}" if i == j else ""
            cells.append(f'<span style="background:rgba({shade})" title="z{i}, z{j}: {value:.2f}">'
                         f"{name}</span>")  # fmt: skip
    return (
        f'{STYLE}<div class="lxu-rho" data-testid="correlation" '
        f'style="grid-template-columns:repeat({len(shown)},1fr)">{"".join(cells)}</div>'
    )


def verdict_card(found: Verdict) -> str:
    """The badge, its words, and each score's place among the held-out pictures."""
    return (
        f'{STYLE}<div class="lxu-verdict" data-testid="verdict" data-level="{found.level}">'
        f'<span class="lxu-badge lxu-{found.level}">{TITLES[found.level]}</span>'
        f"<p>{escape(found.words)}</p>"
        f'<div class="lxu-scores">{"".join(map(_score, found.scores))}</div></div>'
    )


def _score(score: Score) -> str:
    # A space that does not break, as in words.
    plain = f"{score.value:,.0f}" if abs(score.value) >= 100 else f"{score.value:.3g}"
    value = f"{plain} {score.unit}".strip()
    above = f"larger than {score.percentile:.0%}"
    return (
        f'<span>{escape(score.name)}</span><i style="--at:{score.percentile:.1%}"></i>'
        f"<small>{escape(value)} · {above}</small>"
    )


def ranking(rows: Sequence[tuple[str, str, Verdict]]) -> str:
    """A table of (picture as a data URI, name, verdict), in the order given."""
    body = "".join(
        f'<tr><td><img src="{uri}" alt=""></td><td>{escape(name)}</td>'
        f'<td><span class="lxu-badge lxu-{v.level}">{TITLES[v.level]}</span></td>'
        f"<td>{v.tail:.1%}</td></tr>"
        for uri, name, v in rows
    )
    head = "<tr><th></th><th>Picture</th><th>Verdict</th><th>As unusual among real ones</th></tr>"
    return f'{STYLE}<table class="lxu-rank" data-testid="ranking">{head}{body}</table>'
