"""Paths, sums, the shelf and what can be taken away."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import Slider, eventually, painted, pixels, says, wait_painted
from tests.browser.server import RunningApp


@pytest.fixture(scope="module")
def tour(wide: BrowserContext, app: RunningApp) -> Iterator[Page]:
    """One tab on Walk that the tests of this file share."""
    page, errors = wide.new_page(), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{app.url}/walk?model=faces-tiny")
    page.locator("[data-testid=latent-walk][data-ready=true]").wait_for()
    yield page
    page.close()
    assert errors == []


def turn_to(page: Page, section: str) -> None:
    page.get_by_role("radio", name=section, exact=True).click()


def open_paths(page: Page) -> None:
    turn_to(page, "Paths")
    page.locator("[data-testid=latent-path][data-ready=true]").wait_for()


def downloaded(page: Page, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    return Path(waiting.value.path()).read_bytes()


def test_space_plays_the_path_to_its_end(tour: Page) -> None:
    open_paths(tour)
    tour.get_by_test_id("path-speed").select_option("45")
    first = pixels(tour)
    expect(tour.get_by_test_id("trust-trace")).to_have_attribute("data-n", "60")
    assert tour.get_by_test_id("trust-trace").locator("rect[data-level]").count() == 60
    tour.get_by_test_id("path-play").focus()
    tour.keyboard.press("Space")
    eventually(lambda: painted(tour) > 5 and pixels(tour) != first, what="moving frames")
    expect(tour.get_by_test_id("path-counter")).to_have_text("60 of 60")
    expect(tour.get_by_test_id("path-play")).to_contain_text("Play")


def test_the_scrubber_and_the_trace_choose_a_frame(tour: Page) -> None:
    open_paths(tour)
    tour.get_by_test_id("path-frame").fill("0")
    expect(tour.get_by_test_id("path-counter")).to_have_text("1 of 60")
    box = tour.get_by_test_id("trust-trace").bounding_box()
    assert box is not None
    place = {"x": box["width"] * 0.5, "y": box["height"] / 2}
    tour.get_by_test_id("trust-trace").click(position=place)
    expect(tour.get_by_test_id("path-counter")).to_have_text("31 of 60")


def test_another_kind_of_path_is_other_frames_between_the_same_ends(tour: Page) -> None:
    open_paths(tour)
    says(tour, "at worst")
    tour.get_by_test_id("path-frame").fill("0")
    first = pixels(tour)
    tour.get_by_test_id("path-frame").fill("30")
    middle = pixels(tour)
    turn_to(tour, "along the data")
    says(tour, "Along the data · shown")
    eventually(lambda: pixels(tour) != middle, what="another middle")
    tour.get_by_test_id("path-frame").fill("0")
    assert pixels(tour) == first


def test_the_path_can_be_taken_as_a_gif(tour: Page) -> None:
    open_paths(tour)
    frames = tour.get_by_role("slider", name="Frames")
    frames.focus()
    for _ in range(4):
        frames.press("ArrowLeft")
    expect(tour.get_by_test_id("path-counter")).to_contain_text("of 12")
    turn_to(tour, "Export")
    says(tour, "12 frames")
    with Image.open(BytesIO(downloaded(tour, "GIF"))) as gif:
        assert gif.n_frames == 12


def test_a_sweep_can_be_taken_as_arrays(tour: Page) -> None:
    turn_to(tour, "Export")
    if tour.get_by_role("radio", name="The path").count():
        turn_to(tour, "Sweep of a slider")
    tour.get_by_role("combobox", name="Direction").wait_for()
    with np.load(BytesIO(downloaded(tour, "npz"))) as found:
        assert found["codes"].shape == (30, 8)
        assert len(found["frames"]) == 30


def test_variations_come_with_a_manifest(tour: Page) -> None:
    turn_to(tour, "Export")
    with ZipFile(BytesIO(downloaded(tour, "16 variations"))) as archive:
        names = archive.namelist()
    assert sum(name.endswith(".png") for name in names) == 16
    assert "manifest.csv" in names


def test_a_permalink_reopens_the_same_pixels(tour: Page, visit: Visit) -> None:
    turn_to(tour, "Sliders")
    start = pixels(tour)
    Slider(tour).drag(0.83)
    eventually(lambda: pixels(tour) != start, what="the dragged picture")
    tour.wait_for_timeout(200)
    before = pixels(tour)
    turn_to(tour, "Export")
    link = tour.get_by_text("code=z1.").inner_text().replace("\n", "")
    again = visit(link, fresh=True)
    wait_painted(again)
    says(again, "the code in the link")
    assert pixels(again) == before


def test_a_kept_code_is_summed_and_walked_from(tour: Page) -> None:
    turn_to(tour, "Sliders")
    Slider(tour).drag(0.2)
    tour.get_by_label("Name for this code").fill("mine")
    tour.get_by_role("button", name="Keep this code").click()
    expect(tour.get_by_test_id("kept-code")).to_have_count(1)
    before = pixels(tour)
    turn_to(tour, "Arithmetic")
    turn_to(tour, "Average")
    codes = tour.get_by_role("combobox", name="Codes to average")
    for _ in range(3):
        codes.press("Backspace")
    codes.fill("mine")
    codes.press("Enter")
    codes.press("Escape")
    says(tour, "= result")
    expect(tour.get_by_test_id("sum-result")).to_be_visible()
    tour.get_by_role("button", name="Walk from here").click()
    says(tour, "Started from average of 1")
    eventually(lambda: pixels(tour) == before, what="the kept picture")
