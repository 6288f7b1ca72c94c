"""Rate and distortion: what a model's codes cost in bits, beside PNG, WebP and PCA.

Rates are bits per image, distortions the mean squared error on values in [0,1]. A model's
rate by bits back is what a message costs net of the bits it carries anyway (Townsend et al.
2019, arXiv:1901.04866); its lossy rate is the KL (Alemi et al. 2018, arXiv:1711.00464,
section 2). The cost of the decoder, of PCA's basis and of code tables is not in any rate.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, features
from sklearn.decomposition import PCA

from vae_core.errors import ConfigError, DataError
from vae_core.estimators import psnr
from vae_core.evaluate.bounds import evidence_bounds
from vae_core.evaluate.images import image_batches
from vae_core.model import Autoencoder

Numbers = NDArray[np.floating]
Images = NDArray[np.uint8]
Decode = Callable[[NDArray[np.float32]], Numbers]

WEBP_QUALITIES: Final = (1, 10, 30, 60, 90)
BATCH_SIZE: Final = 250
MAX_PCA_IMAGES: Final = 5_000
# Bits for a symbol that lies outside a code table's range: sent as a plain integer.
ESCAPE_BITS: Final = 32


@dataclass(frozen=True)
class RatePoint:
    """Average cost and distortion of a way to store images.

    `bits_per_image` is on average; `mse` over all values on [0,1]; `psnr_db` is that of the
    average mse, infinite when nothing is lost. `header_bits` of the rate are the file format's
    frame: what a black image of the same size costs, hardly anything but header.
    """

    name: str
    bits_per_image: float
    mse: float
    psnr_db: float
    header_bits: float = 0.0


def rate_point(name: str, bits: float, mse: float, *, header_bits: float = 0.0) -> RatePoint:
    """A `RatePoint` from its rate in bits per image and its mse."""
    decibels = float(psnr(torch.tensor(mse, dtype=torch.float64))) if mse > 0 else math.inf
    return RatePoint(name, float(bits), float(mse), decibels, float(header_bits))


def lossless_bits_per_value(model: Autoencoder, images: Images, *, seed: int = 0) -> float | None:
    """Code length of images by bits back, −ELBO in bits per pixel value; lower is better.

    It is the length of what the likelihood scores: binarised images for one that binarises,
    the 256 levels for a discretised logistic. None for a density, which is no code length.
    `DataError` for no images.
    """
    _check_images(images)
    if not model.likelihood.is_discrete:
        return None
    report = evidence_bounds(model, images, importance_samples=1, seed=seed)
    return -report.elbo / (model.spec.n_values * math.log(2))


@torch.no_grad()
def model_point(
    model: Autoencoder, images: Images, *, name: str = "bits back", seed: int = 0
) -> RatePoint:
    """The model as a lossy coder of uint8 images `[N,C,H,W]`: its KL in bits, its distortion.

    Bits back sends a draw from the posterior, so the distortion is that of a decoded draw,
    which is larger than the mean code's. Points of models trained with several β make a
    rate-distortion curve. `DataError` for no images.
    """
    _check_images(images)
    generator = torch.Generator(model.device).manual_seed(seed)
    bits, errors = 0.0, 0.0
    for x in image_batches(model, images, size=BATCH_SIZE):
        posterior = model.encode(x)
        bits += float(posterior.kl_terms().double().sum()) / math.log(2)
        shown = model.decode(posterior.sample(generator=generator)[0])
        errors += float((shown - x).double().square().flatten(1).mean(1).sum())
    return rate_point(name, bits / len(images), errors / len(images))


@torch.no_grad()
def plain_code_points(
    model: Autoencoder,
    images: Images,
    *,
    steps: Sequence[float],
    table_images: Images | None = None,
) -> list[RatePoint]:
    """The mean code rounded to multiples of each step, then entropy coded per dimension.

    See `quantised_point`; `table_images` (training images) make the code tables. `DataError`
    for no images, `ConfigError` for a step that is not positive.
    """
    _check_images(images)
    codes = mean_codes(model, images)
    table = None if table_images is None else mean_codes(model, table_images)

    def decode(z: NDArray[np.float32]) -> Numbers:
        return np.asarray(model.decode(torch.from_numpy(z).to(model.device)).cpu())

    return [
        quantised_point(f"mean code, step {step:g}", codes, images, decode, step=step, table=table)
        for step in steps
    ]


@torch.no_grad()
def mean_codes(model: Autoencoder, images: Images) -> NDArray[np.float32]:
    """Posterior means of uint8 images `[N,C,H,W]`: float32 `[N,D]`."""
    batches = image_batches(model, images, size=BATCH_SIZE)
    return np.concatenate([model.encode(x).mean.float().cpu().numpy() for x in batches])


def code_length_bits(symbols: NDArray[np.int64], table: NDArray[np.int64] | None = None) -> float:
    """Bits per row to code integers `[N,D]`, each column by a table of its own.

    Without `table` it is the empirical entropy, Σ over columns: tables made of these very
    rows, a lower limit that is too low for few rows. With `table` `[M,D]`, other rows, it is
    the cross-entropy under their counts plus one half (Krichevsky & Trofimov 1981), and an
    integer beyond the table's range costs an escape and 32 bits.
    """
    if table is None:
        return sum(_entropy_bits(column) for column in symbols.T)
    columns = zip(symbols.T, table.T, strict=True)
    return sum(_table_bits(column, counted) for column, counted in columns)


def _entropy_bits(column: NDArray[np.int64]) -> float:
    share = np.unique(column, return_counts=True)[1] / len(column)
    return float(-(share * np.log2(share)).sum()) + 0.0


def _table_bits(column: NDArray[np.int64], counted: NDArray[np.int64]) -> float:
    values, counts = np.unique(counted, return_counts=True)
    place = np.searchsorted(values, column).clip(max=len(values) - 1)
    count = np.where(values[place] == column, counts[place], 0)
    n_symbols = int(values[-1] - values[0]) + 2  # one of them the escape
    bits = -np.log2((count + 0.5) / (len(counted) + 0.5 * n_symbols))
    is_outside = (column < values[0]) | (column > values[-1])
    return float((bits + ESCAPE_BITS * is_outside).mean())


def quantised_point(
    name: str,
    codes: Numbers,
    images: Images,
    decode: Decode,
    *,
    step: float,
    table: Numbers | None = None,
) -> RatePoint:
    """Codes `[N,D]` of images `[N,C,H,W]` rounded to multiples of `step`, coded and decoded.

    `decode` turns float32 `[B,D]` into images on [0,1] `[B,C,H,W]`; `table`: other codes that
    make the code tables, see `code_length_bits`. `ConfigError` for a step that is not
    positive, `DataError` when codes and images do not match.
    """
    if not (step > 0 and math.isfinite(step)):
        raise ConfigError(f"A step of {step} came, expected one above 0; 0.5 is a start.")
    _check_images(images)
    if codes.ndim != 2 or len(codes) != len(images):
        raise DataError(
            f"Codes of shape {codes.shape} came for {len(images)} images, expected one row per "
            "image; encode the same images."
        )
    symbols = _round(codes, step)
    bits = code_length_bits(symbols, None if table is None else _round(table, step))
    return rate_point(name, bits, _distortion((symbols * step).astype(np.float32), images, decode))


def _round(codes: Numbers, step: float) -> NDArray[np.int64]:
    return np.rint(np.asarray(codes, np.float64) / step).astype(np.int64)


def _distortion(codes: NDArray[np.float32], images: Images, decode: Decode) -> float:
    """Mean squared error of decoded codes to uint8 images, on [0,1]."""
    total = 0.0
    for start in range(0, len(images), BATCH_SIZE):
        rows = slice(start, start + BATCH_SIZE)
        shown = np.asarray(decode(codes[rows]), np.float64).reshape(images[rows].shape)
        total += float(np.square(shown - images[rows] / 255).sum())
    return total / images.size


def codec_points(
    images: Images, *, webp_qualities: Sequence[int] = WEBP_QUALITIES
) -> list[RatePoint]:
    """PNG and WebP of uint8 images `[N,C,H,W]`, one file per image, C of 1 or 3.

    Black-and-white images (0 and 255 only) are PNGs of 1 bit per pixel. `header_bits` tells
    how much of a file is frame, which small images pay dearly for. `DataError` for no images or
    another channel count.
    """
    _check_images(images)
    if images.shape[1] not in (1, 3):
        raise DataError(
            f"Images of {images.shape[1]} channels came, PNG and WebP take 1 or 3; compare with "
            "grey or RGB images."
        )
    # Methods and efforts that give the smallest files.
    lossless: dict[str, object] = {"lossless": True, "quality": 100}
    points = [_codec_point("PNG, lossless", images, "PNG", {"optimize": True})]
    if features.check("webp"):
        points.append(_codec_point("WebP, lossless", images, "WEBP", lossless))
        for quality in webp_qualities:
            options: dict[str, object] = {"quality": quality, "method": 6}
            points.append(_codec_point(f"WebP, quality {quality}", images, "WEBP", options))
    return points


def _codec_point(
    name: str, images: Images, file_format: str, options: dict[str, object]
) -> RatePoint:
    is_binary = file_format == "PNG" and images.shape[1] == 1 and set(np.unique(images)) <= {0, 255}
    n_bytes, error = 0, 0.0
    for image in images:
        data = to_file(image, file_format, options, is_binary=is_binary)
        n_bytes += len(data)
        error += float(np.square((from_file(data, image) - image.astype(np.float64)) / 255).mean())
    black = to_file(np.zeros_like(images[0]), file_format, options, is_binary=is_binary)
    bits = 8 * n_bytes / len(images)
    return rate_point(name, bits, error / len(images), header_bits=8 * len(black))


def to_file(image: Images, kind: str, options: dict[str, object], *, is_binary: bool) -> bytes:
    """uint8 `[C,H,W]` as a file of Pillow's format; `is_binary` at 1 bit per pixel."""
    picture = Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, 2))
    file = io.BytesIO()
    (picture.convert("1") if is_binary else picture).save(file, kind, **options)
    return file.getvalue()


def from_file(data: bytes, image: Images) -> NDArray[np.float64]:
    """The picture of a file, float64 in [0,255], in the shape of `image` `[C,H,W]`."""
    with Image.open(io.BytesIO(data)) as picture:
        values = np.asarray(picture.convert("L" if len(image) == 1 else "RGB"), np.float64)
    return values[None] if values.ndim == 2 else np.moveaxis(values, 2, 0)


def pca_points(
    train: Images,
    test: Images,
    *,
    bits_per_image: Sequence[float],
    bits_per_component: int = 6,
    seed: int = 0,
) -> list[RatePoint]:
    """PCA fitted on `train`, measured on `test`, at about the given rates: the linear floor.

    A rate buys round(rate / bits_per_component) components, at least one, each sent as one of
    2^bits levels over its range in training. `DataError` for no images or sets of unlike
    shape; `ConfigError` for a rate or bits that are not positive.
    """
    if not bits_per_image or min(bits_per_image) <= 0 or not 1 <= bits_per_component <= 16:
        raise ConfigError(
            f"Rates {tuple(bits_per_image)} with {bits_per_component} bits per component came, "
            "expected rates above 0 with 1 to 16 bits; take a model's rate and 6 bits."
        )
    wanted = [max(1, round(rate / bits_per_component)) for rate in bits_per_image]
    pca, scores, known = _fit_pca(train, test, n_components=max(wanted), seed=seed)
    low, high = known.min(0), known.max(0)
    cell = np.maximum(high - low, 1e-9) / (2**bits_per_component - 1)
    sent = np.rint((np.clip(scores, low, high) - low) / cell) * cell + low
    points = []
    for k in (min(k, scores.shape[1]) for k in wanted):
        kept = np.where(np.arange(scores.shape[1]) < k, sent, 0).astype(np.float32)
        name = f"PCA, {k} × {bits_per_component} bits"
        points.append(
            rate_point(name, k * bits_per_component, _distortion(kept, test, _decoder(pca)))
        )
    return points


def pca_code_points(
    train: Images,
    test: Images,
    *,
    steps: Sequence[float],
    n_components: int = 128,
    seed: int = 0,
) -> list[RatePoint]:
    """PCA with its scores rounded and entropy coded: a stronger linear floor than `pca_points`.

    The same coder as `plain_code_points`, tables from `train`. One step for all components
    shares the bits out as reverse water-filling does; small components round to 0 and cost
    next to nothing. Errors as in `pca_points` and `quantised_point`.
    """
    pca, scores, known = _fit_pca(train, test, n_components=n_components, seed=seed)
    return [
        quantised_point(f"PCA, step {step:g}", scores, test, _decoder(pca), step=step, table=known)
        for step in steps
    ]


def _decoder(pca: PCA) -> Decode:
    def decode(z: NDArray[np.float32]) -> Numbers:
        return np.asarray(np.clip(z @ pca.components_ + pca.mean_, 0, 1))

    return decode


def _fit_pca(
    train: Images, test: Images, *, n_components: int, seed: int
) -> tuple[PCA, Numbers, Numbers]:
    """PCA of up to 5,000 training images, and the scores of test and training images."""
    _check_images(train)
    _check_images(test)
    if train.shape[1:] != test.shape[1:]:
        raise DataError(
            f"Training images of shape {train.shape[1:]} came with test images of shape "
            f"{test.shape[1:]}, expected the same; take both from one set."
        )
    rows = np.random.default_rng(seed).permutation(len(train))[:MAX_PCA_IMAGES]
    known, unknown = (
        part.reshape(len(part), -1).astype(np.float32) / 255 for part in (train[rows], test)
    )
    with np.errstate(invalid="ignore"):  # equal images: shares of no variance at all
        pca = PCA(min(n_components, *known.shape), random_state=seed).fit(known)
    return pca, pca.transform(unknown), pca.transform(known)


def _check_images(images: Images) -> None:
    if images.ndim != 4 or images.dtype != np.uint8 or not len(images):
        raise DataError(
            f"{images.dtype} of shape {images.shape} came, expected uint8 images [N,C,H,W]; "
            "take at least one from an image set."
        )
