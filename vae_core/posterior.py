"""`Posterior`: the Gaussian q(z|x) an encoder gives, diagonal or with full covariance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from vae_core.estimators import LOG_2_PI, kl_to_standard_normal, log_normal

POSTERIORS: Final = ("diagonal", "full", "point")
# What stands for "no width at all" in a model that never samples its codes.
POINT_LOG_STD: Final = -12.0


@dataclass(frozen=True)
class Posterior:
    """q(z|x) = N(mean, Σ) with `mean` and `log_std`, each float32 `[B,D]`.

    `log_std` is the logarithm of the standard deviation of each dimension by itself, not
    of the variance. With `factor` `[B,D,D]`, the lower Cholesky factor, Σ = L·Lᵀ; without
    it Σ is diagonal.
    """

    mean: Tensor
    log_std: Tensor
    factor: Tensor | None = None

    @property
    def std(self) -> Tensor:
        """Standard deviation of each dimension `[B,D]`."""
        return self.log_std.exp()

    @property
    def covariance(self) -> Tensor:
        """Σ `[B,D,D]`."""
        if self.factor is None:
            return torch.diag_embed((2 * self.log_std).exp())
        return self.factor @ self.factor.mT

    def sample(self, *, n: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Draw z = mean + exp(log_std)·ε, or mean + L·ε, ε ~ N(0, I); returns `[n,B,D]`.

        Source: Kingma & Welling 2013 (arXiv:1312.6114), section 2.4.
        """
        shape = (n, *self.mean.shape)
        noise = torch.randn(shape, generator=generator, device=self.mean.device)
        if self.factor is None:
            return self.mean + self.std * noise
        return self.mean + (self.factor @ noise[..., None])[..., 0]

    def kl_terms(self) -> Tensor:
        """What each dimension adds to KL(q(z|x) ‖ N(0, I)): `[B,D]`, nats, none below zero.

        With a full covariance the terms are the rows of ½(‖L‖² + ‖μ‖² − d − 2·Σ log L_ii);
        a row counts the correlation with the dimensions before it.
        """
        marginal = kl_to_standard_normal(self.mean, self.log_std)
        if self.factor is None:
            return marginal
        return marginal + self.log_std - _log_diagonal(self.factor)

    def log_density(self, z: Tensor) -> Tensor:
        """log q(z|x) of samples `[n,B,D]` or `[B,D]`: `[n,B]` or `[B]`, nats."""
        if self.factor is None:
            return log_normal(z, self.mean, self.log_std)
        return _log_full(z - self.mean, self.factor)

    def log_density_pairs(self, z: Tensor) -> Tensor:
        """log q(z_i|x_j) of samples `[M,D]` under every posterior: `[M,B]`, nats."""
        if self.factor is None:
            return log_normal(z[:, None], self.mean, self.log_std)
        # All codes are the columns of one system per posterior: its factor is not repeated.
        scaled = torch.linalg.solve_triangular(
            self.factor, (z[:, None] - self.mean).permute(1, 2, 0), upper=False
        )
        heights = (_log_diagonal(self.factor) + 0.5 * LOG_2_PI).sum(1, keepdim=True)
        density: Tensor = -0.5 * scaled.square().sum(1) - heights
        return density.mT

    def detach(self) -> Posterior:
        """The same distribution without a gradient."""
        factor = None if self.factor is None else self.factor.detach()
        return Posterior(self.mean.detach(), self.log_std.detach(), factor)


def full_posterior(mean: Tensor, log_scale: Tensor, below: Tensor) -> Posterior:
    """A full-covariance posterior with L = diag(exp(log_scale))·(I + below).

    `mean`, `log_scale` `[B,D]`; `below` `[B, D(D−1)/2]` fills the triangle under the
    diagonal row by row. With `below` = 0 it is the diagonal posterior.
    """
    n = mean.shape[1]
    rows, columns = torch.tril_indices(n, n, offset=-1, device=mean.device)
    unit = torch.eye(n, device=mean.device, dtype=mean.dtype).expand(len(mean), n, n)
    unit = unit.index_put(
        (torch.arange(len(mean), device=mean.device)[:, None], rows, columns), below
    )
    log_std = log_scale + 0.5 * unit.square().sum(2).log()
    return Posterior(mean, log_std, log_scale.exp()[..., None] * unit)


def _log_diagonal(factor: Tensor) -> Tensor:
    return factor.diagonal(dim1=-2, dim2=-1).log()


def _log_full(difference: Tensor, factor: Tensor) -> Tensor:
    """Log density of N(0, L·Lᵀ) at `[...,B,D]`, summed over D."""
    scaled = torch.linalg.solve_triangular(factor, difference[..., None], upper=False)[..., 0]
    density: Tensor = (-0.5 * (scaled.square() + LOG_2_PI) - _log_diagonal(factor)).sum(-1)
    return density
