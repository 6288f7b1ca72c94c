"""A checkpoint's codes and maps made again, of more images than it was written with."""

from __future__ import annotations

import copy
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from vae_core.checkpoint import CARD, Checkpoint, save_checkpoint
from vae_core.data.imageset import ImageSet
from vae_core.data.validation import split_as_trained
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.images import score_images
from vae_core.latent.codes import encode_set, held_out_first
from vae_core.latent.projection import UMAP_LEAST_CODES, UMAP_MOST_CODES, UMAP_PART, fit_pca
from vae_core.model import Autoencoder
from vae_core.pipeline import build_maps
from vae_core.train.loop import Interrupted

ENCODING: Final = "encoding"
# Known images whose codes are computed again to see that the data are those of the checkpoint.
N_CHECKED: Final = 32
SAME_CODE: Final = 0.05
# Seconds on one core of a 2020s laptop: they only serve the first guess of what is left.
SECONDS_PER_IMAGE: Final = 4e-4
SECONDS_PER_PAIR: Final = 7e-9
SECONDS_PER_ARRANGED: Final = 5e-4
SECONDS_TO_COMPILE: Final = 15.0
_WHICH_IMAGES: Final = re.compile(r" · (all [\d,]+|[\d,]+ of [\d,]+) images$")


@dataclass(frozen=True)
class MapProgress:
    """How far a remap is: `done` of `total` of a stage, and a guess of the seconds left."""

    stage: str
    done: int
    total: int
    seconds: float
    seconds_left: float

    @property
    def share(self) -> float:
        """How much of all time is over, in [0,1]."""
        return self.seconds / max(1e-9, self.seconds + self.seconds_left)


def remap_checkpoint(
    checkpoint: Checkpoint,
    images: ImageSet,
    folder: Path,
    *,
    record: Mapping[str, Any],
    command: str,
    limit: int | None = None,
    seed: int = 0,
    with_umap: bool = True,
    half_precision: bool = False,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    report: Callable[[MapProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Path:
    """Encode `images`, map them and write a new checkpoint with the same weights to `folder`.

    `record` says where the images come from (as in `train_checkpoint`), `command` how to do this
    again. With `limit` that many images are taken, held-out ones first. Images of the checkpoint's
    own data keep their split, of any other source all count as held out. The prior and the figures
    of the card stay. With `half_precision` the weights are rounded to 16 bits first, which halves
    their file. Nothing is left behind when it is stopped: `Interrupted`. `ConfigError` for a
    folder that is taken or weights beyond 16 bits, `DataError` for images that are not those the
    checkpoint was made of.
    """
    _check_target(folder, checkpoint, overwrite=overwrite)
    is_own = record["source"] == checkpoint.card["data"]["source"]
    images = _with_split(checkpoint, images, is_own=is_own)
    if is_own:
        _check_same(checkpoint, images)
    model = kept = checkpoint.model
    if half_precision:
        kept = _halved(model)
        # What is read again later computes in 32 bits, with these numbers.
        model = copy.deepcopy(kept).float()
    chosen = images if limit is None else held_out_first(images, limit=limit, seed=seed)
    clock = _Clock(len(chosen), with_umap=with_umap, report=report, cancelled=cancelled)
    tell(f"Encoding {len(chosen):,} images…")
    codes = encode_set(
        model, chosen, n_total=len(images),
        progress=lambda done, total: clock.note(ENCODING, done, total),
    )  # fmt: skip
    if with_umap:
        maps = build_maps(codes, seed=seed, tell=tell, progress=clock.note)
    else:
        maps = {"pca": fit_pca(codes.mean)}
    which = {"command": command, "limit": limit, "seed": seed, "of": checkpoint.name}
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    card = {
        **checkpoint.card,
        "title": _title(checkpoint, len(codes), len(images)),
        "data": dict(checkpoint.card["data"] if is_own else record),
        "map": {**which, "created": created},
    }
    with _staged(folder) as staging:
        save_checkpoint(
            staging, kept, card=card, codes=codes, maps=maps, prior=checkpoint.prior,
            calibration=checkpoint.calibration,
        )  # fmt: skip
        clock.check()
    return folder


def _check_target(folder: Path, checkpoint: Checkpoint, *, overwrite: bool) -> None:
    if folder.resolve() == checkpoint.path.resolve():
        raise ConfigError(
            f"'{folder}' is the checkpoint that is to be mapped, expected another folder; its map "
            "of held-out images stays as it is, so give a new --out."
        )
    is_empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not is_empty and not (overwrite and (folder / CARD).is_file()):
        raise ConfigError(
            f"'{folder}' already holds something; add --overwrite to replace a checkpoint, or "
            "choose another --out."
        )


def _with_split(checkpoint: Checkpoint, images: ImageSet, *, is_own: bool) -> ImageSet:
    """The split of the training run; images of another source were all unseen by it."""
    if is_own:
        return split_as_trained(images, checkpoint.card)
    return replace(images, split=np.full(len(images), 2, np.uint8))


def _check_same(checkpoint: Checkpoint, images: ImageSet) -> None:
    """Some of the stored codes computed again: files that changed would give a false map."""
    known = checkpoint.codes
    _, stored, rows = np.intersect1d(known.ids, images.ids, return_indices=True)
    every = max(1, len(rows) // N_CHECKED)
    stored, rows = stored[::every], rows[::every]
    means = score_images(checkpoint.model, images.images[rows]).mean
    is_same = len(rows) and np.abs(means - known.mean[stored]).max() < SAME_CODE
    if not is_same or (images.split[rows] != known.split[stored]).any():
        raise DataError(
            f"'{images.name}' gives other codes or another split than '{checkpoint.path}' has "
            "stored, expected the images that it was trained on; restore them, or map a copy under "
            "another path, where all of them count as new."
        )


def _halved(model: Autoencoder) -> Autoencoder:
    """A copy whose weights are float16."""
    largest = max(float(weights.abs().max()) for weights in model.state_dict().values())
    if largest > torch.finfo(torch.float16).max:
        raise ConfigError(
            f"A weight of {largest:.3g} came, 16 bits hold up to 65,504; "
            "leave --half-precision out."
        )
    return copy.deepcopy(model).half()


def _title(checkpoint: Checkpoint, n: int, n_total: int) -> str:
    before = _WHICH_IMAGES.sub("", str(checkpoint.card["title"]))
    return f"{before} · " + (
        f"all {n:,} images" if n == n_total else f"{n:,} of {n_total:,} images"
    )


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder` that takes its place at the end, or leaves no trace."""
    staging = staging_folder(folder, process=os.getpid())
    old = staging.with_suffix(".old")
    try:
        yield staging
        if folder.exists():
            folder.rename(old)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def staging_folder(folder: Path, *, process: int) -> Path:
    """Where the process of this id writes until `folder` is complete."""
    return folder.with_name(f".{folder.name}.{process}.part")


@dataclass
class _Clock:
    """Turns stages into progress, and the wish to stop into `Interrupted`."""

    n: int
    with_umap: bool
    report: Callable[[MapProgress], None] | None
    cancelled: Callable[[], bool] | None
    started: float = field(default_factory=time.monotonic)
    stage: str = ""
    stage_started: float = 0.0
    left: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = expected_seconds(self.n, with_umap=self.with_umap)

    def check(self) -> None:
        """Raise `Interrupted` if somebody wants to stop."""
        if self.cancelled and self.cancelled():
            raise Interrupted("Mapping was stopped; nothing was written.")

    def note(self, stage: str, done: int, total: int) -> None:
        """`done` of `total` of a stage are over."""
        self.check()
        now = time.monotonic()
        if stage != self.stage:
            self.left.pop(self.stage, None)
            self.stage, self.stage_started = stage, now
        # The guess counts until a twentieth of the stage shows what it really takes.
        share = done / max(1, total)
        expected = self.left.get(stage, 0.0) * (1 - share)
        if share > 0.05:
            expected = (now - self.stage_started) * (1 - share) / share
        rest = sum(seconds for name, seconds in self.left.items() if name != stage)
        if self.report:
            self.report(MapProgress(stage, done, total, now - self.started, expected + rest))


def expected_seconds(n: int, *, with_umap: bool = True) -> dict[str, float]:
    """A first guess by stage of how long n images take; within a factor of three or so."""
    left = {ENCODING: n * SECONDS_PER_IMAGE}
    if not with_umap or n < UMAP_LEAST_CODES:
        return left
    part = n if n <= UMAP_MOST_CODES else UMAP_PART
    left["finding neighbours"] = part**2 * SECONDS_PER_PAIR
    left["arranging the map"] = part * SECONDS_PER_ARRANGED + SECONDS_TO_COMPILE
    if part < n:
        left["placing the other codes"] = (n - part) * part * SECONDS_PER_PAIR
    return left
