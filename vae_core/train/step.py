"""One training step: the single module through which all gradients flow."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vae_core.model import Autoencoder
from vae_core.objectives import Batch, Objective, Terms

# Sets up to this size live on the device as one uint8 tensor.
RESIDENT_BYTES = 2**31


class TrainStep(nn.Module):
    """Model and objective together, so that a wrapper (DDP, compile) sees one forward."""

    def __init__(self, model: Autoencoder, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Batch, step: Tensor) -> Terms:
        """Unreduced terms of one batch."""
        return self.objective(self.model, batch, step)


class ImageFeed:
    """Float batches `[B,C,H,W]` in [0,1] from uint8 images, on the training device."""

    def __init__(self, images: NDArray[np.uint8], device: torch.device) -> None:
        self.device = device
        self.images = images
        self.resident = None
        if images.nbytes <= RESIDENT_BYTES:
            self.resident = torch.from_numpy(np.ascontiguousarray(images)).to(device)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, rows: Tensor) -> Tensor:
        """The images of these rows."""
        if self.resident is not None:
            picked = self.resident[rows.to(self.device)]
        else:
            picked = torch.from_numpy(self.images[rows.numpy()]).to(self.device)
        return picked.float().div_(255).contiguous(memory_format=torch.channels_last)


def step_seed(seed: int, images_seen: int) -> int:
    """A seed for one step, so that a resumed run draws what an unbroken one would."""
    mixed = np.random.SeedSequence([seed, images_seen]).generate_state(2, np.uint32)
    return int(mixed[0]) << 31 ^ int(mixed[1])


def epoch_order(n: int, *, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch visits n images, int64 `[n]`."""
    generator = torch.Generator().manual_seed(step_seed(seed, -epoch % 2**32))
    return torch.randperm(n, generator=generator)
