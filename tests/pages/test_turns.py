"""Standing in line for the cores."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pages.shared.turns import turn


def test_as_many_at_once_as_there_are_cores_and_nobody_is_forgotten() -> None:
    lock, now, most = threading.Lock(), 0, 0
    n_cores = os.cpu_count() or 1
    # Whoever waits here has a turn: they can only all be there if all turns are given out.
    together = threading.Barrier(n_cores)

    def work(_: int) -> None:
        nonlocal now, most
        with turn():
            with lock:
                now += 1
                most = max(most, now)
            together.wait(20)
            with lock:
                now -= 1

    with ThreadPoolExecutor(4 * n_cores) as pool:
        list(pool.map(work, range(4 * n_cores)))
    assert most == n_cores


def test_a_broken_visit_gives_its_turn_back() -> None:
    for _ in range(2 * (os.cpu_count() or 1)):
        with pytest.raises(RuntimeError), turn():
            raise RuntimeError
    with turn():
        pass
