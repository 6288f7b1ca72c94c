"""What probes compare: codes, PCA of as many dimensions, and raw pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vae_core.errors import DataError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

MAX_PIXEL_VALUES = 1_024
# PCA is fitted on as many train rows as hold this many values (160 MB in float32).
PCA_VALUES = 40_000_000


def draw_rows(rows: Ints, limit: int, *, seed: int) -> Ints:
    """The rows, or a seeded draw of `limit` of them in rising order."""
    if len(rows) <= limit:
        return rows
    return np.sort(np.random.default_rng(seed).permutation(rows)[:limit])


def feature_sets(
    codes: Floats, images: NDArray[np.uint8], *, train: Ints, seed: int = 0
) -> dict[str, Floats]:
    """Codes `[N,D]`, PCA of as many dimensions, and raw pixels of uint8 images `[N,C,H,W]`.

    The names tell what they are: "codes", "pca-D" (fitted on the train rows only; fewer
    than D where rows or pixels are fewer) and "pixels", or "pixels-2x2" where images hold
    more than 1,024 values and were averaged over 2×2 blocks (3×3, …) until they do not.
    `DataError` when rows and images do not match.
    """
    if len(codes) != len(images) or images.ndim != 4:
        raise DataError(
            f"Codes of shape {codes.shape} came with images of shape {images.shape}, "
            "expected [N,D] and [N,C,H,W] with the same N; give the images that were encoded."
        )
    pixels, block = _small_pixels(images)
    name = "pixels" if block == 1 else f"pixels-{block}x{block}"
    components = _principal_components(images, train, codes.shape[1], seed=seed)
    return {"codes": codes, f"pca-{components.shape[1]}": components, name: pixels}


def _small_pixels(images: NDArray[np.uint8]) -> tuple[Floats, int]:
    """Pixels `[N,V]` in [0,1] averaged over blocks, and the side of a block."""
    n, c, h, w = images.shape
    block = 1
    while c * -(-h // block) * -(-w // block) > MAX_PIXEL_VALUES and block < max(h, w):
        block += 1
    rows, columns = np.arange(0, h, block), np.arange(0, w, block)
    area = np.outer(np.diff([*rows, h]), np.diff([*columns, w])) * 255
    small = np.empty((n, c, len(rows), len(columns)), np.float32)
    for start in range(0, n, 500):
        x = images[start : start + 500].astype(np.float32)
        sums = np.add.reduceat(np.add.reduceat(x, rows, axis=2), columns, axis=3)
        small[start : start + 500] = sums / area
    return small.reshape(n, -1), block


def _principal_components(images: NDArray[np.uint8], train: Ints, n: int, *, seed: int) -> Floats:
    from sklearn.decomposition import PCA

    n_values = images[0].size
    rows = draw_rows(train, max(2, PCA_VALUES // n_values), seed=seed)
    flat = images.reshape(len(images), -1)
    n = min(n, n_values, len(rows))
    # Exact where the covariance is small; above that, only the leading components are sought.
    solver = "covariance_eigh" if n_values <= 1_500 else "randomized"
    pca = PCA(n, svd_solver=solver, random_state=seed)
    pca.fit(flat[rows].astype(np.float32) / 255)
    pieces = (flat[start : start + 500] for start in range(0, len(flat), 500))
    placed = [pca.transform(piece.astype(np.float32) / 255) for piece in pieces]
    return np.concatenate(placed).astype(np.float32)
