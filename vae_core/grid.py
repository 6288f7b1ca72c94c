"""Arrays to pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def to_bytes(images: NDArray[np.floating]) -> NDArray[np.uint8]:
    """[0,1] → uint8, rounded; any shape."""
    pixels: NDArray[np.uint8] = np.clip(np.rint(images * 255), 0, 255).astype(np.uint8)
    return pixels


def to_picture(image: NDArray[Any]) -> Image.Image:
    """One image `[C,H,W]`, float in [0,1] or uint8, as a PIL picture (L or RGB)."""
    pixels = image if image.dtype == np.uint8 else to_bytes(image)
    if pixels.shape[0] == 1:
        return Image.fromarray(pixels[0])
    return Image.fromarray(np.ascontiguousarray(pixels[:3].transpose(1, 2, 0)))


def picture_grid(
    images: NDArray[Any], *, n_columns: int | None = None, gap: int = 0
) -> Image.Image:
    """Images `[N,C,H,W]`, float in [0,1] or uint8, laid out row by row.

    Near-square unless `n_columns` is given; `gap` pixels of mid grey around each.
    """
    n, channels, height, width = images.shape
    columns = n_columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    size = (rows * (height + gap) + gap, columns * (width + gap) + gap)
    sheet = np.full((channels, *size), 128 if gap else 0, np.uint8)
    for index, image in enumerate(images if images.dtype == np.uint8 else to_bytes(images)):
        top = gap + (height + gap) * (index // columns)
        left = gap + (width + gap) * (index % columns)
        sheet[:, top : top + height, left : left + width] = image
    return to_picture(sheet)
