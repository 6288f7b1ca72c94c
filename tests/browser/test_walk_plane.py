"""The plane of two sliders: the picture follows the hand, the sliders follow the picture."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import (
    Slider,
    code_in_url,
    eventually,
    next_frame,
    painted,
    pixels,
    query,
    swipe,
)

READY = "[data-testid=plane][data-ready=true]"
PHONE = {"width": 390, "height": 844}


def spot(page: Page, across: float, up: float) -> tuple[float, float]:
    """Window pixels of a share of the way across and up the plane."""
    box = page.get_by_test_id("plane-pad").bounding_box()
    assert box is not None
    return box["x"] + across * box["width"], box["y"] + (1 - up) * box["height"]


def share_of(page: Page, index: int) -> float:
    """How far along a slider stands, one that is folded away too."""
    slider = page.get_by_test_id(f"latent-slider-{index}")
    low, high = (float(slider.get_attribute(name) or 0) for name in ("min", "max"))
    return (float(slider.input_value()) - low) / (high - low)


def shares(page: Page) -> list[float]:
    """How far dimensions 0 and 1 are along their sliders."""
    found = {slider.dim: slider.share for slider in (Slider(page, 0), Slider(page, 1))}
    return [found[0], found[1]]


def test_a_drag_over_the_plane_of_a_2d_model_moves_picture_and_sliders(visit: Visit) -> None:
    page = visit("/walk?model=digits-2d")
    page.locator(READY).wait_for()
    seen = {pixels(page)}
    page.mouse.move(*spot(page, 0.5, 0.5))
    page.mouse.down()
    for across, up in ((0.7, 0.6), (0.9, 0.8), (0.2, 0.9)):
        count = painted(page)
        page.mouse.move(*spot(page, across, up), steps=3)
        eventually(lambda count=count: painted(page) > count, what="a picture mid-drag")
        next_frame(page)
        seen.add(pixels(page))
    page.mouse.up()
    assert len(seen) == 4
    assert shares(page) == pytest.approx([0.2, 0.9], abs=0.02)
    z = [Slider(page, 0), Slider(page, 1)]
    wanted = [next(s.value for s in z if s.dim == dim) for dim in (0, 1)]
    eventually(lambda: code_in_url(page) == pytest.approx(wanted, abs=0.011), what="the link")
    page.keyboard.press("z")
    eventually(lambda: shares(page) != pytest.approx([0.2, 0.9], abs=0.02), what="one undo")


def test_arrow_keys_move_both_ways_on_the_plane(visit: Visit) -> None:
    page = visit("/walk?model=digits-2d")
    page.locator(READY).wait_for()
    page.mouse.click(*spot(page, 0.4, 0.4))
    across, up = shares(page)
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    assert shares(page) == pytest.approx([across + 0.05, up - 0.05], abs=0.01)


def test_two_chosen_dimensions_of_a_larger_model(visit: Visit) -> None:
    page = visit("/walk?model=faces-tiny")
    page.locator("[data-testid=latent-walk][data-ready=true]").wait_for()
    expect(page.get_by_test_id("plane-pad")).to_be_hidden()
    page.get_by_text("Two sliders as a plane").click()
    page.locator(READY).wait_for()
    # The other one steps aside: a plane needs two.
    page.get_by_test_id("plane-across").select_option(index=1)
    expect(page.get_by_test_id("plane-up")).to_have_value("0")
    eventually(lambda: "z" in query(page))
    before = code_in_url(page)
    page.get_by_test_id("plane-pad").scroll_into_view_if_needed()
    page.mouse.click(*spot(page, 0.8, 0.3))
    assert [share_of(page, 1), share_of(page, 0)] == pytest.approx([0.8, 0.3], abs=0.02)
    eventually(lambda: code_in_url(page) != before, what="the new code in the link")
    moved = {q for q, (a, b) in enumerate(zip(before, code_in_url(page), strict=True)) if a != b}
    assert len(moved) == 2


def test_a_finger_moves_the_plane_and_not_the_page(visit: Visit) -> None:
    page = visit("/walk?model=digits-2d", size=PHONE)
    page.locator(READY).wait_for()
    page.get_by_test_id("plane-pad").scroll_into_view_if_needed()
    before, top = pixels(page), page.get_by_test_id("plane-pad").bounding_box()
    x, y = spot(page, 0.5, 0.3)
    swipe(page, [(x, y), (x, y - 40), (x, y - 90)])
    assert top == page.get_by_test_id("plane-pad").bounding_box()
    eventually(lambda: pixels(page) != before, what="another picture")
