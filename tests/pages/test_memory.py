"""What is given back after a visit."""

from __future__ import annotations

import gc
import sys
import time

import pytest

from pages.shared import memory


def test_freed_memory_goes_back_once_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    monkeypatch.setattr(memory, "trim", lambda: told.append(time.monotonic()))
    monkeypatch.setattr(memory, "QUIET_SECONDS", 0.3)
    for _ in range(5):
        memory.settle()
        last = time.monotonic()
        time.sleep(0.02)
    assert told == []
    until = time.monotonic() + 10
    while not told and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.5)
    assert len(told) == 1
    assert told[0] - last >= 0.25


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_trimming_can_be_asked_for_at_any_time() -> None:
    memory.trim()
    assert memory.trim() in (True, False)


def test_what_is_loaded_is_frozen_once() -> None:
    memory.settle()
    before = gc.get_freeze_count()
    memory.settle()
    assert 0 < gc.get_freeze_count() <= before
