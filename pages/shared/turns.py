"""Visitors who want something computed in the same moment get it one after the other."""

from __future__ import annotations

import os
from functools import lru_cache
from threading import BoundedSemaphore


@lru_cache(maxsize=1)
def turn() -> BoundedSemaphore:
    """`with turn():` around work of less than a second: as many at once as there are cores.

    Threads that compute together wait for Python's lock and for each other's cores: the last of
    twenty is ready later than if all had stood in line, and the first much later. Not to be
    taken by one who has it.
    """
    return BoundedSemaphore(os.cpu_count() or 1)
