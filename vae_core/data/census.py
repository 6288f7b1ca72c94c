"""What a source's picture files are, from headers and checksums, before a model sees them.

Sizes and modes come from the first bytes of each file. Only files that may be copies of each
other are hashed, only some are decoded: `Census` says of how many each figure speaks.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vae_core.data.folder import (
    BLOCK,
    LoadingCancelledError,
    PictureFiles,
    choose_spec,
    fetch_picture,
)
from vae_core.data.imageset import Skipped
from vae_core.data.pixels import MAX_BYTES, open_image, prepare
from vae_core.errors import DataError
from vae_core.types import ImageSpec

# About three seconds of reading on two cores; beyond that a sample speaks for all.
MAX_HEADERS = 10_000
MAX_HASHED, MAX_HASHED_BYTES = 20_000, 512 * 2**20
MAX_DECODED, MAX_DECODED_PIXELS, MIN_DECODED = 1_000, 60_000_000, 24
# More examples than are ever shown, since some may turn out damaged.
N_SHOWN, SMALL_SIDE = 64, 16
FLAT_LEVELS = 8  # of 255: an eye sees one colour
HEAD_BYTES = 2**17  # a header with a preview and a colour profile fits

A = TypeVar("A")
B = TypeVar("B")
_MODE_NAMES = {
    "1": "black and white", "L": "grey", "LA": "grey with transparency", "I": "32-bit grey",
    "F": "grey as floats", "P": "palette", "RGB": "colour", "RGBA": "colour with transparency",
    "CMYK": "CMYK colour",
}  # fmt: skip


class Meter:
    """Tells progress and obeys a cancel, in the thread that waits for the others."""

    def __init__(
        self,
        progress: Callable[[int, int], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self._progress, self._cancelled = progress, cancelled
        self.done, self.total = 0, 0

    def step(self, n: int = 1) -> None:
        """Note n more pieces of work; `LoadingCancelledError` once cancelled."""
        self.done += n
        if self._progress is not None and (self.done % 64 < n or self.done >= self.total):
            self._progress(min(self.done, self.total), self.total)
        if self._cancelled is not None and self._cancelled():
            raise LoadingCancelledError(
                f"Looking at the pictures was stopped after {self.done:,} of {self.total:,} steps, "
                "as asked; start it again when you like."
            )


class Looked(NamedTuple):
    """One picture decoded for the model: its place in the list and what was done to it.

    `small` uint8 `[C,h,w]` holds every n-th pixel; `pixels` `[C,H,W]` only the first ones.
    """

    row: int
    steps: tuple[str, ...]
    is_flat: bool
    small: NDArray[np.uint8]
    pixels: NDArray[np.uint8] | None


@dataclass(frozen=True)
class Census:
    """Counts over the headers read, `n_compared` contents and the decoded pictures.

    `sizes` by (width, height), `modes` by words; `copies` are groups of names with the same
    content; `bad` are rows that cannot be read, `skipped` why.
    """

    spec: ImageSpec
    n_compared: int
    sizes: dict[tuple[int, int], int]
    modes: dict[str, int]
    copies: tuple[tuple[str, ...], ...]
    looked: tuple[Looked, ...]
    bad: frozenset[int]
    skipped: tuple[Skipped, ...]


def take_census(
    files: PictureFiles,
    *,
    size: int | None,
    channels: int | None,
    seed: int,
    meter: Meter,
) -> Census:
    """Look at the files of a source; the same seed decodes the same ones.

    Raises `DataError` when no file can be read, `LoadingCancelledError` when cancelled.
    """
    rows = spread_rows(len(files.names), MAX_HEADERS)
    suspects, n_compared = _suspects(files)
    meter.total = len(rows) + len(suspects) + min(len(rows), MAX_DECODED)
    headers = dict(zip(rows, _work(lambda row: _header(files, row), rows, meter), strict=True))
    sound = {row: found for row, found in headers.items() if not isinstance(found, Skipped)}
    bad = {row: found for row, found in headers.items() if isinstance(found, Skipped)}
    # From the same sample as `load_folder` takes, unreadable files and all.
    spec = choose_spec(files.read, files.names, size, channels)
    same = _same_content(files, suspects, meter)
    looked = dict(_look(files, sound, spec, seed, meter))
    bad |= {row: found for row, found in looked.items() if isinstance(found, Skipped)}
    kept = [found for row, found in sound.items() if row not in bad]
    if not kept:
        raise DataError(
            f"None of the {len(rows):,} pictures looked at can be read; the first: "
            f"{bad[rows[0]].reason}"
        )
    return Census(
        spec, n_compared, _counted(found.size for found in kept),
        _counted(found.mode for found in kept),
        _copies(files.names, same, bad),
        tuple(found for found in looked.values() if not isinstance(found, Skipped)),
        frozenset(bad), tuple(bad[row] for row in sorted(bad)),
    )  # fmt: skip


def spread_rows(n: int, most: int) -> list[int]:
    """At most `most` of the rows 0..n-1, evenly over the list."""
    picks: list[int] = np.linspace(0, max(n - 1, 0), min(n, most)).astype(int).tolist()
    return picks


def over_classes(classes: Sequence[str], rows: Sequence[int], *, seed: int) -> list[int]:
    """Rows in an order of which any beginning is spread over the classes, each at random."""
    shuffled = np.random.default_rng(seed).permutation(np.asarray(rows, np.int64)).tolist()
    turns: Counter[str] = Counter()
    ranked = []
    for row in shuffled:
        ranked.append((turns[classes[row]], row))
        turns[classes[row]] += 1
    return [row for _, row in sorted(ranked, key=lambda pair: pair[0])]


def _counted(values: Iterable[A]) -> dict[A, int]:
    return dict(Counter(values).most_common())


def _work(do: Callable[[A], B], items: Sequence[A], meter: Meter) -> Iterator[B]:
    """In order, block by block, so that a cancel waits for one block at most."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(items), BLOCK):
            for result in pool.map(do, items[start : start + BLOCK]):
                yield result
                meter.step()


class _Header(NamedTuple):
    size: tuple[int, int]
    mode: str
    is_jpeg: bool


def _header(files: PictureFiles, row: int) -> _Header | Skipped:
    name = files.names[row]
    try:
        content = fetch_picture(files.read, name)
        image = _open_head(content, name) if isinstance(content, Path) else None
        image = image or open_image(content, name=name)
    except DataError as error:
        return Skipped(name, str(error))
    mode = "16-bit grey" if image.mode.startswith("I;16") else image.mode
    return _Header(image.size, _MODE_NAMES.get(mode, mode), image.format == "JPEG")


def _open_head(path: Path, name: str) -> Image.Image | None:
    """The picture by its first bytes; None where they do not suffice, as in some TIFF files."""
    try:
        if path.stat().st_size > MAX_BYTES:  # no matter how good it begins, it is not read
            return None
        with path.open("rb") as stream:
            return open_image(stream.read(HEAD_BYTES), name=name)
    except (OSError, DataError):
        return None


def _suspects(files: PictureFiles) -> tuple[list[int], int]:
    """Rows whose size (and checksum, where known) another row shares, within the limits.

    Also the number of pictures that are thereby compared.
    """
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row, stamp in enumerate(files.stamps):
        groups[stamp].append(row)
    rows: list[int] = []
    n_bytes, n_left_out = 0, 0
    for stamp, group in groups.items():
        room = min(MAX_HASHED - len(rows), (MAX_HASHED_BYTES - n_bytes) // max(stamp[0], 1))
        part = group[:room] if len(group) > 1 and room > 1 else []
        rows += part
        n_bytes += len(part) * stamp[0]
        n_left_out += len(group) - len(part) if len(group) > 1 else 0
    return rows, len(files.names) - n_left_out


def _same_content(
    files: PictureFiles, suspects: Sequence[int], meter: Meter
) -> Iterable[list[int]]:
    """Rows with one content, in the order of the list."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    digests = _work(lambda row: _digest(files, row), suspects, meter)
    for row, digest in zip(suspects, digests, strict=True):
        if digest is not None:
            groups[digest].append(row)
    return groups.values()


def _copies(
    names: Sequence[str], same: Iterable[Sequence[int]], bad: Container[int]
) -> tuple[tuple[str, ...], ...]:
    """Names of pictures with one content; those that cannot be read are no pictures."""
    readable = ([names[row] for row in rows if row not in bad] for rows in same)
    return tuple(tuple(group) for group in readable if len(group) > 1)


def _digest(files: PictureFiles, row: int) -> bytes | None:
    try:
        content = fetch_picture(files.read, files.names[row])
        content = content.read_bytes() if isinstance(content, Path) else content
    except (OSError, DataError):  # told by its header already
        return None
    return hashlib.blake2b(content, digest_size=16).digest() if content else None


def _look(
    files: PictureFiles, sound: Mapping[int, _Header], spec: ImageSpec, seed: int, meter: Meter
) -> Iterator[tuple[int, Looked | Skipped]]:
    """Decode a part, spread over the classes, as large as the limits on pixels allow."""
    order = over_classes(files.classes, list(sound), seed=seed)[:MAX_DECODED]
    # A JPEG is decoded at a fraction of its size, see pixels.prepare.
    costs = [prod(sound[row].size) / (8 if sound[row].is_jpeg else 1) for row in order]
    n = int(np.searchsorted(np.cumsum(costs), MAX_DECODED_PIXELS, side="right"))
    part = order[: max(n, MIN_DECODED)]
    meter.total = meter.done + len(part)
    shown = frozenset(part[:N_SHOWN])

    def look(row: int) -> Looked | Skipped:
        name = files.names[row]
        try:
            done = prepare(fetch_picture(files.read, name), spec, name=name)
        except DataError as error:
            return Skipped(name, str(error))
        pixels = done.pixels
        keep = pixels if row in shown else None
        return Looked(row, done.steps, bool(is_flat(pixels)), every_nth(pixels), keep)

    yield from zip(part, _work(look, part, meter), strict=True)


def is_flat(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether pictures `[...,C,H,W]` show one colour only."""
    reach = images.max(axis=(-2, -1)).astype(np.int16) - images.min(axis=(-2, -1))
    return np.asarray(reach.max(axis=-1) < FLAT_LEVELS)


def every_nth(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most 16×16 pixels of a picture `[...,H,W]`, spread over it."""
    down, right = (-(-n // SMALL_SIDE) for n in pixels.shape[-2:])
    return pixels[..., ::down, ::right].copy()
