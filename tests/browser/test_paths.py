"""Paths, sums, the shelf and what can be taken away."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import (
    WALK,
    Slider,
    eventually,
    next_frame,
    painted,
    pixels,
    run_ended,
    says,
    wait_painted,
)


def turn_to(page: Page, section: str) -> None:
    page.get_by_role("radio", name=section, exact=True).click()


def open_sliders(page: Page) -> None:
    turn_to(page, "Sliders")
    page.locator(WALK).wait_for()
    next_frame(page)


def open_paths(page: Page) -> None:
    turn_to(page, "Paths")
    page.locator("[data-testid=latent-path][data-ready=true]").wait_for()


def frame(page: Page, place: int) -> str:
    """The picture of that frame of the path."""
    page.get_by_test_id("path-frame").fill(str(place))
    expect(page.get_by_test_id("path-counter")).to_have_text(re.compile(f"^{place + 1} of "))
    return pixels(page)


def downloaded(page: Page, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    return Path(waiting.value.path()).read_bytes()


def test_space_plays_the_path_to_its_end(walk_tab: Page) -> None:
    open_paths(walk_tab)
    walk_tab.get_by_test_id("path-speed").select_option("45")
    first = pixels(walk_tab)
    expect(walk_tab.get_by_test_id("trust-trace")).to_have_attribute("data-n", "60")
    assert walk_tab.get_by_test_id("trust-trace").locator("rect[data-level]").count() == 60
    walk_tab.get_by_test_id("path-play").focus()
    walk_tab.keyboard.press("Space")
    eventually(lambda: painted(walk_tab) > 5 and pixels(walk_tab) != first, what="moving frames")
    expect(walk_tab.get_by_test_id("path-counter")).to_have_text("60 of 60")
    expect(walk_tab.get_by_test_id("path-play")).to_contain_text("Play")


def test_the_scrubber_and_the_trace_choose_a_frame(walk_tab: Page) -> None:
    open_paths(walk_tab)
    walk_tab.get_by_test_id("path-frame").fill("0")
    expect(walk_tab.get_by_test_id("path-counter")).to_have_text("1 of 60")
    box = walk_tab.get_by_test_id("trust-trace").bounding_box()
    assert box is not None
    place = {"x": box["width"] * 0.5, "y": box["height"] / 2}
    walk_tab.get_by_test_id("trust-trace").click(position=place)
    expect(walk_tab.get_by_test_id("path-counter")).to_have_text("31 of 60")


def test_another_kind_of_path_is_other_frames_between_the_same_ends(walk_tab: Page) -> None:
    open_paths(walk_tab)
    says(walk_tab, "at worst")
    first, middle = frame(walk_tab, 0), frame(walk_tab, 30)
    turn_to(walk_tab, "along the data")
    says(walk_tab, "Along the data · shown")
    eventually(lambda: pixels(walk_tab) != middle, what="another middle")
    assert frame(walk_tab, 0) == first


def test_the_path_can_be_taken_as_a_gif(walk_tab: Page) -> None:
    open_paths(walk_tab)
    frames = walk_tab.get_by_role("slider", name="Frames")
    frames.focus()
    for _ in range(4):
        frames.press("ArrowLeft")
    expect(walk_tab.get_by_test_id("path-counter")).to_contain_text("of 12")
    turn_to(walk_tab, "Export")
    says(walk_tab, "12 frames")
    with Image.open(BytesIO(downloaded(walk_tab, "GIF"))) as gif:
        assert gif.n_frames == 12


def test_a_sweep_can_be_taken_as_arrays(walk_tab: Page) -> None:
    turn_to(walk_tab, "Export")
    if walk_tab.get_by_role("radio", name="The path").count():
        turn_to(walk_tab, "Sweep of a slider")
    walk_tab.get_by_role("combobox", name="Direction").wait_for()
    run_ended(walk_tab)  # until then the button below gives the path
    with np.load(BytesIO(downloaded(walk_tab, "npz"))) as found:
        assert found["codes"].shape == (30, 8)
        assert len(found["frames"]) == 30


def test_variations_come_with_a_manifest(walk_tab: Page) -> None:
    turn_to(walk_tab, "Export")
    with ZipFile(BytesIO(downloaded(walk_tab, "16 variations"))) as archive:
        names = archive.namelist()
    assert sum(name.endswith(".png") for name in names) == 16
    assert "manifest.csv" in names


def test_a_permalink_reopens_the_same_pixels(walk_tab: Page, visit: Visit) -> None:
    open_sliders(walk_tab)
    start = pixels(walk_tab)
    Slider(walk_tab).drag(0.83)
    next_frame(walk_tab)
    before = pixels(walk_tab)
    assert before != start
    turn_to(walk_tab, "Export")
    link = walk_tab.get_by_text("code=z1.").inner_text().replace("\n", "")
    again = visit(link, fresh=True)
    wait_painted(again)
    says(again, "the code in the link")
    assert pixels(again) == before


def test_a_kept_code_is_summed_and_walked_from(walk_tab: Page) -> None:
    open_sliders(walk_tab)
    Slider(walk_tab).drag(0.2)
    walk_tab.get_by_label("Name for this code").fill("mine")
    walk_tab.get_by_role("button", name="Keep this code").click()
    expect(walk_tab.get_by_test_id("kept-code")).to_have_count(1)
    before = pixels(walk_tab)
    turn_to(walk_tab, "Arithmetic")
    turn_to(walk_tab, "Average")
    codes = walk_tab.get_by_role("combobox", name="Codes to average")
    for _ in range(3):
        codes.press("Backspace")
    codes.fill("mine")
    codes.press("Enter")
    codes.press("Escape")
    says(walk_tab, "= result")
    expect(walk_tab.get_by_test_id("sum-result")).to_be_visible()
    walk_tab.get_by_role("button", name="Walk from here").click()
    says(walk_tab, "Started from average of 1")
    eventually(lambda: pixels(walk_tab) == before, what="the kept picture")
