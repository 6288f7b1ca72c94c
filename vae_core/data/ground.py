"""The even ground that pictures of one thing lie on, and where the thing is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


def ground_of(pixels: NDArray[Any]) -> Doubles:
    """Median of the border of images `[...,C,H,W]`, per channel `[...,C]`."""
    rows, columns = (pixels[..., 0, :], pixels[..., -1, :]), (pixels[..., 0], pixels[..., -1])
    return np.asarray(np.median(np.concatenate([*rows, *columns], -1), -1), np.float64)


def centre_of_mass(mass: NDArray[Any]) -> tuple[Doubles, Doubles]:
    """Row and column `[...]`, in pixels from the first, of masses `[...,H,W]` not all 0."""
    height, width = mass.shape[-2:]
    total = mass.sum((-2, -1))
    return mass.sum(-1) @ np.arange(height) / total, mass.sum(-2) @ np.arange(width) / total
