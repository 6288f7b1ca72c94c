"""WebDataset shards as a set: `.tar` files of pictures with label files, of any total size.

A source is one `.tar`, a folder of them, or a pattern such as `set-{000..009}.tar`. One pass
notes where each picture lies, about 0.4 kB of memory for each; a second decodes them block by
block into the packed cache, from where they are memory-mapped. Both are kept, so that the
next load opens no tar at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vae_core.data.folder import (
    SPLIT_NAMES,
    LoadingCancelledError,
    PictureFiles,
    choose_spec,
    decode_blocks,
    draw_rows,
    report_blocks,
    sort_into_classes,
)
from vae_core.data.imageset import ImageSet, Skipped, seeded_split
from vae_core.data.packed import (
    Decoded,
    Packed,
    cache_root,
    gather_images,
    make_key,
    pack_images,
)
from vae_core.data.pixels import FORMATS, Fit
from vae_core.data.shardfiles import Shards, find_shards
from vae_core.data.tarindex import Sample, scan_tar
from vae_core.errors import DataError
from vae_core.files import replace_file
from vae_core.types import ImageSpec

# Raise it whenever the same tar files would be understood in another way.
VERSION = 1
UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class _Index:
    """Every sample with the number of its shard, what was refused, and the shape they suggest."""

    shards: list[int]
    samples: list[Sample]
    skipped: tuple[Skipped, ...]
    spec: ImageSpec


def load_shards(
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
    """Read shards as a memory-mapped set; `ids` count the pictures in the order of the shards.

    Options as in `load_folder`. Labels come from `.cls`, `.json` or short `.txt` files, else
    from folders in the names; splits from top folders `train`, `val`, `test` in the names or
    from these words in the shards' names, else they are dealt by `seed`. What cannot be read
    ends up in `skipped`, a damaged tar after its sound part. Raises `DataError` when a shard
    is missing or nothing can be read, and `LoadingCancelledError` once `cancelled()` is true.
    """
    shards = find_shards(path)
    index = _index_of(shards, path, cancelled)
    rows = draw_rows(len(index.samples), n_images, seed=seed)
    names = [_shown_name(shards, index, row) for row in rows.tolist()]
    read = _reader(shards, index, names, rows)
    wanted = (index.spec.height, index.spec.width) if size is None else size
    # With all of it given nothing is read, only checked.
    spec = choose_spec(read, names, wanted, channels or index.spec.channels)

    def decode() -> Iterator[Decoded]:
        blocks = decode_blocks(read, names, spec, fit, invert)
        return report_blocks(blocks, len(names), progress, cancelled)

    part = "all" if len(rows) == len(index.samples) else f"{n_images} {seed}"
    key = make_key([f"shards {VERSION}", part, str(spec.shape), fit, str(invert), *shards.stamps()])
    packed = pack_images(key, len(rows), spec=spec, decode=decode)
    return _build_set(shards, index, rows, packed, seed)


def shard_pictures(path: Path, *, cancelled: Callable[[], bool] | None = None) -> PictureFiles:
    """The pictures of shards as `load_shards` would take them, not yet opened."""
    shards = find_shards(path)
    index = _index_of(shards, path, cancelled)
    rows = np.arange(len(index.samples), dtype=np.int64)
    names = [_shown_name(shards, index, row) for row in rows.tolist()]
    split, classes = _sorted_out(shards, index)
    return PictureFiles(
        tuple(names), tuple((sample.n_bytes,) for sample in index.samples), tuple(classes), split,
        index.skipped, _reader(shards, index, names, rows),
    )  # fmt: skip


def read_shard_images(
    path: Path, ids: NDArray[np.int64], *, spec: ImageSpec, fit: Fit = "crop", invert: bool = False
) -> NDArray[np.uint8]:
    """Only the pictures with these ids, uint8 `[n,C,H,W]`, as `load_shards` would give them.

    Raises `DataError` when an id is not in the shards or its picture cannot be read.
    """
    shards = find_shards(path)
    index = _index_of(shards, path, None)
    if len(ids) and not (ids.min() >= 0 and ids.max() < len(index.samples)):
        raise DataError(
            f"'{path}' holds {len(index.samples):,} pictures, but numbers {ids.min():,} to "
            f"{ids.max():,} were asked for; it has changed since, so load it anew."
        )
    names = [_shown_name(shards, index, row) for row in ids.tolist()]
    blocks = decode_blocks(_reader(shards, index, names, ids), names, spec, fit, invert)
    packed = gather_images(len(ids), spec, blocks)
    if packed.skipped:
        raise DataError(packed.skipped[0].reason)
    return packed.images


def _index_of(shards: Shards, path: Path, cancelled: Callable[[], bool] | None) -> _Index:
    """The index from the cache, or made now and kept where the cache can be written."""
    try:
        key = make_key([f"index {VERSION}", *shards.stamps()])
        place = cache_root() / "shards" / f"{key}.json"
        return _load_index(place) or _make_index(shards, path, cancelled, place)
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be opened ({error.strerror or error}), expected readable .tar files; "
            "check them and their rights."
        ) from error


def _make_index(
    shards: Shards, path: Path, cancelled: Callable[[], bool] | None, place: Path
) -> _Index:
    def check() -> None:
        if cancelled is not None and cancelled():
            raise LoadingCancelledError(
                f"Reading '{path}' was stopped while its pictures were counted, as asked; start "
                "it again when you like."
            )

    numbers: list[int] = []
    samples: list[Sample] = []
    skipped: list[Skipped] = []
    for number, tar in enumerate(shards.paths):
        found, refused = scan_tar(tar, shown=shards.shown[number], check=check)
        numbers += [number] * len(found)
        samples += found
        skipped += refused
    if not samples:
        first = f" ({skipped[0].path}: {skipped[0].reason.rstrip('.')})" if skipped else ""
        raise DataError(
            f"'{path}' holds no pictures in {len(shards.paths):,} shard(s){first}, expected "
            f"{FORMATS} files; put some there or choose another source."
        )
    index = _with_spec(shards, _Index(numbers, samples, tuple(skipped), ImageSpec(3, 1, 1)))
    _save_index(place, index)
    return index


def _with_spec(shards: Shards, index: _Index) -> _Index:
    rows = np.arange(len(index.samples), dtype=np.int64)
    names = [_shown_name(shards, index, row) for row in rows.tolist()]
    spec = choose_spec(_reader(shards, index, names, rows), names, None, None)
    return _Index(index.shards, index.samples, index.skipped, spec)


def _save_index(place: Path, index: _Index) -> None:
    skipped = [[item.path, item.reason] for item in index.skipped]
    columns = {"shards": index.shards, "samples": index.samples, "skipped": skipped}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(place) as temporary:
            text = json.dumps({**columns, "spec": index.spec.shape}, separators=(",", ":"))
            temporary.write_text(text, encoding="utf-8")
    except OSError:  # a read-only place or a full disk: it will be made again
        return


def _load_index(place: Path) -> _Index | None:
    try:
        data = json.loads(place.read_text(encoding="utf-8"))
        samples = [Sample(*row) for row in data["samples"]]
        skipped = tuple(Skipped(name, reason) for name, reason in data["skipped"])
        index = _Index(data["shards"], samples, skipped, ImageSpec(*data["spec"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return index if len(index.shards) == len(index.samples) > 0 else None


def _shown_name(shards: Shards, index: _Index, row: int) -> str:
    return f"{shards.shown[index.shards[row]]}/{index.samples[row].name}"


def _reader(
    shards: Shards, index: _Index, names: Sequence[str], rows: NDArray[np.int64]
) -> Callable[[str], bytes]:
    """A function from a shown name to the picture's bytes; safe to call from many threads."""
    places = dict(zip(names, rows.tolist(), strict=True))

    def read(name: str) -> bytes:
        row: int = places[name]
        with shards.paths[index.shards[row]].open("rb") as stream:
            stream.seek(index.samples[row].offset)
            return stream.read(index.samples[row].n_bytes)

    return read


def _build_set(
    shards: Shards, index: _Index, rows: NDArray[np.int64], packed: Packed, seed: int
) -> ImageSet:
    if len(packed.kept) == 0:
        raise DataError(
            f"None of the {len(rows):,} pictures in '{shards.name}' can be read; the first: "
            f"{packed.skipped[0].reason}"
        )
    ids = rows[packed.kept]
    split, classes = _sorted_out(shards, index)
    label_names = tuple(sorted(set(classes), key=_numbers_first))
    number = {name: i for i, name in enumerate(label_names)}
    has_labels = len(label_names) > 1
    return ImageSet(
        name=shards.name,
        images=packed.images,
        ids=ids,
        split=seeded_split(len(ids), seed=seed) if split is None else split[ids],
        labels=np.array([number[classes[i]] for i in ids], np.int64) if has_labels else None,
        label_names=label_names if has_labels else (),
        skipped=index.skipped + packed.skipped,
    )


def _sorted_out(shards: Shards, index: _Index) -> tuple[NDArray[np.uint8] | None, list[str]]:
    """The split of all samples where names tell it, and their classes."""
    split, folders = sort_into_classes(_names_with_split(shards, index))
    return split, _labels_in_files(index.samples) or folders


def _names_with_split(shards: Shards, index: _Index) -> list[str]:
    """Names of all samples, below a folder of their split where the shards' names tell it."""
    said = [_split_word(shown) for shown in shards.shown]
    tell = None not in said and len(set(said)) > 1
    starts = [f"{word}/" if tell else "" for word in said]
    return [starts[n] + s.name for n, s in zip(index.shards, index.samples, strict=True)]


def _split_word(shown: str) -> str | None:
    words = {w for w in re.split("[^a-z]+", shown.lower().removesuffix(".tar"))} & set(SPLIT_NAMES)
    return words.pop() if len(words) == 1 else None


def _labels_in_files(samples: Sequence[Sample]) -> list[str] | None:
    """The label of each sample from its file; None when there are none worth the name."""
    texts = [s.label for s in samples if s.from_text]
    # Texts that hardly ever repeat are captions, not classes.
    are_captions = 2 * len(set(texts)) > len(texts)
    labels = [None if s.from_text and are_captions else s.label for s in samples]
    if all(label is None for label in labels):
        return None
    return [UNLABELLED if label is None else label for label in labels]


def _numbers_first(label: str) -> tuple[bool, int, str]:
    """2 before 10, and both before words."""
    is_number = label.isdecimal() and len(label) < 20
    return not is_number, int(label) if is_number else 0, label
