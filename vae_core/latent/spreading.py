"""Few labels, many codes: labels spread along the graph of nearest neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from vae_core.errors import DataError
from vae_core.latent.neighbours import nearest

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


def neighbour_graph(codes: Floats, *, k: int = 10) -> sparse.csr_matrix:
    """Symmetric weights `[N,N]` between codes `[N,D]` and their k nearest, sparse.

    exp(−4·d²/d_k²) with each code's own distance d_k to its k-th neighbour, made symmetric
    by the mean. Source: Zelnik-Manor & Perona 2004; Calder et al. 2020 (arXiv:2006.11184).
    """
    n, k = len(codes), min(k, len(codes) - 1)
    rows, distances = nearest(codes.astype(np.float32), codes.astype(np.float32), k=k + 1)
    own = np.arange(n)[:, None]
    others = rows != own
    # The code itself is usually its nearest, but not among duplicates: drop the last instead.
    others[others.all(1), -1] = False
    neighbours = rows[others].reshape(n, k)
    d = distances[others].reshape(n, k)
    weights = np.exp(-4 * np.square(d / np.maximum(d[:, -1:], 1e-12)))
    graph = sparse.csr_matrix((weights.ravel(), (np.repeat(own, k), neighbours.ravel())), (n, n))
    return (graph + graph.T) * 0.5


def spread_labels(
    graph: sparse.csr_matrix, labels: Labels, *, alpha: float = 0.99, n_rounds: int = 200
) -> Floats:
    """Chances of each class for every node `[N,n_classes]`, from labels `[N]`, −1 unknown.

    F ← α·S·F + (1 − α)·Y with S = D^−½·W·D^−½; rows sum to 1, and each class gets the same
    weight however many labels it has. `DataError` for labels of fewer than two classes.
    Source: Zhou et al. 2004, section 2.
    """
    known = np.flatnonzero(labels >= 0)
    if len(np.unique(labels[known])) < 2:
        raise DataError(
            f"{len(np.unique(labels[known]))} class(es) came with labels, spreading needs two or "
            "more; give each class at least one label."
        )
    start = np.zeros((len(labels), int(labels.max()) + 1), np.float32)
    start[known, labels[known]] = 1
    start /= np.maximum(start.sum(0), 1)
    scale = sparse.diags(1 / np.sqrt(np.maximum(np.asarray(graph.sum(1)).ravel(), 1e-12)))
    smooth = (scale @ graph @ scale).astype(np.float32)
    chances = start.copy()
    for _ in range(n_rounds):
        chances = alpha * (smooth @ chances) + (1 - alpha) * start
    total = chances.sum(1, keepdims=True)
    # A part of the graph that no label reaches knows nothing: all classes alike.
    even = np.full_like(chances, 1 / chances.shape[1])
    return np.where(total > 0, chances / np.maximum(total, 1e-30), even)
