"""The training loop: reads top to bottom in one sitting.

Each step re-seeds its generator from (seed, images seen), so an interrupted run that is
resumed ends with the same weights as one that was never stopped (bit-equal on CPU).
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vae_core.data.imageset import ImageSet
from vae_core.errors import DataError, TrainingError
from vae_core.estimators import active_units
from vae_core.model import Autoencoder, ModelConfig
from vae_core.objectives import Batch, Objective, build_objective
from vae_core.train.config import TrainConfig, one_cycle
from vae_core.train.journal import Journal, Value
from vae_core.train.runtime import Runtime
from vae_core.train.state import Position, has_state, load_state, save_state
from vae_core.train.step import ImageFeed, TrainStep, epoch_order, step_seed

VALIDATION_IMAGES = 2_000
REPORT_EVERY_SECONDS = 0.5


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


@dataclass
class Run:
    """A run's moving parts."""

    step_module: TrainStep
    optimizer: torch.optim.Optimizer
    position: Position
    best: dict[str, Tensor]
    loss_sum: Tensor
    folder: Path
    config: TrainConfig
    runtime: Runtime

    @property
    def model(self) -> Autoencoder:
        """The raw model, the one that is saved."""
        return self.step_module.model

    def save(self) -> None:
        """Write the state, unless the weights went bad."""
        if _all_finite(self.model):
            self.position.loss_sum = float(self.loss_sum)
            save_state(
                self.folder,
                self.position,
                model=self.model,
                optimizer=self.optimizer,
                best=self.best,
                config=self.config.to_json(),
            )


def _all_finite(model: Autoencoder) -> bool:
    return all(bool(p.isfinite().all()) for p in model.parameters())


def _start(
    folder: Path, spec: ModelConfig, config: TrainConfig, runtime: Runtime, *, resume: bool
) -> Run:
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would reseed every GPU too.
        torch.default_generator.manual_seed(config.seed)
        model = Autoencoder(spec)
    model = model.to(runtime.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective: Objective = build_objective(config.objective, config.objective_options)
    fused = runtime.device.type in ("cpu", "cuda")
    optimizer = torch.optim.AdamW(
        _parameter_groups(model), config.learning_rate, weight_decay=1e-4, fused=fused
    )
    position = Position()
    best: dict[str, Tensor] = {}
    if resume and has_state(folder):
        position, best = load_state(folder, model=model, optimizer=optimizer)
    loss_sum = torch.tensor(position.loss_sum, device=runtime.device)
    step_module = TrainStep(model, objective)
    return Run(step_module, optimizer, position, best, loss_sum, folder, config, runtime)


def _parameter_groups(model: Autoencoder) -> list[dict[str, Any]]:
    """The likelihood's σ is one number with a long way to go: it learns ten times faster."""
    quick = list(model.likelihood.parameters())
    known = {id(p) for p in quick}
    rest = [p for p in model.parameters() if id(p) not in known]
    groups: list[dict[str, Any]] = [{"params": rest, "speed": 1.0}]
    if quick:
        groups.append({"params": quick, "speed": 10.0, "weight_decay": 0.0})
    return groups


def _autocast(runtime: Runtime) -> contextlib.AbstractContextManager[Any]:
    if runtime.autocast is None:
        return contextlib.nullcontext()
    return torch.autocast(runtime.device.type, dtype=runtime.autocast)


@torch.no_grad()
def _validate(run: Run, feed: ImageFeed) -> dict[str, Value]:
    """Mean of every term over the validation images, and the state of each dimension."""
    sums: dict[str, float] = {}
    means: list[Tensor] = []
    generator = torch.Generator(run.runtime.device).manual_seed(run.config.seed)
    step = torch.tensor(float("inf"), device=run.runtime.device)
    for rows in torch.split(torch.arange(len(feed)), 500):
        x = feed.batch(rows)
        terms = run.step_module(Batch(x, generator), step)
        means.append(run.model.encode(x).mean)
        for name, values in {"loss": terms.loss, **terms.parts}.items():
            sums[name] = sums.get(name, 0.0) + float(values.double().sum())
    record: dict[str, Value] = {f"val_{k}": v / len(feed) for k, v in sums.items()}
    record["active_units"] = int(active_units(torch.cat(means)).sum())
    return record


def _train_step(run: Run, x: Tensor, learning_rate: float, generator: torch.Generator) -> None:
    """One update; the loss is added up on the device, where nothing waits for it."""
    generator.manual_seed(step_seed(run.config.seed, run.position.images_seen))
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate * group["speed"]
    step = torch.tensor(float(run.position.step), device=run.runtime.device)
    with _autocast(run.runtime):
        terms = run.step_module(Batch(x, generator), step)
    run.optimizer.zero_grad(set_to_none=True)
    # Per value instead of per image: one gradient-clipping threshold fits every size.
    (terms.loss.mean() / run.model.spec.n_values).backward()
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimizer.step()
    run.position.step += 1
    run.position.step_in_epoch += 1
    run.position.images_seen += len(x)
    run.loss_sum += terms.loss.detach().sum()


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


def _end_of_epoch(run: Run, journal: Journal, val: ImageFeed, mean_loss: float) -> None:
    position = run.position
    # Checked before the epoch counts as done: a run stopped in here checks again on resume.
    record = _validate(run, val)
    val_loss = _finite(float(record["val_loss"]), run)  # type: ignore[arg-type]
    position.epoch += 1
    position.step_in_epoch = 0
    run.loss_sum.zero_()
    if position.best_loss is None or val_loss < position.best_loss:
        position.best_loss, position.best_epoch = val_loss, position.epoch
        run.best = {k: v.detach().clone() for k, v in run.model.state_dict().items()}
    journal.write(
        {
            "epoch": position.epoch,
            "step": position.step,
            "images_seen": position.images_seen,
            "seconds": round(position.seconds, 3),
            "train_loss": mean_loss,
            **record,
        }
    )
    run.save()


def train(
    images: ImageSet,
    folder: Path,
    *,
    model_config: ModelConfig,
    config: TrainConfig,
    runtime: Runtime,
    resume: bool = False,
    report: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[Autoencoder, Position]:
    """Train on the `train` split; returns the best model by validation loss, in eval mode.

    Writes `metrics.jsonl` and the resumable state below `folder`. Raises `DataError` when
    there are too few images, `TrainingError` when the loss is not finite, `Interrupted`
    after Ctrl-C or when `cancelled()` says so; in both last cases the saved state is good.
    """
    if int((images.split == 1).sum()) == 0:
        raise DataError(
            f"'{images.name}' holds {len(images)} image(s), training and its check need at "
            "least 3; add images."
        )
    train_set, val_set = images.subset("train"), images.subset("val")
    folder.mkdir(parents=True, exist_ok=True)
    run = _start(folder, model_config, config, runtime, resume=resume)
    journal = Journal(folder, fresh=run.position.step == 0)
    feed = ImageFeed(train_set.images, runtime.device)
    val = ImageFeed(val_set.images[:VALIDATION_IMAGES], runtime.device)
    if run.position.step == 0:
        sample = feed.batch(epoch_order(len(feed), seed=config.seed, epoch=0)[:5000])
        run.model.start_at_mean(sample.mean(0))
    try:
        _loop(run, journal, feed, val, report, cancelled)
    except KeyboardInterrupt:
        run.save()
        raise Interrupted(_how_to_resume(run)) from None
    run.save()
    run.model.load_state_dict(run.best)
    return run.model.eval(), run.position


def _how_to_resume(run: Run) -> str:
    return (
        f"Stopped in epoch {run.position.epoch + 1} after {run.position.seconds:.0f} s; the state "
        f"is saved in {run.folder}, give the same command with --resume to go on."
    )


def _loop(
    run: Run,
    journal: Journal,
    feed: ImageFeed,
    val: ImageFeed,
    report: Callable[[Progress], None] | None,
    cancelled: Callable[[], bool] | None,
) -> None:
    config, position = run.config, run.position
    batch_size = config.batch_for(len(feed))
    n_steps = max(1, len(feed) // batch_size)
    clock = _Clock(run, n_steps * config.epochs)
    generator = torch.Generator(run.runtime.device)
    share, last_report = clock.tick(), 0.0
    while share < 1.0 or position.step_in_epoch:
        order = epoch_order(len(feed), seed=config.seed, epoch=position.epoch)
        for rows in torch.split(order, batch_size)[position.step_in_epoch : n_steps]:
            rate = one_cycle(share, peak=config.learning_rate)
            _train_step(run, feed.batch(rows), rate, generator)
            share = clock.tick()
            if time.monotonic() - last_report > REPORT_EVERY_SECONDS:
                last_report = time.monotonic()
                loss = _mean_loss(run, batch_size)
                if report:
                    report(clock.progress(share, loss))
                if cancelled and cancelled():
                    raise KeyboardInterrupt
            if config.minutes is not None and share >= 1.0:
                break
        _end_of_epoch(run, journal, val, _mean_loss(run, batch_size))
        share = clock.tick()


def _mean_loss(run: Run, batch_size: int) -> float:
    """Average over the images of this epoch so far; every batch is full."""
    return _finite(float(run.loss_sum) / max(1, run.position.step_in_epoch * batch_size), run)


def _finite(loss: float, run: Run) -> float:
    if not math.isfinite(loss):
        raise TrainingError(
            f"The loss became {loss} in epoch {run.position.epoch + 1} at step "
            f"{run.position.step}, a finite number was expected; lower --learning-rate (now "
            f"{run.config.learning_rate:g}) or use --precision float32. Nothing was overwritten."
        )
    return loss
