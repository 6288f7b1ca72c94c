"""Stored codes with their decodes: where a search for the code behind a picture may begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from vae_core.checkpoint import Checkpoint

Floats = NDArray[np.float32]

MAX_ANCHORS: Final = 2_000
# Keeps the decodes of large pictures to some ten megabytes and some seconds.
MAX_BYTES: Final = 16_000_000
_CHUNK: Final = 100


@dataclass(frozen=True)
class Anchors:
    """Codes float32 `[M,D]` and their decodes uint8 `[M,C,H,W]`."""

    codes: Floats
    images: NDArray[np.uint8]

    @property
    def mean_image(self) -> Floats:
        """The average decode `[C,H,W]` in [0,1]."""
        mean: Floats = (self.images.mean(0) / 255).astype(np.float32)
        return mean

    def nearest(self, pixels: NDArray[np.uint8], visible: NDArray[np.bool_], *, k: int) -> Floats:
        """The k codes `[k,D]` whose decodes differ least from `pixels` `[C,H,W]` where visible."""
        seen = self.images[:, :, visible].astype(np.float32)
        error = np.square(seen - pixels[:, visible].astype(np.float32)).sum((1, 2))
        return self.codes[np.argsort(error, kind="stable")[:k]]


@torch.no_grad()
def decode_anchors(checkpoint: Checkpoint, *, seed: int = 0) -> Anchors:
    """Decode up to 2,000 stored codes of a checkpoint; fewer of large pictures. Do it once."""
    model = checkpoint.model
    n = min(MAX_ANCHORS, max(200, MAX_BYTES // model.spec.n_values), len(checkpoint.codes))
    rows = np.sort(np.random.default_rng(seed).permutation(len(checkpoint.codes))[:n])
    codes = checkpoint.codes.mean[rows]
    parts = torch.split(torch.from_numpy(codes).to(model.device), _CHUNK)
    images = [(model.decode(z) * 255).round().to(torch.uint8).cpu().numpy() for z in parts]
    return Anchors(codes, np.concatenate(images))
