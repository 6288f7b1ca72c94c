"""What the server does with its memory between two visits."""

from __future__ import annotations

import ctypes
import gc
import time
from functools import lru_cache
from threading import Event, Lock, Timer

from streamlit.runtime import get_instance

# Long enough that a page with twenty visitors is tidied once, not twenty times.
QUIET_SECONDS = 3.0
# Looking over everything stops the server for a tenth of a second.
FREEZE_EVERY_SECONDS = 60.0
# Streamlit would collect after every run: with twenty visitors a tenth of the work.
COLLECT_EVERY_SECONDS = 0.5
# Streamlit keeps a lost session for two minutes.
GONE_SECONDS = 130.0
ARENAS, _ARENA_MAX = 2, -8  # the latter is M_ARENA_MAX of malloc.h


def settle() -> None:
    """After each run: once, freeze what is loaded; and tidy up when it is quiet."""
    _keeper().settle()


@lru_cache(maxsize=1)
def share_arenas() -> bool:
    """Have all threads allocate from two arenas; whether that was done. False without glibc.

    glibc opens up to eight per core, and what twenty visitors' threads leave in pieces in each
    stays resident: measured 185 MB more after forty uploads.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_ARENA_MAX, ARENAS))
    except (OSError, AttributeError, TypeError):
        return False


def freeze() -> None:
    """Take all that is alive now out of the garbage collector's sight until the next call.

    Walking over torch's objects at each collection costs more than a run of a page. What died
    since the last call is collected here.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def trim() -> bool:
    """Give freed memory back to the system; whether any went. False where there is no glibc."""
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError, TypeError):
        return False


def forget_gone() -> bool:
    """Drop the sessions whose visitors left two minutes ago, uploads and all; whether it could.

    Streamlit does that by itself only when the next visitor leaves, and has no public way to ask.
    """
    done = Event()

    def expire() -> None:
        sessions.expire()
        done.set()

    try:
        runtime = get_instance()
        sessions = runtime._session_mgr._session_storage._cache  # type: ignore[attr-defined]
        # Where all others use it: it is not made for threads.
        loop = runtime._async_objs.eventloop  # type: ignore[union-attr]
        loop.call_soon_threadsafe(expire)
    except (AttributeError, RuntimeError):
        return False
    return done.wait(QUIET_SECONDS)


class _Keeper:
    """Freezes and trims some seconds after the last run, and when its visitor has long gone.

    glibc keeps what threads freed for each thread apart; photographs of twelve megapixels
    that came at once would stay resident for ever.
    """

    def __init__(self) -> None:
        self._lock, self._timers = Lock(), list[Timer]()
        self._frozen = self._collected = -FREEZE_EVERY_SECONDS

    def settle(self) -> None:
        """Tidy up after a quiet while; a later run moves it on."""
        with self._lock:
            if self._frozen < 0:
                self._freeze()
            elif time.monotonic() - self._collected >= COLLECT_EVERY_SECONDS:
                self._collect()
            for timer in self._timers:
                timer.cancel()
            self._timers = [Timer(QUIET_SECONDS, self._tidy), Timer(GONE_SECONDS, self._clear)]
            for timer in self._timers:
                timer.daemon = True
                timer.start()

    def _freeze(self) -> None:
        self._frozen = self._collected = time.monotonic()
        freeze()

    def _collect(self) -> None:
        self._collected = time.monotonic()
        gc.collect()

    def _tidy(self) -> None:
        with self._lock:
            if time.monotonic() - self._frozen >= FREEZE_EVERY_SECONDS:
                self._freeze()
            else:
                self._collect()
        trim()

    def _clear(self) -> None:
        forget_gone()
        self._tidy()


@lru_cache(maxsize=1)
def _keeper() -> _Keeper:
    return _Keeper()
