"""Shapes legend and the small value types everything else passes around.

    B  images in a batch          D  latent dimensions
    C  channels (1 grey, 3 RGB)   N  images in a set
    H, W  height and width in pixels

Images are float32 `[B,C,H,W]` in [0,1] inside models and uint8 `[N,C,H,W]` in sets.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageSpec:
    """Channels, height and width of the images a model works on."""

    channels: int
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(C, H, W)`."""
        return (self.channels, self.height, self.width)

    @property
    def n_values(self) -> int:
        """Number of values per image, C·H·W."""
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        colour = {1: "grey", 3: "RGB"}.get(self.channels, f"{self.channels}-channel")
        return f"{colour} {self.width}×{self.height}"
