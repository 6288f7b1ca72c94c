"""From a dropped zip to an explorable map, as a visitor does it, in a real browser."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import address, map_of, wait_for_query
from tests.browser.server import RunningApp, running_app
from tests.fixtures import write_pictures
from vae_core.checkpoint import load_checkpoint, verify_checkpoint


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder for models."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def server(runs: Path) -> Iterator[RunningApp]:
    """An app of its own: what it trains must not turn up among the models of other tests."""
    with running_app(runs) as running:
        yield running


@pytest.fixture
def dropped(tmp_path: Path) -> Path:
    """A zip of so few small pictures that no map has to be arranged."""
    pictures, archive = write_pictures(tmp_path / "stripes", 15), tmp_path / "stripes.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for path in sorted(pictures.iterdir()):
            opened.write(path, path.name)
    return archive


def shorten(page: Page) -> None:
    """One epoch, whatever the defaults are."""
    page.get_by_text("Until it stops improving").click()
    page.get_by_text("Expert settings").click()
    epochs = page.get_by_role("spinbutton", name="Epochs", exact=True)
    expect(epochs).to_have_value("500")
    epochs.fill("1")
    epochs.press("Enter")
    page.get_by_text("The same on the command line").click()
    expect(page.locator("code").filter(has_text="--epochs 1 ")).to_be_visible()


def test_from_a_dropped_zip_to_its_map(
    visit: Visit, server: RunningApp, runs: Path, dropped: Path
) -> None:
    page = visit(f"{server.url}/train")
    page.locator("input[type=file]").first.set_input_files(dropped)
    start = page.get_by_role("button", name="Start training")
    start.wait_for()
    shorten(page)
    start.click()
    assert wait_for_query(page, "run") == "stripes"
    page.get_by_role("button", name="Explore").click()
    map_of(page)
    assert "/explore?model=stripes" in address(page)
    verify_checkpoint(runs / "stripes")
    assert load_checkpoint(runs / "stripes").card["training"]["epochs"] == 1
    # The link of the run leads back to it, in any session.
    again = visit(f"{server.url}/train?run=stripes")
    again.get_by_role("button", name="Train another model").click()
    expect(again.get_by_text("Drop a zip of pictures")).to_be_visible()
