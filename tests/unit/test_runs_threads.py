"""How many threads a run gets on a machine that others use too."""

from __future__ import annotations

import os

import pytest

from vae_core.runs import launch
from vae_core.runs.launch import thread_settings


@pytest.mark.parametrize(
    ("n_cores", "percent", "threads", "is_asleep"),
    [(4, 0, 3, 0), (4, 10, 3, 0), (4, 30, 2, 1), (4, 100, 1, 1), (2, 0, 1, 0), (1, 100, 1, 1)],
)  # fmt: skip
def test_threads_leave_a_core_and_busy_ones_to_others(
    monkeypatch: pytest.MonkeyPatch, n_cores: int, percent: int, threads: int, is_asleep: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: n_cores)
    monkeypatch.setattr(launch.psutil, "cpu_percent", lambda _seconds: percent)
    found = thread_settings()
    assert found["OMP_NUM_THREADS"] == str(threads)
    assert ("OMP_WAIT_POLICY" in found) == is_asleep
