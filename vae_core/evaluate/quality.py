"""How faithful rebuilt pictures are: MSE, PSNR and SSIM of each, and their averages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vae_core.errors import DataError
from vae_core.estimators import psnr

Floats = NDArray[np.float64]
Images = NDArray[np.uint8] | NDArray[np.floating]

# SSIM's Gaussian window (Wang et al. 2004): 11 pixels wide at a deviation of 1.5.
SSIM_RADIUS, SSIM_SIGMA = 5, 1.5
_CHUNK_IMAGES = 256


@dataclass(frozen=True)
class QualityReport:
    """Averages over `n_images` with standard deviations over them (divided by N).

    `mse` on [0,1]; `psnr` in dB, at most 120, where an identical picture has no finite
    value: the mean of the images' decibels, not those of the mean error. `ssim` from −1 to
    1 with a Gaussian window of `ssim_window` pixels. All finite, so fit for JSON.
    """

    n_images: int
    mse: float
    mse_std: float
    psnr: float
    psnr_std: float
    ssim: float
    ssim_std: float
    ssim_window: int


@dataclass(frozen=True)
class Quality:
    """Per-image measures, float64 `[N]` each; units as in `QualityReport`."""

    mse: Floats
    psnr: Floats
    ssim: Floats
    ssim_window: int

    def report(self) -> QualityReport:
        """Means and standard deviations over the images."""
        pairs = [(float(a.mean()), float(a.std())) for a in (self.mse, self.psnr, self.ssim)]
        mse, decibel, ssim = pairs
        return QualityReport(len(self.mse), *mse, *decibel, *ssim, self.ssim_window)


def image_quality(original: Images, rebuilt: Images) -> Quality:
    """Compare pictures with what became of them; both `[N,C,H,W]`, uint8 or floats in [0,1].

    SSIM is averaged over channels. Its window has 11 pixels; on images with a shorter side
    it shrinks with its deviation to the largest odd width that fits (7 on 8×8), and such
    values compare only with each other. `DataError` for shapes that differ, no image, a side
    below 3 pixels or floats outside [0,1]. Source: Wang et al. 2004 (Image quality
    assessment: from error visibility to structural similarity), section III-B.
    """
    _check(original, rebuilt)
    radius = min(SSIM_RADIUS, (min(original.shape[2:]) - 1) // 2)
    mse, ssim = [], []
    for start in range(0, len(original), _CHUNK_IMAGES):
        x, y = (_on_unit(part[start : start + _CHUNK_IMAGES]) for part in (original, rebuilt))
        mse.append(np.square(x - y).mean((1, 2, 3)))
        ssim.append([_similarity(a, b, radius) for a, b in zip(x, y, strict=True)])
    errors = np.concatenate(mse)
    decibel = psnr(torch.from_numpy(errors)).numpy()
    return Quality(errors, decibel, np.concatenate(ssim), 2 * radius + 1)


def _similarity(a: Floats, b: Floats, radius: int) -> float:
    """SSIM of two images `[C,H,W]` under a Gaussian window of 2·radius + 1 pixels."""
    from skimage.metrics import structural_similarity

    # scikit-image says it is typed and leaves this function without types.
    compare: Callable[..., float] = structural_similarity
    # scikit-image derives the radius as int(3.5σ + ½): this is that, inverted.
    sigma = SSIM_SIGMA if radius == SSIM_RADIUS else radius / 3.5
    return float(
        compare(
            a,
            b,
            data_range=1.0,
            channel_axis=0,
            gaussian_weights=True,
            sigma=sigma,
            use_sample_covariance=False,
        )
    )


def _on_unit(images: Images) -> Floats:
    scale = 255 if images.dtype == np.uint8 else 1
    return np.asarray(images, np.float64) / scale


def _check(original: Images, rebuilt: Images) -> None:
    shape = original.shape
    if shape != rebuilt.shape or len(shape) != 4 or not original.size or min(shape[2:]) < 3:
        raise DataError(
            f"Images of shapes {shape} and {rebuilt.shape} came, expected two equal "
            "[N,C,H,W] with N of 1 or more and sides of 3 or more; pair each image with its own."
        )
    for images in (original, rebuilt):
        is_bytes = images.dtype == np.uint8
        # Written so that NaN fails too.
        if not (is_bytes or (images.dtype.kind == "f" and _within_unit(images))):
            raise DataError(
                f"{images.dtype} images from {images.min()} to {images.max()} came, expected "
                "uint8 or floats in [0,1]; scale or clip them first."
            )


def _within_unit(images: Images) -> bool:
    return bool(images.min() >= -1e-6 and images.max() <= 1 + 1e-6)
