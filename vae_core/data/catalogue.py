"""Names of the built-in sets, and one way in for them and for any path of one's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vae_core.data.digits import load_digits
from vae_core.data.fetch import find_local, provide
from vae_core.data.folder import load_folder, read_images
from vae_core.data.idx import find_idx_files, find_labels, is_idx, load_idx_folder, load_idx_pair
from vae_core.data.imageset import SPLITS, ImageSet
from vae_core.data.listing import SUFFIXES, list_images
from vae_core.data.npz import load_npz
from vae_core.data.pixels import fit_images
from vae_core.data.shardfiles import shards_fingerprint
from vae_core.data.shards import load_shards, read_shard_images
from vae_core.data.sources import existing_path, holds_pictures, is_sharded
from vae_core.errors import DataError
from vae_core.types import ImageSpec

Originals = Callable[[NDArray[np.int64]], NDArray[np.uint8]]

MAX_SIZE = 1024
N_FACES_DEFAULT = 20_000
N_SPRITES_DEFAULT = 100_000  # all 737,280 would take 3 GB of memory


@dataclass(frozen=True)
class Request:
    """What was asked of a source; see `load_images` for the fields."""

    data_dir: Path | None = None
    n_images: int | None = None
    size: int | None = None
    channels: int | None = None
    seed: int = 0
    progress: Callable[[int, int], None] | None = None
    cancelled: Callable[[], bool] | None = None


@dataclass(frozen=True)
class Entry:
    """A built-in set: how to load it whole, and how to get single originals by their ids.

    `originals` returns None when that would need a download. `is_seeded`: the same id is
    another image for another seed.
    """

    name: str
    description: str
    load: Callable[[Request], ImageSet]
    originals: Callable[[Request], Originals | None]
    is_seeded: bool = False


def load_images(
    source: str | Path,
    *,
    data_dir: Path | None = None,
    n_images: int | None = None,
    size: int | None = None,
    channels: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ImageSet:
    """Load a set by its name in `CATALOGUE` or from a path.

    A path may be a folder or `.zip` of pictures, WebDataset shards (a `.tar`, a folder of them, or
    `set-{000..009}.tar`), a `.npz` or `.npy`, an IDX images file, or a folder of IDX files; a
    `Path` object is never taken for a name. `n_images` generates that many where images are
    generated, and draws a random part elsewhere; `size` (pixels, square) and `channels` (1 or 3)
    convert. MNIST and its like are looked for in `data_dir` and
    `VAE_DATA_DIR` before they are downloaded; `progress` then counts bytes, otherwise images.
    Raises `DataError` for unknown names, missing paths and all that cannot be read.
    """
    check_request(n_images, size, channels)
    request = Request(data_dir, n_images, size, channels, seed, progress, cancelled)
    entry = _find_entry(source)
    # Each loader may already have obeyed n_images and size; what remains is done here for all.
    whole = entry.load(request) if entry else _load_path(existing_path(source, CATALOGUE), request)
    part = whole.take(_draw_part(whole, n_images, seed))
    native = part.spec
    spec = ImageSpec(channels or native.channels, size or native.height, size or native.width)
    return replace(part, images=fit_images(part.images, spec))


def source_record(
    source: str | Path, image_set: ImageSet, *, seed: int = 0
) -> dict[str, str | int | list[int] | None]:
    """What a checkpoint's card notes of its data, fit for JSON.

    `source` is the name or the absolute path; `fingerprint` (None for names) tells later
    whether the files are still the same.
    """
    entry = _find_entry(source)
    path = None if entry else Path(source).expanduser().resolve()
    spec = image_set.spec
    return {
        "source": entry.name if entry else str(path),
        "n_images": len(image_set),
        "size": spec.height if spec.height == spec.width else [spec.height, spec.width],
        "channels": spec.channels,
        "seed": seed,
        "n_skipped": len(image_set.skipped),
        "fingerprint": None if path is None else _fingerprint(path),
    }


def are_same_images(first: Mapping[str, object], second: Mapping[str, object]) -> bool:
    """Whether the same id means the same image in two sets, by their `source_record`s."""
    entry = CATALOGUE.get(str(first.get("source")))
    # Of other sets the seed only deals the split.
    names = ("source", "fingerprint", *(("seed",) if entry and entry.is_seeded else ()))
    return all(first.get(name) == second.get(name) for name in names)


def find_originals(
    record: Mapping[str, object], *, data_dir: Path | None = None
) -> Originals | None:
    """A function from ids int64 `[n]` to the original images uint8 `[n,C,H,W]`, or None.

    None means that they are not at hand without a download, or that the files have changed
    since the record was written. Files are read at the first call, and only what is needed.
    """
    source, spec = record.get("source"), _recorded_spec(record)
    if not isinstance(source, str) or spec is None:
        return None
    seed = record.get("seed")
    request = Request(data_dir=data_dir, seed=seed if isinstance(seed, int) else 0)
    entry = CATALOGUE.get(source)
    if entry is None:
        return _path_originals(Path(source), spec, record.get("fingerprint"))
    raw = entry.originals(request)
    return None if raw is None else lambda ids: fit_images(raw(ids), spec)


def check_request(n_images: int | None, size: int | None, channels: int | None) -> None:
    """`DataError` unless the numbers asked of a source can be met."""
    if n_images is not None and n_images < 1:
        raise DataError(f"{n_images} images were asked for, expected at least 1; raise the number.")
    if size is not None and not 1 <= size <= MAX_SIZE:
        raise DataError(f"A size of {size} pixels was asked for; choose one from 1 to {MAX_SIZE}.")
    if channels not in (None, 1, 3):
        raise DataError(f"{channels} channels were asked for; choose 1 (grey) or 3 (RGB).")


def _find_entry(source: str | Path) -> Entry | None:
    return CATALOGUE.get(source.strip().lower()) if isinstance(source, str) else None


def _load_path(path: Path, request: Request) -> ImageSet:
    seed = request.seed
    sharded = is_sharded(path)
    if sharded or holds_pictures(path):
        load = load_shards if sharded else load_folder
        return load(
            path,
            size=request.size,
            channels=request.channels,
            n_images=request.n_images,
            seed=seed,
            progress=request.progress,
            cancelled=request.cancelled,
        )
    if path.is_dir():
        return load_idx_folder(path, seed=seed)
    if path.suffix.lower() in (".npz", ".npy"):
        return load_npz(path, seed=seed)
    if is_idx(path):
        return load_idx_pair(path, find_labels(path), seed=seed)
    if path.suffix.lower() in SUFFIXES:
        raise DataError(f"'{path}' is a single picture, expected a set; give the folder it is in.")
    raise DataError(
        f"'{path}' is no data set that is known here, expected a folder, .zip, .tar, .npz, .npy or "
        "IDX file; convert it or choose another."
    )


def _draw_part(whole: ImageSet, n_wanted: int | None, seed: int) -> NDArray[np.int64]:
    """Rows of a random part in their old order, with an image of each split if there is room."""
    if n_wanted is None or n_wanted >= len(whole):
        return np.arange(len(whole), dtype=np.int64)
    # Not the stream `seeded_split` draws from: the part would be made of one split.
    order = np.random.default_rng([seed, 1]).permutation(len(whole))
    if n_wanted >= len(SPLITS):
        # Otherwise 20 images of MNIST might hold no test image and evaluation would fail.
        _, firsts = np.unique(whole.split[order], return_index=True)
        order = np.concatenate([order[firsts], np.delete(order, firsts)])
    return np.sort(order[:n_wanted]).astype(np.int64)


def _fingerprint(path: Path) -> str | None:
    try:
        if is_sharded(path):
            return shards_fingerprint(path)
        files = find_idx_files(path) if path.is_dir() else None
        if path.is_dir() and files is None:
            return list_images(path).fingerprint
        return _hash_ends(files.train_images if files else path)
    except (OSError, DataError):
        return None


def _hash_ends(path: Path, *, n_bytes: int = 2**16) -> str:
    """A hash of a file's length and ends: enough to notice another file in its place."""
    n_total = path.stat().st_size
    with path.open("rb") as stream:
        digest = hashlib.sha256(f"{n_total}\n".encode() + stream.read(n_bytes))
        stream.seek(max(0, n_total - n_bytes))
        digest.update(stream.read(n_bytes))
    return digest.hexdigest()[:32]


def _recorded_spec(record: Mapping[str, object]) -> ImageSpec | None:
    size, channels = record.get("size"), record.get("channels")
    if isinstance(size, int):
        size = [size, size]
    if not (isinstance(size, list | tuple) and len(size) == 2 and isinstance(channels, int)):
        return None
    return ImageSpec(channels, int(size[0]), int(size[1]))


def _path_originals(path: Path, spec: ImageSpec, fingerprint: object) -> Originals | None:
    # Showing the wrong picture as an original is worse than showing none.
    if fingerprint is None or _fingerprint(path) != fingerprint:
        return None
    if is_sharded(path):
        return lambda ids: read_shard_images(path, ids, spec=spec)
    if holds_pictures(path):
        return lambda ids: read_images(path, ids, spec=spec)
    raw = _look_up(partial(_load_path, path, Request()))
    return lambda ids: fit_images(raw(ids), spec)


def _look_up(load: Callable[[], ImageSet]) -> Originals:
    """Originals out of a set that is loaded at the first call; its ids count from 0 in order."""
    # At the first call only: a page that shows no original should not wait for the data.
    load_once = lru_cache(maxsize=1)(load)
    return lambda ids: np.asarray(load_once().images[ids])


def _load_faces(request: Request) -> ImageSet:
    # Imported late: whoever loads a folder does not pay for the painters.
    from vae_core.data.faces import make_faces

    n = N_FACES_DEFAULT if request.n_images is None else request.n_images
    return make_faces(n, seed=request.seed, progress=request.progress)


def _redraw_faces(request: Request) -> Originals:
    from vae_core.data.faces import remembered_faces

    return remembered_faces(request.seed)


def _load_sprites(request: Request) -> ImageSet:
    from vae_core.data.sprites import make_sprites

    n = N_SPRITES_DEFAULT if request.n_images is None else request.n_images
    return make_sprites(n, seed=request.seed, progress=request.progress)


def _redraw_sprites(_: Request) -> Originals:
    from vae_core.data.sprites import render_sprites

    return render_sprites


def _idx_entry(name: str, description: str, label_names: str) -> Entry:
    names = label_names.split(", ")

    def load(request: Request) -> ImageSet:
        folder = provide(name, request.data_dir, progress=_known_total(request.progress))
        return load_idx_folder(folder, name=name, label_names=names, seed=request.seed)

    def originals(request: Request) -> Originals | None:
        folder = find_local(name, request.data_dir)
        return None if folder is None else _look_up(partial(load_idx_folder, folder))

    return Entry(name, description, load, originals)


def _known_total(
    progress: Callable[[int, int], None] | None,
) -> Callable[[int, int | None], None] | None:
    return None if progress is None else lambda done, total: progress(done, total or done)


_DIGIT_NAMES = "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"
_FASHION_NAMES = (
    "T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot"
)
_KANA_NAMES = (
    "お (o), き (ki), す (su), つ (tsu), な (na), は (ha), ま (ma), や (ya), れ (re), を (wo)"
)

_ENTRIES = (
    Entry(
        "faces",
        "Portraits drawn from ten known factors, 64×64 RGB, any number, no download",
        _load_faces,
        _redraw_faces,
        is_seeded=True,
    ),
    Entry(
        "sprites",
        "White squares, ellipses and hearts under five factors, 64×64 grey, no download",
        _load_sprites,
        _redraw_sprites,
    ),
    Entry(
        "digits",
        "1,797 handwritten digits, 8×8 grey, bundled with scikit-learn",
        lambda request: load_digits(seed=request.seed),
        lambda _: _look_up(load_digits),
    ),
    _idx_entry("mnist", "70,000 handwritten digits, 28×28 grey, 11 MB", _DIGIT_NAMES),
    _idx_entry("fashion-mnist", "70,000 pieces of clothing, 28×28 grey, 30 MB", _FASHION_NAMES),
    _idx_entry("kmnist", "70,000 cursive Japanese letters, 28×28 grey, 21 MB", _KANA_NAMES),
)
CATALOGUE: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
