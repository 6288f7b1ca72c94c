"""Autoencoder, VAE, β-VAE with its schedules, and the capacity variant.

loss = Σ_pixels −log p(x|z) + β · Σ_dimensions KL(q(z|x) ‖ N(0,1)), per image, in nats,
with z = mean + exp(log_std)·ε. The true ELBO (β = 1) is logged whatever is minimised.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vae_core.model import Autoencoder
from vae_core.objectives.base import Batch, Terms, gather_evidence, option, ramp, rebuild_from_mean


@dataclass(frozen=True)
class AE:
    """Plain autoencoder: the code is the mean, nothing is sampled, no prior, so no ELBO."""

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:  # noqa: ARG002
        """Reconstruction loss only."""
        _, reconstruction = rebuild_from_mean(model, batch)
        return Terms(reconstruction, {"reconstruction": reconstruction})


@dataclass(frozen=True)
class VAE:
    """Variational autoencoder: the negative ELBO (Kingma & Welling 2013, equation 10)."""

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:  # noqa: ARG002
        """Reconstruction + KL."""
        parts = gather_evidence(model, batch).parts
        return Terms(-parts["elbo"], parts)


@dataclass(frozen=True)
class BetaVAE:
    """β-VAE (Higgins et al. 2017) with warm-up, cycles (Fu et al. 2019, arXiv:1903.10145)
    and free bits (Kingma et al. 2016).
    """

    beta: float = option(4.0, "weight of the KL term")
    warmup_steps: int = option(0, "steps over which the KL weight grows from 0 to beta")
    cycle_steps: int = option(
        0, "length of a cycle: the weight grows over its first half and stays (0: no cycles)"
    )
    free_nats: float = option(0.0, "KL per dimension, averaged over the batch, left free")

    def weight(self, step: Tensor) -> Tensor:
        """The KL weight at a step, a scalar; at step = ∞ (validation) it is beta."""
        weight = ramp(step, self.warmup_steps)
        if self.cycle_steps:
            within = torch.where(step.isinf(), self.cycle_steps, step % self.cycle_steps)
            weight = weight * (2 * within / self.cycle_steps).clamp(max=1.0)
        return self.beta * weight

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:
        """Reconstruction + β(step) · KL."""
        found = gather_evidence(model, batch)
        penalty = _above_floor(found.kl, self.free_nats)
        return Terms(found.reconstruction + self.weight(step) * penalty, found.parts)


def _above_floor(kl: Tensor, free_nats: float) -> Tensor:
    """KL `[B,D]` summed to `[B]`, each dimension costing at least `free_nats`."""
    if free_nats <= 0:
        return kl.sum(1)
    # The floor holds for the batch average per dimension; scaling the dimension's own KL
    # keeps one value per image and gives no gradient below the floor.
    above = (kl.mean(0, keepdim=True) > free_nats).to(kl.dtype)
    return (kl * above + (1 - above) * free_nats).sum(1)


@dataclass(frozen=True)
class CapacityVAE:
    """β-VAE with a capacity that grows (Burgess et al. 2018, arXiv:1804.03599, equation 8).

    loss = reconstruction + γ · |KL − C|, the KL averaged over the batch.
    """

    gamma: float = option(100.0, "weight of the distance between KL and capacity")
    capacity_nats: float = option(25.0, "KL in nats the model may use at the end")
    capacity_steps: int = option(5000, "steps over which the capacity grows from 0")

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:
        """Reconstruction + γ · |KL − C(step)|."""
        found = gather_evidence(model, batch)
        parts = found.parts
        capacity = self.capacity_nats * ramp(step, self.capacity_steps)
        excess = parts["kl"] - capacity
        # With the sign of the average excess, the mean over images is γ·|mean KL − C|.
        distance = excess * excess.mean().sign().detach()
        return Terms(found.reconstruction + self.gamma * distance, parts)
