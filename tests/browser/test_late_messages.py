"""Messages that were under way while somebody clicked: neither the click nor the link is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute

from tests.browser.driving import (
    Slider,
    address,
    eventually,
    is_told,
    map_of,
    query,
    wait_for_query,
    wait_painted,
)
from tests.browser.server import RunningApp, running_app
from tests.runs import finished_run
from vae_core.runs.queue import join_queue
from vae_core.train.control import write_progress


class Side:
    """What one side of a connection tells the other; it can be kept waiting."""

    def __init__(self, page: Page) -> None:
        self.kept = list[str | bytes]()
        self._page, self._waits = page, False
        self._target: WebSocketRoute

    def connect(self, source: WebSocketRoute, target: WebSocketRoute) -> None:
        self._target = target
        source.on_message(self._pass_on)

    def _pass_on(self, message: str | bytes) -> None:
        if self._waits:
            self.kept.append(message)
        else:
            self._target.send(message)

    @contextmanager
    def waits(self, *, gap_seconds: float = 0.0) -> Iterator[None]:
        """What is told meanwhile arrives at the end, all at once or one by one."""
        self._waits = True
        yield
        while self.kept:
            self._target.send(self.kept.pop(0))
            self._page.wait_for_timeout(1_000 * gap_seconds)
        self._waits = False


class Wire:
    """A page's connection to the server, both ways."""

    def __init__(self, page: Page) -> None:
        self.page, self.server = Side(page), Side(page)
        page.route_web_socket("**/_stcore/stream", self._connect)

    def _connect(self, route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        self.page.connect(route, server)
        self.server.connect(server, route)


@pytest.fixture
def page(wide: BrowserContext) -> Iterator[Page]:
    opened = wide.new_page()
    yield opened
    opened.close()


@pytest.fixture
def wire(page: Page) -> Wire:
    return Wire(page)


@pytest.fixture(scope="module")
def runs(tiny_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs beside a model that is opened at first, `digits-2d`."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copytree(tiny_checkpoints / "digits-2d", folder / "digits-2d")
    finished_run(folder, "own", title="Own")
    return folder


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[RunningApp]:
    with running_app(runs) as running:
        yield running


@pytest.fixture
def end(runs: Path) -> Iterator[Callable[[], None]]:
    """The run `own` has a model already and is at work; called, it ends."""
    ticket = join_queue(runs, "own", device="cpu")
    write_progress(runs / "own", {"phase": "Training", "text": "Epoch 3", "share": 0.25})
    yield ticket.leave
    ticket.leave()


def open_run(page: Page, server: RunningApp) -> None:
    page.goto(f"{server.url}/train?run=own")
    page.get_by_role("button", name="Finish now").wait_for()
    assert query(page)["model"] == "digits-2d"


def assert_explored(page: Page) -> None:
    page.get_by_label("Colour by").wait_for()
    map_of(page)
    assert "/explore?" in address(page) and wait_for_query(page, "model") == "own"


@pytest.mark.usefixtures("end")
@pytest.mark.parametrize("gap_seconds", [0.0, 0.03, 0.1])
def test_explore_opens_the_run_though_a_look_at_it_is_under_way(
    page: Page, wire: Wire, server: RunningApp, gap_seconds: float
) -> None:
    open_run(page, server)
    with wire.page.waits(gap_seconds=gap_seconds):
        page.get_by_role("button", name="Explore").click()
        eventually(lambda: address(page) and len(wire.page.kept) >= 2, what="click and look")
    assert_explored(page)


def test_explore_is_heard_at_the_moment_the_run_ends(
    page: Page, wire: Wire, server: RunningApp, end: Callable[[], None]
) -> None:
    open_run(page, server)
    with wire.page.waits():
        page.get_by_role("button", name="Explore").click()
        end()
    assert_explored(page)


def test_a_slider_taken_back_before_the_link_followed(
    page: Page, wire: Wire, app: RunningApp
) -> None:
    page.goto(f"{app.url}/walk?model=faces-tiny")
    slider = Slider(page)
    wait_painted(page)
    start = wait_for_query(page, "z")
    with wire.server.waits():
        slider.drag(0.9)
        eventually(lambda: address(page) and b"z=" in b"".join(map(bytes, wire.server.kept)))
        page.get_by_role("button", name="Undo").click()
        page.wait_for_timeout(1500)
    eventually(lambda: is_told(page), what="the first code in the link")
    page.wait_for_timeout(300)
    assert query(page)["z"] == start
