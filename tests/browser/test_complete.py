"""Hide a part by painting, see it completed; take noise out and read how well it went."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import Visit, shared_tab
from tests.browser.driving import eventually, says, shown_pixels, swipe
from tests.browser.server import RunningApp

PAINT = "[data-testid=latent-paint][data-ready=true]"


@pytest.fixture(scope="module")
def reconstruct(wide: BrowserContext, app: RunningApp) -> Iterator[Page]:
    """One tab on Reconstruct that the tests of this file share."""
    with shared_tab(wide, f"{app.url}/reconstruct?model=faces-tiny") as page:
        page.get_by_role("radio", name="Complete", exact=True).wait_for()
        yield page


@pytest.fixture
def board(reconstruct: Page) -> Locator:
    """The picture to paint on, with nothing painted."""
    reconstruct.get_by_role("radio", name="Complete", exact=True).click()
    reconstruct.locator(PAINT).wait_for()
    # Python has heard of something hidden before it hears of nothing hidden: what earlier tests
    # hid, and told late, cannot be taken for what is hidden next.
    button(reconstruct, "Left").click()
    expect(button(reconstruct, "Complete").last).to_be_enabled()
    button(reconstruct, "Clear").click()
    expect(button(reconstruct, "Complete").last).to_be_disabled()
    found = reconstruct.locator(".lx-paint-board")
    found.scroll_into_view_if_needed()
    return found


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def painted(page: Page) -> np.ndarray:
    """Which pixels are hidden, bool `[H,W]`: the mask's red ones."""
    return np.asarray(shown_pixels(page.get_by_test_id("paint-canvas"))[:, :, 0] > 128)


def stroke(board: Locator, *places: tuple[float, float]) -> None:
    """One stroke of the mouse through places given as shares of the picture."""
    box, mouse = board.bounding_box(), board.page.mouse
    assert box is not None
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    mouse.move(*at[0])
    mouse.down()
    for place in at[1:]:
        mouse.move(*place)
    mouse.up()


def test_a_fast_stroke_leaves_no_gap_and_can_be_erased(reconstruct: Page, board: Locator) -> None:
    stroke(board, (0.1, 0.5), (0.9, 0.5))
    hidden = painted(reconstruct)
    row = hidden[32]
    assert row[8:56].all()
    assert not hidden[:20].any()
    expect(reconstruct.get_by_test_id("paint-said")).to_contain_text("% hidden")
    button(reconstruct, "Erase").click()
    stroke(board, (0.5, 0.5), (0.5, 0.5))
    assert not painted(reconstruct)[32, 32]
    button(reconstruct, "Erase").click()


def test_halves_and_invert_need_no_mouse(reconstruct: Page, board: Locator) -> None:
    expect(reconstruct.get_by_test_id("paint-said")).to_have_text("Nothing hidden yet")
    button(reconstruct, "Left").focus()
    reconstruct.keyboard.press("Enter")
    half = painted(reconstruct)
    assert half[:, :32].all()
    assert not half[:, 32:].any()
    button(reconstruct, "Invert").press("Space")
    assert np.array_equal(painted(reconstruct), ~half)
    assert board.is_visible()


def test_several_completions_keep_what_was_visible(reconstruct: Page, board: Locator) -> None:
    button(reconstruct, "Bottom").click()
    expect(button(reconstruct, "Complete").last).to_be_enabled()
    button(reconstruct, "Complete").last.click()
    expect(reconstruct.get_by_test_id("completion")).to_have_count(5)
    says(reconstruct, "The completions agree on")
    seen = _pixels_of(reconstruct.get_by_test_id("complete-seen"))
    for place in range(5):
        filled = _pixels_of(reconstruct.get_by_test_id("completion").nth(place))
        assert np.array_equal(filled[:32], seen[:32])
        assert not np.array_equal(filled[32:], seen[32:])
    assert board.is_visible()
    button(reconstruct, "Walk from here").click()
    says(reconstruct, "Started from completion 1 of")
    reconstruct.get_by_role("link", name="Reconstruct").first.click()


@pytest.mark.usefixtures("board")
def test_a_search_is_cancelled_and_asked_again(reconstruct: Page) -> None:
    says(reconstruct, "Completions")
    button(reconstruct, "Right").click()
    slider = reconstruct.get_by_role("slider", name="Completions")
    slider.focus()
    # The most completions, so that the search lasts until the button is pressed.
    slider.press("End")
    button(reconstruct, "Complete").last.click()
    reconstruct.get_by_role("button", name="Cancel", exact=True).dispatch_event("click")
    says(reconstruct, "Cancelled.")
    expect(reconstruct.get_by_test_id("completion")).to_have_count(0)
    slider.focus()
    slider.press("Home")
    button(reconstruct, "Complete").last.click()
    expect(reconstruct.get_by_test_id("completion")).to_have_count(2)


def _pixels_of(figure: Locator) -> np.ndarray:
    script = (
        "async (img) => { await img.decode(); const c = document.createElement('canvas');"
        "[c.width, c.height] = [img.naturalWidth, img.naturalHeight];"
        "const g = c.getContext('2d'); g.drawImage(img, 0, 0);"
        "return [c.height, Array.from(g.getImageData(0, 0, c.width, c.height).data)]; }"
    )
    height, values = figure.locator("img").last.evaluate(script)
    return np.array(values).reshape(height, -1, 4)


def test_a_finger_paints_on_a_phone(visit: Visit) -> None:
    page = visit("/reconstruct?model=faces-tiny", size={"width": 390, "height": 844})
    page.get_by_role("radio", name="Complete", exact=True).click()
    page.locator(PAINT).wait_for()
    board = page.locator(".lx-paint-board")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    assert box is not None
    assert box["width"] <= 390
    y, left, wide = box["y"] + 0.5 * box["height"], box["x"], box["width"]
    swipe(page, [(left + share * wide, y) for share in (0.2, 0.5, 0.8)])
    eventually(lambda: "% hidden" in page.get_by_test_id("paint-said").inner_text())
    assert painted(page)[32, 14:50].all()
    assert board.evaluate("(node) => getComputedStyle(node).touchAction") == "none"


def test_noise_is_taken_out_in_several_ways(reconstruct: Page) -> None:
    reconstruct.get_by_role("radio", name="Denoise", exact=True).click()
    ways = reconstruct.get_by_test_id("denoised")
    eventually(lambda: ways.count() >= 3, what="clean, noisy and the encoder's")
    button(reconstruct, "Search for the clean picture").click()
    says(reconstruct, "posterior search")
    expect(ways.last).to_contain_text("dB · SSIM")
    reconstruct.mouse.move(2, 2)  # the button's tooltip lies over what is clicked next
    reconstruct.get_by_text("The picture is noisy already").click()
    expect(reconstruct.get_by_text("dB · SSIM")).to_have_count(0)
