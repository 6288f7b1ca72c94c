"""What is given back after a visit."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pages.shared import memory
from tests.fixtures import ROOT

GLIBC = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")


def said_by(code: str) -> str:
    """What a new process prints: settings of malloc hold for all of it."""
    command = [sys.executable, "-c", f"from pages.shared import memory\n{code}"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout


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


class Loop:
    """What only a collection finds."""

    def __init__(self) -> None:
        self.myself = self


def test_freed_memory_goes_back_once_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    Timer.made, told = [], list[int]()
    monkeypatch.setattr(memory, "Timer", Timer)
    monkeypatch.setattr(memory, "trim", lambda: told.append(1))
    for _ in range(5):
        memory.settle()
    soon, late = [timer for timer in Timer.made if timer.is_on]
    assert (soon.seconds, late.seconds) == (memory.QUIET_SECONDS, memory.GONE_SECONDS)
    assert told == []
    soon.act()
    assert told == [1]
    late.act()
    assert told == [1, 1]


@GLIBC
def test_trimming_gives_back_what_lies_between_things_still_in_use() -> None:
    # Each freed block is below one still held, so that glibc alone keeps it.
    said = said_by(
        "import gc; from pathlib import Path\n"
        "def resident(): return int(Path('/proc/self/statm').read_text().split()[1]) * 4096\n"
        "blocks = [bytearray(60_000) for _ in range(2_000)]\n"
        "held = blocks[1::20]; del blocks; gc.collect()\n"
        "before = resident(); memory.trim(); print(before - resident())"
    )
    assert int(said) > 50_000_000


def test_elsewhere_there_is_nothing_to_trim(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert memory.trim() is False
    assert memory.share_arenas.__wrapped__() is False


@GLIBC
@pytest.mark.parametrize(("is_shared", "least", "most"), [(True, 1, 2), (False, 3, 99)])
def test_threads_share_arenas(is_shared: bool, least: int, most: int) -> None:
    said = said_by(
        f"import ctypes, threading\n{'assert memory.share_arenas()' if is_shared else ''}\n"
        "gate, held = threading.Barrier(12), []\n"
        "def work():\n"
        "    gate.wait(); held.append([bytearray(5_000) for _ in range(50)]); gate.wait()\n"
        "threads = [threading.Thread(target=work) for _ in range(12)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, 'stdout')); libc.fflush(None)"
    )
    assert least <= said.count("<heap nr=") <= most


def test_what_is_loaded_is_frozen_and_what_died_is_collected() -> None:
    loop = Loop()
    gone = weakref.ref(loop)
    memory.freeze()
    assert gc.get_freeze_count() > 1_000
    del loop
    gc.collect()
    assert gone() is not None
    memory.freeze()
    assert gone() is None


@dataclass
class Clock:
    """The time that the keeper reads."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Timers that act when the test says, by a clock that stands still."""
    found, Timer.made = Clock(), []
    monkeypatch.setattr(memory, "Timer", Timer)
    monkeypatch.setattr(memory.time, "monotonic", found)
    return found


def drop_loop() -> weakref.ref[Loop]:
    """Leave something behind that only a collection finds."""
    return weakref.ref(Loop())


@pytest.mark.usefixtures("clock")
def test_what_uploads_left_in_circles_goes_when_it_is_quiet() -> None:
    keeper = memory._Keeper()
    keeper.settle()
    gone = drop_loop()
    # Another visitor in the same moment does not pay for it.
    keeper.settle()
    assert gone() is not None
    Timer.made[-2].act()
    assert gone() is None


def test_many_visits_do_not_wait_for_quiet(clock: Clock) -> None:
    keeper = memory._Keeper()
    keeper.settle()
    gone = drop_loop()
    clock.now += memory.COLLECT_EVERY_SECONDS
    keeper.settle()
    assert gone() is None


def test_everything_is_looked_over_once_in_a_while(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[int]()
    monkeypatch.setattr(memory, "freeze", lambda: told.append(1))
    keeper = memory._Keeper()
    for _ in range(3):
        keeper.settle()
        Timer.made[-2].act()
    assert len(told) == 1
    clock.now += memory.FREEZE_EVERY_SECONDS
    keeper.settle()
    assert len(told) == 1
    Timer.made[-2].act()
    assert len(told) == 2


def test_who_has_gone_is_forgotten_without_another_visitor(tmp_path: Path) -> None:
    (tmp_path / "page.py").touch()
    said = said_by(
        "import asyncio, weakref\n"
        "from streamlit.runtime import Runtime, RuntimeConfig\n"
        "from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage\n"
        "from streamlit.runtime.memory_session_storage import MemorySessionStorage\n"
        "from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager\n"
        "class Client:\n"
        "    client_context = None\n"
        "    def write_forward_msg(self, message): pass\n"
        "async def main():\n"
        f"    runtime = Runtime(RuntimeConfig({str(tmp_path / 'page.py')!r},\n"
        "        MemoryMediaFileStorage('/media'), MemoryUploadedFileManager('/upload'),\n"
        "        session_storage=MemorySessionStorage(ttl_seconds=0.2)))\n"
        "    await runtime.start()\n"
        "    name = runtime.connect_session(Client(), user_info={})\n"
        "    session = weakref.ref(runtime._session_mgr.get_session_info(name).session)\n"
        "    memory.freeze()\n"
        "    runtime.disconnect_session(name)\n"
        "    for seconds in (0, 0.4):\n"
        "        await asyncio.sleep(seconds)\n"
        "        told = await asyncio.to_thread(memory.forget_gone)\n"
        "        memory.freeze()\n"
        "        print(told, session() is None)\n"
        "asyncio.run(main())"
    )
    # Within the time a visitor may come back nothing is dropped.
    assert said.split() == ["True", "False", "True", "True"]


def test_without_a_server_there_is_nobody_to_forget() -> None:
    assert memory.forget_gone() is False
