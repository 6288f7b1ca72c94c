"""Procedural sprites: white shapes on black under five independent factors.

The factors and their numbers of values are those of dSprites (L. Matthey, I. Higgins,
D. Hassabis, A. Lerchner, "dSprites: Disentanglement testing Sprites dataset", 2017,
https://github.com/google-deepmind/dsprites-dataset); shapes and code are our own. Unlike
there, the 40 angles leave out 2π, which would repeat 0.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import NDArray

from vae_core.data.imageset import Factor, ImageSet, seeded_split
from vae_core.errors import DataError

SHAPES = ("square", "ellipse", "heart")
SIZES = {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}
N_SPRITES = prod(SIZES.values())

Array = NDArray[np.float32]
Progress = Callable[[int, int], None]

_RADIUS_PIXELS = 14.0  # from the centre to the farthest point at scale 1
_MARGIN_PIXELS = 16.0  # centres move from here to 64 minus this
_CHUNK_IMAGES = 128  # a chunk's coordinate grids stay in the processor's cache


def _values(name: str) -> Array:
    """What the steps 0, 1, 2, … of a factor stand for."""
    n = SIZES[name]
    if name == "shape":
        return np.arange(n, dtype=np.float32)
    if name == "orientation":
        return np.linspace(0, 2 * np.pi, n, endpoint=False, dtype=np.float32)
    return np.linspace(0.5 if name == "scale" else 0, 1, n, dtype=np.float32)


def _check_ids(ids: NDArray[np.int64]) -> None:
    if len(ids) and not 0 <= ids.min() <= ids.max() < N_SPRITES:
        raise DataError(
            f"Sprites {ids.min()} to {ids.max()} were asked for, "
            f"but they are numbered from 0 to {N_SPRITES - 1}; choose numbers in that range."
        )


def sprite_factors(ids: NDArray[np.int64]) -> dict[str, Factor]:
    """The factors of sprites by number, counted like digits: y fastest, shape slowest.

    `scale` is relative to the largest, `orientation` in radians, `x` and `y` go from 0 at
    the left and top to 1. Raises `DataError` for a number out of range.
    """
    _check_ids(ids)
    digits = np.unravel_index(ids, tuple(SIZES.values()))
    return {
        name: Factor(_values(name)[digit], SHAPES if name == "shape" else ())
        for name, digit in zip(SIZES, digits, strict=True)
    }


def _excess(shape: str, u: Array, v: Array) -> Array:
    """Below zero for points within a shape, in units of the radius with v upwards."""
    if shape == "square":
        farther: Array = np.maximum(np.abs(u), np.abs(v))
        return farther - np.float32(0.5**0.5)
    if shape == "ellipse":
        return u * u + v * v * np.float32(1.8**2) - np.float32(1)
    # The heart is the sextic (a² + b² - 1)³ = a² b³, shifted to its middle.
    a, b = u * np.float32(1.35), v * np.float32(1.35) + np.float32(0.1)
    aa, bb = a * a, b * b
    rest = aa + bb - np.float32(1)
    heart: Array = rest * rest * rest - aa * bb * b
    return heart


def _render_chunk(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    factors = {name: f.values[:, None, None] for name, f in sprite_factors(ids).items()}
    pixel = np.arange(64, dtype=np.float32) + np.float32(0.5)
    reach = np.float32(64 - 2 * _MARGIN_PIXELS)
    radius = factors["scale"] * np.float32(_RADIUS_PIXELS)
    dx = (pixel[None, None, :] - _MARGIN_PIXELS - factors["x"] * reach) / radius
    dy = (_MARGIN_PIXELS + factors["y"] * reach - pixel[None, :, None]) / radius
    c, s = np.cos(factors["orientation"]), np.sin(factors["orientation"])
    u, v = c * dx + s * dy, c * dy - s * dx
    images = np.empty((len(ids), 1, 64, 64), np.uint8)
    for number, shape in enumerate(SHAPES):
        rows = np.flatnonzero(factors["shape"].ravel() == number)
        images[rows, 0] = np.where(_excess(shape, u[rows], v[rows]) < 0, 255, 0)
    return images


def render_sprites(
    ids: NDArray[np.int64], *, progress: Progress | None = None
) -> NDArray[np.uint8]:
    """Draw the sprites with these numbers as uint8 `[N,1,64,64]` of 0 and 255.

    `progress(done, total)` reports. Raises `DataError` for a number out of range.
    """
    _check_ids(ids)
    images = np.empty((len(ids), 1, 64, 64), np.uint8)
    for start in range(0, len(ids), _CHUNK_IMAGES):
        stop = min(start + _CHUNK_IMAGES, len(ids))
        images[start:stop] = _render_chunk(ids[start:stop])
        if progress:
            progress(stop, len(ids))
    return images


def make_sprites(
    n: int | None = None, *, seed: int = 0, progress: Progress | None = None
) -> ImageSet:
    """`n` different sprites drawn at random, or all 737,280 (3 GB); the label is the shape.

    The same seed gives the same order, so a smaller set is the start of a larger one. 5 % are
    kept for validation and a third, at most 10,000, for the test. Raises `DataError` when `n`
    is not from 1 to 737,280.
    """
    n = N_SPRITES if n is None else n
    if not 1 <= n <= N_SPRITES:
        raise DataError(f"A set of {n} sprites was asked for; choose from 1 to {N_SPRITES}.")
    ids = np.random.default_rng(seed).permutation(N_SPRITES)[:n].astype(np.int64)
    factors = sprite_factors(ids)
    return ImageSet(
        name="sprites",
        images=render_sprites(ids, progress=progress),
        ids=ids,
        split=seeded_split(n, seed=seed, val_share=0.05, test_share=min(10_000, n // 3) / n),
        labels=factors["shape"].values.astype(np.int64),
        label_names=SHAPES,
        factors=factors,
    )
