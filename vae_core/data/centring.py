"""A drawing or scan of a digit brought into the place MNIST's makers would have put it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vae_core.data.ground import centre_of_mass, ground_of
from vae_core.data.pixels import Prepared, prepare
from vae_core.types import ImageSpec

Images = NDArray[np.uint8]
# Of MNIST's 28 pixels a digit's longer side takes 20 (LeCun et al. 1998, section III.A).
INK_SHARE: Final = 20 / 28
# Fainter than this share of the strongest ink is paper.
FAINT: Final = 0.25
_WORKING_PIXELS: Final = 256


def prepare_centred(
    source: bytes | Path, spec: ImageSpec, *, name: str, invert: bool = False
) -> Prepared:
    """As `prepare`, and the ink cut out, scaled and put with its centre of mass in the middle.

    For pictures of one thing on an even ground, of either brightness. Errors as `prepare`.
    """
    working = ImageSpec(spec.channels, _WORKING_PIXELS, _WORKING_PIXELS)
    large = prepare(source, working, name=name, fit="pad", invert=invert)
    side = round(INK_SHARE * min(spec.height, spec.width))
    step = f"ink cut out, scaled to {side} pixels and centred by its mass, as MNIST's digits are"
    said = tuple(s for s in large.steps if "resized" not in s)
    return Prepared(centre_ink(large.pixels, spec), (*said, step), large.original_size, large.mode)


def centre_ink(pixels: Images, spec: ImageSpec) -> Images:
    """uint8 `[C,H,W]` of any size → the size of `spec`, its ink centred by mass.

    Ink is what differs from the border's median, the ground of the result; a picture without any
    ink is only resized.
    """
    ground = ground_of(pixels).round().astype(np.uint8)
    ink = np.abs(pixels.astype(np.int16) - ground[:, None, None]).max(0)
    rows, columns = (np.flatnonzero((ink > FAINT * ink.max()).any(axis)) for axis in (1, 0))
    if not len(rows):
        return _resized(pixels, spec.height, spec.width)
    cut = pixels[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = INK_SHARE * min(spec.height, spec.width) / max(cut.shape[1:])
    height, width = (max(1, round(side * scale)) for side in cut.shape[1:])
    return _placed(_resized(cut, height, width), ground, spec)


def _resized(pixels: Images, height: int, width: int) -> Images:
    planes = [
        np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BOX))
        for plane in pixels
    ]
    return np.stack(planes)


def _placed(cut: Images, ground: Images, spec: ImageSpec) -> Images:
    """On even ground, the centre of mass of what differs from it in the middle."""
    mass = np.abs(cut.astype(np.float64) - ground[:, None, None]).sum(0)
    mass = mass if mass.any() else np.ones_like(mass)
    height, width = mass.shape
    y, x = (float(place) for place in centre_of_mass(mass))
    # Ink never leaves the picture, however lopsided it is.
    top = min(max(round((spec.height - 1) / 2 - y), 0), spec.height - height)
    left = min(max(round((spec.width - 1) / 2 - x), 0), spec.width - width)
    placed = np.empty(spec.shape, np.uint8)
    placed[:] = ground[:, None, None]
    placed[:, top : top + height, left : left + width] = cut
    return placed
