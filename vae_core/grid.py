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


def sheet_picture(images: NDArray[np.uint8], *, gap: int = 1) -> Image.Image:
    """Images uint8 `[N,C,H,W]` side by side on mid grey, `gap` pixels apart, wider than tall."""
    n, channels, height, width = images.shape
    columns = min(n, math.ceil(math.sqrt(n * 4 / 3 * height / width)))
    rows = math.ceil(n / columns)
    size = (rows * (height + gap) + gap, columns * (width + gap) + gap)
    sheet = np.full((channels, *size), 128, np.uint8)
    for index, image in enumerate(images):
        top = gap + (height + gap) * (index // columns)
        left = gap + (width + gap) * (index % columns)
        sheet[:, top : top + height, left : left + width] = image
    return to_picture(sheet)


def picture_grid(images: NDArray[np.floating], *, n_columns: int | None = None) -> Image.Image:
    """Images `[N,C,H,W]` in [0,1] laid out row by row, near-square unless `n_columns` is given."""
    n, channels, height, width = images.shape
    columns = n_columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.zeros((channels, rows * height, columns * width), images.dtype)
    for index, image in enumerate(images):
        top, left = height * (index // columns), width * (index % columns)
        sheet[:, top : top + height, left : left + width] = image
    return to_picture(sheet)
