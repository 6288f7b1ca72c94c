"""The live view in a real browser: moments arrive by themselves, and one can go back to each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from pages.shared import train_moments
from tests.browser.conftest import shared_tab
from tests.browser.driving import eventually
from tests.browser.server import live_page, running_app
from tests.runs import finished_run
from vae_core.runs.queue import join_queue
from vae_core.train.control import write_progress
from vae_core.train.snapshots import SnapshotNote, SnapshotShelf, list_snapshots, read_snapshot

VIEW = "[data-testid=training-view]"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run that stands in the queue by the test's own hand."""
    folder = finished_run(tmp_path_factory.mktemp("runs"), "digits", title="Digits")
    ticket = join_queue(folder.parent, folder.name, device="cpu")
    said = {"phase": "Training", "text": "Epoch 3, 1,234 images/s", "share": 0.25}
    write_progress(folder, said | {"seconds_left": 60.0})
    yield folder
    ticket.leave()
    train_moments.forget(folder)


@pytest.fixture(scope="module")
def live(browser: Browser, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The run's card with its live view, on a server of its own."""
    script = live_page(tmp_path_factory.mktemp("page") / "live", run.parent)
    with (
        running_app(run.parent, command=("streamlit", "run", str(script))) as app,
        shared_tab(browser, f"{app.url}/?only={run.name}") as page,
    ):
        yield page


def step_shown(page: Page) -> int:
    return int(page.locator(VIEW).get_attribute("data-step") or -1)


def picture(page: Page) -> str:
    canvas = page.get_by_test_id("training-reconstructions")
    return str(canvas.evaluate("(canvas) => canvas.toDataURL()"))


def go_to(page: Page, place: int) -> None:
    page.get_by_test_id("training-scrub").fill(str(place))


def add_moment(run: Path) -> int:
    """What the training would write next: a moment ten steps later, all white."""
    last = list_snapshots(run)[-1]
    shelf, seen = SnapshotShelf(run, n_steps=last.step), read_snapshot(last.path)
    step = last.step + 10
    note = SnapshotNote(shelf.path_of(step), last.epoch, step, last.seconds + 1, 0, last.record)
    white = np.full_like(seen.reconstructions, 255)
    shelf.put(note, reconstructions=white, samples=white, xy=seen.xy + 1)
    return step


def test_moments_arrive_and_one_can_go_back(live: Page, run: Path) -> None:
    live.locator(f"{VIEW}[data-ready=true]").wait_for()
    expect(live.get_by_text("Epoch 3, 1,234 images/s")).to_be_visible()
    last, latest = list_snapshots(run)[-1].step, picture(live)
    assert step_shown(live) == last
    new = add_moment(run)
    eventually(lambda: step_shown(live) == new, what="the new moment, by itself")
    assert picture(live) != latest
    go_to(live, 0)
    eventually(lambda: step_shown(live) == 0, what="the first moment")
    expect(live.get_by_test_id("training-moment")).to_have_text("Before training, 0 s")
    first = picture(live)
    write_progress(run, {"phase": "Training", "text": "Epoch 4, 99 images/s", "share": 0.5})
    n = int(live.get_by_test_id("training-scrub").get_attribute("max") or 0)
    newest = add_moment(run)
    expect(live.get_by_text("Epoch 4, 99 images/s")).to_be_visible()
    expect(live.get_by_test_id("training-scrub")).to_have_attribute("max", str(n + 1))
    assert step_shown(live) == 0 and picture(live) == first
    # What cannot be fetched is told, and tried again at the next look.
    live.route("**/moment-*.json", lambda route: route.fulfill(status=404))
    go_to(live, n + 1)
    expect(live.get_by_test_id("training-moment")).to_contain_text("could not be loaded")
    live.unroute_all()
    go_to(live, 0)
    go_to(live, n + 1)
    eventually(lambda: step_shown(live) == newest, what="the moment, once it can be fetched")
