"""A search in a thread: it ends, tells what went wrong, stops when asked, and waits its turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from pages.shared.search_job import MAX_AT_ONCE, SearchJob
from vae_core.apply.search import Progress, SearchCancelledError
from vae_core.errors import DataError


def ended(job: SearchJob[str, int]) -> str:
    until = time.monotonic() + 20
    while job.state == "running":
        assert time.monotonic() < until, "the search did not end"
        time.sleep(0.01)
    return job.state


def until_cancelled(progress: Progress, cancelled: Callable[[], bool]) -> int:
    progress(1, 4)
    while not cancelled():
        time.sleep(0.01)
    raise SearchCancelledError("Cancelled.")


def test_its_result_and_its_share_can_be_read() -> None:
    def search(progress: Progress, _: Callable[[], bool]) -> int:
        progress(4, 4)
        return 7

    job = SearchJob(search, subject="seven")
    assert (ended(job), job.result, job.share, job.subject) == ("done", 7, 1.0, "seven")


@pytest.mark.parametrize("error", [DataError("A sentence."), RuntimeError("A sentence.")])
def test_what_goes_wrong_is_told(error: Exception) -> None:
    def search(*_: object) -> int:
        raise error

    job = SearchJob(search, subject="wrong")
    assert ended(job) == "failed"
    assert "A sentence." in job.problem


def test_a_cancelled_one_frees_its_place_and_the_waiting_one_goes_on() -> None:
    began = threading.Event()

    def waiting(*_: object) -> int:
        began.set()
        return 1

    busy = [SearchJob(until_cancelled, subject="busy") for _ in range(MAX_AT_ONCE)]
    while any(job.share == 0 for job in busy):
        time.sleep(0.01)
    late = SearchJob(waiting, subject="late")
    assert not began.wait(0.3)
    unwanted = SearchJob(waiting, subject="unwanted")
    unwanted.cancel()
    assert ended(unwanted) == "cancelled"
    for job in busy:
        job.cancel()
    assert [ended(job) for job in busy] == ["cancelled"] * MAX_AT_ONCE
    assert ended(late) == "done"
