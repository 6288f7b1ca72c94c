"""Where the KL goes: its three parts, and the aggregate posterior beside the prior.

The average KL(q(z|x) ‖ N(0, I)) of a set of N images is the mutual information between the
image's index and its code, plus the total correlation of q(z) = 1/N·Σ q(z|x_n), plus one KL per
dimension of q(z_d) to N(0,1). Sources: Hoffman & Johnson 2016, "ELBO surgery"; Chen et al. 2018
(arXiv:1802.04942), equation 2. Without their `factor`, posteriors with full covariance are
taken as the product of their marginals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae_core.errors import ConfigError, DataError
from vae_core.estimators import (
    aggregate_log_densities,
    kl_to_standard_normal,
    log_standard_normal,
    mmd_to_standard_normal,
)
from vae_core.posterior import Posterior

Floats = NDArray[np.float32]

# Numbers per tensor in the sums over all pairs: 16 MB, a few of them at a time.
PAIRS_AT_ONCE = 4_000_000
# Codes per block of the discrepancy, whose cost grows with the square.
MMD_BLOCK = 250
MAX_MMD_CODES = 5_000


@dataclass(frozen=True)
class Decomposition:
    """The average KL of a set and its parts, nats per image.

    `kl` is exact. The parts are averages over `n_codes` codes of as many images, so that
    mutual_information + total_correlation + dimension_kl.sum() = `sampled_kl`, which differs
    from `kl` by chance alone (`standard_error`). No set of N images can show more mutual
    information than `ceiling` = log N: near it, what the KL has beyond log N is booked under
    total correlation, and more images would move it back.
    """

    n_images: int
    n_codes: int
    kl: float
    sampled_kl: float
    standard_error: float
    mutual_information: float
    total_correlation: float
    dimension_kl: Floats
    ceiling: float

    @property
    def dimensionwise_kl(self) -> float:
        """Σ_d KL(q(z_d) ‖ N(0,1)), nats."""
        return float(self.dimension_kl.sum(dtype=np.float64))

    @property
    def is_saturated(self) -> bool:
        """Whether the mutual information is within 1 % of log N, the most this set can show."""
        return self.mutual_information > 0.99 * self.ceiling


@dataclass(frozen=True)
class Discrepancy:
    """Squared maximum mean discrepancy of codes to N(0, I), from just below 0 to about 7.

    `standard_error` is NaN when there were codes for one block only; `of_prior` is what as
    many draws from N(0, I) itself give: 0 but for chance.
    """

    value: float
    standard_error: float
    of_prior: float


@dataclass(frozen=True)
class AggregateReport:
    """The aggregate posterior q(z) of N images beside the prior N(0, I).

    `mean`, `std` `[D]` are the exact moments of q(z_d), `gaussian_kl` `[D]` the KL of the
    Gaussian with these moments to N(0,1), nats: at most the true KL of q(z_d). `density`
    `[D,bins]` and `prior_density` `[bins]` average over the bins between `edges` `[bins+1]`;
    `outside` `[D]` is the share of q(z_d) beyond the last edges.
    """

    n_images: int
    mean: Floats
    std: Floats
    gaussian_kl: Floats
    edges: Floats
    density: Floats
    prior_density: Floats
    outside: Floats
    discrepancy: Discrepancy


def _posteriors(mean: Floats, log_std: Floats, factor: Floats | None) -> Posterior:
    """Check what came and make it tensors in float32."""
    if mean.ndim != 2 or mean.shape != log_std.shape or 0 in mean.shape or len(mean) < 2:
        raise DataError(
            f"Means of shape {mean.shape} came with log-stds of shape {log_std.shape}, expected "
            "two arrays [N,D] with N of 2 or more; give one row per image."
        )
    if factor is not None and factor.shape != (*mean.shape, mean.shape[1]):
        raise DataError(
            f"Cholesky factors of shape {factor.shape} came with means of shape {mean.shape}, "
            "expected [N,D,D] for [N,D]; give one lower triangle per image."
        )
    parts = [part for part in (mean, log_std, factor) if part is not None]
    if not all(np.isfinite(part).all() for part in parts):
        raise DataError(
            "The codes hold numbers that are not finite, expected finite means and log-stds; "
            "train again from an earlier checkpoint or with a smaller learning rate."
        )
    return Posterior(*(torch.from_numpy(np.array(part, np.float32)) for part in parts))


def _one_code_each(posterior: Posterior, *, seed: int) -> Tensor:
    return posterior.sample(generator=torch.Generator().manual_seed(seed))[0]


def _log_aggregate(z: Tensor, posterior: Posterior) -> tuple[Tensor, Tensor]:
    """log q(z) `[M]` and log q(z_d) `[M,D]` of codes `[M,D]` under N posteriors, in float64."""
    mean, log_std = posterior.mean, posterior.log_std
    correlated = None if posterior.factor is None else posterior.log_density_pairs(z)
    joint, _ = aggregate_log_densities(z, mean, log_std, log_joint=correlated)
    # One dimension by itself is a mixture of its own.
    parts = zip(*(torch.split(part, 1, dim=1) for part in (z, mean, log_std)), strict=True)
    marginals = [aggregate_log_densities(*part)[0] for part in parts]
    return joint.double(), torch.stack(marginals, 1).double()


@torch.no_grad()
def decompose_kl(
    mean: Floats,
    log_std: Floats,
    *,
    factor: Floats | None = None,
    max_codes: int = 2_000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Decomposition:
    """Split the average KL of posteriors `[N,D]` into its three parts, nats per image.

    `factor` `[N,D,D]`: lower Cholesky factors of posteriors with full covariance. One code
    each for up to `max_codes` of the images is scored against all N posteriors; 2,000 codes of
    10,000 × 32 dimensions take about 20 s on one core. `DataError` for fewer than two images,
    unequal shapes or numbers that are not finite.
    """
    posteriors = _posteriors(mean, log_std, factor)
    order = torch.randperm(len(mean), generator=torch.Generator().manual_seed(seed))
    rows = order[: max(2, max_codes)].sort().values
    codes = _one_code_each(posteriors, seed=seed)
    z = codes[rows]
    joints, marginals = [], []
    for piece in torch.split(z, max(1, PAIRS_AT_ONCE // mean.size)):
        joint, marginal = _log_aggregate(piece, posteriors)
        joints.append(joint)
        marginals.append(marginal)
        if progress:
            progress(sum(map(len, joints)), len(z))
    log_qz, log_qzd = torch.cat(joints), torch.cat(marginals)
    log_qzx = posteriors.log_density(codes)[rows].double()
    log_pzd = log_standard_normal(z[..., None]).double()
    gap = log_qzx - log_pzd.sum(1)
    return Decomposition(
        n_images=len(mean),
        n_codes=len(z),
        kl=float(posteriors.kl_terms().double().sum(1).mean()),
        sampled_kl=float(gap.mean()),
        standard_error=float(gap.std()) / math.sqrt(len(z)),
        mutual_information=float((log_qzx - log_qz).mean()),
        total_correlation=float((log_qz - log_qzd.sum(1)).mean()),
        dimension_kl=(log_qzd - log_pzd).mean(0).float().numpy(),
        ceiling=math.log(len(mean)),
    )


@torch.no_grad()
def compare_to_prior(
    mean: Floats,
    log_std: Floats,
    *,
    factor: Floats | None = None,
    n_bins: int = 64,
    span: float = 5.0,
    seed: int = 0,
) -> AggregateReport:
    """Set the aggregate of posteriors `[N,D]` beside N(0, I); see `AggregateReport`.

    `factor` as in `decompose_kl`; only the discrepancy depends on it. Histograms reach from
    −span to span and hold exact bin masses; only the discrepancy is sampled, from up to 5,000
    codes. `DataError` as in `decompose_kl`, `ConfigError` for fewer than two bins or a span
    that is not positive.
    """
    if n_bins < 2 or not span > 0:
        raise ConfigError(
            f"{n_bins} bins from {-span} to {span} were asked for, expected two or more over a "
            "positive span; 64 bins with a span of 5 show a unit Gaussian well."
        )
    posteriors = _posteriors(mean, log_std, factor)
    means, log_stds = posteriors.mean, posteriors.log_std
    center = means.double().mean(0)
    variance = means.double().var(0, unbiased=False) + (2 * log_stds).double().exp().mean(0)
    edges = torch.linspace(-span, span, n_bins + 1)
    mass = _bin_mass(means, log_stds, edges)
    width = 2 * span / n_bins
    prior = torch.special.ndtr(edges).diff() / width
    return AggregateReport(
        n_images=len(means),
        mean=center.float().numpy(),
        std=variance.sqrt().float().numpy(),
        gaussian_kl=kl_to_standard_normal(center, 0.5 * variance.log()).float().numpy(),
        edges=edges.numpy(),
        density=(mass / width).float().numpy(),
        prior_density=prior.numpy(),
        outside=(1 - mass.sum(1)).clamp_min(0).float().numpy(),
        discrepancy=prior_discrepancy(_one_code_each(posteriors, seed=seed), seed=seed),
    )


@torch.no_grad()
def prior_discrepancy(z: Tensor, *, seed: int = 0) -> Discrepancy:
    """Maximum mean discrepancy of codes `[N,D]` to N(0, I), and of prior draws to it.

    Averages the unbiased estimate over blocks of 250 codes out of up to 5,000. Source: Zaremba
    et al. 2013 (arXiv:1307.1954) for the blocks; the kernel is `mmd_to_standard_normal`'s.
    """
    generator = torch.Generator().manual_seed(seed)
    size = min(len(z), MMD_BLOCK)
    n_blocks = min(len(z), MAX_MMD_CODES) // size
    rows = torch.randperm(len(z), generator=generator)[: n_blocks * size]
    values = []
    for block in torch.split(z[rows], size):
        draws, others = torch.randn((2, *block.shape), generator=generator)
        pair = (mmd_to_standard_normal(codes, draws) for codes in (block, others))
        values.append(torch.stack(tuple(pair)))
    table = torch.stack(values).double()
    error = float(table[:, 0].std()) / math.sqrt(n_blocks) if n_blocks > 1 else math.nan
    return Discrepancy(float(table[:, 0].mean()), error, float(table[:, 1].mean()))


def _bin_mass(mean: Tensor, log_std: Tensor, edges: Tensor) -> Tensor:
    """Probability of each bin under each q(z_d): `[D,bins]`, float64."""
    total = torch.zeros(mean.shape[1], len(edges) - 1, dtype=torch.float64)
    rows = max(1, PAIRS_AT_ONCE // (mean.shape[1] * len(edges)))
    for center, scale in zip(torch.split(mean, rows), torch.split(log_std, rows), strict=True):
        scaled = (edges - center[..., None]) * (-scale).exp()[..., None]
        total += torch.special.ndtr(scaled).diff(dim=2).sum(0, dtype=torch.float64)
    return total / len(mean)
