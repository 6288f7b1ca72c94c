"""What else could store the picture: PNG, JPEG, WebP and PCA at the code's size, and its curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import features

from vae_core.apply.compare import fit_linear
from vae_core.apply.compress import FRAME_BYTES, Codec
from vae_core.estimators import psnr
from vae_core.evaluate.rate import RatePoint, from_file, mean_codes, rate_point, to_file
from vae_core.examine import decode

Images = NDArray[np.uint8]
QUALITIES: Final = (1, 2, 4, 7, 11, 16, 24, 36, 50, 65, 80, 92)
MAX_COMPONENTS: Final = 64
PCA_BITS: Final = (3, 4, 5, 6, 7, 8)


@dataclass(frozen=True)
class Stored:
    """A picture as some way of storing it gives it back: `pixels` uint8 `[C,H,W]`.

    `psnr_db` is infinite where nothing is lost.
    """

    name: str
    n_bytes: int
    pixels: Images
    psnr_db: float


def stored(name: str, n_bytes: int, pixels: Images, *, original: Images) -> Stored:
    """A `Stored` with its distance to the original uint8 `[C,H,W]`."""
    error = float(np.square((pixels.astype(np.float64) - original) / 255).mean())
    decibels = float(psnr(torch.tensor(error, dtype=torch.float64))) if error else math.inf
    return Stored(name, n_bytes, pixels, decibels)


def usual_formats(pixels: Images, *, n_bytes: int) -> list[Stored]:
    """JPEG and WebP at the best quality that fits in `n_bytes`, else their smallest; and PNG.

    `pixels` uint8 `[C,H,W]`; other than grey and RGB pictures have no such file: an empty list.
    """
    if len(pixels) not in (1, 3):
        return []
    found = [_best_quality(pixels, "JPEG", {"optimize": True}, n_bytes=n_bytes)]
    if features.check("webp"):
        found.append(_best_quality(pixels, "WEBP", {"method": 6}, n_bytes=n_bytes))
    is_binary = len(pixels) == 1 and set(np.unique(pixels)) <= {0, 255}
    png = to_file(pixels, "PNG", {"optimize": True}, is_binary=is_binary)
    return [*found, stored("PNG", len(png), pixels, original=pixels)]


def _best_quality(pixels: Images, kind: str, options: dict[str, object], *, n_bytes: int) -> Stored:
    files = [to_file(pixels, kind, options | {"quality": q}, is_binary=False) for q in QUALITIES]
    fitting = [i for i, file in enumerate(files) if len(file) <= n_bytes]
    chosen = max(fitting) if fitting else min(range(len(files)), key=lambda i: len(files[i]))
    back = np.asarray(from_file(files[chosen], pixels), np.uint8)
    name = f"{'WebP' if kind == 'WEBP' else kind}, quality {QUALITIES[chosen]}"
    return stored(name, len(files[chosen]), back, original=pixels)


@dataclass(frozen=True)
class PcaCoder:
    """Principal components of a set, each sent as one of 2^bits levels of its range in the set."""

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    low: NDArray[np.float32]
    reach: NDArray[np.float32]

    def store(self, pixels: Images, *, n_bytes: int) -> Stored:
        """The picture in at most `n_bytes`, a frame like the code's own counted.

        The best of 3 to 8 bits per component for this very picture, in PCA's favour.
        """
        room = max(0, 8 * (n_bytes - FRAME_BYTES))
        tries = [self._store(pixels, min(len(self.low), room // bits), bits) for bits in PCA_BITS]
        return max(tries, key=lambda item: item.psnr_db)

    def _store(self, pixels: Images, k: int, bits: int) -> Stored:
        scores = self.components @ (pixels.ravel() / np.float32(255) - self.mean)
        cell = self.reach / (2**bits - 1)
        level = np.rint(np.clip(scores - self.low, 0, self.reach) / cell)
        sent = np.where(np.arange(len(level)) < k, level * cell + self.low, 0)
        values = np.clip(self.mean + sent @ self.components, 0, 1).reshape(pixels.shape)
        back = np.rint(values * 255).astype(np.uint8)
        n_bytes = FRAME_BYTES + math.ceil(k * bits / 8)
        return stored(f"PCA, {k} × {bits} bits", n_bytes, back, original=pixels)


def fit_pca_coder(images: Images, *, seed: int = 0) -> PcaCoder:
    """Up to 64 principal components of uint8 `[N,C,H,W]`; `DataError` for fewer than 2 images."""
    linear = fit_linear(images, MAX_COMPONENTS, seed=seed)
    scores = linear.encode(images)
    reach = np.maximum(np.ptp(scores, axis=0), np.float32(1e-9))
    return PcaCoder(linear.mean, linear.axes, scores.min(0), reach)


def rate_curve(codec: Codec, images: Images, *, bits: Sequence[int]) -> list[RatePoint]:
    """Average file size (one file each) and distortion of uint8 `[N,C,H,W]` by bit depth."""
    codes = mean_codes(codec.checkpoint.model, images)
    points = []
    for depth in bits:
        z = codec.round_codes(codes, bits=depth)
        error = float(np.square(decode(codec.checkpoint, z) - images / np.float32(255)).mean())
        n_bytes = sum(codec.file_bytes(code[None], bits=depth) for code in codes) / len(codes)
        points.append(rate_point(f"{depth} bits", 8 * n_bytes, error, header_bits=8 * FRAME_BYTES))
    return points
