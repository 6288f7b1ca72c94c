"""A search in a thread of its own, so that the page can show how far it is and stop it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

import streamlit as st

from vae_core.apply.search import Progress, SearchCancelledError
from vae_core.errors import ExplorerError

T = TypeVar("T")
A = TypeVar("A")
Search = Callable[[Progress, Callable[[], bool]], T]
State = Literal["running", "done", "failed", "cancelled"]
# More at once only wait for each other's cores.
MAX_AT_ONCE = 2


@lru_cache(maxsize=1)
def _places() -> threading.BoundedSemaphore:
    """Shared by all visitors of this server."""
    return threading.BoundedSemaphore(MAX_AT_ONCE)


class SearchJob(Generic[A, T]):
    """One search; read `state`, `share`, `problem` and `result` at any time.

    `subject` says what it was asked, so that the page can tell whether the answer still fits.
    """

    def __init__(self, search: Search[T], *, subject: A) -> None:
        self.subject = subject
        self.state: State = "running"
        self.share = 0.0
        self.problem = ""
        self.result: T | None = None
        self._unwanted = threading.Event()
        threading.Thread(target=self._run, args=(search,), daemon=True).start()

    def cancel(self) -> None:
        """Ask it to stop; it does after its present step."""
        self._unwanted.set()

    def _run(self, search: Search[T]) -> None:
        try:
            while not _places().acquire(timeout=0.1):
                if self._unwanted.is_set():
                    raise SearchCancelledError("The search was cancelled before it began.")
            try:
                self.result = search(self._told, self._unwanted.is_set)
            finally:
                _places().release()
            self.state = "done"
        except SearchCancelledError:
            self.state = "cancelled"
        except ExplorerError as error:
            self.problem, self.state = str(error), "failed"
        except Exception as error:
            # Nobody waits for a thread's end: what is not told here is told nowhere.
            self.problem = f"The search stopped ({error!r}); please try again."
            self.state = "failed"

    def _told(self, done: int, total: int) -> None:
        self.share = done / max(total, 1)


def start_job(name: str, search: Search[Any], *, subject: object) -> None:
    """Begin a search and keep it under `name`; the one there before is cancelled."""
    # In a list: a rerun may come before an assignment, and would leave a search nobody sees.
    kept: list[SearchJob[Any, Any]] = st.session_state.setdefault(name, [])
    for before in kept:
        before.cancel()
    kept[:] = [SearchJob(search, subject=subject)]


def show_job(name: str) -> SearchJob[Any, Any] | None:
    """Progress of the job kept under `name`, with a button to cancel; the job once it is done."""
    kept: list[SearchJob[Any, Any]] = st.session_state.get(name, [])
    if not kept:
        return None
    job = kept[0]
    if job.state == "running":
        st.fragment(_running, run_every="0.4s")(name, job)
        return None
    if job.state == "failed":
        st.error(job.problem)
    if job.state == "cancelled":
        st.caption("Cancelled.")
    return job if job.state == "done" else None


def _running(name: str, job: SearchJob[Any, Any]) -> None:
    if job.state != "running":
        st.rerun()
    text = f"Searching · {job.share:.0%}" if job.share else "Waiting for a free place"
    st.progress(min(1.0, job.share), text=text)
    st.button("Cancel", icon=":material/close:", key=f"{name}_cancel", on_click=job.cancel)
