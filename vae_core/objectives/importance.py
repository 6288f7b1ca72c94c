"""The importance-weighted autoencoder (IWAE)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vae_core.estimators import importance_bound, log_standard_normal
from vae_core.model import Autoencoder
from vae_core.objectives.base import Batch, Terms, option


@dataclass(frozen=True)
class IWAE:
    """IWAE (Burda et al. 2015, arXiv:1509.00519, equation 8), with DReG gradients.

    loss = −(logsumexp_k log w_k − log K), w = p(x,z)/q(z|x), on K samples per image. The
    doubly reparameterised gradient of the encoder (Tucker et al. 2019, arXiv:1810.04152,
    equation 8) has a signal that does not fade as K grows.
    """

    importance_samples: int = option(5, "samples per image, K")
    doubly_reparameterised: bool = option(True, "use the DReG gradient for the encoder")

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:  # noqa: ARG002
        """The negative K-sample bound; its gradient is that of the estimator chosen."""
        target = model.likelihood.target(batch.x, batch.generator)
        posterior, n = model.encode(target), self.importance_samples
        z = posterior.sample(n=n, generator=batch.generator)
        raw = model.decode_raw(z.flatten(0, 1))
        repeated = target.expand(n, *target.shape).flatten(0, 1)
        nll = model.likelihood.nll(raw, repeated).view(n, len(target))
        q = posterior.detach() if self.doubly_reparameterised else posterior
        log_weights = log_standard_normal(z) - q.log_density(z) - nll
        bound = importance_bound(log_weights)
        kl, reconstruction = posterior.kl_terms().sum(1), nll.mean(0)
        parts = {"reconstruction": reconstruction, "kl": kl, "elbo": -(reconstruction + kl)}
        parts["importance_bound"] = bound
        if not self.doubly_reparameterised:
            return Terms(-bound, parts)
        return Terms(-_doubly_reparameterised(bound, log_weights, z), parts)


def _doubly_reparameterised(bound: Tensor, log_weights: Tensor, z: Tensor) -> Tensor:
    """`bound` in value; in gradient Σ w̃·∂log w for the decoder and Σ w̃²·∂log w through z."""
    share = torch.softmax(log_weights.detach(), 0)
    if z.requires_grad:
        # What flows from the weighted sum below back into z already carries w̃ once.
        z.register_hook(lambda g: g * share[..., None])  # type: ignore[no-untyped-call]
    surrogate = (share * log_weights).sum(0)
    return surrogate + (bound - surrogate).detach()
