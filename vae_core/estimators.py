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


def aggregate_log_densities(
    z: Tensor,
    mean: Tensor,
    log_std: Tensor,
    *,
    log_weight: Tensor | None = None,
    log_joint: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """log q(z) and Σ_d log q(z_d) under the mixture of B Gaussian posteriors; `[M]` each, nats.

    `z` `[M,D]`; `mean`, `log_std` `[B,D]`, the marginals; `log_weight` `[M,B]`, by default
    −log B each; `log_joint` `[M,B]` replaces Σ_d log q(z_d|x_j) where the posteriors are
    not diagonal. Memory grows with M·B·D: pass z in pieces.
    Source: Chen et al. 2018 (arXiv:1802.04942), equation 2 and appendix C.
    """
    scaled = (z[:, None] - mean) * (-log_std).exp()
    marginal = -0.5 * (scaled.square() + LOG_2_PI) - log_std
    joint = marginal.sum(2) if log_joint is None else log_joint
    if log_weight is None:
        log_weight = joint.new_full(joint.shape, -math.log(len(mean)))
    # The weights enter once per mixture: once for the joint, once for each dimension's own.
    log_qz = torch.logsumexp(joint + log_weight, 1)
    return log_qz, torch.logsumexp(marginal + log_weight[..., None], 1).sum(1)


def stratified_log_weight(n_batch: int, n_images: int, *, like: Tensor) -> Tensor:
    """Log weights `[M,M]` of minibatch-stratified sampling for a batch out of `n_images`.

    Row i weighs the posteriors of the batch for z_i ~ q(z|x_i): 1/N its own, one other
    stands for all that are not in the batch, the rest 1/(M − 1); a row sums to 1.
    Source: Chen et al. 2018 (arXiv:1802.04942), appendix C.2.
    """
    m, n = n_batch, max(n_images, n_batch)
    if m == 1:
        return like.new_zeros(1, 1)
    weight = like.new_full((m, m), 1 / (m - 1))
    own = torch.arange(m, device=like.device)
    weight[own, own] = 1 / n
    weight[own, (own + 1) % m] = (n - m + 1) / (n * (m - 1))
    return weight.log()


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """‖a_i − b_j‖² of `[M,D]` and `[B,D]`: `[M,B]`, with a gradient where it is 0 too."""
    squared: Tensor = (a[:, None] - b).square().sum(2)
    return squared


def mmd_to_standard_normal(z: Tensor, prior: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of codes and prior draws, both `[B,D]`; a scalar.

    Unbiased (so it may be just below 0), with the sum of inverse multiquadratic kernels
    C/(C + ‖a − b‖²), C = 2·D·s, s from 0.1 to 10; 0.0 for fewer than two codes.
    Source: Tolstikhin et al. 2018 (arXiv:1711.01558), algorithm 2 and appendix D.
    """
    n = len(z)
    if n < 2:
        return z.sum() * 0.0
    off_diagonal = 1 - torch.eye(n, device=z.device)
    total = z.new_zeros(())
    pairs = tuple(_squared_distances(a, b) for a, b in ((z, z), (prior, prior), (z, prior)))
    for scale in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0):
        reach = 2 * z.shape[1] * scale
        own, others, between = (reach / (reach + squared) for squared in pairs)
        within = ((own + others) * off_diagonal).sum() / (n * (n - 1))
        total = total + within - 2 * between.mean()
    return total
