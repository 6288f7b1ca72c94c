"""Exact nearest neighbours by brute force: right and quick up to some 100,000 codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

# From this many pairs on a matrix product finds the candidates: measured 6 to 10 times as fast.
MANY_PAIRS: Final = 5_000_000
# Distances held in memory at once by the product: 32 MB.
VALUES_AT_ONCE: Final = 8_000_000
BLOCK: Final = 64
# Candidates beyond k, among which rounding in the product may have changed the order.
SPARE: Final = 5


def nearest(
    queries: Floats,
    codes: Floats,
    *,
    k: int,
    chunk: int = 1_000,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Ints, Floats]:
    """Rows of the k nearest codes and their Euclidean distances, nearest first.

    `queries` `[Q,D]`, `codes` `[N,D]` → rows int64 `[Q,k']`, distances float32 `[Q,k']`
    with k' = min(k, N). `progress` is told how many queries of all are answered.
    """
    k, against = min(k, len(codes)), torch.from_numpy(np.ascontiguousarray(codes))
    asked = torch.from_numpy(np.ascontiguousarray(queries))
    is_large = len(asked) * len(against) > MANY_PAIRS
    search = _product_search(against, k) if is_large else _plain_search(against, k)
    size = max(1, min(chunk, VALUES_AT_ONCE // len(against))) if is_large else chunk
    # Made at once: small pieces kept between large ones that go would hold gigabytes of heap.
    rows, distances = np.empty((len(asked), k), np.int64), np.empty((len(asked), k), np.float32)
    for start in range(0, len(asked), size):
        end = min(len(asked), start + size)
        found = search(asked[start:end])
        rows[start:end], distances[start:end] = found[0].numpy(), found[1].numpy()
        if progress:
            progress(end, len(asked))
    return rows, distances


_Search = Callable[[Tensor], tuple[Tensor, Tensor]]


def _plain_search(codes: Tensor, k: int) -> _Search:
    def search(queries: Tensor) -> tuple[Tensor, Tensor]:
        found = torch.cdist(queries, codes, compute_mode="donot_use_mm_for_euclid_dist")
        near = found.topk(k, largest=False)
        return near.indices, near.values

    return search


def _product_search(codes: Tensor, k: int) -> _Search:
    """Candidates by ½|c|² − q·c, around the codes' centre; their distances then exactly.

    The k best of all lie in the k blocks whose best ones are best, so only those are searched.
    """
    n, n_found = len(codes), min(k + SPARE, len(codes))
    centre = codes.mean(0)
    about = pad(codes - centre, (0, 0, 0, -n % BLOCK))
    half = about.square().sum(1) / 2
    half[n:] = torch.inf
    columns = about.T.contiguous()

    def search(queries: Tensor) -> tuple[Tensor, Tensor]:
        ranked = torch.addmm(half, queries - centre, columns, alpha=-1)
        blocks = ranked.view(len(queries), -1, BLOCK)
        n_blocks = min(n_found, blocks.shape[1])
        best = blocks.amin(2).topk(n_blocks, largest=False, sorted=False).indices
        inside = blocks.gather(1, best[..., None].expand(-1, -1, BLOCK)).flatten(1)
        places = inside.topk(n_found, largest=False, sorted=False).indices
        # Rising rows: among equal distances the first row wins, as it does elsewhere.
        found = (best.gather(1, places // BLOCK) * BLOCK + places % BLOCK).sort(1).values
        exact = (codes[found] - queries[:, None]).square().sum(2).sqrt()
        order = exact.argsort(dim=1, stable=True)[:, :k]
        return found.gather(1, order), exact.gather(1, order)

    return search
