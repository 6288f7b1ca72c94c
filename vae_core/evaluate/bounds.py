"""ELBO and importance-weighted likelihood of held-out images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae_core.errors import ConfigError
from vae_core.estimators import importance_bound, log_standard_normal
from vae_core.model import Autoencoder

# Codes decoded at once: bounds memory whatever K and the batch are.
DECODE_AT_ONCE = 2_000


@dataclass(frozen=True)
class BoundReport:
    """Means over images, nats per image; `nll_standard_error` is over the images."""

    n_images: int
    importance_samples: int
    nll: float
    nll_standard_error: float
    elbo: float
    reconstruction: float
    kl: float


def log_weights(
    model: Autoencoder, x: Tensor, *, n: int, generator: torch.Generator | None
) -> Tensor:
    """log p(x,z) − log q(z|x) for n independent samples per image: `[n,B]`, nats.

    `x` must already be the likelihood's target (binarised where it binarises).
    """
    posterior = model.encode(x)
    rows, at_once = [], max(1, DECODE_AT_ONCE // len(x))
    for start in range(0, n, at_once):
        z = posterior.sample(n=min(at_once, n - start), generator=generator)
        raw = model.decode_raw(z.flatten(0, 1))
        nll = model.likelihood.nll(raw, x.repeat(len(z), 1, 1, 1)).view(len(z), len(x))
        prior, proposal = log_standard_normal(z), posterior.log_density(z)
        rows.append(prior - proposal - nll)
    return torch.cat(rows)


@torch.no_grad()
def evidence_bounds(
    model: Autoencoder,
    images: NDArray[np.uint8],
    *,
    importance_samples: int = 100,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> BoundReport:
    """ELBO and K-sample importance bound on −log p(x) over uint8 images `[N,C,H,W]`.

    Images are binarised first, once, where the likelihood does so; encoder and decoder
    see the same binary image. `ConfigError` for fewer than one sample. Source: Burda et
    al. 2015, equation 8 and section 5.
    """
    if importance_samples < 1:
        raise ConfigError(
            f"{importance_samples} importance samples were asked for, expected 1 or more; "
            "100 is a good number."
        )
    generator = torch.Generator(model.device).manual_seed(seed)
    nll, elbo, reconstruction, kl = [], [], [], []
    for start in range(0, len(images), 100):
        x = torch.from_numpy(np.ascontiguousarray(images[start : start + 100])).to(model.device)
        target = model.likelihood.target(x.float() / 255, generator)
        weights = log_weights(model, target, n=importance_samples, generator=generator)
        posterior = model.encode(target)
        divergence = posterior.kl_terms().sum(1)
        nll.append(-importance_bound(weights))
        elbo.append(weights.mean(0))
        kl.append(divergence)
        reconstruction.append(-(weights.mean(0) + divergence))
        if progress:
            progress(min(start + 100, len(images)), len(images))
    scores = torch.cat(nll).double()
    error = float(scores.std()) / math.sqrt(len(scores)) if len(scores) > 1 else math.nan
    means = [float(torch.cat(part).double().mean()) for part in (elbo, reconstruction, kl)]
    return BoundReport(len(images), importance_samples, float(scores.mean()), error, *means)
