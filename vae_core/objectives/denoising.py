"""Denoising: the encoder sees a corrupted image, the decoder is scored on the clean one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from vae_core.errors import ConfigError
from vae_core.model import Autoencoder
from vae_core.objectives.base import Batch, Terms, gather_evidence, option, rebuild_from_mean

CORRUPTIONS: Final = ("gaussian", "masking", "salt-and-pepper")
_KIND: Final = "gaussian, masking or salt-and-pepper"
_AMOUNT: Final = "standard deviation on [0,1] (gaussian) or share of the pixels (others)"


def corrupt(
    x: Tensor, kind: str, *, amount: float, generator: torch.Generator | None = None
) -> Tensor:
    """Spoil images `[B,C,H,W]` in [0,1]; the result stays in [0,1].

    `gaussian` adds noise of standard deviation `amount` and clips; `masking` sets a share
    `amount` of the pixels to 0, `salt-and-pepper` to 0 or 1, all channels of a pixel alike.
    `ConfigError` for another kind or a negative amount.
    Source: Vincent et al. 2010, section 3.
    """
    if kind not in CORRUPTIONS or not amount >= 0:
        raise ConfigError(
            f"Noise '{kind}' of amount {amount:g} came, expected one of {', '.join(CORRUPTIONS)} "
            "and an amount of 0 or more; choose for example gaussian 0.5."
        )
    if kind == "gaussian":
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        return (x + amount * noise).clamp(0, 1)
    chance = torch.rand((len(x), 1, *x.shape[2:]), generator=generator, device=x.device)
    if kind == "masking":
        return x * (chance >= amount)
    white = (chance < amount / 2).to(x.dtype)
    return torch.where(chance < amount, white, x)


@dataclass(frozen=True)
class DenoisingAE:
    """Denoising autoencoder (Vincent et al. 2008): no sampling, no prior, so no ELBO."""

    noise: str = option("gaussian", _KIND, choices=CORRUPTIONS)
    amount: float = option(0.5, _AMOUNT)

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:  # noqa: ARG002
        """Reconstruction of the clean image from the spoilt one's mean code."""
        spoilt = corrupt(batch.x, self.noise, amount=self.amount, generator=batch.generator)
        _, reconstruction = rebuild_from_mean(model, batch, seen=spoilt)
        return Terms(reconstruction, {"reconstruction": reconstruction})


@dataclass(frozen=True)
class DenoisingVAE:
    """Denoising VAE (Im et al. 2017, arXiv:1511.06406): q(z|spoilt x), p(clean x|z).

    The logged ELBO is that of this posterior: a bound on log p(clean x) for any posterior.
    """

    beta: float = option(1.0, "weight of the KL term")
    noise: str = option("gaussian", _KIND, choices=CORRUPTIONS)
    amount: float = option(0.5, _AMOUNT)

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:  # noqa: ARG002
        """Reconstruction of the clean image + β · KL of the spoilt one's posterior."""
        spoilt = corrupt(batch.x, self.noise, amount=self.amount, generator=batch.generator)
        found = gather_evidence(model, batch, seen=spoilt)
        parts = found.parts
        return Terms(found.reconstruction + self.beta * parts["kl"], parts)
