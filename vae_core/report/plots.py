"""Small charts as SVG text: bars, and points with lines. Colours come from the page's style."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 520, 240
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 40

Points = Sequence[tuple[float, float]]


def ticks(low: float, high: float, *, n: int = 4) -> list[float]:
    """About n round numbers from `low` to `high`."""
    span = max(high - low, 1e-12)
    rough = span / n
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _frame(body: list[str], *, x_label: str, y_label: str) -> str:
    middle = (LEFT + WIDTH - RIGHT) / 2
    labels = [
        f'<text x="{middle:.0f}" y="{HEIGHT - 4}" class="label">{escape(x_label)}</text>',
        f'<text x="12" y="{HEIGHT / 2:.0f}" class="label" '
        f'transform="rotate(-90 12 {HEIGHT / 2:.0f})">{escape(y_label)}</text>',
    ]
    title = f"{y_label} against {x_label}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        + "".join([*body, *labels])
        + "</svg>"
    )


class _Scale:
    """Maps values to pixels, linearly or by their logarithm."""

    def __init__(self, low: float, high: float, begin: float, end: float, *, log: bool) -> None:
        self.log = log
        self.low, self.high = (math.log10(low), math.log10(high)) if log else (low, high)
        if self.high - self.low < 1e-12:
            self.low, self.high = self.low - 0.5, self.high + 0.5
        self.begin, self.end = begin, end

    def __call__(self, value: float) -> float:
        at = math.log10(value) if self.log else value
        return self.begin + (at - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        if not self.log:
            return ticks(self.low, self.high)
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        marks = [m * 10.0**p for p in powers for m in (1, 2, 5)]
        inside = [m for m in marks if self.low - 1e-9 <= math.log10(m) <= self.high + 1e-9]
        return inside if len(inside) <= 6 else [m for m in inside if f"{m:e}"[0] == "1"]


def _rule(y: _Scale, value: float) -> list[str]:
    """A horizontal line with its number."""
    at = y(value)
    return [
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>',
        f'<text x="{LEFT - 6}" y="{at + 4:.1f}" class="y">{value:g}</text>',
    ]


def _axes(x: _Scale, y: _Scale) -> list[str]:
    body = [line for value in y.ticks() for line in _rule(y, value)]
    under = HEIGHT - BOTTOM + 16
    marks = [f'<text x="{x(v):.1f}" y="{under}" class="x">{v:g}</text>' for v in x.ticks()]
    return body + marks


def bars(values: Sequence[float], *, x_label: str, y_label: str) -> str:
    """One bar per value, from 0, in the order given."""
    top = max([*values, 1e-9])
    y = _Scale(min(0.0, *values), top, HEIGHT - BOTTOM, TOP, log=False)
    step = (WIDTH - LEFT - RIGHT) / max(1, len(values))
    body = [line for mark in y.ticks() for line in _rule(y, mark)]
    for index, value in enumerate(values):
        left, edge = LEFT + index * step, y(value)
        body.append(
            f'<rect x="{left + step * 0.1:.1f}" y="{min(edge, y(0)):.1f}" '
            f'width="{step * 0.8:.1f}" height="{abs(y(0) - edge):.1f}" class="s0">'
            f"<title>{index}: {value:.3g}</title></rect>"
        )
    return _frame(body, x_label=x_label, y_label=y_label)


def curves(series: Mapping[str, Points], *, x_label: str, y_label: str, log_x: bool = False) -> str:
    """Named series of (x, y), a line through the points of each, and a legend."""
    every = [p for points in series.values() for p in points]
    if not every:
        return ""
    xs, ys = [p[0] for p in every], [p[1] for p in every]
    x = _Scale(min(xs), max(xs), LEFT + 8, WIDTH - RIGHT - 8, log=log_x)
    y = _Scale(min(ys), max(ys), HEIGHT - BOTTOM - 4, TOP + 8, log=False)
    body = _axes(x, y)
    for number, (name, points) in enumerate(series.items()):
        spots = [(x(a), y(b)) for a, b in sorted(points)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in spots)
        body.append(f'<polyline points="{path}" class="s{number % 6}"/>')
        # Single points and short series are marked; long curves are lines alone.
        if len(spots) <= 20:
            kind = f'r="4" class="s{number % 6}"'
            body += [f'<circle cx="{a:.1f}" cy="{b:.1f}" {kind}/>' for a, b in spots]
        body.append(
            f'<text x="{WIDTH - RIGHT - 8}" y="{TOP + 14 + 16 * number}" '
            f'class="legend s{number % 6}">{escape(name)}</text>'
        )
    return _frame(body, x_label=x_label, y_label=y_label)
