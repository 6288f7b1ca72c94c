"""Many processes, one training: what torchrun says, and what to do with it.

(First version by the lead so that the loop runs; the helper on processes owns this file.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Processes:
    """This process among all that train together."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and talks."""
        return self.rank == 0


def current_processes() -> Processes:
    """What torchrun says in the environment; one process without it."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    if not all(n in os.environ for n in names):
        return Processes()
    return Processes(*(int(os.environ[n]) for n in names))


@contextmanager
def joined(processes: Processes, *, device: torch.device) -> Iterator[None]:
    """Within this block the processes can talk to each other."""
    if processes.world == 1:
        yield
        return
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def wrapped(step_module: nn.Module, processes: Processes, *, device: torch.device) -> nn.Module:
    """The step as DDP sees it, or as it is when alone."""
    if processes.world == 1:
        return step_module
    ids = [device.index or 0] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(step_module, device_ids=ids)


def share_of_batch(rows: Tensor, processes: Processes) -> Tensor:
    """This process's equal share of a batch's rows."""
    n = len(rows) // processes.world
    return rows[processes.rank * n : (processes.rank + 1) * n]


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a small tensor over all processes."""
    if not torch.distributed.is_initialized():
        return values
    total = values.clone()
    torch.distributed.all_reduce(total)
    return total / torch.distributed.get_world_size()
