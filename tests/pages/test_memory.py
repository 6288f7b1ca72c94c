"""What is given back after a visit."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import weakref
from collections.abc import Callable

import pytest

from pages.shared import memory
from tests.fixtures import ROOT

GLIBC = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")


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


@GLIBC
def test_trimming_gives_back_what_lies_between_things_still_in_use() -> None:
    # Each freed block is below one still held, so that glibc alone keeps it.
    code = (
        "import gc; from pathlib import Path\n"
        "from pages.shared import memory\n"
        "def resident(): return int(Path('/proc/self/statm').read_text().split()[1]) * 4096\n"
        "blocks = [bytearray(60_000) for _ in range(2_000)]\n"
        "held = blocks[1::20]; del blocks; gc.collect()\n"
        "before = resident(); memory.trim(); print(before - resident())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert int(done.stdout) > 50_000_000


def test_elsewhere_there_is_nothing_to_trim(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert memory.trim() is False


@GLIBC
@pytest.mark.parametrize(("is_shared", "least", "most"), [(True, 1, 2), (False, 3, 99)])
def test_threads_share_arenas(is_shared: bool, least: int, most: int) -> None:
    code = (
        "import ctypes, threading; from pages.shared import memory\n"
        f"{'assert memory.share_arenas()' if is_shared else ''}\n"
        "gate, held = threading.Barrier(12), []\n"
        "def work():\n"
        "    gate.wait(); held.append([bytearray(5_000) for _ in range(50)]); gate.wait()\n"
        "threads = [threading.Thread(target=work) for _ in range(12)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, 'stdout')); libc.fflush(None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert least <= done.stdout.count("<heap nr=") <= most


def test_what_is_loaded_is_frozen_and_what_died_is_collected() -> None:
    class Loop:
        def __init__(self) -> None:
            self.myself = self

    loop = Loop()
    gone = weakref.ref(loop)
    memory.freeze()
    assert gc.get_freeze_count() > 1_000
    del loop
    gc.collect()
    assert gone() is not None
    memory.freeze()
    assert gone() is None


def test_everything_is_looked_over_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    Timer.made, told, now = [], list[int](), 1_000.0
    monkeypatch.setattr(memory.threading, "Timer", Timer)
    monkeypatch.setattr(memory.time, "monotonic", lambda: now)
    monkeypatch.setattr(memory, "freeze", lambda: told.append(1))
    keeper = memory._Keeper()
    for _ in range(3):
        keeper.settle()
        Timer.made[-1].act()
    assert len(told) == 1
    now += memory.FREEZE_EVERY_SECONDS
    keeper.settle()
    assert len(told) == 1
    Timer.made[-1].act()
    assert len(told) == 2
