"""The training loop: reads top to bottom in one sitting.

Each step re-seeds its generator from (seed, rank, images seen), so an interrupted run that
is resumed ends with the same weights as one that was never stopped (bit-equal on CPU).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vae_core.data.imageset import ImageSet
from vae_core.errors import DataError, TrainingError
from vae_core.model import Autoencoder, ModelConfig
from vae_core.objectives import Batch
from vae_core.objectives.registry import settling_steps
from vae_core.train.board import Board
from vae_core.train.config import TrainConfig, one_cycle
from vae_core.train.feeds import open_feeds
from vae_core.train.journal import Journal
from vae_core.train.processes import Processes, mean_over_processes, share_of_batch
from vae_core.train.run import Run, start_run
from vae_core.train.runtime import Runtime
from vae_core.train.state import Position
from vae_core.train.step import ImageFeed, epoch_order, step_seed
from vae_core.train.update import update
from vae_core.train.validate import validate
from vae_core.train.watch import warnings_of
from vae_core.train.watcher import Watcher

REPORT_EVERY_SECONDS = 0.5
MAX_SKIPPED_SHARE = 0.5


@dataclass(frozen=True)
class Progress:
    """What a progress bar shows. `share` in [0,1], `loss` nats per image."""

    epoch: int
    share: float
    loss: float
    images_per_second: float
    seconds_left: float


class Interrupted(TrainingError):  # noqa: N818 - an outcome, not an error
    """The run was stopped on purpose; its state is saved and can be resumed."""


@dataclass(frozen=True)
class Talk:
    """How a run speaks and is spoken to: progress, sentences, and the wish to stop."""

    report: Callable[[Progress], None] | None = None
    tell: Callable[[str], None] = lambda _: None
    cancelled: Callable[[], bool] | None = None
    watcher: Watcher | None = None

    @property
    def wants_stop(self) -> bool:
        """Whether to save the state and leave, by a signal or by a wish."""
        asked = self.watcher is not None and self.watcher.wants("pause")
        return asked or bool(self.cancelled and self.cancelled())

    @property
    def wants_finish(self) -> bool:
        """Whether to end the training now and keep the best weights."""
        return self.watcher is not None and self.watcher.wants("finish")


class _Clock:
    """Share of the run that is done, by time or by steps, and what is left of it."""

    def __init__(self, run: Run, n_steps_total: int) -> None:
        self.position, self.n_steps_total = run.position, n_steps_total
        self.limit_seconds = None if run.config.minutes is None else 60 * run.config.minutes
        self.began, self.before = time.monotonic(), run.position.seconds
        self.images_before = run.position.images_seen

    def tick(self) -> float:
        """Update the seconds used; returns the share done in [0,1]."""
        self.position.seconds = self.before + time.monotonic() - self.began
        if self.limit_seconds is not None:
            return min(1.0, self.position.seconds / self.limit_seconds)
        return min(1.0, self.position.step / self.n_steps_total)

    def progress(self, share: float, loss: float) -> Progress:
        """The numbers for a progress bar."""
        elapsed = max(1e-9, time.monotonic() - self.began)
        speed = (self.position.images_seen - self.images_before) / elapsed
        left = self.position.seconds * (1 - share) / max(share, 1e-9)
        if self.limit_seconds is not None:
            left = self.limit_seconds - self.position.seconds
        return Progress(self.position.epoch, share, loss, speed, max(0.0, left))


def train(
    images: ImageSet,
    folder: Path,
    *,
    model_config: ModelConfig,
    config: TrainConfig,
    runtime: Runtime,
    resume: bool = False,
    report: Callable[[Progress], None] | None = None,
    tell: Callable[[str], None] = lambda _: None,
    cancelled: Callable[[], bool] | None = None,
    initial: Autoencoder | None = None,
    processes: Processes | None = None,
    watcher: Watcher | None = None,
) -> tuple[Autoencoder, Position]:
    """Train on the `train` split; returns the best model by validation loss, in eval mode.

    Writes `metrics.jsonl` and the resumable state below `folder`. `initial` gives weights
    to begin with. Raises `DataError` when there are too few images, `TrainingError` when
    the loss is not finite, `Interrupted` after Ctrl-C or when `cancelled()` says so; in
    both last cases the saved state is good. Under torchrun every process calls this.
    `watcher` looks on and hears wishes, in the first process alone.
    """
    if int((images.split == 1).sum()) == 0:
        raise DataError(
            f"'{images.name}' holds {len(images)} image(s), training and its check need at "
            "least 3; add images."
        )
    train_set, val_set = images.subset("train"), images.subset("val")
    folder.mkdir(parents=True, exist_ok=True)
    run = start_run(
        folder, model_config, config, runtime,
        processes=processes or Processes(), resume=resume, initial=initial,
    )  # fmt: skip
    feed, val = open_feeds(run, train_set, val_set)
    run.position.n_train_images = len(feed)
    if run.position.step == 0 and initial is None:
        sample = feed.batch(epoch_order(len(feed), seed=config.seed, epoch=0)[:5000])
        for model in filter(None, (run.model, run.ema)):
            model.start_at_mean(sample.mean(0))
    if watcher:
        watcher.begin(run, train_set, val_set)
    if runtime.cores:
        runtime.cores.begin()
    try:
        _loop(run, feed, val, Talk(report, tell, cancelled, watcher))
    except KeyboardInterrupt:
        run.save()
        raise Interrupted(_how_to_resume(run)) from None
    run.save()
    if watcher:
        watcher.end(run)
    run.shown_model.load_state_dict(run.best)
    return run.shown_model.requires_grad_(True).eval(), run.position


def _how_to_resume(run: Run) -> str:
    return (
        f"Stopped in epoch {run.position.epoch + 1} after {run.position.seconds:.0f} s; the state "
        f"is saved in {run.folder}, give the same command with --resume to go on."
    )


def _loop(run: Run, feed: ImageFeed, val: ImageFeed, talk: Talk) -> None:
    config, position = run.config, run.position
    batch_size = config.batch_for(len(feed))
    n_steps = max(1, len(feed) // batch_size)
    clock = _Clock(run, n_steps * config.epochs)
    journal = Journal(run.folder, n_epochs=position.epoch) if run.processes.is_main else None
    board = Board(run.folder) if config.tensorboard and run.processes.is_main else None
    generator, pool = torch.Generator(run.runtime.device), _label_pool(feed)
    share, last_report = _agreed(run, clock.tick(), talk), 0.0
    while share < 1.0 or position.step_in_epoch:
        order = epoch_order(len(feed), seed=config.seed, epoch=position.epoch)
        for rows in torch.split(order, batch_size)[position.step_in_epoch : n_steps]:
            rate = one_cycle(share, peak=config.learning_rate)
            batch = _batch(run, feed, rows, pool, generator)
            update(run, batch, learning_rate=rate, tell=talk.tell)
            share = _agreed(run, clock.tick(), talk)
            if run.runtime.cores:
                run.runtime.cores.look()
            if talk.watcher:
                talk.watcher.look(run)
            if time.monotonic() - last_report > REPORT_EVERY_SECONDS:
                last_report = time.monotonic()
                progress = clock.progress(share, _mean_loss(run, n_steps_least=20))
                _say(progress, talk)
                if run.processes.world == 1:
                    _listen(run, talk)
            if run.is_finishing or (config.minutes is not None and share >= 1.0):
                break
        # Who finishes early stays as it is: nothing is young about that.
        _end_of_epoch(run, val, talk, journal, board, share=1.0 if run.is_finishing else share)
        if _has_stalled(run):
            talk.tell(
                f"Stopped early: the validation loss has not improved for "
                f"{config.patience_epochs} epochs; the best was epoch {position.best_epoch}."
            )
            break
        if run.is_finishing:
            talk.tell("Finished early as asked; the best epoch is kept.")
            break
        share = _agreed(run, clock.tick(), talk)
    if board:
        board.close()


def _say(progress: Progress, talk: Talk) -> None:
    if talk.report:
        talk.report(progress)
    if talk.watcher:
        talk.watcher.report(progress)


def _listen(run: Run, talk: Talk) -> None:
    if talk.wants_stop:
        raise KeyboardInterrupt
    run.is_finishing = talk.wants_finish


def _agreed(run: Run, share: float, talk: Talk) -> float:
    """The same share in every process, so that all take the same steps and stop together."""
    if run.processes.world == 1:
        return share
    wishes = [share, float(talk.wants_stop), float(talk.wants_finish)]
    means = mean_over_processes(torch.tensor(wishes, device=run.runtime.device))
    if float(means[1]) > 0:
        raise KeyboardInterrupt
    run.is_finishing = float(means[2]) > 0
    return float(means[0])


def _label_pool(feed: ImageFeed) -> Tensor:
    """Rows to draw labelled images from at every step, where labels are few; else none."""
    rows = feed.labelled_rows
    return rows if len(rows) < len(feed) else rows[:0]


def _batch(
    run: Run, feed: ImageFeed, rows: Tensor, pool: Tensor, generator: torch.Generator
) -> Batch:
    """This process's share of a batch; few labels come along in every step, half as many."""
    rows = share_of_batch(rows, run.processes)
    if len(pool):
        seed = step_seed(run.config.seed + 1, run.position.images_seen, rank=run.processes.rank)
        draw = torch.Generator().manual_seed(seed)
        picked = torch.randint(len(pool), (max(1, len(rows) // 2),), generator=draw)
        rows = torch.cat([rows, pool[picked]])
    return feed.known_batch(rows, generator)


def _end_of_epoch(
    run: Run,
    val: ImageFeed,
    talk: Talk,
    journal: Journal | None,
    board: Board | None,
    *,
    share: float,
) -> None:
    position = run.position
    mean_loss = float(mean_over_processes(torch.tensor(_mean_loss(run))))
    # Checked before the epoch counts as done: a run stopped in here checks again on resume.
    record = validate(run, val)
    val_loss = _finite(float(record["val_loss"]), run)  # type: ignore[arg-type]
    position.n_skipped_steps += position.step_in_epoch - int(run.n_good)
    position.epoch += 1
    position.step_in_epoch = 0
    run.loss_sum.zero_()
    run.n_good.zero_()
    best_before = position.best_loss
    settled = position.step >= settling_steps(run.step_module.objective)
    if position.best_loss is None or val_loss < position.best_loss:
        # Losses before the end of a warm-up are of another objective: they set no record.
        position.best_loss = val_loss if settled else None
        position.best_epoch = position.epoch
        run.best = {k: v.detach().clone() for k, v in run.shown_model.state_dict().items()}
    full = {
        "epoch": position.epoch,
        "step": position.step,
        "images_seen": position.images_seen,
        "seconds": round(position.seconds, 3),
        "train_loss": mean_loss,
        "n_skipped_steps": position.n_skipped_steps,
        **record,
    }
    found = warnings_of(
        full, n_latent=run.model.n_latent, best_loss=best_before, n_steps=position.step
    )
    if talk.watcher:
        talk.watcher.warn(found, share=share)
    for kind, sentence in found.items():
        if kind not in run.told:
            run.told.add(kind)
            talk.tell(f"Epoch {position.epoch}: {sentence}")
    if journal:
        journal.write(full)
    if board:
        board.write(full)
    run.save()


def _has_stalled(run: Run) -> bool:
    patience, position = run.config.patience_epochs, run.position
    if not patience or position.best_loss is None:
        return False
    return position.epoch - position.best_epoch >= patience


def _mean_loss(run: Run, *, n_steps_least: int = 0) -> float:
    """Average over the images of this epoch so far.

    `TrainingError` when most steps were skipped, once there were `n_steps_least` of them.
    """
    position, n_good = run.position, int(run.n_good)
    few = n_good < (1 - MAX_SKIPPED_SHARE) * position.step_in_epoch
    if few and position.step_in_epoch >= n_steps_least:
        _finite(math.nan, run)
    return _finite(float(run.loss_sum) / max(1, n_good * position.images_per_step), run)


def _finite(loss: float, run: Run) -> float:
    if not math.isfinite(loss):
        raise TrainingError(
            f"The loss became {loss} in epoch {run.position.epoch + 1} at step "
            f"{run.position.step}, a finite number was expected; lower --learning-rate (now "
            f"{run.config.learning_rate:g}) or use --precision float32. Nothing was overwritten."
        )
    return loss
