"""The walk: the picture follows the hand, and no move is lost."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.browser.driving import (
    Slider,
    address,
    click_map,
    code_in_url,
    eventually,
    painted,
    pixels,
    places_on,
    query,
    says,
    wait_for_query,
    wait_painted,
)

FACES, DIGITS = "/walk?model=faces-tiny", "/walk?model=digits-2d"


def open_walk(visit: Visit, path: str) -> tuple[Page, Slider]:
    page = visit(path)
    slider = Slider(page)
    wait_painted(page)
    wait_for_query(page, "z")
    return page, slider


def in_url(page: Page, slider: Slider) -> bool:
    """Whether the address bar holds the slider's value."""
    code = code_in_url(page)
    return len(code) > slider.dim and abs(code[slider.dim] - slider.value) < 1e-3


@pytest.mark.parametrize("path", [FACES, DIGITS])
def test_picture_follows_while_dragging(visit: Visit, path: str) -> None:
    page, slider = open_walk(visit, path)
    seen = [pixels(page)]
    slider.grab()
    for share in (0.15, 0.4, 0.65, 0.9):
        count = painted(page)
        slider.move(share)
        eventually(lambda count=count: painted(page) > count, what="a picture mid-drag")
        page.wait_for_timeout(40)
        seen.append(pixels(page))
    page.mouse.up()
    assert len(set(seen)) == len(seen)
    eventually(lambda: in_url(page, slider), what="the last value in the link")
    assert slider.share == pytest.approx(0.9, abs=0.02)


def test_no_move_is_lost(visit: Visit) -> None:
    page, slider = open_walk(visit, FACES)
    for share in (0.1, 0.8, 0.3, 0.9, 0.5, 0.2, 0.7, 0.4, 0.95, 0.6):
        slider.drag(share)
        assert slider.share == pytest.approx(share, abs=0.02)
        eventually(lambda: in_url(page, slider), what=f"{slider.value} in the link")
    assert slider.share == pytest.approx(0.6, abs=0.02)


def test_quick_moves_end_at_the_last_value(visit: Visit) -> None:
    page, slider = open_walk(visit, DIGITS)
    for share in (0.1, 0.8, 0.3, 0.9, 0.5):
        slider.drag(share)
    eventually(lambda: in_url(page, slider), what="the last value in the link")
    page.wait_for_timeout(400)
    assert slider.share == pytest.approx(0.5, abs=0.02)
    assert in_url(page, slider)


def test_keys_move_a_slider(visit: Visit) -> None:
    page, slider = open_walk(visit, FACES)
    before, start = pixels(page), slider.value
    slider.input.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert slider.value == pytest.approx(start + 0.1, abs=0.011)
    eventually(lambda: pixels(page) != before)


def test_random_mean_and_undo(visit: Visit) -> None:
    page, _ = open_walk(visit, FACES)
    mean, start = pixels(page), query(page)["z"]
    page.get_by_role("button", name="Random code").click()
    eventually(lambda: pixels(page) != mean, what="a random picture")
    wait_for_query(page, "z", lambda z: z != start)
    drawn = pixels(page)
    page.get_by_role("button", name="Random code").click()
    eventually(lambda: pixels(page) != drawn, what="another random picture")
    page.get_by_role("button", name="Undo").click()
    eventually(lambda: pixels(page) == drawn, what="the earlier picture")
    page.get_by_role("button", name="Mean code").click()
    eventually(lambda: pixels(page) == mean, what="the mean picture")
    wait_for_query(page, "z", lambda z: z == start)


@pytest.mark.parametrize("path", [FACES, DIGITS])
def test_the_link_reopens_the_same_picture(visit: Visit, path: str) -> None:
    page, slider = open_walk(visit, path)
    slider.drag(0.83)
    eventually(lambda: in_url(page, slider), what="the value in the link")
    again = visit(address(page), fresh=True)
    other = Slider(again)
    wait_painted(again)
    assert pixels(again) == pixels(page)
    assert other.value == slider.value
    assert query(again) == query(page)


def test_a_code_beyond_the_sliders_is_shown_as_it_is(visit: Visit) -> None:
    page, slider = open_walk(visit, f"{DIGITS}&z=9,-9")
    assert abs(slider.value) == pytest.approx(9, abs=0.011)
    assert code_in_url(page) == [9, -9]


def test_the_walk_survives_a_visit_elsewhere(visit: Visit) -> None:
    page, slider = open_walk(visit, FACES)
    slider.drag(0.9)
    eventually(lambda: in_url(page, slider))
    before = pixels(page)
    page.get_by_role("link", name="Home").click()
    says(page, "Models here")
    page.get_by_role("link", name="Walk").first.click()
    again = Slider(page)
    wait_painted(page)
    assert again.value == slider.value
    assert pixels(page) == before


def test_a_carried_code_replaces_an_earlier_walk(visit: Visit) -> None:
    page, slider = open_walk(visit, FACES)
    slider.drag(0.95)
    eventually(lambda: in_url(page, slider))
    page.get_by_role("link", name="Explore").click()
    click_map(page, places_on(page).points[0])
    wait_for_query(page, "point")
    picked = pixels(page)
    page.get_by_role("button", name="Walk from here").click()
    says(page, "Started from point")
    wait_painted(page)
    eventually(lambda: pixels(page) == picked, what="the carried picture")


def test_another_model_gets_its_own_sliders(visit: Visit) -> None:
    page, _ = open_walk(visit, FACES)
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name="digits").click()
    wait_for_query(page, "z", lambda z: z.count(",") == 1)
    eventually(lambda: page.get_by_test_id("latent-slider-2").count() == 0)
    slider, before = Slider(page), pixels(page)
    slider.drag(0.1 if slider.share > 0.5 else 0.9)
    eventually(lambda: pixels(page) != before)
    assert page.locator(".lx-error").count() == 0
