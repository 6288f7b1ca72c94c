"""One server and one Chromium for the whole package, one clean context per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.server import CHROMIUM, RunningApp, chromium, running_app

WIDE = {"width": 1280, "height": 900}
Visit = Callable[..., Page]


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


@pytest.fixture
def visit(browser: Browser, app: RunningApp) -> Iterator[Visit]:
    """visit("/explore?…", size=…, scheme="dark") → a page in a fresh context.

    An uncaught error of any script on any visited page fails the test.
    """
    contexts, errors = [], []

    def go(path: str, *, size: dict[str, int] = WIDE, scheme: str = "light") -> Page:
        context = browser.new_context(viewport=size, color_scheme=scheme)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path if path.startswith("http") else app.url + path)
        return page

    yield go
    for context in contexts:
        context.close()
    assert errors == []
