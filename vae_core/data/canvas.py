"""A small painter: signed distances become exact pixel coverage on float32 pixels.

Shapes live in a drawing plane of 64 units with y down, of which the canvas shows 57, so
coordinates are the same whatever the size in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_VIEW = 57.0  # side of the part of the drawing plane that is shown


@cache
def rgb(code: str) -> Array:
    """A colour `[3,1,1]` in 0..255 from six hexadecimal digits; read-only, as it is cached."""
    colour = np.array([[[int(code[i : i + 2], 16)]] for i in (0, 2, 4)], np.float32)
    colour.setflags(write=False)
    return colour


def along(stops: tuple[str, ...], share: float) -> Array:
    """The colour at `share` in [0,1] of a palette `[3,1,1]`, linear between its stops."""
    place = share * (len(stops) - 1)
    i = min(int(place), len(stops) - 2)
    return mix(rgb(stops[i]), rgb(stops[i + 1]), place - i)


def mix(a: Array, b: Array, share: float) -> Array:
    """The colour `share` of the way from a to b."""
    return a + np.float32(share) * (b - a)


def unit(values: NDArray[np.floating[Any]]) -> Array:
    """Values cut to [0,1] (several times faster than `np.clip` on small arrays)."""
    inside: Array = np.minimum(np.maximum(values, np.float32(0)), np.float32(1))
    return inside


def ramp(value: float, low: float, high: float) -> float:
    """Smoothstep from 0 at `low` to 1 at `high`."""
    s = min(max((value - low) / (high - low), 0.0), 1.0)
    return s * s * (3 - 2 * s)


@dataclass(frozen=True)
class Canvas:
    """Pixels `[3,h,w]` in 0..255 with their places in the drawing plane, x `[1,w]`, y `[h,1]`.

    `pixel` is the side of one pixel in units of the plane.
    """

    pixels: Array
    x: Array
    y: Array
    pixel: float

    def window(self, x0: float, y0: float, x1: float, y1: float) -> Canvas:
        """The part between two corners; painting there is cheaper and changes the whole."""
        left, top = float(self.x[0, 0]), float(self.y[0, 0])
        a, b = (max(int((x - left) / self.pixel), 0) for x in (x0, x1 + 1))
        c, d = (max(int((y - top) / self.pixel), 0) for y in (y0, y1 + 1))
        return Canvas(self.pixels[:, c:d, a:b], self.x[:, a:b], self.y[c:d], self.pixel)

    def cover(self, distance: Array, *, soft: float = 0.0) -> Array:
        """Share of each pixel inside a shape; `soft` widens the edge by that many units."""
        return unit(0.5 - distance * np.float32(1 / max(soft, self.pixel)))

    def paint(self, share: Array, colour: Array, opacity: float = 1.0) -> None:
        """Blend a colour in, `share` `[h,w]` of it."""
        if opacity == 0:
            return
        change = colour - self.pixels
        change *= share * np.float32(opacity)
        np.add(self.pixels, change, out=self.pixels)

    def ellipse(self, x: float, y: float, rx: float, ry: float) -> Array:
        """Signed distance to an ellipse, first order (exact on its edge)."""
        return ellipse_distance(self.x - x, self.y - y, rx, ry)

    def arc(self, x: float, y: float, half: float, bend: float, thick: float) -> Array:
        """Distance to a tapered stroke y + bend·(1-u²), u = -1..1 over x ± half."""
        u = (self.x - x) / np.float32(half)
        inside = unit(1 - u * u)
        slope = np.sqrt(1 + np.square(u * np.float32(2 * bend / half)))
        line = np.abs(self.y - y - bend * inside) / slope - thick * np.sqrt(inside)
        stroke: Array = np.maximum(line, (np.abs(u) - 1) * np.float32(half))
        return stroke


def ellipse_distance(dx: Array, dy: Array, rx: float | Array, ry: float | Array) -> Array:
    """Signed distance of (dx, dy) from the centre to an ellipse, k·(k-1)/|∇k| to first order.

    The radii may vary from row to row, which makes an egg. Source: I. Quilez, "ellipsoid SDF".
    """
    u, v = dx / rx, dy / ry
    k: Array = np.asarray(np.sqrt(u * u + v * v)) + np.float32(1e-6)
    slope = np.square(u / rx) + np.square(v / ry)
    slope += np.float32(1e-6)
    distance: Array = k * (k - 1)
    distance /= np.sqrt(slope, out=slope)
    return distance


def blank_canvas(size: int) -> Canvas:
    """A black canvas of `size` × `size` pixels."""
    pixel = _VIEW / size
    line = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(pixel)
    x, y = line[None, :] + np.float32(32 - _VIEW / 2), line[:, None] + np.float32(1.0)
    return Canvas(np.zeros((3, size, size), np.float32), x, y, pixel)
