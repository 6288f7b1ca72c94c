"""A folder or `.zip` of pictures as a set: class folders become labels, bad files are listed.

A zip is never extracted: its members are read in memory, one by one, within limits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vae_core.data.imageset import SPLITS, ImageSet, Skipped, seeded_split
from vae_core.data.listing import Listing, Read, list_images, open_listing
from vae_core.data.packed import Decoded, Packed, gather_images, make_key, pack_images
from vae_core.data.pixels import Fit, looks_grey, open_image, prepare
from vae_core.errors import DataError
from vae_core.types import ImageSpec

# The usual layout of published sets; there 'train' is no class of things.
SPLIT_NAMES = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1} | {
    "test": 2,
    "testing": 2,
}
# Sizes that halve well for the networks; beyond 64 only when asked, as training gets slow.
AUTOMATIC_SIZES = (28, 32, 64)
MAX_KEPT_SIZE = 128
MAX_SIZE = 1024
# Below this, decoding takes a second or two and a cache is only clutter.
PACK_ABOVE = 2_000
# Sizes need a header only, colour needs the pixels.
N_SIZE_SAMPLE, N_GREY_SAMPLE = 256, 32
BLOCK = 128


class LoadingCancelledError(DataError):
    """The person asked to stop while pictures were being read."""


@dataclass(frozen=True)
class PictureFiles:
    """The pictures of a source before one is decoded; `read` gives a name's content or path.

    `stamps` of equal files are equal: sizes in bytes, in a zip with checksums. `classes` is
    one name for all where there are no classes; `split` uint8 `[N]` where folders name it.
    """

    names: tuple[str, ...]
    stamps: tuple[tuple[int, ...], ...]
    classes: tuple[str, ...]
    split: NDArray[np.uint8] | None
    skipped: tuple[Skipped, ...]
    read: Read


@contextmanager
def open_pictures(path: Path) -> Iterator[PictureFiles]:
    """The pictures of a folder or `.zip` as `load_folder` would take them, not yet opened."""
    listing = list_images(path)
    split, classes = sort_into_classes(listing.names)
    # A file's time says nothing about its content, a zip member's checksum does.
    stamps = tuple(stamp if listing.zipped else stamp[:1] for stamp in listing.stamps)
    with open_listing(listing) as read:
        yield PictureFiles(listing.names, stamps, tuple(classes), split, listing.skipped, read)


def load_folder(
    path: Path,
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    fit: Fit = "crop",
    invert: bool = False,
    n_images: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ImageSet:
    """Read a folder or `.zip` of pictures; `ids` are positions in its sorted list of images.

    `size` in pixels (one number, or height and width) and `channels` (1 or 3) are chosen from
    a sample when None. Folders `train`, `val`, `test` at the top become splits; otherwise the
    split is dealt by `seed`. `n_images` reads a random part. `progress(done, total)` counts
    files. Unreadable files end up in `skipped`. Raises `DataError` when nothing can be read,
    and `LoadingCancelledError` once `cancelled()` is true.
    """
    listing = list_images(path)
    rows = draw_rows(len(listing.names), n_images, seed=seed)
    names = [listing.names[row] for row in rows]
    with open_listing(listing) as read:
        spec = choose_spec(read, names, size, channels)

        def decode() -> Iterator[Decoded]:
            blocks = decode_blocks(read, names, spec, fit, invert)
            return report_blocks(blocks, len(names), progress, cancelled)

        if len(rows) > PACK_ABOVE:
            # Only the files that are read count: another part of the folder is another entry.
            stamps = [f"{listing.names[row]} {listing.stamps[row]}" for row in rows]
            key = make_key([str(path.resolve()), str(spec.shape), fit, str(invert), *stamps])
            packed = pack_images(key, len(rows), spec=spec, decode=decode)
        else:
            packed = gather_images(len(rows), spec, decode())
    return _build_set(listing, rows, packed, seed)


def read_images(
    path: Path, ids: NDArray[np.int64], *, spec: ImageSpec, fit: Fit = "crop", invert: bool = False
) -> NDArray[np.uint8]:
    """Only the pictures with these ids, uint8 `[n,C,H,W]`, as `load_folder` would give them.

    Raises `DataError` when an id is not in the folder or its file cannot be read.
    """
    listing = list_images(path)
    if len(ids) and not (ids.min() >= 0 and ids.max() < len(listing.names)):
        raise DataError(
            f"'{path}' holds {len(listing.names):,} images, but image number {ids.max():,} was "
            "asked for; it has changed since, so load it anew."
        )
    with open_listing(listing) as read:
        # Ids count all image files, readable or not, so that a repaired file changes no other id.
        names = [listing.names[i] for i in ids]
        packed = gather_images(len(ids), spec, decode_blocks(read, names, spec, fit, invert))
    if packed.skipped:
        raise DataError(packed.skipped[0].reason)
    return packed.images


def draw_rows(n: int, n_wanted: int | None, *, seed: int) -> NDArray[np.int64]:
    """All rows 0..n-1, or a random part of them in rising order, the same for the same seed."""
    if n_wanted is None or n_wanted >= n:
        return np.arange(n, dtype=np.int64)
    if n_wanted < 1:
        raise DataError(f"{n_wanted} images were asked for, expected at least 1; raise the number.")
    return np.sort(np.random.default_rng(seed).permutation(n)[:n_wanted]).astype(np.int64)


def _decode(read: Read, name: str, spec: ImageSpec, fit: Fit, invert: bool) -> Decoded:
    try:
        return prepare(fetch_picture(read, name), spec, name=name, fit=fit, invert=invert).pixels
    except DataError as error:
        return Skipped(name, str(error))


def fetch_picture(read: Read, name: str) -> bytes | Path:
    """What `read` gives for a name; `DataError` where an archive is damaged there."""
    try:
        return read(name)
    # A damaged archive fails as BadZipFile, zlib.error, EOFError, NotImplementedError, ...
    except Exception as error:
        raise DataError(
            f"The image '{name}' cannot be unpacked ({error}), expected a sound archive; "
            "pack it again."
        ) from error


def decode_blocks(
    read: Read, names: Sequence[str], spec: ImageSpec, fit: Fit, invert: bool
) -> Iterator[Decoded]:
    """In order and block by block, so that a set of any size holds few pictures in flight."""
    # Threads suffice: Pillow lets go of the interpreter lock while it decodes.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(names), BLOCK):
            block = names[start : start + BLOCK]
            yield from pool.map(lambda name: _decode(read, name, spec, fit, invert), block)


def report_blocks(
    decoded: Iterator[Decoded],
    total: int,
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Iterator[Decoded]:
    """Pass decoded images on while telling how far it is; `LoadingCancelledError` on request."""
    for done, item in enumerate(decoded, start=1):
        yield item
        if progress is not None and (done % BLOCK == 0 or done == total):
            progress(done, total)
        if cancelled is not None and done % 16 == 0 and cancelled():
            raise LoadingCancelledError(
                f"Reading was stopped after {done:,} of {total:,} images, as asked; "
                "start it again when you like."
            )


def choose_spec(
    read: Read, names: Sequence[str], size: int | tuple[int, int] | None, channels: int | None
) -> ImageSpec:
    """Size and channels for all: as asked, else as the first readable files have them.

    `DataError` for other channel counts than 1 and 3, or when nothing can be read.
    """
    if channels not in (None, 1, 3):
        raise DataError(f"{channels} channels were asked for, expected 1 (grey) or 3 (RGB).")
    height, width = (size, size) if size is None or isinstance(size, int) else size
    if height is None or width is None:
        height, width = _choose_size(read, _sample(names, N_SIZE_SAMPLE))
    if not (1 <= height <= MAX_SIZE and 1 <= width <= MAX_SIZE):
        raise DataError(f"The size {width}×{height} was asked for, expected 1 to {MAX_SIZE}.")
    if channels is None:
        channels = 1 if _all_grey(read, _sample(names, N_GREY_SAMPLE)) else 3
    return ImageSpec(channels, height, width)


def _sample(names: Sequence[str], n: int) -> list[str]:
    # Evenly over the sorted list, so that every class has its say.
    picks = np.linspace(0, len(names) - 1, min(n, len(names))).astype(int)
    return [names[pick] for pick in picks]


def _choose_size(read: Read, names: Sequence[str]) -> tuple[int, int]:
    sizes: list[tuple[int, int]] = []
    for name in names:
        try:
            sizes.append(open_image(fetch_picture(read, name), name=name).size)
        except DataError:  # it will be listed as skipped when its turn comes
            continue
    if not sizes:
        return AUTOMATIC_SIZES[-1], AUTOMATIC_SIZES[-1]
    if len(set(sizes)) == 1 and max(sizes[0]) <= MAX_KEPT_SIZE:
        return sizes[0][1], sizes[0][0]
    short_side = float(np.median([min(size) for size in sizes]))
    fitting = [size for size in AUTOMATIC_SIZES if size <= short_side] or [AUTOMATIC_SIZES[0]]
    return fitting[-1], fitting[-1]


def _all_grey(read: Read, names: Sequence[str]) -> bool:
    for name in names:
        try:
            if not looks_grey(open_image(fetch_picture(read, name), name=name)):
                return False
        except DataError:
            continue
    return True


def _build_set(listing: Listing, rows: NDArray[np.int64], packed: Packed, seed: int) -> ImageSet:
    skipped = listing.skipped + packed.skipped
    if len(packed.kept) == 0:
        raise DataError(
            f"None of the {len(rows):,} image files in '{listing.root}' can be read; the first: "
            f"{packed.skipped[0].reason}"
        )
    ids = rows[packed.kept]
    # Over all names, so that labels do not depend on which files were drawn or readable.
    split, classes = sort_into_classes(listing.names)
    label_names = tuple(sorted(set(classes)))
    number = {name: index for index, name in enumerate(label_names)}
    labels = np.array([number[classes[i]] for i in ids], np.int64)
    return ImageSet(
        name=listing.root.stem if listing.zipped else listing.root.resolve().name,
        images=packed.images,
        ids=ids,
        split=seeded_split(len(ids), seed=seed) if split is None else split[ids],
        labels=labels if len(label_names) > 1 else None,
        label_names=label_names if len(label_names) > 1 else (),
        skipped=skipped,
    )


def sort_into_classes(
    names: Sequence[str],
) -> tuple[NDArray[np.uint8] | None, list[str]]:
    """Split uint8 `[N]` where the top folders name splits, and each image's class folder."""
    parents = [tuple(name.split("/")[:-1]) for name in names]
    parents = _without_common_start(parents)
    tops = {parent[0].lower() if parent else "" for parent in parents}
    if not (len(tops) > 1 and tops <= SPLIT_NAMES.keys()):
        return None, ["/".join(parent) or "." for parent in parents]
    split = np.array([SPLIT_NAMES[parent[0].lower()] for parent in parents], np.uint8)
    assert split.max() < len(SPLITS)
    inner = _without_common_start([parent[1:] for parent in parents])
    return split, ["/".join(parent) or "." for parent in inner]


def _without_common_start(parents: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    # What the first and last in order share, all between them share.
    first, last = min(parents), max(parents)
    same = (a == b for a, b in zip(first, last, strict=False))
    n_common = next((i for i, equal in enumerate(same) if not equal), min(len(first), len(last)))
    return [parent[n_common:] for parent in parents]
