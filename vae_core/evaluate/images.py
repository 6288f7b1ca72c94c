"""Per-image scores: how well a picture is rebuilt and how unusual its code is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae_core.model import Autoencoder

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ImageScores:
    """What the model makes of N images; all arrays float32.

    `mean`, `log_std` `[N,D]` of the posterior; `squared_error` `[N]`, mean over values of
    the squared difference to the reconstruction from the mean code, on [0,1];
    `reconstruction_nats` `[N]`, −log p(x|z) at the mean code; `kl_nats` `[N,D]`, zero for a
    model without a posterior's width.
    """

    mean: Floats
    log_std: Floats
    squared_error: Floats
    reconstruction_nats: Floats
    kl_nats: Floats


def image_batches(model: Autoencoder, images: NDArray[np.uint8], *, size: int) -> Iterator[Tensor]:
    """uint8 images `[N,C,H,W]` as floats in [0,1] where the model is, `size` at a time.

    Only those in work are read from a memory map.
    """
    for start in range(0, len(images), size):
        piece = np.ascontiguousarray(images[start : start + size])
        yield torch.from_numpy(piece).to(model.device).float() / 255


@torch.no_grad()
def score_images(
    model: Autoencoder,
    images: NDArray[np.uint8],
    *,
    batch_size: int = 250,
    progress: Callable[[int, int], None] | None = None,
) -> ImageScores:
    """Encode, rebuild and score uint8 images `[N,C,H,W]`; deterministic."""
    parts: list[tuple[Floats, ...]] = []
    n_done = 0
    for x in image_batches(model, images, size=batch_size):
        posterior = model.encode(x)
        raw = model.decode_raw(posterior.mean)
        error = (model.likelihood.mean(raw) - x).square().flatten(1).mean(1)
        # Grey values are scored as they are here: a binarised draw would add chance.
        nats = model.likelihood.nll(raw, x)
        # A point has no KL worth the name: it would be the same large constant for every image.
        is_point = model.config.posterior == "point"
        kl = torch.zeros_like(posterior.mean) if is_point else posterior.kl_terms()
        tensors = (posterior.mean, posterior.log_std, error, nats, kl)
        parts.append(tuple(t.float().cpu().numpy() for t in tensors))
        n_done += len(x)
        if progress:
            progress(n_done, len(images))
    return ImageScores(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@torch.no_grad()
def posterior_factors(
    model: Autoencoder, images: NDArray[np.uint8], *, batch_size: int = 250
) -> Floats | None:
    """Lower Cholesky factors of q(z|x) of uint8 images: float32 `[N,D,D]`, None if diagonal.

    Encoded as `score_images` does.
    """
    if model.config.posterior != "full":
        return None
    factors = [np.empty((0, model.n_latent, model.n_latent), np.float32)]
    for x in image_batches(model, images, size=batch_size):
        found = model.encode(x).factor
        assert found is not None
        factors.append(found.cpu().numpy())
    return np.concatenate(factors)
