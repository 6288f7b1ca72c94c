"""A queue per device: numbered tickets whose locks the waiting processes hold.

A process holds the lock of its ticket from birth to death; the kernel drops it however the
process ends, so nothing has to be tidied up after a kill. It is somebody's turn when no lower
ticket is held. Tickets are dealt, looked at and removed under the queue's own lock alone: so
nobody mistakes another one's look at a ticket for its owner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from vae_core.errors import TrainingError

QUEUES: Final = ".queue"
# The queue's own lock is held for milliseconds; longer means a stopped process or a dead disk.
PATIENCE_SECONDS: Final = 30.0
_TICKET: Final = re.compile(r"(\d{6,})-(.+)\.lock")


class Ticket:
    """One process's place in a queue, held until the process ends or `leave` is called."""

    def __init__(self, folder: Path, lock: FileLock, number: int) -> None:
        self._folder, self._lock, self._number = folder, lock, number

    def is_turn(self) -> bool:
        """Whether nobody stands before it any more.

        Everyone who waits asks this several times a second, so it stops at the first one held.
        """
        with _guard(self._folder.parents[1]):
            before = (path for number, path in _tickets(self._folder) if number < self._number)
            return not any(map(_is_held, before))

    def leave(self) -> None:
        """Give the place up."""
        self._lock.release()


def join_queue(runs: Path, name: str, *, device: str) -> Ticket:
    """Stand at the end of the device's queue as the run called `name`.

    `TrainingError` when that run stands in a queue already.
    """
    folder = runs / QUEUES / re.sub(r"[^a-z0-9]+", "-", device.lower())
    folder.mkdir(parents=True, exist_ok=True)
    with _guard(runs):
        if name in _places(runs):
            raise TrainingError(
                f"The run '{name}' is at work or waiting already, it can be started once only; "
                "wait for it to end, or pause it first."
            )
        number = 1 + max((number for number, _ in _tickets(folder)), default=0)
        lock = FileLock(folder / f"{number:06d}-{name}.lock")
        lock.acquire(timeout=PATIENCE_SECONDS)
        return Ticket(folder, lock, number)


def places(runs: Path) -> dict[str, int]:
    """The runs that are alive: name → how many are before it in its queue (0: at work)."""
    if not (runs / QUEUES).is_dir():
        return {}
    with _guard(runs):
        return _places(runs)


@contextmanager
def nobody_starts(runs: Path) -> Iterator[dict[str, int]]:
    """Within this block no run comes or goes unnoticed; yields `places`."""
    (runs / QUEUES).mkdir(parents=True, exist_ok=True)
    with _guard(runs):
        yield _places(runs)


@contextmanager
def _guard(runs: Path) -> Iterator[None]:
    try:
        with FileLock(runs / QUEUES / "queue.lock", timeout=PATIENCE_SECONDS):
            yield
    except Timeout as error:
        raise TrainingError(
            f"The queue in '{runs}' has been locked for {PATIENCE_SECONDS:g} s, expected "
            "milliseconds; end the stopped process that holds it, or choose another folder."
        ) from error


def _tickets(folder: Path) -> list[tuple[int, Path]]:
    found = [(_TICKET.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((int(match[1]), path) for match, path in found if match)


def _is_held(path: Path) -> bool:
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    # Nobody holds it and nobody can take it now: its process is gone.
    path.unlink(missing_ok=True)
    lock.release()
    return False


def _standing(folder: Path) -> list[str]:
    """Names on the tickets that are held, in order."""
    held = (path for _, path in _tickets(folder) if _is_held(path))
    return [path.name.partition("-")[2].removesuffix(".lock") for path in held]


def _places(runs: Path) -> dict[str, int]:
    queues = sorted(path for path in (runs / QUEUES).iterdir() if path.is_dir())
    return {
        name: place
        for folder in queues
        for place, name in enumerate(_standing(folder))
    }  # fmt: skip
