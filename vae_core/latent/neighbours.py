"""Exact nearest neighbours by brute force: right and quick up to some 100,000 codes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def nearest(queries: Floats, codes: Floats, *, k: int, chunk: int = 1_000) -> tuple[Ints, Floats]:
    """Rows of the k nearest codes and their Euclidean distances, nearest first.

    `queries` `[Q,D]`, `codes` `[N,D]` → rows int64 `[Q,k']`, distances float32 `[Q,k']`
    with k' = min(k, N).
    """
    k, against = min(k, len(codes)), torch.from_numpy(np.ascontiguousarray(codes))
    rows, distances = [], []
    for piece in torch.split(torch.from_numpy(np.ascontiguousarray(queries)), chunk):
        found = torch.cdist(piece, against, compute_mode="donot_use_mm_for_euclid_dist")
        near = found.topk(k, largest=False)
        rows.append(near.indices.numpy())
        distances.append(near.values.numpy())
    return np.concatenate(rows).astype(np.int64), np.concatenate(distances)
