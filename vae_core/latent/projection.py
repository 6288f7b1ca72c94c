"""Maps of a latent space: each can place new codes and turn a spot back into a code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

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


def _blend(queries: Floats, known: Floats, values: Floats, *, k: int) -> Floats:
    rows, distances = nearest(queries.astype(np.float32), known, k=k)
    weights = 1 / (distances.astype(np.float64) ** 2 + 1e-12)
    weights /= weights.sum(1, keepdims=True)
    blended: Floats = np.einsum("qk,qkd->qd", weights, values[rows]).astype(np.float32)
    return blended


def fit_pca(codes: Floats) -> LinearProjection:
    """The two directions of largest variance; signs fixed so that reruns agree."""
    origin = codes.mean(0, dtype=np.float64)
    _, _, axes = np.linalg.svd(codes - origin, full_matrices=False)
    axes = axes[:2]
    if len(axes) < 2:
        # One dimension or one code: pad with a second axis of zeros.
        axes = np.vstack([axes, np.zeros((2 - len(axes), codes.shape[1]))])
    signs = np.sign(axes[np.arange(2), np.abs(axes).argmax(1)])
    axes = axes * np.where(signs == 0, 1, signs)[:, None]
    made = LinearProjection(
        np.empty((0, 2), np.float32), origin.astype(np.float32), axes.astype(np.float32)
    )
    return LinearProjection(made.transform(codes), made.origin, made.axes)


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
    codes: Floats, *, seed: int = 0, report: Callable[[str], None] | None = None
) -> NeighbourProjection | None:
    """A UMAP of codes `[N,D]`, or None below 16 codes, where it means nothing.

    Exact neighbours are computed here and handed over, which saves umap-learn compiling
    its own search (measured: 9 instead of 55 CPU seconds in a fresh process).
    Source: McInnes et al. 2018 (arXiv:1802.03426).
    """
    if len(codes) < UMAP_LEAST_CODES:
        return None
    import warnings

    from umap import UMAP

    if report:
        report("arranging the map with UMAP")
    k = min(UMAP_NEIGHBOURS, len(codes) - 1)
    # Repeated images give repeated codes, on which UMAP's graph degenerates.
    jitter = np.random.default_rng(seed).normal(0, 1e-5, codes.shape).astype(np.float32)
    spread = codes + jitter
    rows, distances = nearest(spread, spread, k=k)
    reducer = UMAP(
        n_neighbors=k,
        min_dist=0.1,
        init="pca" if min(codes.shape) > 2 else "random",
        n_epochs=200,
        random_state=seed,
        n_jobs=1,
        precomputed_knn=(rows, distances),
    )
    n_threads = torch.get_num_threads()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        xy = reducer.fit_transform(spread)
    # numba's OpenMP sets the number for the whole process, which slows torch up to 15-fold.
    torch.set_num_threads(n_threads)
    return NeighbourProjection(np.ascontiguousarray(xy, np.float32), codes)
