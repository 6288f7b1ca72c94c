"""One server and one Chromium for the whole package, one clean context per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.browser.driving import MAP, WALK, eventually, is_told, map_of, next_frame
from tests.browser.server import CHROMIUM, RunningApp, chromium, running_app

WIDE: ViewportSize = {"width": 1280, "height": 900}
# Generous: software rendering on a busy machine draws a map in seconds.
PATIENCE_MS = 90_000
Scheme = Literal["light", "dark"]
Visit = Callable[..., Page]
expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests beside this file carry the mark `browser`."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            item.add_marker(pytest.mark.browser)


# The package's scope, not the session's: playwright keeps an event loop in this thread while it
# lives, and the page tests that follow bring their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium, or the tests are skipped."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed: apt-get install chromium")
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="package")
def app(tiny_checkpoints: Path) -> Iterator[RunningApp]:
    """`streamlit run app.py` with the two tiny models."""
    with running_app(tiny_checkpoints) as running:
        yield running


@pytest.fixture(scope="package")
def wide(browser: Browser) -> Iterator[BrowserContext]:
    """A window of a laptop, its cache kept; each page in it is a session of its own."""
    context = browser.new_context(viewport=WIDE, color_scheme="light")
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@contextmanager
def shared_tab(context: Browser | BrowserContext, url: str) -> Iterator[Page]:
    """A tab that the tests of a file share: opening the app anew takes seconds each time.

    An uncaught error of any script fails the last of them.
    """
    page, errors = context.new_page(), list[str]()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    yield page
    page.close()
    assert errors == []


@pytest.fixture(scope="module")
def walk_tab(wide: BrowserContext, app: RunningApp) -> Iterator[Page]:
    """A shared tab on the faces' walk."""
    with shared_tab(wide, f"{app.url}/walk?model=faces-tiny") as page:
        page.locator(WALK).wait_for()
        yield page


@pytest.fixture
def visit(browser: Browser, wide: BrowserContext, app: RunningApp) -> Iterator[Visit]:
    """visit("/explore?…") → a new page; with `size`, `scheme` or `fresh` in a new context.

    An uncaught error of any script on any visited page fails the test.
    """
    opened: list[Page | BrowserContext] = []
    errors: list[str] = []

    def go(
        path: str, *, size: ViewportSize = WIDE, scheme: Scheme = "light", fresh: bool = False
    ) -> Page:
        context = wide
        if fresh or size != WIDE or scheme != "light":
            context = browser.new_context(viewport=size, color_scheme=scheme)
            context.set_default_timeout(PATIENCE_MS)
            opened.append(context)
        page = context.new_page()
        opened.append(page)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path if path.startswith("http") else app.url + path)
        return page

    yield go
    for item in reversed(opened):
        item.close()
    assert errors == []


@pytest.fixture(scope="module")
def tab(wide: BrowserContext, app: RunningApp) -> Iterator[Page]:
    """A shared tab, at first on Home."""
    with shared_tab(wide, f"{app.url}/?model=faces-tiny") as page:
        page.locator(f"{MAP}[data-ready=true]").wait_for()
        yield page


@pytest.fixture
def explore(tab: Page) -> Page:
    """The shared tab on Explore; what earlier tests picked is still picked."""
    tab.get_by_role("link", name="Explore").first.click()
    # Home has a map too.
    tab.get_by_label("Colour by").wait_for()
    map_of(tab)
    next_frame(tab)
    return tab


@pytest.fixture
def walk(tab: Page) -> Page:
    """The shared tab on Walk, back at the mean code, which is told and painted."""
    tab.get_by_role("link", name="Walk").first.click()
    tab.locator(WALK).wait_for()
    tab.get_by_role("button", name="Mean code").click()
    eventually(lambda: is_told(tab), what="the mean code in the link")
    next_frame(tab)
    return tab
