"""Moments of a run on disk: the same pictures, the same draws and the same map as they form.

    training/snapshots/fixed.npz        what stays the same: originals, labels of the map's points
    training/snapshots/index.jsonl      the numbers of every moment, one JSON object per line
    training/snapshots/000001234.npz    pictures and map after 1,234 steps

The live view and the epoch scrubber read them. Nothing is pickled; each file appears whole.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vae_core.errors import CheckpointError
from vae_core.files import replace_file
from vae_core.train.control import FOLDER

MAX_SNAPSHOTS: Final = 60
MAX_BYTES: Final = 8_000_000
_FIXED, _INDEX = "fixed.npz", "index.jsonl"


@dataclass(frozen=True)
class SnapshotNote:
    """Where a moment's file lies and its numbers: `record` holds what validation measured
    (`val_loss`, `val_…` terms, `active_units`, `kl_per_dimension`), `train_loss` and `psnr_db`.
    """

    path: Path
    epoch: int
    step: int
    seconds: float
    images_seen: int
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """One moment. `originals`, `reconstructions` uint8 `[n,C,H,W]` of the same held-out images;
    `samples` uint8 `[n,C,H,W]`, the same draws from the prior decoded; `xy` float32 `[m,2]`,
    mean codes of the same images on a plane that does not turn between moments; `labels` int64
    `[m]` index `label_names`, or None.
    """

    note: SnapshotNote
    originals: NDArray[np.uint8]
    reconstructions: NDArray[np.uint8]
    samples: NDArray[np.uint8]
    xy: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    label_names: tuple[str, ...]


def read_moments(folder: Path) -> tuple[SnapshotNote, ...]:
    """The numbers of all moments of the run in `folder`, oldest first, also of those whose
    pictures were dropped to save space; none where there are none.
    """
    place = folder / FOLDER / "snapshots"
    try:
        lines = (place / _INDEX).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ()
    found = [_note_of(place, line) for line in lines]
    return tuple(note for note in found if note is not None)


def list_snapshots(folder: Path) -> tuple[SnapshotNote, ...]:
    """The moments whose pictures are there, oldest first."""
    return tuple(note for note in read_moments(folder) if note.path.is_file())


def _note_of(place: Path, line: str) -> SnapshotNote | None:
    """None for a line cut short by a crash, or changed by hand."""
    try:
        found = json.loads(line)
        step = int(found["step"])
        return SnapshotNote(
            place / f"{step:09d}.npz", int(found["epoch"]), step, float(found["seconds"]),
            int(found["images_seen"]), dict(found["record"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def read_snapshot(path: Path) -> Snapshot:
    """One moment with its pictures and map; `CheckpointError` when it cannot be read."""
    notes = [note for note in list_snapshots(path.parents[2]) if note.path == path]
    try:
        with _opened(path) as moving, _opened(path.with_name(_FIXED)) as fixed:
            labels = fixed["labels"].astype(np.int64) if "labels" in fixed else None
            names = tuple(str(name) for name in fixed["label_names"])
            return Snapshot(
                notes[0], fixed["originals"], moving["reconstructions"], moving["samples"],
                moving["xy"], labels, names,
            )  # fmt: skip
    # zipfile's BadZipFile is no OSError; a foreign file can fail in many ways.
    except Exception as error:
        raise CheckpointError(
            f"The moment '{path.name}' of the run in '{path.parents[2]}' cannot be read "
            f"({error!r}), expected what --watch writes; choose another moment."
        ) from error


class SnapshotShelf:
    """Writes the moments of one run and keeps them small."""

    def __init__(self, folder: Path, *, n_steps: int) -> None:
        """Keep the moments of the first `n_steps` steps: the saved state knows of no later ones."""
        self.run_folder, self.place = folder, folder / FOLDER / "snapshots"
        self.place.mkdir(parents=True, exist_ok=True)
        self.notes = [note for note in read_moments(folder) if note.step <= n_steps]
        kept = {note.path for note in self.notes}
        for path in self.place.glob("*.npz"):
            if path.name != _FIXED and path not in kept:
                path.unlink(missing_ok=True)
        self._write_index()

    @property
    def last_xy(self) -> NDArray[np.float32] | None:
        """The map of the newest moment that can be read, or None."""
        for note in reversed(self.notes):
            with suppress(CheckpointError):
                return read_snapshot(note.path).xy
        return None

    def put_fixed(
        self,
        *,
        originals: NDArray[np.uint8],
        labels: NDArray[np.int64] | None,
        label_names: tuple[str, ...],
    ) -> None:
        """Write what all moments share."""
        arrays: dict[str, Any] = {"originals": originals, "label_names": np.array(label_names, str)}
        if labels is not None:
            arrays["labels"] = labels.astype(np.int32)
        _write_npz(self.place / _FIXED, arrays)

    def put(
        self,
        note: SnapshotNote,
        *,
        reconstructions: NDArray[np.uint8],
        samples: NDArray[np.uint8],
        xy: NDArray[np.float32],
    ) -> None:
        """Write a moment; its pictures first, so that every line of the index finds them."""
        arrays = {"reconstructions": reconstructions, "samples": samples, "xy": xy}
        _write_npz(note.path, arrays)
        self.notes = [old for old in self.notes if old.step < note.step] + [note]
        self._thin()
        self._write_index()

    def path_of(self, step: int) -> Path:
        """The file of the moment after this many steps."""
        return self.place / f"{step:09d}.npz"

    def _thin(self) -> None:
        """Drop the pictures of every second older moment while they are too many or too big."""
        there = [note.path for note in self.notes if note.path.is_file()]
        while len(there) > 3 and (
            len(there) > MAX_SNAPSHOTS or sum(p.stat().st_size for p in there) > MAX_BYTES
        ):
            # The first and the latest stay.
            for path in there[1:-1:2]:
                path.unlink(missing_ok=True)
            there = [path for path in there if path.is_file()]

    def _write_index(self) -> None:
        lines = [
            json.dumps(
                {"epoch": n.epoch, "step": n.step, "seconds": round(n.seconds, 3),
                 "images_seen": n.images_seen, "record": dict(n.record)}
            )
            for n in self.notes
        ]  # fmt: skip
        with replace_file(self.place / _INDEX) as temporary:
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _opened(path: Path) -> Any:
    # By its bytes: of a damaged file numpy forgets to close the handle.
    return np.load(io.BytesIO(path.read_bytes()))


def _write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    with replace_file(path) as temporary, temporary.open("wb") as opened:
        np.savez_compressed(opened, **arrays)
