"""ELBO and importance-weighted likelihood of held-out images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

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
    """Means over images, nats per image; standard errors are over the images.

    `nll_mixture` is `nll` under the mixture that was given in place of N(0, I), None without.
    """

    n_images: int
    importance_samples: int
    nll: float
    nll_standard_error: float
    elbo: float
    reconstruction: float
    kl: float
    nll_mixture: float | None = None
    nll_mixture_standard_error: float | None = None


class Density(Protocol):
    """A prior other than N(0, I), such as `latent.mixture.MixturePrior`."""

    def log_density(self, z: Tensor) -> Tensor:
        """log p(z) of codes `[M,D]`: `[M]`, nats."""
        ...


def log_weights(
    model: Autoencoder, x: Tensor, *, n: int, generator: torch.Generator | None
) -> Tensor:
    """log p(x,z) − log q(z|x) for n independent samples per image: `[n,B]`, nats.

    `x` must already be the likelihood's target (binarised where it binarises).
    """
    return _log_weights(model, x, [None], n=n, generator=generator)[0]


def _log_weights(
    model: Autoencoder,
    x: Tensor,
    priors: Sequence[Density | None],
    *,
    n: int,
    generator: torch.Generator | None,
) -> Tensor:
    """The same under each of P priors, None for N(0, I), from the same samples: `[P,n,B]`."""
    posterior = model.encode(x)
    rows, at_once = [], max(1, DECODE_AT_ONCE // len(x))
    for start in range(0, n, at_once):
        z = posterior.sample(n=min(at_once, n - start), generator=generator)
        raw = model.decode_raw(z.flatten(0, 1))
        nll = model.likelihood.nll(raw, x.repeat(len(z), 1, 1, 1)).view(len(z), len(x))
        rest = posterior.log_density(z) + nll
        rows.append(torch.stack([_log_prior(prior, z) for prior in priors]) - rest)
    return torch.cat(rows, 1)


def _log_prior(prior: Density | None, z: Tensor) -> Tensor:
    """log p(z) of samples `[n,B,D]`: `[n,B]`, nats."""
    if prior is None:
        return log_standard_normal(z)
    return prior.log_density(z.flatten(0, 1)).view(z.shape[:2]).to(z.device)


@torch.no_grad()
def evidence_bounds(
    model: Autoencoder,
    images: NDArray[np.uint8],
    *,
    importance_samples: int = 100,
    seed: int = 0,
    mixture: Density | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BoundReport:
    """ELBO and K-sample importance bound on −log p(x) over uint8 images `[N,C,H,W]`.

    Images are binarised first, once, where the likelihood does so; encoder and decoder
    see the same binary image. With a `mixture` as p(z) the same samples give a second bound,
    that of the model whose codes are drawn from the mixture: honest only if it was fitted
    without these images. `ConfigError` for fewer than one sample. Source: Burda et al. 2015,
    equation 8 and section 5; a prior learnt from the codes: Tomczak & Welling 2018
    (arXiv:1705.07120), section 2.
    """
    if importance_samples < 1:
        raise ConfigError(
            f"{importance_samples} importance samples were asked for, expected 1 or more; "
            "100 is a good number."
        )
    generator = torch.Generator(model.device).manual_seed(seed)
    priors = [None] if mixture is None else [None, mixture]
    nll, elbo, reconstruction, kl = [], [], [], []
    for start in range(0, len(images), 100):
        x = torch.from_numpy(np.ascontiguousarray(images[start : start + 100])).to(model.device)
        target = model.likelihood.target(x.float() / 255, generator)
        layers = _log_weights(model, target, priors, n=importance_samples, generator=generator)
        divergence, average = model.encode(target).kl_terms().sum(1), layers[0].mean(0)
        nll.append(torch.stack([-importance_bound(weights) for weights in layers], 1))
        elbo.append(average)
        kl.append(divergence)
        reconstruction.append(-(average + divergence))
        if progress:
            progress(min(start + 100, len(images)), len(images))
    scores = torch.cat(nll).double()
    errors = scores.std(0) / math.sqrt(len(scores)) if len(scores) > 1 else scores[0] * math.nan
    means = [float(torch.cat(part).double().mean()) for part in (elbo, reconstruction, kl)]
    pairs = [float(n) for pair in zip(scores.mean(0), errors, strict=True) for n in pair]
    return BoundReport(len(images), importance_samples, *pairs[:2], *means, *pairs[2:])
