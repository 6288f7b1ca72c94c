"""One training step: the single module through which all gradients flow."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vae_core.errors import ConfigError
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
    """Float batches `[B,C,H,W]` in [0,1] from uint8 images, on the training device.

    `labels` int64 `[N]`, −1 where unknown, and `attributes` float32 `[N,A]`, NaN where unknown,
    go along.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        device: torch.device,
        *,
        labels: NDArray[np.int64] | None = None,
        attributes: NDArray[np.float32] | None = None,
    ) -> None:
        self.device = device
        self.images = images
        self.labels = None if labels is None else torch.from_numpy(labels).to(device)
        self.attributes = None if attributes is None else torch.from_numpy(attributes).to(device)
        self.resident = None
        if images.nbytes <= RESIDENT_BYTES:
            self.resident = torch.from_numpy(np.ascontiguousarray(images)).to(device)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labelled_rows(self) -> Tensor:
        """Rows whose label or some of whose attributes are known, int64, on the CPU."""
        if self.attributes is not None:
            return torch.nonzero(self.attributes.cpu().isfinite().any(1))[:, 0]
        if self.labels is None:
            return torch.empty(0, dtype=torch.int64)
        return torch.nonzero(self.labels.cpu() >= 0)[:, 0]

    def batch(self, rows: Tensor) -> Tensor:
        """The images of these rows."""
        if self.resident is not None:
            picked = self.resident[rows.to(self.device)]
        else:
            picked = torch.from_numpy(self.images[rows.numpy()]).to(self.device)
        return picked.float().div_(255).contiguous(memory_format=torch.channels_last)

    def known_batch(self, rows: Tensor, generator: torch.Generator | None) -> Batch:
        """These rows with all that is known of them, for an objective."""
        return Batch(
            self.batch(rows), generator, self.labels_of(rows), len(self), self.attributes_of(rows)
        )

    def labels_of(self, rows: Tensor) -> Tensor | None:
        """The labels of these rows, or None when there are none at all."""
        return None if self.labels is None else self.labels[rows.to(self.device)]

    def attributes_of(self, rows: Tensor) -> Tensor | None:
        """The attributes of these rows, or None when there are none at all."""
        return None if self.attributes is None else self.attributes[rows.to(self.device)]


def hide_labels(labels: NDArray[np.int64], *, n_labels: int, seed: int) -> NDArray[np.int64]:
    """Keep `n_labels` labels, as many of each class as possible, and set the rest to −1.

    0 keeps all. `ConfigError` when there are fewer than asked for, or fewer asked for than
    there are classes.
    """
    classes = np.unique(labels[labels >= 0])
    if n_labels == 0:
        return labels
    if not len(classes) <= n_labels <= int((labels >= 0).sum()):
        raise ConfigError(
            f"--n-labels {n_labels} came, expected {len(classes)} (one per class) to "
            f"{int((labels >= 0).sum())} (all there are); give a number in that range."
        )
    random = np.random.default_rng(seed)
    piles = [random.permutation(np.flatnonzero(labels == c)) for c in classes]
    # Deal like cards, one of each class in turn, until enough are out.
    dealt = [(turn, i, row) for i, pile in enumerate(piles) for turn, row in enumerate(pile)]
    keep = [row for _, _, row in sorted(dealt)[:n_labels]]
    hidden = np.full_like(labels, -1)
    hidden[keep] = labels[keep]
    return hidden


def hide_attributes(
    attributes: NDArray[np.float64], *, n_labels: int, seed: int
) -> NDArray[np.float64]:
    """Keep the attributes of `n_labels` images drawn at random, and set the rest to NaN.

    0 keeps all. `ConfigError` when fewer images have any.
    """
    known = np.flatnonzero(np.isfinite(attributes).any(1))
    if n_labels == 0:
        return attributes
    if n_labels > len(known):
        raise ConfigError(
            f"--n-labels {n_labels} came, but attributes are known of {len(known)} training "
            "images; give at most as many, or 0 for all."
        )
    kept = np.random.default_rng(seed).permutation(known)[:n_labels]
    hidden = np.full_like(attributes, np.nan)
    hidden[kept] = attributes[kept]
    return hidden


def step_seed(seed: int, images_seen: int, *, rank: int = 0) -> int:
    """A seed for one step, so that a resumed run draws what an unbroken one would."""
    mixed = np.random.SeedSequence([seed, images_seen, *([rank] if rank else [])])
    words = mixed.generate_state(2, np.uint32)
    return int(words[0]) << 31 ^ int(words[1])


def epoch_order(n: int, *, seed: int, epoch: int) -> Tensor:
    """The order in which an epoch visits n images, int64 `[n]`."""
    generator = torch.Generator().manual_seed(step_seed(seed, -epoch % 2**32))
    return torch.randperm(n, generator=generator)
