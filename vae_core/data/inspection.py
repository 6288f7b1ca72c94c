"""What a source holds and what would become of it, before anything is trained on it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vae_core.data.advice import Facts, count, plan_sentences, times, warning_sentences
from vae_core.data.catalogue import (
    CATALOGUE,
    N_FACES_DEFAULT,
    N_SPRITES_DEFAULT,
    check_request,
    load_images,
)
from vae_core.data.census import (
    MAX_HASHED_BYTES,
    Census,
    Meter,
    every_nth,
    is_flat,
    over_classes,
    spread_rows,
    take_census,
)
from vae_core.data.fetch import REMOTES, find_local
from vae_core.data.folder import BLOCK, PictureFiles, open_pictures
from vae_core.data.idx import find_idx_files, read_idx
from vae_core.data.imageset import ImageSet, Skipped, seeded_split
from vae_core.data.pixels import fit_images
from vae_core.data.shards import shard_pictures
from vae_core.data.sources import existing_path, holds_pictures, is_sharded
from vae_core.errors import DataError
from vae_core.types import ImageSpec

Progress = Callable[[int, int], None]
N_SHEET: Final = 48
# Pictures the spread is judged by: it settles long before.
N_JUDGED: Final = 256
# All sets that are downloaded are twins of MNIST.
_REMOTE_COUNT: Final = 70_000
_REMOTE_SPEC: Final = ImageSpec(1, 28, 28)
# Sets that are drawn, with how many unless asked otherwise.
GENERATED: Final = {"faces": N_FACES_DEFAULT, "sprites": N_SPRITES_DEFAULT}


@dataclass(frozen=True)
class Inspection:
    """What was found in a source.

    `sizes` counts pictures by (width, height), `modes` by the words for their pixels, `classes`
    by class name (empty where there are none); `sheet` uint8 `[n,C,H,W]` are examples as the
    model would see them, `sheet_classes` their class names. `duplicates` are groups of names
    with one content. `spec` is what the set would be trained in. `plan` says what will happen
    to the images, `warnings` what to beware of. `needs_download` where nothing is here yet;
    `factors` names what is known of each image besides its class.
    """

    source: str
    n_images: int
    sizes: Mapping[tuple[int, int], int]
    modes: Mapping[str, int]
    classes: Mapping[str, int]
    spec: ImageSpec
    sheet: NDArray[np.uint8]
    sheet_classes: tuple[str, ...]
    duplicates: tuple[tuple[str, ...], ...]
    skipped: tuple[Skipped, ...]
    plan: tuple[str, ...]
    warnings: tuple[str, ...]
    needs_download: bool = False
    factors: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """One line: how many pictures of what kind and size, in how many classes."""
        grey = "grey " if self.spec.channels == 1 else "colour "
        sizes = list(self.sizes)
        size = times(sizes[0]) if len(sizes) == 1 else f"{len(sizes):,} sizes"
        parts = [f"{self.n_images:,} {grey}picture{'s' * (self.n_images != 1)}"]
        parts += [size] if sizes else []
        parts += [count(len(self.classes), "class")] if self.classes else []
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """All but the sheet, fit for JSON."""
        return {
            "source": self.source,
            "headline": self.headline,
            "n_images": self.n_images,
            "sizes": [[*size, n] for size, n in self.sizes.items()],
            "modes": dict(self.modes),
            "classes": dict(self.classes),
            "spec": list(self.spec.shape),
            "duplicates": [list(group) for group in self.duplicates],
            "skipped": [[item.path, item.reason] for item in self.skipped],
            "plan": list(self.plan),
            "warnings": list(self.warnings),
            "needs_download": self.needs_download,
        }


def inspect_source(
    source: str | Path,
    *,
    size: int | None = None,
    channels: int | None = None,
    n_images: int | None = None,
    data_dir: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Inspection:
    """Look at a source of images as `load_images` takes it; `size` and `channels` as there.

    `n_images` says how many will be drawn of a set in `GENERATED`; others are seen whole.
    Of picture files only headers and a part of the pixels are read, and of very many files a
    sample: `plan` says so. Nothing is downloaded, and nothing written but the index of shards
    in the cache. `progress(done, total)` counts steps. Raises `DataError` as loading would,
    `LoadingCancelledError` when cancelled.
    """
    check_request(n_images, size, channels)
    name = source.strip().lower() if isinstance(source, str) else ""
    wanted = _Wanted(size, channels, seed)
    if name in REMOTES and find_local(name, data_dir) is None:
        return _not_here(name, wanted)
    if name in GENERATED:
        n = GENERATED[name] if n_images is None else n_images
        some = load_images(name, n_images=min(n, N_SHEET), seed=seed)
        return _generated(name, some, n, wanted)
    meter = Meter(progress, cancelled)
    path = None if name in CATALOGUE else existing_path(source, CATALOGUE)
    if path is None or not (is_sharded(path) or holds_pictures(path)):
        found = load_images(source, data_dir=data_dir, seed=seed, cancelled=cancelled)
        return _of_arrays(str(source), found, wanted, meter)
    with _opened(path, cancelled) as files:
        taken = take_census(files, size=size, channels=channels, seed=seed, meter=meter)
        return _of_files(str(source), files, taken, seed)


def preview(name: str, n: int, *, data_dir: Path | None = None) -> NDArray[np.uint8] | None:
    """The first images uint8 `[n,C,H,W]` of a built-in set, quickly; None before a download.

    None also for damaged files, which are told once the set is chosen.
    """
    if name in REMOTES:
        folder = find_local(name, data_dir)
        files = None if folder is None else find_idx_files(folder)
        try:
            return None if files is None else read_idx(files.train_images, most=n)[:, None]
        except DataError:
            return None
    return load_images(name, n_images=n, data_dir=data_dir).images


@contextmanager
def _opened(path: Path, cancelled: Callable[[], bool] | None) -> Iterator[PictureFiles]:
    if is_sharded(path):
        yield shard_pictures(path, cancelled=cancelled)
        return
    with open_pictures(path) as files:
        yield files


# ---- files -------------------------------------------------------------------------------------
def _of_files(source: str, files: PictureFiles, taken: Census, seed: int) -> Inspection:
    kept = np.array([row not in taken.bad for row in range(len(files.names))])
    n_images = int(kept.sum())
    all_classes = [name for name, keep in zip(files.classes, kept, strict=True) if keep]
    split = seeded_split(n_images, seed=seed) if files.split is None else files.split[kept]
    skipped, is_compared = files.skipped + taken.skipped, taken.n_compared == len(files.names)
    facts = Facts(
        n_images=n_images, spec=taken.spec, sizes=taken.sizes, classes=_class_counts(all_classes),
        split=_split_counts(split), has_own_split=files.split is not None,
        n_examined=sum(taken.sizes.values()), n_looked=len(taken.looked),
        n_compared=n_images if is_compared else taken.n_compared,
        n_copies=sum(len(group) - 1 for group in taken.copies), n_skipped=len(skipped),
        n_flat=sum(item.is_flat for item in taken.looked),
        varies=_spread(np.stack([p.small for p in taken.looked])) if taken.looked else None,
        steps=Counter(step for item in taken.looked for step in item.steps),
    )  # fmt: skip
    shown = [(item.pixels, files.classes[item.row]) for item in taken.looked]
    sheet = [(pixels, name) for pixels, name in shown if pixels is not None]
    return _inspection(
        source, facts, sheet, modes=taken.modes, duplicates=taken.copies, skipped=skipped
    )


def _inspection(
    source: str,
    facts: Facts,
    examples: Sequence[tuple[NDArray[np.uint8], str]],
    *,
    modes: Mapping[str, int],
    duplicates: tuple[tuple[str, ...], ...] = (),
    skipped: tuple[Skipped, ...] = (),
) -> Inspection:
    # The first ones are spread over the classes; shown side by side by class.
    shown = list(examples[:N_SHEET])
    if facts.classes:
        shown.sort(key=lambda pair: pair[1])
    images = [pixels for pixels, _ in shown]
    return Inspection(
        source, facts.n_images, facts.sizes, modes, facts.classes, facts.spec,
        sheet=np.stack(images) if images else np.zeros((0, *facts.spec.shape), np.uint8),
        sheet_classes=tuple(name for _, name in shown) if facts.classes else (),
        duplicates=duplicates, skipped=skipped, plan=plan_sentences(facts),
        warnings=warning_sentences(facts),
    )  # fmt: skip


def _class_counts(names: Sequence[str]) -> dict[str, int]:
    """By name; nothing where there is one class only, which tells nothing apart."""
    found = Counter(names)
    return {name: found[name] for name in sorted(found)} if len(found) > 1 else {}


def _split_counts(split: NDArray[np.uint8]) -> tuple[int, int, int]:
    train, val, test = np.bincount(split, minlength=3).tolist()
    return train, val, test


def _spread(images: NDArray[np.uint8]) -> float:
    """How much a pixel varies from picture to picture `[N,...]`, in levels, on average."""
    return float(images.astype(np.float32).std(axis=0).mean())


# ---- arrays ------------------------------------------------------------------------------------
def _of_arrays(source: str, found: ImageSet, wanted: _Wanted, meter: Meter) -> Inspection:
    n, native = len(found), found.spec
    meter.total = n
    copies, n_compared = _equal_images(found.images, meter)
    facts = Facts(
        n_images=n, spec=wanted.spec(native), sizes={(native.width, native.height): n},
        classes=_class_counts(_words_of(found)), split=_split_counts(found.split),
        has_own_split=not np.array_equal(found.split, seeded_split(n, seed=wanted.seed)),
        n_examined=n, n_looked=n, n_compared=n_compared,
        n_copies=sum(len(group) - 1 for group in copies), n_skipped=len(found.skipped),
        n_flat=int(is_flat(found.images).sum()), varies=_spread_of(found),
        steps=wanted.steps(native, n),
    )  # fmt: skip
    return _inspection(
        source, facts, _examples(found, wanted), modes={_mode(native): n}, duplicates=copies,
        skipped=found.skipped,
    )  # fmt: skip


@dataclass(frozen=True)
class _Wanted:
    """What was asked of the images, and the seed that deals them."""

    size: int | None
    channels: int | None
    seed: int

    def spec(self, native: ImageSpec) -> ImageSpec:
        return ImageSpec(
            self.channels or native.channels, self.size or native.height, self.size or native.width
        )

    def steps(self, native: ImageSpec, n: int) -> dict[str, int]:
        if self.spec(native).channels == native.channels:
            return {}
        return {"colour to grey" if native.channels == 3 else "grey repeated": n}


def _mode(spec: ImageSpec) -> str:
    return "grey" if spec.channels == 1 else "colour"


def _words_of(found: ImageSet) -> list[str]:
    """The class name of each image, the same for all where there are no labels."""
    if found.labels is None:
        return [""] * len(found)
    return [found.label_names[label] for label in found.labels.tolist()]


def _examples(found: ImageSet, wanted: _Wanted) -> list[tuple[NDArray[np.uint8], str]]:
    words = _words_of(found)
    rows = over_classes(words, range(len(found)), seed=wanted.seed)[:N_SHEET]
    images = fit_images(found.images[rows], wanted.spec(found.spec))
    return [(image, words[row]) for image, row in zip(images, rows, strict=True)]


def _spread_of(found: ImageSet) -> float:
    return _spread(every_nth(found.images[spread_rows(len(found), N_JUDGED)]))


def _equal_images(
    images: NDArray[np.uint8], meter: Meter
) -> tuple[tuple[tuple[str, ...], ...], int]:
    """Groups of images with the same pixels, by number, and among how many they were sought."""
    n = min(len(images), MAX_HASHED_BYTES // max(1, images[0].nbytes))
    groups: dict[bytes, list[str]] = defaultdict(list)
    for row in range(n):
        digest = hashlib.blake2b(images[row].tobytes(), digest_size=16).digest()
        groups[digest].append(f"image {row:,}")
        if row % BLOCK == BLOCK - 1:
            meter.step(BLOCK)
    meter.step(meter.total - meter.done)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1), n


# ---- sets by name ------------------------------------------------------------------------------
def _generated(name: str, some: ImageSet, n: int, wanted: _Wanted) -> Inspection:
    """A set that is drawn when it is needed: a few of its images stand for all n."""
    native = some.spec
    split = seeded_split(n, seed=0, val_share=0.05, test_share=min(10_000, n // 3) / n)
    facts = Facts(
        n_images=n, spec=wanted.spec(native), sizes={(native.width, native.height): n}, classes={},
        split=_split_counts(split), has_own_split=False, n_examined=n, n_looked=n, n_compared=n,
        steps=wanted.steps(native, n),
    )  # fmt: skip
    made = _inspection(name, facts, _examples(some, wanted), modes={_mode(native): n})
    drawn = f"{n:,} pictures are drawn by this program when training begins; nothing is downloaded."
    return replace(made, plan=(drawn, *made.plan), factors=tuple(some.factors))


def _not_here(name: str, wanted: _Wanted) -> Inspection:
    """What is known of a published set before it is downloaded."""
    n, native = _REMOTE_COUNT, _REMOTE_SPEC
    facts = Facts(
        n_images=n, spec=wanted.spec(native), sizes={(native.width, native.height): n}, classes={},
        split=(55_000, 5_000, 10_000), has_own_split=True, n_examined=n, n_looked=n, n_compared=n,
        steps=wanted.steps(native, n),
    )  # fmt: skip
    known = _inspection(name, facts, (), modes={_mode(native): n})
    about = (
        f"{CATALOGUE[name].description}: it is not on this machine yet and is downloaded when "
        "training begins, which needs an internet connection; its pictures cannot be shown before."
    )
    return replace(known, plan=(about, *known.plan), needs_download=True)
