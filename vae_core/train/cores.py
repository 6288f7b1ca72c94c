"""How many threads a run on the CPU uses while others use the machine, too.

torch's threads wait for each other at every operation and keep their cores busy meanwhile: one
that has no core of its own stops all (docs/decisions/0012). So a run that shares its machine
looks every two seconds at what others use, and has one thread per core that is left.
"""

from __future__ import annotations

import math
import os
import time
from typing import Final

import psutil
import torch

LOOK_EVERY_SECONDS: Final = 2.0
FIRST_LOOK_SECONDS: Final = 0.3
# A page that somebody watches takes an eighth of a core, and gives way. Between the two limits
# the number stays as it is, or it would go up and down.
GIVE_UP_ABOVE, TAKE_BACK_BELOW = 0.4, 0.25
# Asleep, waiting for a disk, taken by another machine, or counted in another entry already.
_NO_WORK: Final = ("idle", "iowait", "steal", "guest", "guest_nice")


def threads_beside(others: float, *, now: int, n_cores: int, most: int) -> int:
    """Threads for a run that has `now` of them, where other work uses `others` cores."""
    fewer = math.floor(n_cores - others + GIVE_UP_ABOVE)
    more = math.floor(n_cores - others + TAKE_BACK_BELOW)
    return max(1, min(most, fewer, max(now, more)))


class Cores:
    """Keeps torch's threads of the thread that calls `look` at the cores nobody else needs.

    `most` are as many as torch has when this is made: as many as cores, or `OMP_NUM_THREADS`.
    Where the system does not tell what is used, the number stays as it is.
    """

    def __init__(self) -> None:
        self.most, self.n_cores = torch.get_num_threads(), os.cpu_count() or 1
        self._process = psutil.Process()
        self._before, self._due = self._used(), 0.0

    def begin(self) -> None:
        """Look at the machine while this process does nothing itself."""
        self._before = self._used()
        time.sleep(FIRST_LOOK_SECONDS)
        self._adapt()

    def look(self) -> None:
        """Called after every step; looks when it is time to."""
        if time.monotonic() >= self._due:
            self._adapt()

    def _adapt(self) -> None:
        self._due = time.monotonic() + LOOK_EVERY_SECONDS
        before, self._before = self._before, self._used()
        if before is None or self._before is None:
            return
        seconds = self._before[0] - before[0]
        all_of_it, own = (b - a for a, b in zip(before[1:], self._before[1:], strict=True))
        others = max(0.0, all_of_it - own) / max(seconds, 1e-6)
        now = torch.get_num_threads()
        wanted = threads_beside(others, now=now, n_cores=self.n_cores, most=self.most)
        if wanted != now:
            torch.set_num_threads(wanted)

    def _used(self) -> tuple[float, float, float] | None:
        """The time, and seconds of processor used by now: by all, and by this process."""
        try:
            everything = psutil.cpu_times()._asdict()
            own = self._process.cpu_times()
        except (OSError, psutil.Error):
            return None
        at_work = sum(s for kind, s in everything.items() if kind not in _NO_WORK)
        return time.monotonic(), at_work, own.user + own.system
