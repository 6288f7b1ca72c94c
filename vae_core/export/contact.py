"""Several bands of pictures with words on one sheet, as a PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vae_core.errors import ConfigError
from vae_core.grid import to_picture

INK, SOFT, PAPER = "#1c1e26", "#5b6070", "#ffffff"
MARGIN, GAP, LINE = 24, 8, 20
TITLE_SIZE, TEXT_SIZE, NOTE_SIZE = 22, 15, 12
LEAST_SIDE: Final = 80
MAX_SIDE: Final = 128
MAX_WIDTH: Final = 1_200


@dataclass(frozen=True)
class Band:
    """Images `[n,C,H,W]`, uint8 or float in [0,1], under a title, each with a note or none."""

    title: str
    images: NDArray[Any]
    notes: Sequence[str] = ()


def contact_sheet(bands: Sequence[Band], *, title: str, lines: Sequence[str] = ()) -> bytes:
    """A PNG with a title, lines of words, and the bands below each other.

    Small pictures are enlarged a whole number of times with hard edges; a band longer than
    the sheet is wide goes on in the next line. `ConfigError` without any picture.
    """
    shown = [band for band in bands if len(band.images)]
    if not shown:
        raise ConfigError("No picture came for the sheet, expected one or more; choose some.")
    size = _size(shown[0].images.shape[-2:])
    columns = min(max(len(b.images) for b in shown), (MAX_WIDTH - 2 * MARGIN) // (size[0] + GAP))
    width = max(2 * MARGIN + columns * (size[0] + GAP) - GAP, 640)
    head = 2 * MARGIN + TITLE_SIZE + LINE * len(lines)
    heights = [_band_height(band, columns, size) for band in shown]
    sheet = Image.new("RGB", (width, head + sum(heights) + MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    _write(pen, (MARGIN, MARGIN), title, TITLE_SIZE, INK, width - 2 * MARGIN)
    for number, line in enumerate(lines):
        top = MARGIN + TITLE_SIZE + 10 + LINE * number
        _write(pen, (MARGIN, top), line, TEXT_SIZE, SOFT, width - 2 * MARGIN)
    top = head
    for band, height in zip(shown, heights, strict=True):
        _draw_band(sheet, pen, band, top=top, columns=columns, size=size)
        top += height
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height in pixels of each picture on the sheet."""
    height, width = shape
    longest = max(height, width)
    if longest > MAX_SIDE:
        scale = MAX_SIDE / longest
        return max(1, round(width * scale)), max(1, round(height * scale))
    times = max(1, round(LEAST_SIDE / longest))
    return width * times, height * times


def _row_height(band: Band, size: tuple[int, int]) -> int:
    return size[1] + GAP + (NOTE_SIZE + 4 if band.notes else 0)


def _band_height(band: Band, columns: int, size: tuple[int, int]) -> int:
    n_rows = -(-len(band.images) // columns)
    return TEXT_SIZE + 2 * GAP + n_rows * _row_height(band, size) + GAP


def _draw_band(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    band: Band,
    *,
    top: int,
    columns: int,
    size: tuple[int, int],
) -> None:
    _write(pen, (MARGIN, top), band.title, TEXT_SIZE, INK, sheet.width - 2 * MARGIN)
    for number, image in enumerate(band.images):
        down, across = divmod(number, columns)
        left = MARGIN + across * (size[0] + GAP)
        upper = top + TEXT_SIZE + 2 * GAP + down * _row_height(band, size)
        picture = to_picture(image)
        smooth = picture.width > size[0]
        way = Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST
        sheet.paste(picture.resize(size, way), (left, upper))
        if number < len(band.notes):
            _write(pen, (left, upper + size[1] + 2), band.notes[number], NOTE_SIZE, SOFT, size[0])


def _write(
    pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, ink: str, width: int
) -> None:
    """One line, cut with an ellipsis where it would be too long."""
    font = ImageFont.load_default(size)
    line = " ".join(text.split())
    while line and pen.textlength(line, font) > width:
        line = line[:-2].rstrip() + "…" if len(line) > 2 else ""
    pen.text(at, line, ink, font)


def strip_notes(n_steps: int, *, reach: float) -> list[str]:
    """Notes below a strip from −reach to +reach standard deviations; the font has no Greek."""
    return [f"{offset:+.1f} sd" for offset in np.linspace(-reach, reach, n_steps)]
