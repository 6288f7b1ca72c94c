"""What is given back after a visit."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref

import pytest

from pages.shared import memory
from tests.fixtures import ROOT

GLIBC = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")


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
    times: list[float] = []
    monkeypatch.setattr(memory, "freeze", lambda: times.append(time.monotonic()))
    monkeypatch.setattr(memory, "QUIET_SECONDS", 0.01)
    keeper = memory._Keeper()
    for _ in range(3):
        keeper.settle()
        time.sleep(0.1)
    assert len(times) == 1
    monkeypatch.setattr(memory, "FREEZE_EVERY_SECONDS", 0.05)
    keeper.settle()
    until = time.monotonic() + 10
    while len(times) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    assert len(times) == 2
