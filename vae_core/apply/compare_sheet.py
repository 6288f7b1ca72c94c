"""Reconstructions of several models as one picture, with their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vae_core.apply.compare import Seen
from vae_core.grid import to_picture

_LABEL, _GAP, _LEAST_TILE = 260, 4, 64
_FONT_PIXELS: Final = 15


def comparison_sheet(
    seen: Sequence[Seen], originals: NDArray[np.uint8], *, n_columns: int = 12
) -> Image.Image:
    """Originals on top, then a row for each coder with its name and average PSNR.

    Originals smaller than 64 pixels are enlarged by a whole number, with hard edges, and what
    a model of another size made of them to the same size.
    """
    n = min(n_columns, len(originals))
    height, width = originals.shape[2:]
    times = max(1, -(-_LEAST_TILE // max(height, width)))
    height, width = height * times, width * times
    rows: list[tuple[str, Sequence[NDArray[np.float32] | NDArray[np.uint8]]]]
    rows = [("original", list(originals[:n]))]
    for item in seen:
        decibels = f"{item.quality.report().psnr:.2f} dB"
        rows.append((f"{_shortened(item.coder.name)}\n{decibels}", list(item.rebuilt[:n])))
    size = (_LABEL + n * (width + _GAP), len(rows) * (height + _GAP) + _GAP)
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_PIXELS)
    for row, (name, images) in enumerate(rows):
        top = _GAP + row * (height + _GAP)
        draw.multiline_text((10, top + height // 2), name, fill="black", font=font, anchor="lm")
        for column, image in enumerate(images):
            picture = to_picture(image).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(picture, (_LABEL + column * (width + _GAP), top))
    return sheet


def _shortened(name: str, *, most: int = 28) -> str:
    return name if len(name) <= most else f"…{name[-most + 1 :]}"
