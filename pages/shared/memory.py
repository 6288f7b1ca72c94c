"""What the server does with its memory between two visits."""

from __future__ import annotations

import ctypes
import gc
import threading
from functools import lru_cache

# Long enough that a page with twenty visitors is tidied once, not twenty times.
QUIET_SECONDS = 3.0


def settle() -> None:
    """After each run: once, freeze what is loaded; and give freed memory back when it is quiet."""
    _freeze()
    _trimmer().ask()


@lru_cache(maxsize=1)
def _freeze() -> None:
    """Take all that is loaded out of the garbage collector's sight.

    Streamlit collects garbage after every run; walking over torch's objects each time
    costs more than the run itself.
    """
    gc.collect()
    gc.freeze()


class _Trimmer:
    """Hands freed memory back to the system some seconds after the last run.

    glibc keeps what threads freed for each thread apart; photographs of twelve megapixels
    that came at once would stay resident for ever.
    """

    def __init__(self) -> None:
        self._lock, self._timer = threading.Lock(), threading.Timer(0, str)

    def ask(self) -> None:
        """Trim after a quiet while; a later request moves it on."""
        with self._lock:
            self._timer.cancel()
            self._timer = threading.Timer(QUIET_SECONDS, trim)
            self._timer.daemon = True
            self._timer.start()


@lru_cache(maxsize=1)
def _trimmer() -> _Trimmer:
    return _Trimmer()


def trim() -> bool:
    """Give freed memory back to the system; whether any went. False where there is no glibc."""
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError, TypeError):
        return False
