"""One update of the weights: forward, backward, clip, step; what fails is skipped or halved."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vae_core.errors import TrainingError
from vae_core.objectives import Batch
from vae_core.train.run import Run
from vae_core.train.step import step_seed

MAX_GRADIENT_NORM = 1.0


def update(
    run: Run,
    batch: Batch,
    *,
    learning_rate: float,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """One step on a batch; the loss is added up on the device, where nothing waits for it.

    A gradient that is not finite leaves weights and moments alone and is counted. When the
    memory does not suffice the batch is worked off in halves, with the same effective size.
    """
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate * group["speed"]
    while True:
        try:
            loss_sum = _backward(run, batch)
            break
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            _halve(run, len(batch.x), tell)
    norm = torch.nn.utils.clip_grad_norm_(run.model.parameters(), MAX_GRADIENT_NORM)
    bad = ~norm.isfinite()
    _step_unless(run, bad)
    run.n_good += ~bad
    run.loss_sum += torch.where(bad, 0.0, loss_sum).to(run.loss_sum)
    run.position.step += 1
    run.position.step_in_epoch += 1
    run.position.images_per_step = len(batch.x)
    run.position.images_seen += len(batch.x) * run.processes.world
    _follow(run)


def _is_out_of_memory(error: BaseException) -> bool:
    # The CPU's allocator raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _halve(run: Run, n_images: int, tell: Callable[[str], None]) -> None:
    if run.processes.world > 1 or run.position.n_pieces >= n_images:
        raise TrainingError(
            f"The memory of {run.runtime.device} does not suffice for {n_images} image(s) in "
            f"{run.position.n_pieces} part(s); choose a smaller --batch-size, network or size."
        )
    run.position.n_pieces = min(n_images, 2 * run.position.n_pieces)
    run.optimizer.zero_grad(set_to_none=True)
    if run.runtime.device.type == "cuda":
        torch.cuda.empty_cache()
    tell(
        f"The memory of {run.runtime.device} did not suffice: each batch of {n_images} images is "
        f"now worked off in {run.position.n_pieces} parts, its effective size stays the same."
    )


def _pieces(batch: Batch, n: int) -> Iterator[Batch]:
    for rows in torch.tensor_split(torch.arange(len(batch.x)), n):
        if len(rows):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            y, known = (None if v is None else v[part] for v in (batch.y, batch.attributes))
            yield replace(batch, x=batch.x[part], y=y, attributes=known)


def _backward(run: Run, batch: Batch) -> Tensor:
    """Gradients of the mean loss, piece by piece; returns the sum of the losses."""
    position = run.position
    if batch.generator is not None:
        seed = step_seed(run.config.seed, position.images_seen, rank=run.processes.rank)
        batch.generator.manual_seed(seed)
    step = torch.tensor(float(position.step), device=run.runtime.device)
    # Per value instead of per image: one gradient-clipping threshold fits every size.
    scale = 1 / (len(batch.x) * run.model.spec.n_values)
    run.optimizer.zero_grad(set_to_none=True)
    total = torch.zeros((), device=run.runtime.device)
    for piece in _pieces(batch, position.n_pieces):
        with _autocast(run):
            loss = run.module(piece, step).loss.sum()
        (loss * scale).backward()
        total += loss.detach()
    return total


def _autocast(run: Run) -> contextlib.AbstractContextManager[Any]:
    if run.runtime.autocast is None:
        return contextlib.nullcontext()
    return torch.autocast(run.runtime.device.type, dtype=run.runtime.autocast)


def _step_unless(run: Run, bad: Tensor) -> None:
    if run.optimizer.defaults.get("fused"):
        # The fused kernel reads the flag on the device, so the processor need not wait for it.
        run.optimizer.found_inf = bad.float()  # type: ignore[attr-defined]
        run.optimizer.step()
    elif not bool(bad):
        run.optimizer.step()


@torch.no_grad()
def _follow(run: Run) -> None:
    """Move the average towards the weights, faster while the run is young."""
    if run.ema is None:
        return
    decay = min(run.config.ema_decay, (1 + run.position.step) / (10 + run.position.step))
    torch._foreach_lerp_(list(run.ema.parameters()), list(run.model.parameters()), 1 - decay)
