"""Maps of a latent space: each can place new codes and turn a spot back into a code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from vae_core.errors import ConfigError
from vae_core.latent.neighbours import nearest

Floats = NDArray[np.float32]

PLACE_NEIGHBOURS = 5
INVERSE_NEIGHBOURS = 8
UMAP_NEIGHBOURS = 15
UMAP_LEAST_CODES = 16
# Above this fewer rounds do: trustworthiness of 60,000 x 32 codes stays at .950.
UMAP_MANY_CODES: Final = 20_000
# Above this UMAP arranges a random part, and the other codes are placed among it.
UMAP_MOST_CODES: Final = 100_000
UMAP_PART: Final = 50_000

Progress = Callable[[str, int, int], None]


class Projection(Protocol):
    """`xy` float32 `[N,2]` are the places of the codes the map was made from."""

    @property
    def xy(self) -> Floats: ...
    def transform(self, codes: Floats) -> Floats: ...
    def inverse(self, places: Floats) -> Floats: ...


@dataclass(frozen=True)
class LinearProjection:
    """x = (z − origin)·axes: PCA, or a pair of latent dimensions.

    `origin` `[D]`, `axes` `[2,D]` with orthonormal rows. `inverse` lies in the plane
    through `origin`: the code nearest to all that a spot could have come from.
    """

    xy: Floats
    origin: Floats
    axes: Floats

    def transform(self, codes: Floats) -> Floats:
        """Codes `[Q,D]` → places `[Q,2]`."""
        places: Floats = ((codes - self.origin) @ self.axes.T).astype(np.float32)
        return places

    def inverse(self, places: Floats) -> Floats:
        """Places `[Q,2]` → codes `[Q,D]`."""
        codes: Floats = (places @ self.axes + self.origin).astype(np.float32)
        return codes


@dataclass(frozen=True)
class NeighbourProjection:
    """Places known only at the codes `[N,D]`, as UMAP gives them.

    Both ways weigh the nearest known points by inverse squared distance: 5 codes to place
    a new code, 8 places to turn a spot into a code.
    """

    xy: Floats
    codes: Floats

    def transform(self, codes: Floats) -> Floats:
        """Codes `[Q,D]` → places `[Q,2]`."""
        return _blend(codes, self.codes, self.xy, k=PLACE_NEIGHBOURS)

    def inverse(self, places: Floats) -> Floats:
        """Places `[Q,2]` → codes `[Q,D]`, always among the real codes."""
        return _blend(places, self.xy, self.codes, k=INVERSE_NEIGHBOURS)


def _blend(
    queries: Floats,
    known: Floats,
    values: Floats,
    *,
    k: int,
    progress: Callable[[int, int], None] | None = None,
) -> Floats:
    rows, distances = nearest(queries.astype(np.float32), known, k=k, progress=progress)
    weights = 1 / (distances.astype(np.float64) ** 2 + 1e-12)
    weights /= weights.sum(1, keepdims=True)
    blended: Floats = np.einsum("qk,qkd->qd", weights, values[rows]).astype(np.float32)
    return blended


def fit_pca(codes: Floats) -> LinearProjection:
    """The two directions of largest variance; signs fixed so that reruns agree."""
    origin = codes.mean(0, dtype=np.float64)
    axes = _main_axes(codes - origin)[:2]
    if len(axes) < 2:
        # One dimension or one code: pad with a second axis of zeros.
        axes = np.vstack([axes, np.zeros((2 - len(axes), codes.shape[1]))])
    signs = np.sign(axes[np.arange(2), np.abs(axes).argmax(1)])
    axes = axes * np.where(signs == 0, 1, signs)[:, None]
    made = LinearProjection(
        np.empty((0, 2), np.float32), origin.astype(np.float32), axes.astype(np.float32)
    )
    return LinearProjection(made.transform(codes), made.origin, made.axes)


def _main_axes(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Axes `[A,D]` by falling spread of centred codes `[N,D]`."""
    if len(centred) > UMAP_MANY_CODES:
        # The same axes from a D x D matrix: seconds and three copies less for a million codes.
        return np.asarray(np.linalg.eigh(centred.T @ centred)[1].T[::-1])
    return np.asarray(np.linalg.svd(centred, full_matrices=False)[2])


def plane(codes: Floats, first: int, second: int) -> LinearProjection:
    """Two latent dimensions against each other; the others stay at their average."""
    n_latent = codes.shape[1]
    if first == second or not (0 <= first < n_latent and 0 <= second < n_latent):
        raise ConfigError(
            f"Dimensions {first} and {second} were asked for, expected two different ones "
            f"from 0 to {n_latent - 1}; choose another pair."
        )
    origin, axes = codes.mean(0).astype(np.float32), np.zeros((2, n_latent), np.float32)
    origin[[first, second]] = 0
    axes[0, first] = axes[1, second] = 1
    return LinearProjection(np.ascontiguousarray(codes[:, [first, second]]), origin, axes)


def fit_umap(
    codes: Floats,
    *,
    seed: int = 0,
    report: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> NeighbourProjection | None:
    """A UMAP of codes `[N,D]`, or None below 16 codes, where it means nothing.

    Exact neighbours are computed here and handed over, which saves umap-learn compiling
    its own search (measured: 9 instead of 55 CPU seconds in a fresh process). Of more than
    100,000 codes a random 50,000 are arranged and the others placed among them by their 5 nearest;
    `report` says so. `progress` gets a stage's name and how much of it is done; it may raise
    to stop the fit. Source: McInnes et al. 2018 (arXiv:1802.03426).
    """
    if len(codes) < UMAP_LEAST_CODES:
        return None
    if len(codes) <= UMAP_MOST_CODES:
        if report:
            report("arranging the map with UMAP")
        return NeighbourProjection(_arrange(codes, seed=seed, progress=progress), codes)
    if report:
        report(
            f"arranging {UMAP_PART:,} of {len(codes):,} codes with UMAP; the others are placed "
            f"between their {PLACE_NEIGHBOURS} nearest"
        )
    part = np.sort(np.random.default_rng(seed).permutation(len(codes))[:UMAP_PART])
    xy = np.empty((len(codes), 2), np.float32)
    xy[part] = _arrange(codes[part], seed=seed, progress=progress)
    others = np.delete(np.arange(len(codes)), part)
    xy[others] = _blend(
        codes[others], codes[part], xy[part], k=PLACE_NEIGHBOURS,
        progress=_stage(progress, "placing the other codes"),
    )  # fmt: skip
    return NeighbourProjection(xy, codes)


def _stage(progress: Progress | None, name: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(name, done, total)


class _Rounds:
    """A text file to tqdm, which writes "3 100" to it: how many rounds of all are done."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress = progress

    def write(self, text: str) -> None:
        numbers = text.split()
        if len(numbers) == 2:
            self._progress(int(numbers[0]), int(numbers[1]))

    def flush(self) -> None:
        """There is nothing to flush."""


def _arrange(codes: Floats, *, seed: int, progress: Progress | None) -> Floats:
    """Places `[N,2]` by UMAP of 16 codes or more."""
    import warnings

    from umap import UMAP

    k = min(UMAP_NEIGHBOURS, len(codes) - 1)
    # Repeated images give repeated codes, on which UMAP's graph degenerates.
    jitter = np.random.default_rng(seed).normal(0, 1e-5, codes.shape).astype(np.float32)
    spread = codes + jitter
    known = nearest(spread, spread, k=k, progress=_stage(progress, "finding neighbours"))
    rounds = _stage(progress, "arranging the map")
    watch: dict[str, Any] = {"disable": True}
    if rounds:
        rounds(0, 1)
        watch = {"disable": False, "file": _Rounds(rounds), "bar_format": "{n} {total}"}
    reducer = UMAP(
        n_neighbors=k,
        min_dist=0.1,
        init="pca" if min(codes.shape) > 2 else "random",
        n_epochs=200 if len(codes) <= UMAP_MANY_CODES else 100,
        random_state=seed,
        n_jobs=1,
        precomputed_knn=known,
        tqdm_kwds=watch,
    )
    n_threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            xy = reducer.fit_transform(spread)
    finally:
        # numba's OpenMP sets the number for the whole process, which slows torch up to 15-fold.
        torch.set_num_threads(n_threads)
    return np.ascontiguousarray(xy, np.float32)
