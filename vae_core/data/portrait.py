"""How one portrait is drawn: a head, hair and shoulders from ten factors.

Every shape is a signed distance turned into exact pixel coverage. Pixels are thus smooth in
the continuous factors, which a supersampled polygon is not, and one drawing serves 64 pixels
for training and 512 for a poster.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vae_core.data.canvas import (
    Array,
    Canvas,
    along,
    blank_canvas,
    ellipse_distance,
    mix,
    ramp,
    rgb,
    unit,
)
from vae_core.data.look import Look, look_of

_BACKGROUND = ("a9d8d0", "a9cdea", "c3bdec", "efbfd6", "fbcdb5", "f7e1a6", "cfe3ae")
_SHIRT = ("e0705a", "e9915a", "e8b64c", "3f8f8b", "3a6ea5", "5661a8", "7d5a9c")
_BLUSH = np.array([[[1.0]], [[0.76]], [[0.76]]], np.float32)
_INK, _WHITE = "33242b", "ffffff"


def _paint_backdrop(c: Canvas, look: Look) -> None:
    base = along(_BACKGROUND, look.background)
    glow = np.clip(1 - (np.square(c.x - 26) + np.square(c.y - 22)) / 2200, 0, 1)
    c.pixels[:] = base * np.float32(0.90) + glow * (mix(base, rgb(_WHITE), 0.35) - base * 0.90)


def _paint_body(c: Canvas, look: Look) -> None:
    c = c.window(0, 38, 64, 64)
    shirt = along(_SHIRT, look.background)
    body = c.cover(c.ellipse(32, 69, 27, 18))
    c.paint(body, shirt)
    c.paint(body * c.cover(c.ellipse(26, 66, 24, 15), soft=14), mix(shirt, rgb(_WHITE), 0.16))
    collar = c.ellipse(32, 51.4, 8.8, 4.6)
    c.paint(c.cover(collar - np.float32(1.3)) * body, shirt * np.float32(0.80))
    flare = np.square(np.clip(c.y - 44.5, 0, 7)) * 0.055
    neck = np.maximum(np.abs(c.x - 32) - 6 - flare, c.y - 53)
    skin = np.minimum(neck, np.maximum(collar, 51.3 - c.y))
    share = c.cover(skin)
    c.paint(share, mix(look.skin, look.shade, 0.25))
    c.paint(share * c.cover(c.ellipse(look.x + look.turn + 0.8, 36, 12.5, 17), soft=5), look.shade)


def _head(c: Canvas, look: Look) -> Array:
    """Signed distance to the head: an egg whose chin follows the turn."""
    v = unit((c.y - 29) / 19)
    width = 14.2 - 2.4 * v * v
    height = 17 + 2.2 * v
    return ellipse_distance(c.x - look.x - 1.6 * look.turn * v, c.y - 29, width, height)


def _paint_ear(c: Canvas, look: Look, side: int, *, front: bool) -> None:
    facing = -side * look.turn
    opacity = ramp(facing, 0.0, 0.5) if front else 1.0
    x = look.x + side * (14.0 - 2.6 * max(facing, 0.0) + 1.5 * min(facing, 0.0))
    c = c.window(x - 5, 24, x + 5, 40)
    c.paint(c.cover(c.ellipse(x, 31.5, 2.9, 4.3)), mix(look.skin, look.shade, 0.18), opacity)
    c.paint(c.cover(c.ellipse(x + 0.3 * side, 31.6, 1.5, 2.7), soft=1.2), look.shade, opacity * 0.8)


def _paint_head(c: Canvas, look: Look) -> None:
    c = c.window(16, 10, 50, 50)
    head = c.cover(_head(c, look))
    c.paint(head, look.skin)
    turned = look.x + 3 * look.turn
    lit = c.cover(c.ellipse(turned - 2.6, 27, 11.5, 17), soft=9)
    c.paint(head * (1 - lit), look.shade, 0.62)
    c.paint(head * c.cover(c.ellipse(turned - 3.5, 20, 8, 5.5), soft=9), look.light, 0.55)
    for u in (-0.56, 0.56):
        _paint_blush(c, look, u)


def _paint_blush(c: Canvas, look: Look, u: float) -> None:
    x = look.at(u)
    c = c.window(x - 7, 29, x + 7, 43)
    spot = c.ellipse(x, 36.2 - 0.6 * look.smile, 3.6 * look.narrow(u), 2.8)
    share = c.cover(_head(c, look)) * c.cover(spot, soft=4)
    c.paint(share, look.skin * _BLUSH, 0.55 + 0.25 * look.smile)


def _paint_eye(c: Canvas, look: Look, side: int) -> None:
    u = 0.44 * side
    x, y, half = look.at(u), 30.6, 3.8 * look.narrow(u)
    c = c.window(x - 6, y - 6, x + 6, y + 6)
    rise, fall = 1.1 - 4.1 * look.openness, 1.35 - 0.35 * max(look.smile, 0.0)
    rise = min(rise, fall)
    c.paint(c.cover(c.ellipse(x, y - 1, half * 1.25, 3.2), soft=3), look.shade, 0.35)
    across = 1 - np.square((c.x - x) / half)
    eye = np.maximum(y + rise * across - c.y, c.y - y - fall * across)
    white = c.cover(np.maximum(eye, np.abs(c.x - x) - half))
    c.paint(white, rgb("fbf7f2"))
    gaze = x + 0.5 * look.turn
    narrow = look.narrow(u) ** 0.5
    c.paint(white * c.cover(c.ellipse(gaze, y - 0.3, 2.25 * narrow, 2.25)), look.iris)
    c.paint(white * c.cover(c.ellipse(gaze, y - 0.3, 1.15 * narrow, 1.15)), rgb("1c1416"))
    c.paint(white * c.cover(c.ellipse(gaze - 0.7, y - 1.1, 0.75, 0.75)), rgb(_WHITE), 0.95)
    c.paint(c.cover(c.arc(x, y + 0.1, half + 0.3, fall, 0.22)), look.shade, 0.8)
    c.paint(c.cover(c.arc(x, y, half + 0.35, rise, 0.62)), rgb(_INK))


def _paint_brow(c: Canvas, look: Look, side: int) -> None:
    u = 0.44 * side
    x, half = look.at(u), 4.1 * look.narrow(u)
    c = c.window(x - 6, 17, x + 6, 31)
    y = 25.0 - 1.6 * look.brow
    tilted = Canvas(c.pixels, c.x, c.y - side * 0.26 * look.brow * (c.x - x), c.pixel)
    colour = mix(look.hair_dark, look.shade, 0.15)
    tilted.paint(c.cover(tilted.arc(x, y, half, -1.1, 0.95)), colour)


def _paint_nose(c: Canvas, look: Look) -> None:
    x, root = look.at(0.0, depth=1.16), look.at(0.0)
    c = c.window(x - 7, 26, x + 7, 43)
    bridge = c.ellipse(root + 1.7 + 0.5 * look.turn, 33.5, 1.3, 4.6)
    c.paint(c.cover(bridge, soft=2.2), look.shade, 0.38)
    c.paint(c.cover(c.ellipse(x + 0.3, 38.2, 3.1, 1.9), soft=1.6), look.shade, 0.75)
    c.paint(c.cover(c.ellipse(x, 36.9, 2.4, 1.9), soft=1.4), look.skin, 0.95)
    c.paint(c.cover(c.ellipse(x - 0.5, 36.2, 1.1, 1.0), soft=1.8), look.light, 0.6)
    dark = look.shade * np.float32(0.62)
    for side in (-1, 1):
        c.paint(c.cover(c.ellipse(x + 1.3 * side, 38.5, 0.75, 0.42), soft=1), dark, 0.7)


def _paint_mouth(c: Canvas, look: Look) -> None:
    x, s = look.at(0.0, depth=1.04), look.smile
    c = c.window(x - 9, 36, x + 9, 48)
    half = (4.4 + 1.5 * max(s, 0.0)) * look.narrow(0.0)
    bend, gape = 1.9 * s, 2.6 * ramp(s, 0.25, 1.0)
    y = 42.0 - 1.1 * s
    across = unit(1 - np.square((c.x - x) / half))
    sides = np.abs(c.x - x) - half
    middle = y + bend * across
    c.paint(c.cover(c.ellipse(x, 45.6 + 0.5 * s, 3, 0.7), soft=2), look.shade, 0.5)
    lower = np.maximum(c.y - middle - (gape + 1.3) * across, middle - 0.1 - c.y)
    upper = np.maximum(middle - 1.0 * across - c.y, c.y - middle - 0.1)
    c.paint(c.cover(np.maximum(lower, sides)), look.lips)
    c.paint(c.cover(np.maximum(upper, sides)), look.lips * np.float32(0.88))
    shine = c.ellipse(x - 0.8, y + bend + gape + 0.75, 1.5, 0.3)
    c.paint(c.cover(shine, soft=1), mix(look.lips, rgb(_WHITE), 0.35), 0.6)
    shut = 1 - ramp(gape, 0.0, 0.9)
    line = c.arc(x, y, half + 0.5, bend, 0.42)
    if shut < 1:
        inside = np.maximum(c.y - middle - gape * across, middle - c.y)
        share = c.cover(np.maximum(inside, sides)) * np.float32(1 - shut)
        c.paint(share, rgb("6b1f2b"))
        c.paint(share * c.cover(c.y - middle - 0.62 * gape * across), rgb("fdfaf6"))
    c.paint(c.cover(line), look.lips * np.float32(0.52), 0.9 * shut)


def _paint_age(c: Canvas, look: Look) -> None:
    line, x = look.shade * np.float32(0.86), look.at(0.0)
    brow = c.window(x - 8, 16, x + 8, 25)
    for row in range(3):
        wave = brow.arc(x, 22.6 - 2.3 * row, 6.2 - 0.7 * row, -0.5, 0.42)
        brow.paint(brow.cover(wave), line, 0.85 * ramp(look.age, 0.12 * row, 0.6 + 0.2 * row))
    for side in (-1, 1):
        bag, narrow = look.at(0.44 * side), look.narrow(0.44 * side)
        eye = c.window(bag - 5, 31, bag + 5, 37)
        eye.paint(eye.cover(eye.arc(bag, 33.3, 3.0 * narrow, 0.9, 0.4)), line, 0.8 * look.age)
        _paint_fold(c, look, side, line)


def _paint_fold(c: Canvas, look: Look, side: int, line: Array) -> None:
    """The nasolabial fold: an upright bow from the nostril past the corner of the mouth."""
    x = look.at(0.30 * side)
    c = c.window(x - 5, 35, x + 5, 46)
    bow = Canvas(c.pixels.swapaxes(1, 2), c.y.T, c.x.T, c.pixel)
    depth = side * (1.9 + 0.5 * max(look.smile, 0.0)) * look.narrow(0.3 * side)
    bow.paint(bow.cover(bow.arc(40.3, x, 3.6, depth, 0.5)), line, 0.95 * look.age)


def _cap(c: Canvas, look: Look, rx: float, ry: float) -> Array:
    return c.ellipse(32 + 0.5 * look.turn, 28, rx, ry)


def _curls(c: Canvas, x: float, y: float, r: float, n: int) -> Array:
    """How far n round curls reach beyond a circle, 0 to 1."""
    reach: Array = np.abs(np.sin(np.arctan2(c.y - y, c.x - x) * np.float32(n / 2)))
    return reach * np.float32(r)


def _paint_locks(c: Canvas, look: Look, shape: Array, *, sheen: float = 0.9) -> None:
    """Fill a hair shape, with a soft sheen from the upper left and a shadow to the right."""
    share = c.cover(shape)
    c.paint(share, look.hair)
    if sheen:
        ring = np.sqrt(np.square((c.x - 31) / 15) + np.square((c.y - 29) / 18.5))
        band = unit(1 - np.abs(ring - 0.84) * 7) * unit((38 - c.x) / 14)
        c.paint(share * band * unit((30 - c.y) / 10), look.hair_light, sheen)
    c.paint(share * unit((c.x - 36) / 16), look.hair_dark, 0.75)


def _paint_hair_back(c: Canvas, look: Look) -> None:
    x = 32 - 0.8 * look.turn
    if look.style == "long":
        fall = np.maximum(np.abs(c.x - x) - 16.4 - np.clip(c.y - 36, 0, 30) * 0.06, 27 - c.y)
        c.paint(c.cover(np.minimum(c.ellipse(x, 27.5, 16.6, 19), fall)), look.hair_dark)
    elif look.style == "curly":
        shape = c.ellipse(x, 25.5, 19, 18.5) - _curls(c, x, 25.5, 2.6, 15)
        _paint_locks(c, look, shape, sheen=0)
    elif look.style == "bun":
        _paint_locks(c, look, c.ellipse(32 - 3 * look.turn, 7.8, 5.8, 5.4))


def _hair_front(c: Canvas, look: Look) -> Array:
    """Signed distance to the hair over the forehead: a cap less the opening for the face."""
    x = look.at(0.0) * 0.75 + look.x * 0.25
    if look.style == "short":
        sweep = c.ellipse(x + 3.5, 38.5, 16, 18.6)
        opening = np.maximum(sweep, c.ellipse(x - 0.5, 37.5, 13.6, 19.5))
        cap, end = _cap(c, look, 15.6, 19.4), 30.5
    elif look.style == "long":
        opening = np.maximum(c.ellipse(x - 4, 40, 15.0, 25), c.ellipse(x + 5, 40, 15.5, 25))
        sides = np.maximum(np.abs(c.x - 32) - 16.2, 27 - c.y)
        cap, end = np.minimum(_cap(c, look, 16.2, 19.6), sides), 55.0
    elif look.style == "curly":
        opening = c.ellipse(x, 37, 13.4, 17.5) + _curls(c, x, 36, 1.6, 17)
        cap, end = _cap(c, look, 16.5, 19.5), 32.0
    else:
        opening = c.ellipse(x, 38, 13.8, 20)
        cap, end = _cap(c, look, 15.0, 18.8), 29.0
    front: Array = np.maximum(np.maximum(cap, -opening), c.y - end)
    return front


def _paint_hair_front(c: Canvas, look: Look) -> None:
    if look.style == "bald":
        c = c.window(18, 9, 46, 28)
        shine = c.ellipse(look.x - 4 + look.turn, 16.5, 4.5, 2.2)
        share = c.cover(shine, soft=3) * c.cover(_head(c, look))
        c.paint(share, mix(look.light, rgb(_WHITE), 0.25), 0.55)
        return
    c = c.window(14, 7, 50, 34 if look.style != "long" else 56)
    shape = _hair_front(c, look)
    head = c.cover(_head(c, look))
    c.paint(head * c.cover(shape - np.float32(0.8), soft=3), look.shade, 0.6)
    _paint_locks(c, look, shape)


def _lens(c: Canvas, look: Look, side: int) -> Array:
    x, narrow = look.at(0.46 * side, depth=1.06), look.narrow(0.46 * side)
    if look.glasses == "round":
        return c.ellipse(x, 31, 5.2 * narrow, 5.1)
    dx, dy = np.abs(c.x - x) - 5.2 * narrow + 1.6, np.abs(c.y - 31.2) - 2.6
    corner: Array = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
    inner: Array = np.minimum(np.maximum(dx, dy), 0)
    return corner + inner - np.float32(1.6)


def _paint_glasses(c: Canvas, look: Look) -> None:
    if look.glasses == "none":
        return
    c = c.window(14, 24, 50, 39)
    dark, frame = look.glasses == "sunglasses", rgb("2b2a33")
    if look.glasses == "round":
        frame = rgb("8a5a2b")
    left, right = _lens(c, look, -1), _lens(c, look, 1)
    both = np.minimum(left, right)
    c.paint(c.cover(both), rgb("20222c" if dark else "e8f4fb"), 0.93 if dark else 0.13)
    slant = np.abs(np.mod(c.x - look.at(0.0) + 0.8 * (c.y - 31) + 32.5, 11.5) - 3.6) - 0.9
    c.paint(c.cover(np.maximum(both, slant), soft=1.4), rgb(_WHITE), 0.24 if dark else 0.20)
    nose = look.at(0.0, depth=1.1)
    bridge = np.maximum(c.arc(nose, 30.2, 2.6, -1.0, 0.6), -both)
    reach = _head(c, look)
    if look.style == "long":
        reach = np.maximum(reach, np.abs(c.x - look.at(0.0)) - 11.5)
    arms = np.maximum(np.abs(c.y - 29.6) - 0.55, reach)
    rim = np.abs(both + np.float32(0.3)) - np.float32(0.6)
    outside = np.maximum(arms, 9.0 - np.abs(c.x - look.at(0.0)))
    c.paint(c.cover(np.minimum(np.minimum(rim, bridge), np.maximum(outside, -both))), frame)


def paint_portrait(f: Mapping[str, float], *, size: int) -> NDArray[np.uint8]:
    """Draw the portrait of checked factors as uint8 `[3,size,size]`."""
    c, look = blank_canvas(size), look_of(f)
    _paint_backdrop(c, look)
    _paint_hair_back(c, look)
    _paint_body(c, look)
    for side in (-1, 1):
        _paint_ear(c, look, side, front=False)
    _paint_head(c, look)
    _paint_ear(c, look, 1 if look.turn < 0 else -1, front=True)
    _paint_age(c, look)
    for side in (-1, 1):
        _paint_eye(c, look, side)
    _paint_nose(c, look)
    _paint_mouth(c, look)
    _paint_hair_front(c, look)
    for side in (-1, 1):
        _paint_brow(c, look, side)
    _paint_glasses(c, look)
    image: NDArray[np.uint8] = np.clip(c.pixels + np.float32(0.5), 0, 255).astype(np.uint8)
    return image
