"""The contract between the loop and an objective, and the pieces most objectives share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from vae_core.model import Autoencoder
from vae_core.posterior import Posterior


class Terms(NamedTuple):
    """`loss` `[B]`, minimised, nats per image; `parts`: `[B]` each, logged."""

    loss: Tensor
    parts: dict[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """Images float32 `[B,C,H,W]` in [0,1] and the generator all randomness comes from.

    `y` int64 `[B]` holds labels, −1 where unknown, `attributes` float32 `[B,A]` standard scores,
    NaN where unknown; `n_images` counts the training set.
    """

    x: Tensor
    generator: torch.Generator | None = None
    y: Tensor | None = None
    n_images: int = 0
    attributes: Tensor | None = None


class Objective(Protocol):
    """Called by the training step only; never reduces over the batch."""

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms: ...


@dataclass(frozen=True)
class Evidence:
    """One pass through a model: `z` `[B,D]`, `reconstruction` `[B]` and `kl` `[B,D]` in nats."""

    posterior: Posterior
    z: Tensor
    reconstruction: Tensor
    kl: Tensor

    @property
    def parts(self) -> dict[str, Tensor]:
        """What is logged: reconstruction, KL and the true ELBO, β = 1, `[B]` each."""
        kl = self.kl.sum(1)
        elbo = -(self.reconstruction + kl)
        return {"reconstruction": self.reconstruction, "kl": kl, "elbo": elbo}


def gather_evidence(
    model: Autoencoder, batch: Batch, *, seen: Tensor | None = None, y: Tensor | None = None
) -> Evidence:
    """Encode, draw one z per image, decode and score; `seen` replaces what is encoded.

    Where the likelihood binarises, the binary draw is the data: encoded and scored alike.
    """
    data = model.likelihood.target(batch.x, batch.generator)
    posterior = model.encode(data if seen is None else seen, y)
    z = posterior.sample(generator=batch.generator)[0]
    reconstruction = model.likelihood.nll(model.decode_raw(z, y), data)
    return Evidence(posterior, z, reconstruction, posterior.kl_terms())


def rebuild_from_mean(
    model: Autoencoder, batch: Batch, *, seen: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Mean codes `[B,D]` of the images (or of `seen`) and −log p(x|mean code) `[B]`, nats."""
    mean = model.encode(batch.x if seen is None else seen).mean
    target = model.likelihood.target(batch.x, batch.generator)
    return mean, model.likelihood.nll(model.decode_raw(mean), target)


def ramp(step: Tensor, n_steps: int) -> Tensor:
    """Grows linearly from 0 to 1 over `n_steps`; 1 at once for 0. A scalar tensor."""
    return (step / n_steps).clamp(max=1.0) if n_steps else torch.ones_like(step)


def option(default: Any, text: str, *, choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field whose sentence becomes the help of its flag and its widget.

    `choices` names all values it may have, if they are few.
    """
    return field(default=default, metadata={"help": text, "choices": choices})
