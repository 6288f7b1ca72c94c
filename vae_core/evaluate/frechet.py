"""Fréchet distance between two sets of pictures, in a feature space that is always named.

A distance means nothing without its space. "random-conv-64/1" works offline and everywhere;
"inception-v3-torchvision/1" needs weights that the user has fetched. Neither is comparable
with a published FID, which uses another Inception (Heusel et al. 2017).
"""

from __future__ import annotations

import hashlib
import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vae_core.errors import ConfigError, DataError

Floats = NDArray[np.floating]
Features = NDArray[np.float32]
Images = NDArray[np.uint8] | NDArray[np.floating]

RANDOM_CONV = "random-conv-64/1"
INCEPTION = "inception-v3-torchvision/1"

# The random network: change a number and the "/1" of its name must change too.
_WIDTHS = (3, 32, 64, 128)
_SIDE, _SEED, _N_FEATURES = 32, 20170626, 64


@dataclass(frozen=True)
class FrechetReport:
    """`distance` = `mean_term` + `covariance_term`, in squared units of the feature space.

    It is biased upwards by about 1/n, so compare only at equal numbers of pictures
    (Chong & Forsyth 2020, arXiv:1911.07023).
    """

    distance: float
    mean_term: float
    covariance_term: float
    features: str
    n_first: int
    n_second: int


def frechet_distance(first: Floats, second: Floats, *, features: str = "given") -> FrechetReport:
    """Fréchet distance of the Gaussians fitted to two sets of features, `[N,D]` and `[M,D]`.

    ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½). The last trace is the sum of the singular values
    of Σ₁^½Σ₂^½: real, never negative, and exact to rounding for singular covariances.
    `DataError` for features that do not match, are not finite, or fewer than D + 1 rows,
    which leave the covariance short of rank. Source: Heusel et al. 2017 (arXiv:1706.08500),
    equation 6.
    """
    _check_features(first, second)
    (mean, root, trace), (mean_2, root_2, trace_2) = map(_moments, (first, second))
    shared = float(np.linalg.svd(root @ root_2, compute_uv=False).sum())
    mean_term = float(np.square(mean - mean_2).sum())
    # Rounding may leave a few 1e-16 of the traces on either side of 0.
    covariance_term = max(0.0, trace + trace_2 - 2 * shared)
    total = mean_term + covariance_term
    return FrechetReport(total, mean_term, covariance_term, features, len(first), len(second))


def _check_features(first: Floats, second: Floats) -> None:
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise DataError(
            f"Features of shapes {first.shape} and {second.shape} came, expected [N,D] and "
            "[M,D]; compute both in the same feature space."
        )
    least = first.shape[1] + 1
    if min(len(first), len(second)) < least:
        raise DataError(
            f"{len(first)} and {len(second)} samples came, expected {least} or more of each for "
            f"{least - 1} features; give more, or take a feature space with fewer."
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError(
            "Features hold NaN or infinity, expected finite numbers; look at the pictures."
        )


def _moments(x: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Mean `[D]`, square root of the covariance `[D,D]` and its trace."""
    x = x.astype(np.float64)
    mean = x.mean(0)
    centred = x - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / (len(x) - 1))
    values = values.clip(0)
    return mean, (vectors * np.sqrt(values)) @ vectors.T, float(values.sum())


def frechet_images(first: Images, second: Images, *, space: str = RANDOM_CONV) -> FrechetReport:
    """Fréchet distance of two sets of pictures `[N,C,H,W]`, uint8 or floats in [0,1].

    The sets may differ in number, and in size and channels only if that difference is meant
    to count. Errors as in `embed_images` and `frechet_distance`.
    """
    embedded = (embed_images(images, space=space) for images in (first, second))
    return frechet_distance(*embedded, features=space)


def embed_images(images: Images, *, space: str = RANDOM_CONV, batch_size: int = 100) -> Features:
    """Pictures `[N,C,H,W]` with 1 or 3 channels as features float32 `[N,D]` of a named space.

    "random-conv-64/1" (D = 64): an untrained convolutional network with fixed weights. Naeem
    et al. 2020 (arXiv:2002.09797) advise random embeddings for pictures unlike ImageNet's.
    It knows no objects: the distance weighs strokes, edges, brightness and layout at 32×32
    pixels, and its unit is this network's own, so no FID compares with it.
    "inception-v3-torchvision/1" (D = 2,048): the pool layer of torchvision's ImageNet weights.
    `ConfigError` for an unknown space or one that is not installed, `DataError` for pictures
    of another form.
    """
    networks: dict[str, Callable[[], Callable[[Tensor], Tensor]]] = {
        RANDOM_CONV: _random_network,
        INCEPTION: _inception_network,
    }
    if space not in networks:
        raise ConfigError(
            f"The feature space '{space}' is unknown, expected {' or '.join(networks)}; "
            "choose one of them."
        )
    _check_images(images)
    network = networks[space]()
    rows = []
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            # A copy: images may be mapped from a file, which torch must not write to.
            x = torch.from_numpy(images[start : start + batch_size].astype(np.float32))
            x = x / 255 if images.dtype == np.uint8 else x
            rows.append(network(x.expand(-1, 3, -1, -1)).numpy())
    return np.concatenate(rows)


def _check_images(images: Images) -> None:
    shape = images.shape
    if len(shape) != 4 or shape[1] not in (1, 3) or not images.size:
        raise DataError(
            f"Images of shape {shape} came, expected [N,C,H,W] with 1 or 3 channels; "
            "convert them first."
        )
    within = images.dtype.kind == "f" and images.min() >= -1e-6 and images.max() <= 1 + 1e-6
    if images.dtype != np.uint8 and not within:
        raise DataError(
            f"{images.dtype} images from {images.min()} to {images.max()} came, expected uint8 "
            "or floats in [0,1]; scale or clip them first."
        )


def _resized(x: Tensor, side: int) -> Tensor:
    """Images `[B,3,H,W]` from [0,1] to [−1,1] and a square of `side` pixels."""
    if x.shape[2:] != (side, side):
        x = F.interpolate(x, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return x.clamp(0, 1) * 2 - 1


@cache
def _random_weights() -> tuple[Tensor, ...]:
    """Three convolutions `[O,I,3,3]` and a dense layer `[64,2048]`, the same everywhere."""
    generator = torch.Generator().manual_seed(_SEED)
    pairs = zip(_WIDTHS[1:], _WIDTHS[:-1], strict=True)
    shapes: list[tuple[int, ...]] = [(wide, narrow, 3, 3) for wide, narrow in pairs]
    shapes.append((_N_FEATURES, _WIDTHS[-1] * (_SIDE // 8) ** 2))
    # Variance 2 / inputs keeps the size of activations through rectifiers (He et al. 2015).
    return tuple(
        torch.randn(shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:]))
        for shape in shapes
    )


def _random_network() -> Callable[[Tensor], Tensor]:
    *convolutions, dense = _random_weights()

    def features(x: Tensor) -> Tensor:
        x = _resized(x, _SIDE)
        for weight in convolutions:
            x = F.leaky_relu(F.conv2d(x, weight, stride=2, padding=1), 0.2)
        return x.flatten(1) @ dense.T

    return features


def _inception_network() -> Callable[[Tensor], Tensor]:
    models = _torchvision_models()
    weights = models.Inception_V3_Weights.IMAGENET1K_V1
    _check_weights(weights.url)
    network = models.inception_v3(weights=None, init_weights=False, transform_input=False)
    # The file is there, so nothing is downloaded; weights_only keeps it from running code.
    state = weights.get_state_dict(progress=False, weights_only=True, map_location="cpu")
    network.load_state_dict(state)
    network.fc = torch.nn.Identity()
    network.eval()

    def features(x: Tensor) -> Tensor:
        pooled: Tensor = network(_resized(x, 299))
        return pooled

    return features


def _torchvision_models() -> Any:
    try:
        return importlib.import_module("torchvision.models")
    # RuntimeError: a torchvision that was built for another torch.
    except (ImportError, RuntimeError) as error:
        raise ConfigError(
            f"The feature space '{INCEPTION}' needs torchvision, which cannot be imported "
            f"({error}); install it beside your torch, or take '{RANDOM_CONV}'."
        ) from error


def _check_weights(url: str) -> None:
    """Raise `ConfigError` unless torch.hub's cache holds the file with the hash in its name."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if not file.is_file():
        raise ConfigError(
            f"The feature space '{INCEPTION}' needs {file}, which is not there; fetch it "
            f"from {url}, or take '{RANDOM_CONV}'."
        )
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    wanted = file.stem.rsplit("-", 1)[-1]
    if not found.startswith(wanted):
        raise ConfigError(
            f"{file} has the SHA-256 {found[:8]}, expected {wanted}; delete it and fetch it "
            f"again from {url}."
        )
