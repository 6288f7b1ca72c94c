"""The few layers torch does not have ready-made."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Same shape in and out."""
        out: Tensor = x + self.body(x)
        return out


class Pad(nn.Module):
    """Grow H×W by repeating the border until both are `height`, `width`; content centred."""

    def __init__(self, from_size: tuple[int, int], to_size: tuple[int, int]) -> None:
        super().__init__()
        extra = [big - small for big, small in zip(to_size, from_size, strict=True)]
        top, left = extra[0] // 2, extra[1] // 2
        self.margins = (left, extra[1] - left, top, extra[0] - top)

    def forward(self, x: Tensor) -> Tensor:
        """`[B,C,h,w]` → `[B,C,height,width]`."""
        if not any(self.margins):
            return x
        return functional.pad(x, self.margins, mode="replicate")


class Crop(nn.Module):
    """Cut the centre h×w out: the inverse of `Pad`."""

    def __init__(self, from_size: tuple[int, int], to_size: tuple[int, int]) -> None:
        super().__init__()
        self.top, self.left = ((a - b) // 2 for a, b in zip(from_size, to_size, strict=True))
        self.height, self.width = to_size

    def forward(self, x: Tensor) -> Tensor:
        """`[B,C,h,w]` → `[B,C,height,width]`."""
        rows = slice(self.top, self.top + self.height)
        return x[..., rows, self.left : self.left + self.width]


class Broadcast(nn.Module):
    """The same features in each cell of a grid, plus what depends on where the cell is.

    features = W·z + V·(row, column) + b, rows and columns from −1 to 1. Source: the first
    layer of a spatial broadcast decoder, Watters et al. 2019 (arXiv:1901.07017), which tiles
    z, appends the coordinates and convolves.
    """

    def __init__(self, n_inputs: int, n_channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size, self.n_channels = size, n_channels
        self.code = nn.Linear(n_inputs, n_channels)
        self.place = nn.Linear(2, n_channels, bias=False)
        axes = (torch.linspace(-1, 1, n) if n > 1 else torch.zeros(1) for n in size)
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
        self.coordinates: Tensor
        self.register_buffer("coordinates", grid, persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """`[B,D]` → `[B,C,H,W]`."""
        cells = self.code(z)[:, None] + self.place(self.coordinates)
        grid: Tensor = cells.unflatten(1, self.size).permute(0, 3, 1, 2)
        return grid


def group_norm(n_channels: int) -> nn.GroupNorm:
    """GroupNorm in groups of 8 channels: works for one image, unlike BatchNorm."""
    groups = max(1, n_channels // 8)
    while n_channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, n_channels)


def residual_block(n_channels: int) -> Residual:
    """GroupNorm → SiLU → 3×3 convolution, twice; starts as the identity."""
    last = nn.Conv2d(n_channels, n_channels, 3, padding=1)
    nn.init.zeros_(last.weight)
    body = nn.Sequential(
        group_norm(n_channels),
        nn.SiLU(),
        nn.Conv2d(n_channels, n_channels, 3, padding=1),
        group_norm(n_channels),
        nn.SiLU(),
        last,
    )
    return Residual(body)
