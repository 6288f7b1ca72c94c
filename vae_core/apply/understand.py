"""What a model does not know of one picture: draws from its posterior, and where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from vae_core.checkpoint import Checkpoint
from vae_core.errors import ConfigError, DataError
from vae_core.grid import to_bytes

Floats = NDArray[np.float32]

MOST_DRAWS: Final = 1_000
# Below this share of the prior's width a picture settles a dimension, above the other it does not.
SURE_BELOW: Final = 0.5
UNSURE_ABOVE: Final = 0.9
DECODE_AT_ONCE: Final = 64
# A model that never samples its codes has widths of e⁻¹² everywhere.
LEAST_WIDTH: Final = 1e-4


@dataclass(frozen=True)
class Understanding:
    """K draws from q(z|x) of one picture.

    `codes` `[K,D]`; `pictures` uint8 `[K,C,H,W]`; `spread` `[H,W]`, the standard deviation of
    each pixel over the draws, averaged over channels, in [0,1]; `mean`, `std` `[D]` of the
    posterior; `correlation` `[D,D]`, None where the posterior is diagonal. Else float32.
    """

    codes: Floats
    pictures: NDArray[np.uint8]
    spread: Floats
    mean: Floats
    std: Floats
    correlation: Floats | None

    def describe(self) -> str:
        """One or two sentences for the screen."""
        if self.std.max() < LEAST_WIDTH:
            return (
                "This model gives each picture one code without a width, so all draws are equal; "
                "train a VAE to see what it is unsure of."
            )
        n, d = self.codes.shape
        sure, unsure = (self.std < SURE_BELOW).sum(), (self.std > UNSURE_ABOVE).sum()
        sentence = (
            f"Over {n} draws a pixel varies by {100 * self.spread.mean():.1f} % of full brightness "
            f"on average and by {100 * self.spread.max():.0f} % where it varies most. The picture "
            f"settles {sure} of {d} dimensions (σ below half the prior's) and leaves {unsure} as "
            "open as before."
        )
        pair = strongest_pair(self.correlation)
        if pair is None:
            return sentence
        i, j, value = pair
        return f"{sentence} Its doubts about z{i} and z{j} go together most (ρ = {value:.2f})."


def strongest_pair(correlation: Floats | None) -> tuple[int, int, float] | None:
    """The two dimensions of the largest |ρ| and that ρ; None for less than two, or a diagonal."""
    if correlation is None or len(correlation) < 2:
        return None
    rest = np.triu(correlation, 1)
    i, j = np.unravel_index(int(np.abs(rest).argmax()), rest.shape)
    return int(i), int(j), float(rest[i, j])


@torch.no_grad()
def understand(
    checkpoint: Checkpoint, pixels: NDArray[np.uint8], *, n: int = 16, seed: int = 0
) -> Understanding:
    """Draw n codes from the posterior of one picture uint8 `[C,H,W]` and decode them.

    `ConfigError` for n outside 2 to 1,000, `DataError` for a shape that is not the model's.
    """
    if not 2 <= n <= MOST_DRAWS:
        raise ConfigError(f"{n} draws were asked for, expected 2 to {MOST_DRAWS:,}; 16 are plenty.")
    model = checkpoint.model
    if pixels.shape != model.spec.shape:
        raise DataError(
            f"A picture of shape {pixels.shape} came, the model expects {model.spec.shape}; "
            "prepare it first."
        )
    x = torch.from_numpy(np.ascontiguousarray(pixels))[None].to(model.device).float() / 255
    posterior = model.encode(x)
    if model.config.posterior == "point":
        codes = posterior.mean.repeat(n, 1)
    else:
        generator = torch.Generator(model.device).manual_seed(seed)
        codes = posterior.sample(n=n, generator=generator)[:, 0]
    pictures = torch.cat([model.decode(part) for part in torch.split(codes, DECODE_AT_ONCE)])
    full = posterior.covariance[0] if posterior.factor is not None else None
    return Understanding(
        codes=codes.cpu().numpy(),
        pictures=to_bytes(pictures.cpu().numpy()),
        spread=pictures.std(0, correction=0).mean(0).cpu().numpy(),
        mean=posterior.mean[0].cpu().numpy(),
        std=posterior.std[0].cpu().numpy(),
        correlation=None if full is None else _correlation(full).cpu().numpy(),
    )


def _correlation(covariance: torch.Tensor) -> torch.Tensor:
    deviation = covariance.diagonal().sqrt()
    return (covariance / (deviation[:, None] * deviation)).clamp(-1, 1)
