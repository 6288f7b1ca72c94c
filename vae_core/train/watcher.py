"""Looks on while a run trains: writes how far it is, and takes snapshots at growing intervals.

It draws nothing from the run's generators and changes nothing of it, so that a run that is
watched ends bit-equal to one that is not. What it cannot write (a full disk) it leaves out.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae_core.data.imageset import ImageSet
from vae_core.model import Autoencoder
from vae_core.train.control import YOUNG_SECONDS, read_ask, write_progress
from vae_core.train.feeds import known_attributes
from vae_core.train.run import Run
from vae_core.train.snapshots import SnapshotNote, SnapshotShelf
from vae_core.train.step import ImageFeed
from vae_core.train.validate import validate

WRITE_EVERY_SECONDS: Final = 1.0
FIRST_AFTER_SECONDS: Final = 1.0
# Each gap is this share of the time so far, and long enough that looking costs little of it: a
# little more at first, when there is most to see.
GROWTH: Final = 0.1
YOUNG_COST_SHARE, COST_SHARE = 0.025, 0.01
# Of bigger images fewer are shown, so that the files stay small; of slow networks fewer points
# are placed, so that a look stays short.
MOST_PICTURES, PICTURE_BYTES = 16, 111_000
FEW_PLACED, MOST_PLACED, PLACING_SECONDS = 200, 1_000, 0.1
YOUNG_SHARE, EARLY_KINDS = 0.1, ("collapse", "unused")
Floats = NDArray[np.float32]


class _Numbers(Protocol):
    """What the loop says of itself (`train.loop.Progress`)."""

    @property
    def epoch(self) -> int: ...
    @property
    def share(self) -> float: ...
    @property
    def loss(self) -> float: ...
    @property
    def images_per_second(self) -> float: ...
    @property
    def seconds_left(self) -> float: ...


class Watcher:
    """The eyes of one run; `after_seconds` is a guess of what follows the training."""

    def __init__(self, folder: Path, *, after_seconds: float = 0.0) -> None:
        self.folder, self.after_seconds = folder, after_seconds
        self._said: dict[str, Any] = {"warnings": []}
        self._written, self._train_seconds = -math.inf, 0.0
        self._scene: _Scene | None = None
        self._due, self._began, self._costs = 0.0, 0.0, list[float]()

    def wants(self, what: str) -> bool:
        """Whether the run was asked to "pause" or to "finish"."""
        return read_ask(self.folder) == what

    def phase(self, name: str, done: int = 0, total: int = 0) -> None:
        """A part of the work without epochs: what it is and how much of it is done."""
        is_new = name != self._said.get("phase")
        if not is_new and time.monotonic() - self._written < WRITE_EVERY_SECONDS:
            return
        text = f"{name}, {done:,} of {total:,}" if total > 1 else name
        self._say(phase=name, text=text, images_per_second=0.0)

    def report(self, progress: _Numbers) -> None:
        """How far the training is; written at most once a second."""
        if time.monotonic() - self._written < WRITE_EVERY_SECONDS:
            return
        left = progress.seconds_left
        if progress.share < 1:
            # At the very end nothing is left to tell the whole by.
            self._train_seconds = left / (1 - progress.share)
        whole = self._train_seconds + self.after_seconds
        self._say(
            phase="Training",
            text=f"Epoch {progress.epoch + 1}, {progress.images_per_second:,.0f} images/s",
            share=progress.share * self._train_seconds / max(1e-6, whole),
            epoch=progress.epoch,
            loss=progress.loss,
            images_per_second=progress.images_per_second,
            seconds_left=left + self.after_seconds,
            seconds=time.monotonic() - self._began,
        )

    def after(self, name: str, share: float, *, done: int = 0, total: int = 0) -> None:
        """A part of what follows the training, at this share of it."""
        whole = self._train_seconds + self.after_seconds
        self._said["seconds_left"] = (1 - share) * self.after_seconds
        if whole > 0:
            self._said["share"] = 1 - self._said["seconds_left"] / whole
        self.phase(name, done, total)

    def warn(self, sentences: Mapping[str, str], *, share: float) -> None:
        """What speaks against the run now, by kind; what no longer does is taken back.

        `share` of the training is done.
        """
        # Codes are empty at first whatever the run will become.
        young = share < YOUNG_SHARE
        found = [s for kind, s in sentences.items() if not (young and kind in EARLY_KINDS)]
        self._said["warnings"] = found

    def _say(self, **values: Any) -> None:
        self._written = time.monotonic()
        self._said |= values
        clean = {k: None if _is_no_number(v) else v for k, v in self._said.items()}
        with contextlib.suppress(OSError):
            write_progress(self.folder, clean)

    def begin(self, run: Run, train_set: ImageSet, val_set: ImageSet) -> None:
        """Choose what every snapshot shows, and take the first."""
        self._began = time.monotonic()
        with contextlib.suppress(OSError):
            self._scene = _Scene(run, train_set, val_set)
            if not self._scene.shelf.notes:
                self._scene.take(run, loss=math.nan)
        self._due = time.monotonic() + FIRST_AFTER_SECONDS

    def look(self, run: Run) -> None:
        """Called after every step: takes a snapshot when it is time for one."""
        now = time.monotonic()
        if self._scene is None or now < self._due:
            return
        loss = float(run.loss_sum) / max(1, int(run.n_good) * run.position.images_per_step)
        with contextlib.suppress(OSError):
            self._scene.take(run, loss=loss)
        after = time.monotonic()
        # The least of the last three: on a busy machine one of them may have waited for others.
        self._costs = [*self._costs[-2:], after - now]
        age = after - self._began
        share = YOUNG_COST_SHARE if age < YOUNG_SECONDS else COST_SHARE
        self._due = after + max(GROWTH * age, min(self._costs) / share)

    def end(self, run: Run) -> None:
        """Take the last snapshot, of the weights the training ended with."""
        notes = self._scene.shelf.notes if self._scene else []
        if self._scene is None or (notes and notes[-1].step == run.position.step):
            return
        last = notes[-1].record.get("train_loss") if notes else None
        with contextlib.suppress(OSError):
            self._scene.take(run, loss=math.nan if last is None else float(last))


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


class _Scene:
    """The same images, codes and labels for all snapshots of a run."""

    def __init__(self, run: Run, train_set: ImageSet, val_set: ImageSet) -> None:
        random = np.random.default_rng(run.config.seed)
        n_values, device = run.model.spec.n_values, run.runtime.device
        shown = min(len(val_set), max(4, min(MOST_PICTURES, PICTURE_BYTES // n_values)))
        picked = val_set.take(np.sort(random.permutation(len(val_set))[:shown]))
        self.model_takes_labels = run.model.config.n_classes > 0
        self.originals, self.picked_y = _pixels(picked, device), self._labels(picked, device)
        self.shelf = SnapshotShelf(run.folder, n_steps=run.position.step)
        self.last_xy = self.shelf.last_xy
        # A resumed run goes on with as many points as it had.
        n = self._affordable(run.shown_model) if self.last_xy is None else len(self.last_xy)
        placed = _placed(train_set, val_set, n=n)
        self.placed, self.placed_y = _pixels(placed, device), self._labels(placed, device)
        scored = val_set.take(np.arange(min(len(val_set), max(32, n // 8))))
        y = scored.labels if self.model_takes_labels else None
        _, known = known_attributes(run, train_set, val_set)
        known = None if known is None else known[: len(scored)]
        self.scored = ImageFeed(scored.images, device, labels=y, attributes=known)
        # A generator of its own: the run's draws stay what they are.
        draws = torch.Generator().manual_seed(run.config.seed + 1)
        self.z = torch.randn((shown, run.model.n_latent), generator=draws).to(device)
        self.shelf.put_fixed(
            originals=picked.images, labels=placed.labels, label_names=placed.label_names
        )

    @torch.no_grad()
    def _affordable(self, model: Autoencoder) -> int:
        """How many images this network encodes in `PLACING_SECONDS`, within bounds."""
        _encode(model, self.originals, self.picked_y)
        began = time.monotonic()
        _encode(model, self.originals, self.picked_y)
        each = max(1e-6, time.monotonic() - began) / len(self.originals)
        return int(min(MOST_PLACED, max(FEW_PLACED, PLACING_SECONDS / each)))

    def _labels(self, images: ImageSet, device: torch.device) -> Tensor | None:
        if not self.model_takes_labels or images.labels is None:
            return None
        return torch.from_numpy(images.labels).to(device)

    @torch.no_grad()
    def take(self, run: Run, *, loss: float) -> None:
        """Look at the model as it is and write what is seen. Raises `OSError` on a full disk."""
        model, position = run.shown_model, run.position
        rebuilt = _rebuild(model, self.originals, self.picked_y)
        kinds = torch.arange(len(self.z), device=self.z.device) % max(1, model.config.n_classes)
        samples = model.decode(self.z, kinds if model.config.n_classes else None)
        means = [
            _encode(model, x, None if self.placed_y is None else self.placed_y[i : i + len(x)])
            for i, x in zip(
                range(0, len(self.placed), 250), torch.split(self.placed, 250), strict=True
            )
        ]
        self.last_xy = on_a_plane(torch.cat(means).float().cpu().numpy(), self.last_xy)
        error = float((rebuilt - self.originals).square().mean())
        record = {
            **validate(run, self.scored),
            "train_loss": loss,
            "squared_error": error,
            "psnr_db": -10 * math.log10(max(error, 1e-12)),
        }
        note = SnapshotNote(
            self.shelf.path_of(position.step), position.epoch, position.step, position.seconds,
            position.images_seen, {k: None if _is_no_number(v) else v for k, v in record.items()},
        )  # fmt: skip
        self.shelf.put(
            note, reconstructions=_bytes(rebuilt), samples=_bytes(samples), xy=self.last_xy
        )


def _placed(train_set: ImageSet, val_set: ImageSet, *, n: int) -> ImageSet:
    """Up to n images for the map, half of them held out where there are so many."""
    random = np.random.default_rng(0)
    held_out = val_set.take(np.sort(random.permutation(len(val_set))[: n // 2]))
    seen = train_set.take(np.sort(random.permutation(len(train_set))[: n - len(held_out)]))
    labels = None
    if held_out.labels is not None and seen.labels is not None:
        labels = np.concatenate([held_out.labels, seen.labels])
    return replace(
        seen,
        images=np.concatenate([held_out.images, seen.images]),
        ids=np.concatenate([held_out.ids, seen.ids]),
        split=np.concatenate([held_out.split, seen.split]),
        labels=labels,
        factors={},
    )


def _pixels(images: ImageSet, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images.images)).to(device).float() / 255


def _classes(model: Autoencoder, x: Tensor, y: Tensor | None) -> Tensor | None:
    """The label a model is given: what its own classifier says, where it has one."""
    return model.classify(model.features(x)).argmax(1) if model.config.is_classifier else y


def _encode(model: Autoencoder, x: Tensor, y: Tensor | None) -> Tensor:
    return model.encode(x, _classes(model, x, y)).mean


def _rebuild(model: Autoencoder, x: Tensor, y: Tensor | None) -> Tensor:
    known = _classes(model, x, y)
    return model.decode(model.encode(x, known).mean, known)


def _bytes(images: Tensor) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = (images * 255).round().clamp(0, 255).byte().cpu().numpy()
    return found


def on_a_plane(means: Floats, before: Floats | None) -> Floats:
    """Mean codes `[m,D]` as points `[m,2]`: the codes themselves for D = 2, else PCA.

    PCA is turned and mirrored to lie as near to `before` as it can (orthogonal Procrustes,
    Schönemann 1966), so that a map forms instead of flipping.
    """
    if means.shape[1] <= 2:
        return np.pad(means, ((0, 0), (0, 2 - means.shape[1]))).astype(np.float32)
    centred = (means - means.mean(0)).astype(np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    xy = centred @ axes[:, :-3:-1]
    if before is not None and before.shape == xy.shape:
        left, _, right = np.linalg.svd(xy.T @ (before - before.mean(0)))
        xy = xy @ (left @ right)
    placed: Floats = xy.astype(np.float32)
    return placed
