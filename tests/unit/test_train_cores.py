"""How many threads a run has on a machine that others use, too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from tests.fixtures import ROOT
from vae_core.train import cores
from vae_core.train.cores import Cores, threads_beside
from vae_core.train.runtime import choose_runtime

USED = """
import subprocess, sys, time
from vae_core.train.cores import Cores

def busy():
    while time.process_time() < 1 + began: pass

def used(work):
    before = looking._used()
    work()
    after = looking._used()
    return after[1] - before[1], after[2] - before[2]

looking, began = Cores(), time.process_time()
code = "import time\\nwhile time.process_time() < 1: pass"
print(*used(busy), *used(lambda: subprocess.run([sys.executable, "-c", code])))
"""


@pytest.mark.parametrize(
    ("others", "now", "n_cores", "threads"),
    [
        (0.0, 2, 2, 2), (0.0, 1, 2, 2), (0.0, 1, 1, 1),
        # A page and its visitor.
        (0.13, 2, 2, 2), (0.13, 1, 2, 2),
        # Neither enough to go nor little enough to come back.
        (0.3, 2, 2, 2), (0.3, 1, 2, 1),
        (0.5, 2, 2, 1), (1.0, 2, 2, 1), (2.0, 2, 2, 1), (9.0, 2, 2, 1),
        (0.5, 8, 8, 7), (3.1, 8, 8, 5), (3.1, 2, 8, 5), (7.9, 8, 8, 1),
    ],
)  # fmt: skip
def test_a_thread_per_core_that_is_left(
    others: float, now: int, n_cores: int, threads: int
) -> None:
    assert threads_beside(others, now=now, n_cores=n_cores, most=8) == threads


def test_never_more_than_torch_was_given() -> None:
    assert threads_beside(0.0, now=1, n_cores=16, most=3) == 3


class Machine:
    """Eight cores, of which others and this process use so many."""

    def __init__(self) -> None:
        self.now, self.others, self.own = 100.0, 0.0, 0.0
        self._all = self._mine = 50.0

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._mine += seconds * self.own
        self._all += seconds * (self.own + self.others)

    def used(self) -> tuple[float, float, float]:
        return self.now, self._all, self._mine


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made, before = Machine(), torch.get_num_threads()
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(cores.time, "monotonic", lambda: made.now)
    monkeypatch.setattr(cores.time, "sleep", made.wait)
    monkeypatch.setattr(Cores, "_used", lambda _self: made.used())
    torch.set_num_threads(8)
    yield made
    torch.set_num_threads(before)


def test_threads_follow_the_others_not_the_run_itself(machine: Machine) -> None:
    looking = Cores()
    machine.others = 3.0
    looking.begin()
    assert torch.get_num_threads() == 5
    machine.own, machine.others = 5.0, 0.1
    machine.wait(1.0)
    looking.look()
    assert torch.get_num_threads() == 5  # not yet time to look
    machine.wait(1.5)
    looking.look()
    assert torch.get_num_threads() == 8
    machine.own, machine.others = 6.0, 2.0
    machine.wait(2.0)
    looking.look()
    assert torch.get_num_threads() == 6


def test_a_system_that_does_not_tell_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError

    monkeypatch.setattr(cores.psutil, "cpu_times", refuse)
    before = torch.get_num_threads()
    looking = Cores()
    looking.begin()
    looking.look()
    assert torch.get_num_threads() == before


def test_only_where_asked_and_on_the_cpu() -> None:
    assert choose_runtime("cpu").cores is None
    assert choose_runtime("cpu", share_cores=True).cores is not None


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs a second core")
def test_a_real_machine_is_read() -> None:
    """This process at work counts as itself, another one as others."""
    done = subprocess.run(
        [sys.executable, "-c", USED], cwd=ROOT, check=True, capture_output=True, text=True
    )
    at_work, own, beside, meanwhile = map(float, done.stdout.split())
    assert own >= 0.95
    assert at_work >= 0.9 * own
    assert beside - meanwhile >= 0.9
