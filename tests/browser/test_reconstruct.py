"""Uploads through the real file dialog's input."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import PICTURE, click_map, map_of, pixels, places_on, says, wait_painted
from tests.pages.pictures import bad_pictures, good_pictures, png


def upload(page: Page, folder: Path, **files: bytes) -> None:
    paths = []
    for name, data in files.items():
        paths.append(folder / name.replace("_", "."))
        paths[-1].write_bytes(data)
    page.locator("[data-testid=upload] input[type=file]").set_input_files(paths)


def assert_shown(page: Page, testid: str) -> None:
    """The one picture of this name is really there."""
    image = page.get_by_test_id(testid).locator("img")
    expect(image).to_have_count(1)
    # The last: a rerun may briefly keep what it is about to replace.
    assert image.last.evaluate("(img) => img.decode().then(() => img.naturalWidth)") > 0


def test_a_sample_needs_no_file(tab: Page) -> None:
    tab.get_by_role("link", name="Reconstruct").first.click()
    assert_shown(tab, "original-image")
    first = tab.get_by_test_id("original-image").locator("img").get_attribute("src")
    tab.get_by_role("button", name="Another sample").click()
    image = tab.get_by_test_id("original-image").locator("img")
    expect(image).not_to_have_attribute("src", first or "")


def test_upload_is_rebuilt_placed_and_walked_from(visit: Visit, tmp_path: Path) -> None:
    page = visit("/reconstruct?model=faces-tiny")
    upload(page, tmp_path, mine_png=png())
    expect(page.get_by_role("heading", name="mine.png")).to_be_visible()
    for testid in ("original-image", "reconstructed-image", "difference-image"):
        assert_shown(page, testid)
    map_of(page)
    expect(page.locator(".lx-mark-text")).to_have_text(["mine.png"])
    before = pixels(page)
    click_map(page, places_on(page).points[-1])
    assert pixels(page) != before
    page.wait_for_timeout(1000)  # until the click has reached the server and the page has rerun
    page.get_by_role("button", name="Walk from here").click()
    says(page, "Started from mine.png")
    wait_painted(page)
    expect(page.locator(PICTURE)).to_be_visible()


def test_a_bad_file_gets_a_sentence_and_the_good_ones_go_on(visit: Visit, tmp_path: Path) -> None:
    page = visit("/reconstruct?model=digits-2d")
    text, grey = bad_pictures()["text.png"], good_pictures()["grey.bmp"]
    upload(page, tmp_path, words_png=text, first_png=png(), second_bmp=grey)
    expect(page.get_by_test_id("stAlertContentError")).to_contain_text("words.png")
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(1)
    for name in ("first.png", "second.bmp"):
        expect(page.get_by_role("img", name=name)).to_be_visible()
    assert_shown(page, "reconstructed-image")
    expect(page.locator(".lx-star")).to_have_count(2)
