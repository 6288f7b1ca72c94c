"""Procedural portraits: drawn from ten known factors, any number of them, no download."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vae_core.data.factors import FactorSpec, categorical, check_factors
from vae_core.data.imageset import Factor, ImageSet, seeded_split
from vae_core.data.look import GLASSES, HAIR_COLOURS, HAIR_STYLES
from vae_core.data.portrait import paint_portrait
from vae_core.errors import DataError

Progress = Callable[[int, int], None]

FACTORS: tuple[FactorSpec, ...] = (
    FactorSpec("skin_tone", 0.0, 1.0),
    FactorSpec("smile", -1.0, 1.0),
    categorical("glasses", *GLASSES),
    categorical("hair_style", *HAIR_STYLES),
    categorical("hair_colour", *HAIR_COLOURS),
    FactorSpec("eye_openness", 0.0, 1.0),
    FactorSpec("brow", -1.0, 1.0),
    FactorSpec("head_turn", -1.0, 1.0),
    FactorSpec("age_lines", 0.0, 1.0),
    FactorSpec("background", 0.0, 1.0),
)


_REPORT_EVERY_IMAGES = 64
_FEW = 50


def draw_face(factors: Mapping[str, float], *, size: int = 64) -> NDArray[np.uint8]:
    """Draw one portrait as uint8 `[3,size,size]`, fully determined by its factors.

    `size` is the side in pixels. Raises `DataError` for an unknown or missing factor or a
    value outside its range, and for a size below 8.
    """
    check_factors(factors, FACTORS)
    if size < 8:
        raise DataError(f"A portrait of {size} pixels was asked for; choose a size of 8 or more.")
    return paint_portrait({s.name: float(factors[s.name]) for s in FACTORS}, size=size)


def face_factors(index: int, *, seed: int = 0) -> dict[str, float]:
    """The factors of face `index`, uniform and independent, the same whatever was drawn before.

    Raises `DataError` for a negative index or seed.
    """
    if index < 0 or seed < 0:
        raise DataError(f"Face {index} of seed {seed} does not exist; use numbers from 0 up.")
    shares = np.random.default_rng((seed, index)).random(len(FACTORS))
    return {s.name: s.at(float(share)) for s, share in zip(FACTORS, shares, strict=True)}


def render_faces(
    ids: NDArray[np.int64], *, seed: int = 0, progress: Progress | None = None
) -> NDArray[np.uint8]:
    """Draw the faces with these ids as uint8 `[N,3,64,64]`; `progress(done, total)` reports."""
    images = np.empty((len(ids), 3, 64, 64), np.uint8)
    for row, index in enumerate(ids):
        images[row] = draw_face(face_factors(int(index), seed=seed))
        done = row + 1
        if progress and (done % _REPORT_EVERY_IMAGES == 0 or done == len(ids)):
            progress(done, len(ids))
    return images


def remembered_faces(seed: int) -> Callable[[NDArray[np.int64]], NDArray[np.uint8]]:
    """`render_faces` that remembers the last thousand of those asked for in small numbers.

    A page asks for the same few again and again: unusual pictures share their neighbours.
    """

    @lru_cache(maxsize=1_000)
    def drawn(index: int) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = render_faces(np.array([index]), seed=seed)[0]
        return image

    def find(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        if not 0 < len(ids) <= _FEW:
            return render_faces(ids, seed=seed)
        return np.stack([drawn(int(index)) for index in ids])

    return find


def make_faces(n: int = 20_000, *, seed: int = 0, progress: Progress | None = None) -> ImageSet:
    """The first `n` faces of a seed with all their factors; the label is the hair style.

    5 % are kept for validation and a third, at most 10,000, for the test. Raises `DataError`
    when `n` is below 1.
    """
    if n < 1:
        raise DataError(f"A set of {n} faces was asked for; ask for at least one.")
    ids = np.arange(n, dtype=np.int64)
    factors = _factor_columns(ids, seed)
    return ImageSet(
        name="faces",
        images=render_faces(ids, seed=seed, progress=progress),
        ids=ids,
        split=seeded_split(n, seed=seed, val_share=0.05, test_share=min(10_000, n // 3) / n),
        labels=factors["hair_style"].values.astype(np.int64),
        label_names=HAIR_STYLES,
        factors=factors,
    )


def _factor_columns(ids: NDArray[np.int64], seed: int) -> dict[str, Factor]:
    rows = [face_factors(int(index), seed=seed) for index in ids]
    return {
        s.name: Factor(np.array([row[s.name] for row in rows], np.float32), s.categories)
        for s in FACTORS
    }
