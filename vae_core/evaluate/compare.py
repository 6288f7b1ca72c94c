"""How alike two descriptions of the same images are: shared neighbours, and linear CKA."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from vae_core.errors import ConfigError, DataError

Floats = NDArray[np.float32] | NDArray[np.float64]
Doubles = NDArray[np.float64]

_CHUNK_ROWS: Final = 250
# Codes are float32: distances this near to each other, as a share of the larger, are the same.
_TIE: Final = 1e-6


@dataclass(frozen=True)
class Agreement:
    """Share of the k nearest neighbours that two descriptions of N images have in common.

    `share` is the mean of `per_image` `[N]`, both in [0,1]; `chance` is what k neighbours
    drawn at random would share, k / (N − 1).
    """

    k: int
    share: float
    chance: float
    per_image: Doubles


def neighbour_agreement(first: Floats, second: Floats, *, k: int) -> Agreement:
    """How many of the k nearest neighbours of each image are the same in both descriptions.

    `first` `[N,D]` and `second` `[N,E]` describe the same images row by row; distances are
    Euclidean, an image is not its own neighbour. Neighbours at the same distance share the
    places left among the k nearest equally, so a description that is constant agrees with
    every other by chance only. `ConfigError` for k outside 1 to N − 1, `DataError` for
    other shapes or values that are not finite. Source: the overlap of neighbourhoods as in
    Venna & Kaski 2001 and Lee & Verleysen 2009 (Quality assessment of dimensionality
    reduction: rank-based criteria), Q_NX.
    """
    _check(first, second, least=2)
    per_image = _shared([first, second], [(0, 1)], [k])[0, 0]
    return Agreement(k, float(per_image.mean()), k / (len(first) - 1), per_image)


def agreement_of_all(
    descriptions: Sequence[Floats], *, neighbours: Sequence[int]
) -> dict[int, Doubles]:
    """`neighbour_agreement` of every two of M descriptions `[N,D]`: a share `[M,M]` for each k.

    Distances are measured once for all pairs and all k.
    """
    for other in descriptions[1:]:
        _check(descriptions[0], other, least=2)
    m = len(descriptions)
    pairs = [(i, j) for i in range(m) for j in range(i)]
    shares = _shared(descriptions, pairs, neighbours).mean(2)
    found = {k: np.eye(m) for k in neighbours}
    for row, k in enumerate(neighbours):
        for place, (i, j) in enumerate(pairs):
            found[k][i, j] = found[k][j, i] = shares[row, place]
    return found


def _shared(
    descriptions: Sequence[Floats], pairs: Sequence[tuple[int, int]], neighbours: Sequence[int]
) -> Doubles:
    """Shares of common neighbours `[K,P,N]` for each k, pair and image."""
    n = len(descriptions[0])
    for k in neighbours:
        if not 1 <= k < n:
            raise ConfigError(
                f"{k} neighbours of {n} images were asked for, expected 1 to {n - 1}; give a "
                "smaller number or more images."
            )
    codes = [np.asarray(part, np.float64) for part in descriptions]
    found = np.empty((len(neighbours), len(pairs), n))
    for rows in np.array_split(np.arange(n), math.ceil(n / _CHUNK_ROWS)):
        distances = [_distances(part, rows) for part in codes]
        for at_k, k in enumerate(neighbours):
            belongs = [_membership(part, k) for part in distances]
            for at_pair, (i, j) in enumerate(pairs):
                found[at_k, at_pair, rows] = np.minimum(belongs[i], belongs[j]).sum(1) / k
    shares: Doubles = np.clip(found, 0, 1)
    return shares


def _membership(distances: Doubles, k: int) -> Doubles:
    """How much each image belongs to the k nearest of some: `[R,N]`, rows add up to k."""
    limit = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    inside = distances < limit * (1 - _TIE)
    tied = (distances <= limit * (1 + _TIE)) & ~inside
    left = k - inside.sum(1, keepdims=True)
    weight: Doubles = inside + tied * (left / np.maximum(tied.sum(1, keepdims=True), 1))
    return weight


def _distances(codes: Doubles, rows: NDArray[np.int64]) -> Doubles:
    """Euclidean distances `[R,N]` of some rows, exactly zero between equal ones."""
    from scipy.spatial.distance import cdist

    found: Doubles = cdist(codes[rows], codes)
    # Infinitely far from itself: no image is its own neighbour.
    found[np.arange(len(rows)), rows] = np.inf
    return found


def linear_cka(first: Floats, second: Floats) -> float:
    """Linear centred kernel alignment of two descriptions `[N,D]` and `[N,E]` of N images.

    1 for descriptions that differ by a rotation, a shift and one scale; about 0 (it may
    fall a little below) for ones that have nothing to do with each other, whatever their
    sizes, because the unbiased estimate of HSIC is used. NaN where a description is constant,
    be it but for one image. `DataError` for fewer than 4 images. Source: Kornblith et al. 2019
    (arXiv:1905.00414), section 3; the estimate: Song et al. 2012 (Feature selection via
    dependence maximization), equation 5.
    """
    return float(cka_of_all([first, second])[0, 1])


def cka_of_all(descriptions: Sequence[Floats]) -> Doubles:
    """`linear_cka` of every two of M descriptions `[N,D]`: `[M,M]`."""
    for other in descriptions:
        _check(descriptions[0], other, least=4)
    grams = [_gram(np.asarray(part, np.float64)) for part in descriptions]
    found = np.array([[_hsic(a, b) for b in grams] for a in grams])
    # Of one image apart from equal ones nothing but rounding is left, of some 1e-16.
    own = np.where(np.diag(found) > 1e-12, np.diag(found), 0)
    scale = np.sqrt(np.outer(own, own))
    return np.where(scale > 0, found / np.where(scale > 0, scale, 1), math.nan)


def _gram(codes: Doubles) -> Doubles:
    """Inner products `[N,N]` of centred codes of unit spread, the diagonal left out."""
    centred = codes - codes.mean(0)
    spread = np.sqrt(np.square(centred).sum(1).mean())
    # Rounding leaves a constant column a spread of some 1e-17 of its value.
    constant = spread <= 1e-12 * max(1.0, float(np.abs(codes).max()))
    scaled = np.zeros_like(centred) if constant else centred / spread
    gram: Doubles = scaled @ scaled.T
    np.fill_diagonal(gram, 0)
    return gram


def _hsic(a: Doubles, b: Doubles) -> float:
    """Unbiased HSIC of two kernels `[N,N]` without their diagonals (Song et al. 2012)."""
    n = len(a)
    cross = float((a * b).sum()) + a.sum() * b.sum() / ((n - 1) * (n - 2))
    return float(cross - 2 / (n - 2) * (a.sum(0) @ b.sum(0))) / (n * (n - 3))


def relative_spread(codes: Floats, rows: NDArray[np.int64]) -> float:
    """How far some of N codes `[N,D]` lie from their centre, as a share of what all do.

    Root mean squared distances; 0 for one place, about 1 for rows chosen at random. NaN
    where all codes are one.
    """
    some, whole = codes[rows].astype(np.float64), codes.astype(np.float64)
    spread = np.square(whole - whole.mean(0)).sum(1).mean()
    own = np.square(some - some.mean(0)).sum(1).mean()
    return float(math.sqrt(own / spread)) if spread > 0 else math.nan


Better = Literal["higher", "lower", ""]


def best_of(values: Sequence[float | None], better: Better, *, digits: int = 3) -> tuple[int, ...]:
    """Places of the best values, all that are equal to `digits` significant ones.

    None and NaN are no values. No place where fewer than two values compare, where all are
    equal, or where `better` is empty.
    """
    known = {
        i: float(f"{value:.{digits}g}")
        for i, value in enumerate(values)
        if value is not None and math.isfinite(value)
    }
    if not better or len(known) < 2 or len(set(known.values())) == 1:
        return ()
    best = max(known.values()) if better == "higher" else min(known.values())
    return tuple(i for i, value in known.items() if value == best)


def _check(first: Floats, second: Floats, *, least: int) -> None:
    shapes = (first.shape, second.shape)
    if any(len(shape) != 2 for shape in shapes) or len(first) != len(second) or len(first) < least:
        raise DataError(
            f"Codes of shapes {first.shape} and {second.shape} came, expected [N,D] and [N,E] of "
            f"the same N of {least} or more images; describe the same images twice."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError(
            "Codes with values that are not finite came, expected numbers; use another model or "
            "train it again with a lower learning rate."
        )
