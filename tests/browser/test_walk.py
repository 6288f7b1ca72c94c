"""The walk: the picture follows the hand, and no move is lost."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import (
    Slider,
    address,
    click_map,
    code_in_url,
    eventually,
    is_told,
    map_of,
    next_frame,
    painted,
    pick_is_told,
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


def test_a_walk_from_a_real_image_begins_on_the_data(visit: Visit) -> None:
    page, _ = open_walk(visit, FACES)
    says(page, "Started from image")
    badge = page.get_by_test_id("trust")
    expect(badge).to_contain_text("on the data")
    expect(badge).to_contain_text("0.0×")


@pytest.mark.parametrize("path", [FACES, DIGITS])
def test_picture_follows_while_dragging_and_the_link_keeps_it(visit: Visit, path: str) -> None:
    page, slider = open_walk(visit, path)
    seen = [pixels(page)]
    slider.grab()
    for share in (0.15, 0.4, 0.65, 0.9):
        count = painted(page)
        slider.move(share)
        eventually(lambda count=count: painted(page) > count, what="a picture mid-drag")
        next_frame(page)
        seen.append(pixels(page))
    page.mouse.up()
    assert len(set(seen)) == len(seen)
    eventually(lambda: is_told(page), what="the last value in the link")
    assert slider.share == pytest.approx(0.9, abs=0.02)
    assert_link_reopens(visit, page, slider)


def assert_link_reopens(visit: Visit, page: Page, slider: Slider) -> None:
    """The address opened in a fresh browser shows the same code and the very same pixels."""
    again = visit(address(page), fresh=True)
    other = Slider(again)
    wait_painted(again)
    assert pixels(again) == pixels(page)
    assert other.value == slider.value
    assert query(again) == query(page)


def test_no_move_is_lost(walk: Page) -> None:
    slider = Slider(walk)
    for share in (0.1, 0.8, 0.3, 0.9, 0.5, 0.2, 0.7, 0.4, 0.95, 0.6):
        slider.drag(share)
        assert slider.share == pytest.approx(share, abs=0.02)
        eventually(lambda: is_told(walk), what=f"{slider.value} in the link")
    assert slider.share == pytest.approx(0.6, abs=0.02)


def test_quick_moves_end_at_the_last_value(walk: Page) -> None:
    slider = Slider(walk)
    for share in (0.1, 0.8, 0.3, 0.9, 0.5):
        slider.drag(share)
    eventually(lambda: is_told(walk), what="the last value in the link")
    walk.wait_for_timeout(400)  # an earlier value that came late would be put back now
    assert slider.share == pytest.approx(0.5, abs=0.02)
    assert is_told(walk)


def test_keys_move_a_slider(walk: Page) -> None:
    slider = Slider(walk)
    slider.drag(0.3)
    next_frame(walk)
    before, start = pixels(walk), slider.value
    slider.input.focus()
    for _ in range(10):
        walk.keyboard.press("ArrowRight")
    assert slider.value == pytest.approx(start + 0.1, abs=0.011)
    eventually(lambda: pixels(walk) != before)


def test_random_mean_and_undo(walk: Page) -> None:
    mean, start = pixels(walk), query(walk)["z"]
    walk.get_by_role("button", name="Random code").click()
    eventually(lambda: pixels(walk) != mean, what="a random picture")
    wait_for_query(walk, "z", lambda z: z not in ("", start))
    drawn = pixels(walk)
    walk.get_by_role("button", name="Random code").click()
    eventually(lambda: pixels(walk) != drawn, what="another random picture")
    second = pixels(walk)
    walk.get_by_role("button", name="Undo").click()
    eventually(lambda: pixels(walk) == drawn, what="the earlier picture")
    walk.keyboard.press("y")
    eventually(lambda: pixels(walk) == second, what="the undone picture again")
    walk.keyboard.press("z")
    eventually(lambda: pixels(walk) == drawn, what="the earlier picture again")
    walk.get_by_role("button", name="Mean code").click()
    eventually(lambda: pixels(walk) == mean, what="the mean picture")
    wait_for_query(walk, "z", lambda z: z == start)


def test_without_temperature_a_random_code_is_the_mean(walk: Page) -> None:
    mean = pixels(walk)
    walk.get_by_role("button", name="Random code").click()
    eventually(lambda: pixels(walk) != mean)
    walk.get_by_test_id("temperature").fill("0")
    walk.get_by_role("button", name="Random code").click()
    eventually(lambda: pixels(walk) == mean, what="the mean picture")
    walk.get_by_test_id("temperature").fill("1")


def test_space_plays_the_last_slider_and_stops_there(walk: Page) -> None:
    slider = Slider(walk)
    slider.drag(0.2)
    walk.keyboard.press("Space")
    eventually(lambda: slider.share > 0.4, what="a slider that moves by itself")
    walk.keyboard.press("Space")
    stopped = slider.value
    eventually(lambda: is_told(walk), what="where it stopped in the link")
    assert slider.value == stopped
    walk.keyboard.press("z")
    eventually(lambda: slider.share == pytest.approx(0.2, abs=0.02), what="where play began")


def test_an_attribute_moves_the_picture_and_other_attributes(visit: Visit) -> None:
    page, _ = open_walk(visit, DIGITS)
    page.get_by_role("radio", name="Attributes", exact=True).click()
    page.get_by_text("\u03c3").first.wait_for()
    values, before = page.locator(".lx-value").all_inner_texts(), pixels(page)
    slider = Slider(page)
    slider.drag(0.85)
    eventually(lambda: pixels(page) != before)
    moved = page.locator(".lx-value").all_inner_texts()
    assert moved[0] != values[0]
    assert moved[1:] != values[1:]
    page.keyboard.press("z")
    eventually(lambda: pixels(page) == before, what="the picture before")
    assert page.locator(".lx-value").all_inner_texts() == values


def test_a_new_name_for_a_dimension_stays(walk: Page) -> None:
    walk.get_by_test_id("latent-slider-0").hover()
    walk.locator(".lx-pencil").first.click()
    walk.get_by_test_id("rename").fill("my own")
    walk.keyboard.press("Enter")
    label = re.compile("my own")
    expect(walk.get_by_test_id("latent-slider-0")).to_have_attribute("aria-label", label)
    # Python hears in order: once it knows of a later move, it knows the name.
    walk.get_by_role("button", name="Random code").click()
    eventually(lambda: is_told(walk), what="the random code in the link")
    walk.get_by_role("link", name="Home").first.click()
    says(walk, "Models here")
    walk.get_by_role("link", name="Walk").first.click()
    expect(walk.get_by_test_id("latent-slider-0")).to_have_attribute("aria-label", label)


def test_trust_falls_far_from_the_data(visit: Visit) -> None:
    page, _ = open_walk(visit, f"{DIGITS}&z=9,-9")
    expect(page.get_by_test_id("trust")).to_have_attribute("data-level", "1")
    page.get_by_role("button", name="Mean code").click()
    expect(page.get_by_test_id("trust")).not_to_have_attribute("data-level", "1")


def test_a_code_beyond_the_sliders_is_shown_as_it_is(visit: Visit) -> None:
    page, slider = open_walk(visit, f"{DIGITS}&z=9,-9")
    assert abs(slider.value) == pytest.approx(9, abs=0.011)
    assert code_in_url(page) == [9, -9]


def test_the_walk_survives_a_visit_elsewhere(walk: Page) -> None:
    slider = Slider(walk)
    slider.drag(0.9)
    eventually(lambda: is_told(walk))
    before, value = pixels(walk), slider.value
    walk.get_by_role("link", name="Home").first.click()
    says(walk, "Models here")
    walk.get_by_role("link", name="Walk").first.click()
    again = Slider(walk)
    wait_painted(walk)
    assert again.value == value
    assert pixels(walk) == before


def test_a_carried_code_replaces_an_earlier_walk(walk: Page) -> None:
    slider = Slider(walk)
    slider.drag(0.95)
    eventually(lambda: is_told(walk))
    walk.get_by_role("link", name="Explore").first.click()
    map_of(walk)
    click_map(walk, places_on(walk).points[1])
    eventually(lambda: pick_is_told(walk), what="the pick in the link")
    picked = pixels(walk)
    walk.get_by_role("button", name="Walk from here").click()
    says(walk, "Started from point")
    eventually(lambda: pixels(walk) == picked, what="the carried picture")


def test_another_model_gets_its_own_sliders(walk: Page) -> None:
    walk.get_by_label("Model", exact=True).click()
    walk.get_by_role("option", name="digits").click()
    wait_for_query(walk, "z", lambda z: z.count(",") == 1)
    eventually(lambda: walk.get_by_test_id("latent-slider-2").count() == 0)
    slider = Slider(walk)
    next_frame(walk)
    before = pixels(walk)
    slider.drag(0.1 if slider.share > 0.5 else 0.9)
    eventually(lambda: pixels(walk) != before)
    assert walk.locator(".lx-error").count() == 0
