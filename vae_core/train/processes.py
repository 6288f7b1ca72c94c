"""Many processes, one training: what torchrun says, and what to do with it.

Every process holds the whole model and its share of each batch; torch's own
DistributedDataParallel averages the gradients, so that all take the same step.
docs/decisions/0005-many-processes.md says why nothing more is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

from vae_core.errors import ConfigError
from vae_core.objectives import Terms

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
# A validation or a save may keep the others waiting; a process that died must not, for ever.
TIMEOUT_SECONDS = 1800.0


@dataclass(frozen=True)
class Processes:
    """This process among all that train together.

    `rank` counts over all machines from 0 to `world` − 1, `local_rank` on this machine.
    `ConfigError` for numbers that cannot be.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.rank < self.world and 0 <= self.local_rank <= self.rank):
            raise ConfigError(
                f"RANK={self.rank}, WORLD_SIZE={self.world}, LOCAL_RANK={self.local_rank} came, "
                "expected 0 ≤ LOCAL_RANK ≤ RANK < WORLD_SIZE; start with torchrun, which sets them."
            )

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and talks."""
        return self.rank == 0


def current_processes() -> Processes:
    """What torchrun says in the environment; one process without it.

    `ConfigError` when only some of its variables are set or one is no whole number:
    guessing would let several processes train apart and write to the same folder.
    """
    said = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    if not said:
        return Processes()
    # isdecimal lets pass neither signs, blanks and underscores, nor a garbled number.
    if len(said) < len(VARIABLES) or not all(v.isdecimal() for v in said.values()):
        got = ", ".join(f"{name}='{value}'" for name, value in said.items())
        raise ConfigError(
            f"The environment holds {got}, expected whole numbers in all of "
            f"{', '.join(VARIABLES)}; start with torchrun, or unset them to train in one process."
        )
    return Processes(*(int(said[name]) for name in VARIABLES))


@contextmanager
def joined(
    processes: Processes, *, device: torch.device, timeout_seconds: float = TIMEOUT_SECONDS
) -> Iterator[None]:
    """Within this block the processes can talk to each other; alone it does nothing.

    Tensors on the CPU travel by gloo, on CUDA by NCCL. Whoever waits longer than
    `timeout_seconds` for another gives up. `ConfigError` when they cannot find each other.
    """
    if processes.world == 1:
        yield
        return
    try:
        _join(processes, device, timeout_seconds)
    # A refused or timed-out connection, an address that is no address, or a missing one.
    except (RuntimeError, ValueError, OSError) as error:
        _leave()
        raise ConfigError(
            f"Process {processes.rank} of {processes.world} did not find the others "
            f"({_first_line(error)}), expected all to start within {timeout_seconds:g} s and "
            "MASTER_ADDR and MASTER_PORT to lead to the first; start them all with torchrun."
        ) from error
    try:
        yield
    finally:
        _leave()


def _join(processes: Processes, device: torch.device, timeout_seconds: float) -> None:
    on_gpu = device.type == "cuda"
    if on_gpu:
        # NCCL's own helpers use the current device, which would be the first one for all.
        torch.cuda.set_device(device)
    distributed.init_process_group(
        # Both: a number that lives on the CPU must find its way in a training on GPUs, too.
        "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
        rank=processes.rank,
        world_size=processes.world,
        timeout=timedelta(seconds=timeout_seconds),
    )


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


class _Detached(nn.Module):
    """A step whose logged parts carry no gradient.

    DDP waits for a gradient of every parameter that any output leads to; those that only
    a logged part reaches (the KL of a WAE) would never get one.
    """

    def __init__(self, step_module: nn.Module) -> None:
        super().__init__()
        self.step_module = step_module
        # Looking for unused parameters and finding none makes DDP complain at each start, on
        # a channel that no filter reaches; this one is never used. The optimiser has none of it.
        self.never_used = nn.Parameter(torch.zeros(()))

    def forward(self, *arguments: Any) -> Terms:
        terms = self.step_module(*arguments)
        return Terms(terms.loss, {name: part.detach() for name, part in terms.parts.items()})


def wrapped(step_module: nn.Module, processes: Processes, *, device: torch.device) -> nn.Module:
    """The step as DDP sees it, or as it is when alone.

    Every process then begins with the weights of the first, and `backward` averages the
    gradients over the processes: with equal shares of a batch and a loss divided by the
    share's size, they are those of the whole batch.
    """
    if processes.world == 1:
        return step_module
    return nn.parallel.DistributedDataParallel(
        _Detached(step_module).to(device),
        # Some heads get no gradient: an autoencoder's log-stds, a classifier without labels.
        find_unused_parameters=True,
        # No layer here keeps running statistics; constants need not travel at each step.
        forward_sync_buffers=False,
    )


def share_of_batch(rows: Tensor, processes: Processes) -> Tensor:
    """This process's equal share `[B // world]` of a batch's rows `[B]`, in their order.

    What is left over when B does not divide is dropped, so that every image weighs the
    same. `ConfigError` when there are fewer rows than processes.
    """
    n = len(rows) // processes.world
    if n == 0:
        raise ConfigError(
            f"A batch of {len(rows)} image(s) came for {processes.world} processes, expected at "
            "least one image for each; raise --batch-size or start fewer processes."
        )
    return rows[processes.rank * n : (processes.rank + 1) * n]


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a floating-point tensor over all processes, the same in each; detached.

    Every process has to call it, in the same order. Alone the values come back as they are.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return values.detach()
    total = values.detach().clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


@contextmanager
def main_first(processes: Processes) -> Iterator[None]:
    """Within `joined`: the first process of each machine runs this block before the others.

    For what is made once and then found, such as decoded pictures in the cache. When the
    first one fails the others go on and meet the same error, instead of waiting for it.
    """
    first = processes.local_rank == 0
    try:
        if not first:
            mean_over_processes(torch.zeros(1))
        yield
    finally:
        if first:
            mean_over_processes(torch.zeros(1))
