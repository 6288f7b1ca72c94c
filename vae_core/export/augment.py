"""Variations of chosen codes, decoded and packed as a set of images that can be trained on."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from vae_core import __version__
from vae_core.checkpoint import Checkpoint, versions
from vae_core.data.folder import SPLIT_NAMES
from vae_core.data.imageset import SPLITS
from vae_core.errors import ConfigError, DataError
from vae_core.export.variations import Plan, Sources, check_codes, vary
from vae_core.files import replace_file
from vae_core.grid import to_picture

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
# Codes [B,D] and class numbers [B] (−1 unknown) → images [B,C,H,W] in [0,1].
Decode = Callable[[Floats, Ints], Floats]

FORMAT: Final = "latent-explorer/augmentation/1"
MANIFEST: Final = "manifest.csv"
CARD: Final = "card.json"
MAX_IMAGES: Final = 1_000_000


class ExportCancelledError(DataError):
    """The person asked to stop while a file was being written."""


def about_model(checkpoint: Checkpoint, *, command: str) -> dict[str, Any]:
    """Which model and which versions an export comes from, fit for JSON."""
    return {
        "model": checkpoint.name,
        "model_key": checkpoint.key,
        "title": checkpoint.card["title"],
        "n_latent": checkpoint.model.n_latent,
        "version": __version__,
        "versions": versions(),
        "command": command,
    }


def augmentation_zip(
    target: Path | BinaryIO,
    decode: Decode,
    sources: Sources,
    *,
    plan: Plan,
    about: Mapping[str, Any],
    batch_size: int = 64,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> int:
    """Decode `plan.n` variations of each source into a zip; returns the number of images.

    The zip holds a PNG each in class folders (`FOLDER/ID-NUMBER.png`), `manifest.csv` with a
    row for every file and the exact code it was decoded from, and `card.json` with `about` and
    the plan. Never more than a batch of images is in memory; `progress(done, total)` counts
    images. The same arguments give the same bytes. A path is replaced only once all is written;
    a stream is cut back. Raises `ExportCancelledError` once `cancelled()` is true, `DataError`
    for sources that do not fit together, `ConfigError` for too many images.
    """
    _check_sources(sources, plan)
    work = _Work(decode, sources, plan, dict(about), batch_size, progress, cancelled)
    if isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(target) as temporary, temporary.open("wb") as opened:
            work.write(opened)
        return work.total
    start = target.tell() if target.seekable() else None
    try:
        work.write(target)
    except BaseException:
        if start is not None:
            target.seek(start)
            target.truncate()
        raise
    return work.total


def _check_sources(sources: Sources, plan: Plan) -> None:
    check_codes(sources.z, sources.log_std, sources.ids)
    if len(np.unique(sources.ids)) < len(sources):
        raise DataError(
            f"{len(sources)} sources came, some of the same image; name every image once."
        )
    for name, values in (("labels", sources.labels), ("split", sources.split)):
        if values is not None and len(values) != len(sources):
            raise DataError(
                f"{len(values)} {name} came for {len(sources)} sources, expected one for each; "
                "give as many or none."
            )
    if sources.labels is not None and int(sources.labels.max()) >= len(sources.label_names):
        raise DataError(
            f"Label {sources.labels.max()} came with {len(sources.label_names)} label names, "
            "expected a name for each; give them all."
        )
    if len(sources) * plan.n > MAX_IMAGES:
        raise ConfigError(
            f"{len(sources):,} codes in {plan.n:,} variations are {len(sources) * plan.n:,} "
            f"images, at most {MAX_IMAGES:,} are written; lower one of the two."
        )


def folder_names(label_names: Sequence[str]) -> tuple[str, ...]:
    """A folder name for each label that every system and this project's loader take as a class.

    Other than letters, digits, `_`, `-`, space and inner dots becomes `_`; names that differ in
    case alone get a number; names that all mean splits (train, val, test) get `class `.
    """
    clean = [re.sub(r"[^\w\-. ]", "_", name).strip(". ") or "_" for name in label_names]
    if all(name.lower() in SPLIT_NAMES for name in clean):
        clean = [f"class {name}" for name in clean]
    taken: set[str] = set()
    names = []
    for name in clean:
        free, number = name, 2
        while free.casefold() in taken:
            free, number = f"{name}_{number}", number + 1
        taken.add(free.casefold())
        names.append(free)
    return tuple(names)


@dataclass(frozen=True)
class _Work:
    decode: Decode
    sources: Sources
    plan: Plan
    about: dict[str, Any]
    batch_size: int
    progress: Callable[[int, int], None] | None
    cancelled: Callable[[], bool] | None

    @property
    def total(self) -> int:
        return len(self.sources) * self.plan.n

    def write(self, opened: BinaryIO) -> None:
        folders = folder_names(self.sources.label_names)
        with zipfile.ZipFile(opened, "w") as archive:
            archive.writestr(_member(CARD, zipfile.ZIP_DEFLATED), self._card())
            # Its rows can be told before anything is decoded, so that none has to be kept.
            member = _member(MANIFEST, zipfile.ZIP_DEFLATED)
            with (
                archive.open(member, "w", force_zip64=True) as raw,
                io.TextIOWrapper(raw, "utf-8", newline="") as text,
            ):
                self._write_manifest(text, folders)
            self._write_images(archive, folders)

    def _card(self) -> str:
        said = self.about | {"format": FORMAT, "n_variations": self.plan.n}
        said |= {"spread": self.plan.spread, "seed": self.plan.seed}
        said |= {"n_sources": len(self.sources), "n_images": self.total}
        return json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def _batches(self) -> Iterator[tuple[Ints, Floats]]:
        """Image numbers `[B]`, source by source, and their codes `[B,D]`."""
        sources, plan, n = self.sources, self.plan, self.plan.n
        log_std = None
        if sources.log_std is not None:
            log_std = np.broadcast_to(sources.log_std, sources.z.shape)
        step = max(1, self.batch_size // n)
        for start in range(0, len(sources), step):
            rows = slice(start, start + step)
            varied = vary(
                sources.z[rows], n=n, spread=plan.spread, seed=plan.seed, ids=sources.ids[rows],
                log_std=None if log_std is None else log_std[rows],
            ).reshape(-1, sources.z.shape[1])  # fmt: skip
            numbers = start * n + np.arange(len(varied))
            for first in range(0, len(varied), self.batch_size):
                part = slice(first, first + self.batch_size)
                yield numbers[part], varied[part]

    def _file(self, number: int, folders: Sequence[str]) -> str:
        row, variation = divmod(number, self.plan.n)
        label = self._label(row)
        folder = folders[label] if label >= 0 else "unknown" if folders else "images"
        return f"{folder}/{self.sources.ids[row]:06d}-{variation:04d}.png"

    def _label(self, row: int) -> int:
        return -1 if self.sources.labels is None else int(self.sources.labels[row])

    def _write_manifest(self, text: io.TextIOWrapper, folders: Sequence[str]) -> None:
        rows, sources = csv.writer(text, lineterminator="\n"), self.sources
        z_names = [f"z_{d}" for d in range(sources.z.shape[1])]
        rows.writerow(["file", "source_id", "source_split", "label", "seed", "variation", *z_names])
        for numbers, z in self._batches():
            self._check_cancelled(0)
            for number, code in zip(numbers.tolist(), z, strict=True):
                row, variation = divmod(number, self.plan.n)
                label = self._label(row)
                name = sources.label_names[label] if label >= 0 else ""
                split = "" if sources.split is None else SPLITS[sources.split[row]]
                about = (self._file(number, folders), sources.ids[row], split, name)
                # str() of a float32 is the shortest text that reads back as the same number.
                rows.writerow([*about, self.plan.seed, variation, *map(str, code)])

    def _write_images(self, archive: zipfile.ZipFile, folders: Sequence[str]) -> None:
        for numbers, z in self._batches():
            self._check_cancelled(int(numbers[0]))
            labels = np.array([self._label(number // self.plan.n) for number in numbers], np.int64)
            images = self.decode(z, labels)
            for number, image in zip(numbers.tolist(), images, strict=True):
                buffer = io.BytesIO()
                to_picture(image).save(buffer, "PNG")
                member = _member(self._file(number, folders), zipfile.ZIP_STORED)
                archive.writestr(member, buffer.getvalue())
            if self.progress is not None:
                self.progress(int(numbers[-1]) + 1, self.total)

    def _check_cancelled(self, done: int) -> None:
        if self.cancelled is not None and self.cancelled():
            raise ExportCancelledError(
                f"Writing was stopped after {done:,} of {self.total:,} images, as asked; start it "
                "again when you like."
            )


def _member(name: str, compression: int) -> zipfile.ZipInfo:
    # A fixed date and system: the same images give the same bytes on any day and machine.
    member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    member.create_system, member.external_attr = 3, 0o644 << 16
    member.compress_type = compression
    return member
