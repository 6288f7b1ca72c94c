"""Objectives that look at all codes of a batch together: β-TCVAE, InfoVAE and WAE.

Their batch-wide terms are estimates whose quality depends on the batch size; split over
several processes, each process sees its own part of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vae_core.estimators import (
    aggregate_log_densities,
    log_standard_normal,
    mmd_to_standard_normal,
    stratified_log_weight,
)
from vae_core.model import Autoencoder
from vae_core.objectives.base import (
    Batch,
    Evidence,
    Terms,
    gather_evidence,
    option,
    ramp,
    rebuild_from_mean,
)


def kl_decomposition(found: Evidence, *, n_images: int) -> dict[str, Tensor]:
    """The KL split into `mutual_information`, `total_correlation` and `dimension_kl`, `[B]` nats.

    A one-sample, minibatch-stratified estimate; the three add up to log q(z|x) − log p(z).
    Source: Chen et al. 2018 (arXiv:1802.04942), equation 2 and appendix C.2.
    """
    z, q = found.z, found.posterior
    pairs = q.log_density_pairs(z) if q.factor is not None else None
    weight = stratified_log_weight(len(z), n_images, like=z)
    log_qz, log_product = aggregate_log_densities(
        z, q.mean, q.log_std, log_weight=weight, log_joint=pairs
    )
    return {
        "mutual_information": q.log_density(z) - log_qz,
        "total_correlation": log_qz - log_product,
        "dimension_kl": log_product - log_standard_normal(z),
    }


@dataclass(frozen=True)
class BetaTCVAE:
    """β-TCVAE: only the total correlation of the codes costs more (Chen et al. 2018, equation 4).

    loss = −ELBO + (β − 1) · TC: with α = γ = 1 the other two parts of the KL keep their
    exact, closed form.
    """

    beta: float = option(6.0, "weight of the total correlation")
    warmup_steps: int = option(0, "steps over which the extra weight grows from 0 to beta - 1")

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:
        """Reconstruction + KL + (β(step) − 1) · TC."""
        found = gather_evidence(model, batch)
        split = kl_decomposition(found, n_images=batch.n_images)
        parts = found.parts
        extra = (self.beta - 1) * ramp(step, self.warmup_steps)
        loss = extra * split["total_correlation"] - parts["elbo"]
        return Terms(loss, parts | split)


def _discrepancy(z: Tensor, batch: Batch) -> Tensor:
    """MMD² between codes `[B,D]` and as many prior draws; a scalar."""
    prior = torch.randn(z.shape, generator=batch.generator, device=z.device)
    return mmd_to_standard_normal(z, prior)


@dataclass(frozen=True)
class InfoVAE:
    """InfoVAE with MMD (Zhao et al. 2019, arXiv:1706.02262, equation 6).

    loss = reconstruction + kl_weight · KL + mmd_weight · MMD²(q(z), p(z)); in the paper's
    letters kl_weight = 1 − α and mmd_weight = α + λ − 1.
    """

    kl_weight: float = option(0.0, "weight of the KL term, 1 - alpha in the paper")
    mmd_weight: float = option(200.0, "weight of the squared discrepancy of all codes")

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:  # noqa: ARG002
        """Reconstruction + weighted KL + weighted MMD."""
        found = gather_evidence(model, batch)
        parts = found.parts
        mmd = _discrepancy(found.z, batch).expand(len(found.z))
        loss = found.reconstruction + self.kl_weight * parts["kl"] + self.mmd_weight * mmd
        return Terms(loss, {**parts, "mmd": mmd})


@dataclass(frozen=True)
class WAE:
    """Wasserstein autoencoder with MMD: a plain autoencoder whose codes fill the prior.

    loss = reconstruction + mmd_weight · MMD²(codes, p(z)); nothing is sampled, so there is
    no ELBO. Source: Tolstikhin et al. 2018 (arXiv:1711.01558), algorithm 2.
    """

    mmd_weight: float = option(200.0, "weight of the squared discrepancy of all codes")

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:  # noqa: ARG002
        """Reconstruction from the mean code + weighted MMD."""
        codes, reconstruction = rebuild_from_mean(model, batch)
        mmd = _discrepancy(codes, batch).expand(len(codes))
        parts = {"reconstruction": reconstruction, "mmd": mmd}
        return Terms(reconstruction + self.mmd_weight * mmd, parts)
