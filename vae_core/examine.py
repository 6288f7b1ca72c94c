"""What the model makes of one picture or one code: everything a page shows, in one call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vae_core.checkpoint import Checkpoint
from vae_core.errors import DataError
from vae_core.evaluate.images import score_images
from vae_core.latent.neighbours import nearest

Floats = NDArray[np.float32]
CODE_DECIMALS = 3


@dataclass(frozen=True)
class Examination:
    """One picture seen by a model.

    `seen` uint8 `[C,H,W]`, what the network got; `rebuilt` float32 `[C,H,W]` in [0,1] from
    the mean code; `mean`, `std`, `kl_nats` `[D]`; `squared_error` mean over values. The
    shares, in [0,1], say how much of the held-out set has a smaller value.
    """

    seen: NDArray[np.uint8]
    rebuilt: Floats
    mean: Floats
    std: Floats
    kl_nats: Floats
    squared_error: float
    error_share: float
    kl_share: float

    @property
    def difference(self) -> Floats:
        """Absolute difference, averaged over channels, `[H,W]` in [0,1]."""
        gap: Floats = np.abs(self.rebuilt - self.seen / np.float32(255)).mean(0)
        return gap


def snap(z: Floats) -> Floats:
    """Codes rounded to three decimals, the precision that travels in links."""
    return np.round(z, CODE_DECIMALS).astype(np.float32)


@torch.no_grad()
def decode(checkpoint: Checkpoint, z: Floats) -> Floats:
    """Codes `[B,D]` → images float32 `[B,C,H,W]` in [0,1]; `DataError` for another D."""
    tensor = torch.from_numpy(np.ascontiguousarray(z, np.float32)).to(checkpoint.model.device)
    images: Floats = checkpoint.model.decode(tensor).cpu().numpy()
    return images


def examine(checkpoint: Checkpoint, pixels: NDArray[np.uint8]) -> Examination:
    """Encode and rebuild one picture uint8 `[C,H,W]` and rank it among the held-out images."""
    scores, codes = score_images(checkpoint.model, pixels[None]), checkpoint.codes
    error, kl, rows = float(scores.squared_error[0]), scores.kl_nats[0], codes.held_out
    return Examination(
        seen=pixels,
        rebuilt=decode(checkpoint, scores.mean)[0],
        mean=scores.mean[0],
        std=np.exp(scores.log_std[0]),
        kl_nats=kl,
        squared_error=error,
        error_share=float((codes.squared_error[rows] < error).mean()),
        kl_share=float((codes.kl_per_image[rows] < kl.sum()).mean()),
    )


def draw_codes(checkpoint: Checkpoint, *, n: int, mixture: bool = False, seed: int = 0) -> Floats:
    """n codes float32 `[n,D]` from N(0, I), or from the mixture fitted to the codes.

    `DataError` for a mixture where the checkpoint carries none.
    """
    generator = torch.Generator().manual_seed(seed)
    if not mixture:
        drawn: Floats = torch.randn((n, checkpoint.model.n_latent), generator=generator).numpy()
        return drawn
    if checkpoint.prior is None:
        raise DataError(
            "A draw from the fitted mixture was asked for, but this checkpoint carries none; "
            "train it again with this version, or draw from N(0, I)."
        )
    fitted: Floats = checkpoint.prior.sample(n, generator=generator).numpy()
    return fitted


def nearest_codes(
    checkpoint: Checkpoint, z: Floats, *, k: int = 8, without_row: int | None = None
) -> tuple[NDArray[np.int64], Floats]:
    """Rows of the k stored codes nearest to `z` `[D]` in latent space, and their distances."""
    rows, distances = nearest(z[None].astype(np.float32), checkpoint.codes.mean, k=k + 1)
    keep = rows[0] != without_row if without_row is not None else np.ones(len(rows[0]), bool)
    return rows[0][keep][:k], distances[0][keep][:k]


def manifold(
    checkpoint: Checkpoint,
    *,
    reach: tuple[float, float, float, float],
    n_columns: int,
    n_rows: int,
) -> Floats:
    """A 2-D model's plane over x0, x1, y0, y1, decoded at the centre of every cell.

    Returns float32 `[n_rows·n_columns,C,H,W]`, row by row, the top row at y1.
    """
    x0, x1, y0, y1 = reach
    x = x0 + (np.arange(n_columns) + 0.5) / n_columns * (x1 - x0)
    y = y1 - (np.arange(n_rows) + 0.5) / n_rows * (y1 - y0)
    grid = np.stack([np.tile(x, n_rows), np.repeat(y, n_columns)], 1).astype(np.float32)
    return decode(checkpoint, grid)
