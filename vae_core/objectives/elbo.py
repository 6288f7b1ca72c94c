"""Autoencoder, VAE and β-VAE.

loss = Σ_pixels −log p(x|z) + β · Σ_dimensions KL(q(z|x) ‖ N(0,1)), per image, in nats,
with z = mean + exp(log_std)·ε. The true ELBO (β = 1) is logged whatever is minimised.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from vae_core.estimators import kl_to_standard_normal
from vae_core.model import Autoencoder
from vae_core.objectives.base import Batch, Terms


def _evidence_parts(model: Autoencoder, batch: Batch) -> tuple[Tensor, Tensor]:
    """Reconstruction nll `[B]` at one posterior sample, and KL per dimension `[B,D]`."""
    posterior = model.encode(batch.x)
    z = posterior.sample(generator=batch.generator)[0]
    target = model.likelihood.target(batch.x, batch.generator)
    reconstruction = model.likelihood.nll(model.decode_raw(z), target)
    return reconstruction, kl_to_standard_normal(posterior.mean, posterior.log_std)


@dataclass(frozen=True)
class AE:
    """Plain autoencoder: the code is the mean, nothing is sampled, no prior, so no ELBO."""

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:  # noqa: ARG002
        """Reconstruction loss only."""
        posterior = model.encode(batch.x)
        target = model.likelihood.target(batch.x, batch.generator)
        reconstruction = model.likelihood.nll(model.decode_raw(posterior.mean), target)
        return Terms(reconstruction, {"reconstruction": reconstruction})


@dataclass(frozen=True)
class VAE:
    """Variational autoencoder: the negative ELBO (Kingma & Welling 2013, equation 10)."""

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:  # noqa: ARG002
        """Reconstruction + KL."""
        reconstruction, kl = _evidence_parts(model, batch)
        kl_sum = kl.sum(1)
        loss = reconstruction + kl_sum
        return Terms(loss, {"reconstruction": reconstruction, "kl": kl_sum, "elbo": -loss})


@dataclass(frozen=True)
class BetaVAE:
    """β-VAE (Higgins et al. 2017) with linear warm-up and free bits (Kingma et al. 2016)."""

    beta: float = field(default=4.0, metadata={"help": "weight of the KL term"})
    warmup_steps: int = field(
        default=0, metadata={"help": "steps over which the KL weight grows from 0 to beta"}
    )
    free_nats: float = field(
        default=0.0, metadata={"help": "KL per dimension, averaged over the batch, left free"}
    )

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:
        """Reconstruction + β(step) · KL."""
        reconstruction, kl = _evidence_parts(model, batch)
        weight = self.beta * (step / max(1, self.warmup_steps)).clamp(max=1.0)
        if not self.warmup_steps:
            weight = step.new_tensor(self.beta)
        kl_sum = kl.sum(1)
        penalty = kl_sum
        if self.free_nats > 0:
            # The floor holds for the batch average per dimension; scaling the dimension's
            # own KL keeps one value per image and gives no gradient below the floor.
            average = kl.mean(0, keepdim=True)
            above = (average > self.free_nats).to(kl.dtype)
            penalty = (kl * above + (1 - above) * self.free_nats).sum(1)
        parts = {"reconstruction": reconstruction, "kl": kl_sum}
        parts["elbo"] = -(reconstruction + kl_sum)
        return Terms(reconstruction + weight * penalty, parts)
