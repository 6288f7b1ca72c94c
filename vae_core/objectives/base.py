"""The contract between the loop and an objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from vae_core.model import Autoencoder


class Terms(NamedTuple):
    """`loss` `[B]`, minimised, nats per image; `parts`: `[B]` each, logged."""

    loss: Tensor
    parts: dict[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """Images float32 `[B,C,H,W]` in [0,1] and the generator all randomness comes from."""

    x: Tensor
    generator: torch.Generator | None = None


class Objective(Protocol):
    """Called by the training step only; never reduces over the batch."""

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms: ...
