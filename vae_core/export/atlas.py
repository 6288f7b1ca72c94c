"""Sheets of small originals, so that a map can show many real pictures from few files."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vae_core.data.packed import cache_root, make_key
from vae_core.errors import DataError
from vae_core.files import replace_file
from vae_core.grid import to_picture
from vae_core.latent.codes import Codes

Pixels = NDArray[np.uint8]
Find = Callable[[NDArray[np.int64]], Pixels]

# Raise it whenever the same originals would give other sheets.
VERSION: Final = 1
MAX_TILES: Final = 20_000
MAX_SIDE: Final = 32
COLUMNS: Final = 32
PER_SHEET: Final = 1_024
BATCH: Final = 8
WEBP_QUALITY: Final = 88


@dataclass(frozen=True)
class AtlasPlan:
    """Tiles of `height`×`width` pixels for the first `n` codes, row by row on sheets.

    A sheet holds `PER_SHEET` tiles in `COLUMNS` columns, the last one fewer; `key` names the
    content, so sheets of one key are the same files.
    """

    n: int
    height: int
    width: int
    key: str

    @property
    def n_sheets(self) -> int:
        """Sheets for all tiles."""
        return math.ceil(self.n / PER_SHEET)

    @property
    def folder(self) -> Path:
        """Where finished sheets are kept between runs."""
        return cache_root() / "atlas" / self.key

    def rows(self, sheet: int) -> range:
        """Rows of the codes that lie on a sheet."""
        return range(PER_SHEET * sheet, min(self.n, PER_SHEET * (sheet + 1)))


def plan_atlas(
    codes: Codes, shape: tuple[int, int, int], *, source: Mapping[str, Any]
) -> AtlasPlan:
    """Tiles for up to 20,000 codes of images `[C,H,W]`, the longer side at most 32 pixels.

    `source` is the card's record of the data.
    """
    shrink = min(1.0, MAX_SIDE / max(shape[1:]))
    height, width = (max(1, round(side * shrink)) for side in shape[1:])
    ids = codes.ids[:MAX_TILES]
    digest = hashlib.sha256(np.ascontiguousarray(ids, "<i8").tobytes()).hexdigest()
    record = json.dumps(source, sort_keys=True, default=str)
    key = make_key([f"atlas {VERSION}", record, str(shape), f"{height}x{width}", digest])
    return AtlasPlan(len(ids), height, width, key)


def sheet_bytes_of(images: Pixels, plan: AtlasPlan) -> bytes:
    """Up to `PER_SHEET` images uint8 `[n,C,H,W]` as one WebP, exact for grey pictures."""
    n, channels = images.shape[:2]
    mode = "L" if channels == 1 else "RGB"
    size = (COLUMNS * plan.width, math.ceil(n / COLUMNS) * plan.height)
    sheet = Image.new(mode, size)
    for number, image in enumerate(images):
        down, across = divmod(number, COLUMNS)
        sheet.paste(_tile(image, plan), (across * plan.width, down * plan.height))
    buffer = io.BytesIO()
    sheet.convert("RGB").save(buffer, "WEBP", lossless=mode == "L", quality=WEBP_QUALITY, method=2)
    return buffer.getvalue()


def _tile(image: Pixels, plan: AtlasPlan) -> Image.Image:
    picture = to_picture(image)
    size = (plan.width, plan.height)
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BOX)


def atlas_sheets(
    find: Find, codes: Codes, plan: AtlasPlan, *, breathe: Callable[[], None] | None = None
) -> Iterator[bytes]:
    """The sheets in order, from the cache or drawn now and put there.

    `breathe` is called after every few drawn pictures, so that a caller in the background can
    let others work. Whatever `find` raises ends it; sheets done before are kept.
    """
    for number in range(plan.n_sheets):
        path = plan.folder / f"{number}.webp"
        if path.is_file():
            yield path.read_bytes()
            continue
        data = sheet_bytes_of(_draw(find, codes, plan, number, breathe), plan)
        plan.folder.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as temporary:
            temporary.write_bytes(data)
        yield data


def _draw(
    find: Find, codes: Codes, plan: AtlasPlan, sheet: int, breathe: Callable[[], None] | None
) -> Pixels:
    rows, drawn = plan.rows(sheet), []
    for start in range(rows.start, rows.stop, BATCH):
        ids = codes.ids[start : min(start + BATCH, rows.stop)]
        images = find(ids)
        if len(images) != len(ids) or images.dtype != np.uint8:
            raise DataError(
                f"{len(images)} originals of type {images.dtype} came for {len(ids)} ids, expected "
                "one uint8 image each; check that the data set is the one the model learnt from."
            )
        drawn.append(images)
        if breathe is not None:
            breathe()
    return np.concatenate(drawn)
