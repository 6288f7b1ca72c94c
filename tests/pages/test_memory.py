"""What is given back after a visit."""

from __future__ import annotations

import ctypes
import gc
import platform
from collections.abc import Callable

import pytest

from pages.shared import memory


class Timer:
    """Stands for `threading.Timer`: goes off when told to."""

    made: list[Timer]

    def __init__(self, seconds: float, act: Callable[[], object]) -> None:
        self.seconds, self.act, self.is_on = seconds, act, False
        Timer.made.append(self)

    def start(self) -> None:
        self.is_on = True

    def cancel(self) -> None:
        self.is_on = False


def test_freed_memory_goes_back_once_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    Timer.made, told = [], list[int]()
    monkeypatch.setattr(memory.threading, "Timer", Timer)
    monkeypatch.setattr(memory, "trim", lambda: told.append(1))
    for _ in range(5):
        memory.settle()
    (waiting,) = [timer for timer in Timer.made if timer.is_on]
    assert waiting.seconds == memory.QUIET_SECONDS and told == []
    waiting.act()
    assert told == [1]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_what_was_freed_below_the_last_block_goes_back() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    # Below the size from which glibc gives a block back by itself.
    blocks = [libc.malloc(64_000) for _ in range(500)]
    for block in blocks[:-1]:
        ctypes.memset(block, 1, 64_000)
        libc.free(block)
    assert memory.trim() is True
    libc.free(blocks[-1])


def test_elsewhere_there_is_nothing_to_trim(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert memory.trim() is False


def test_what_is_loaded_is_frozen_once() -> None:
    memory.settle()
    before = gc.get_freeze_count()
    memory.settle()
    assert 0 < gc.get_freeze_count() <= before
