"""Every formula of the field that this project uses, written once, in nats.

Conventions: sums over pixels and over latent dimensions, never means, so that β keeps
its meaning whatever the image size; one value per image, reduced only by the caller.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LOG_2_PI = math.log(2 * math.pi)


def kl_to_standard_normal(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, exp(log_std)²) ‖ N(0,1)) per dimension; `[...,D]` in, `[...,D]` out, nats.

    KL = ½(μ² + σ² − 1 − 2·log σ). Source: Kingma & Welling 2013, appendix B.
    """
    # expm1 keeps KLs below 1e-7 that exp() - 1 would turn into noise of either sign.
    return 0.5 * (mean.square() + (2 * log_std).expm1() - 2 * log_std)


def log_normal(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log density of independent Gaussians, summed over the last dimension; `[...]`, nats."""
    scaled = (x - mean) * (-log_std).exp()
    return (-0.5 * (scaled.square() + LOG_2_PI) - log_std).sum(-1)


def log_standard_normal(z: Tensor) -> Tensor:
    """Log density of N(0, I), summed over the last dimension; `[...]`, nats."""
    return (-0.5 * (z.square() + LOG_2_PI)).sum(-1)


def importance_bound(log_weights: Tensor) -> Tensor:
    """Lower bound on log p(x) from K log weights `[K,B]` → `[B]`: logsumexp − log K.

    With K = 1 it is a one-sample ELBO; it rises with K towards log p(x).
    Source: Burda et al. 2015 (arXiv:1509.00519), equation 8.
    """
    return torch.logsumexp(log_weights, dim=0) - math.log(log_weights.shape[0])


def active_units(means: Tensor, *, threshold: float = 0.01) -> Tensor:
    """Which latent dimensions carry information: variance of the mean over images > threshold.

    `means` `[N,D]` → bool `[D]`. Source: Burda et al. 2015, section 5.2.
    """
    return means.var(dim=0, unbiased=False) > threshold


def psnr(squared_error: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of a mean squared error on [0,1] values."""
    return -10 * torch.log10(squared_error.clamp_min(1e-12))
