"""What a run will take: measured on a few real steps whose outcome is thrown away."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from vae_core.data.imageset import ImageSet
from vae_core.errors import DataError
from vae_core.evaluate.images import score_images
from vae_core.latent.codes import MAX_CODES
from vae_core.model import Autoencoder, ModelConfig
from vae_core.train.config import TrainConfig
from vae_core.train.feeds import open_feeds
from vae_core.train.processes import Processes
from vae_core.train.run import Run, start_run
from vae_core.train.runtime import Runtime
from vae_core.train.step import ImageFeed, epoch_order
from vae_core.train.update import update
from vae_core.train.validate import validate

# The first steps choose kernels and fill caches.
WARM_UP_STEPS: Final = 2
LEAST_STEPS: Final = 3
AFTERWARDS_IMAGES: Final = 500


@dataclass(frozen=True)
class Estimate:
    """What was measured and what follows from it.

    `seconds_per_epoch` with its check on validation images and the saved state;
    `seconds_training` until the end at the latest (early stopping may come before);
    `seconds_after` for codes and maps; `memory_bytes` is the peak of this whole process, or of
    the GPU's memory, and 0 where the system does not tell.
    """

    images_per_second: float
    seconds_per_epoch: float
    seconds_training: float
    seconds_after: float
    memory_bytes: int
    n_train_images: int
    batch_size: int


def estimate(
    images: ImageSet,
    config: TrainConfig,
    *,
    model_config: ModelConfig,
    runtime: Runtime,
    seconds: float = 2.0,
    map_seconds: float = 0.0,
) -> Estimate:
    """Train for about `seconds` on real batches and work out how long a whole run takes.

    `map_seconds` is what arranging the map of its codes is expected to take. Nothing is written
    but a state in a temporary folder. `DataError` when there are too few images; errors of a bad
    configuration as in `train`.
    """
    if min(int((images.split == part).sum()) for part in (0, 1)) == 0:
        raise DataError(
            f"'{images.name}' holds {len(images)} image(s), training and its check need at least "
            "3; add images."
        )
    train_set, val_set = images.subset("train"), images.subset("val")
    with tempfile.TemporaryDirectory(prefix="latent-explorer-probe-") as name:
        run = start_run(
            Path(name), model_config, config, runtime,
            processes=Processes(), resume=False, initial=None,
        )  # fmt: skip
        batch_size = config.batch_for(len(train_set))
        if runtime.cores:
            runtime.cores.begin()
        feed, val = open_feeds(run, train_set, val_set)
        rate = _training_rate(run, feed, batch_size=batch_size, seconds=seconds)
        checking = _seconds_of(lambda: validate(run, val)) + _seconds_of(run.save)
        after = _seconds_after(run.model.cpu().eval(), images) + map_seconds
    n_steps = max(1, len(train_set) // batch_size)
    per_epoch = n_steps * batch_size / rate + checking
    whole = config.epochs * per_epoch if config.minutes is None else 60 * config.minutes
    return Estimate(
        rate, per_epoch, whole, after, _peak_memory(runtime), len(train_set), batch_size
    )


def _training_rate(run: Run, feed: ImageFeed, *, batch_size: int, seconds: float) -> float:
    """Images per second over real updates, the first of them left out."""
    run.position.n_train_images = len(feed)
    pieces = torch.split(epoch_order(len(feed), seed=run.config.seed, epoch=0), batch_size)
    whole = max(1, len(feed) // batch_size)
    generator = torch.Generator(run.runtime.device)
    began, done = time.monotonic(), 0
    for n in itertools.count():
        if n == WARM_UP_STEPS:
            _wait_for(run.runtime.device)
            began, done = time.monotonic(), 0
        if n >= WARM_UP_STEPS + LEAST_STEPS and time.monotonic() - began > seconds:
            break
        rows = pieces[n % whole]
        update(run, feed.known_batch(rows, generator), learning_rate=run.config.learning_rate / 10)
        done += len(rows)
    _wait_for(run.runtime.device)
    return done / (time.monotonic() - began)


def _wait_for(device: torch.device) -> None:
    """A GPU answers before it is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _seconds_of(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _seconds_after(model: Autoencoder, images: ImageSet) -> float:
    """Encoding what the map shows, by the rate of some of them."""
    part = images.images[:AFTERWARDS_IMAGES]
    measured = _seconds_of(lambda: score_images(model, part))
    return measured / len(part) * min(MAX_CODES, len(images))


def _peak_memory(runtime: Runtime) -> int:
    if runtime.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(runtime.device))
    if sys.platform == "win32":
        return 0
    import resource

    # Kilobytes, but bytes on a Mac.
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
