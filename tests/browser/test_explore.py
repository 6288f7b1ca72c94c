"""The map: click a point, click where nothing is, come back by link."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import (
    address,
    click_map,
    eventually,
    map_of,
    painted,
    pixels,
    places_on,
    query,
    says,
    wait_for_query,
    wait_painted,
)

FACES, DIGITS = "/explore?model=faces-tiny", "/explore?model=digits-2d"


def assert_link_reopens(visit: Visit, page: Page) -> None:
    """The address opened in a fresh browser shows the very same pixels."""
    again = visit(address(page), fresh=True)
    map_of(again)
    wait_painted(again)
    assert pixels(again) == pixels(page)
    assert query(again) == query(page)
    says(again, "nearest images in the")


@pytest.mark.parametrize("path", [FACES, f"{DIGITS}&map=umap"])
def test_click_on_a_point_shows_picture_details_and_link(visit: Visit, path: str) -> None:
    page = visit(path)
    point = places_on(page).points[0]
    before, count = pixels(page), painted(page)
    click_map(page, point)
    assert painted(page) == count + 1
    assert pixels(page) != before
    assert wait_for_query(page, "point").isdecimal()
    expect(page.get_by_role("heading", name=re.compile(r"^Image \d+$"))).to_be_visible()
    says(page, "reconstruction")
    expect(page.locator(".js-plotly-plot .errorbar").first).to_be_attached()
    expect(page.locator(".lxs-row").last.locator("img")).to_have_count(8)
    assert_link_reopens(visit, page)


@pytest.mark.parametrize("path", [f"{FACES}&map=2,5&colour=KL", DIGITS])
def test_click_where_nothing_is_decodes_that_place(visit: Visit, path: str) -> None:
    page = visit(path)
    places = places_on(page)
    click_map(page, places.points[0])
    before = pixels(page)
    click_map(page, places.empty)
    assert pixels(page) != before
    says(page, "Empty spot at")
    says(page, "An empty spot")
    x, y = wait_for_query(page, "at").split(",")
    assert (float(x), float(y)) != (0, 0)
    assert "point" not in query(page)
    assert_link_reopens(visit, page)


def test_every_click_counts(visit: Visit) -> None:
    page = visit(FACES)
    places = places_on(page)
    seen, count = [], painted(page)
    for index, point in enumerate(places.points[:6], start=1):
        click_map(page, point)
        assert painted(page) == count + index
        seen.append(pixels(page))
    assert len(set(seen)) == len(seen)
    last = page.locator(".lx-caption").inner_text()
    heading = page.get_by_role("heading", name=re.compile(r"^Image \d+$"))
    eventually(lambda: heading.inner_text().removeprefix("Image ") in last, what=last)


def test_hover_shows_what_a_point_is(visit: Visit) -> None:
    page = visit(DIGITS)
    chart, point = map_of(page), places_on(page).points[0]
    count = painted(page)
    chart.hover(position={"x": point[0], "y": point[1]})
    card = page.get_by_test_id("hover-card")
    expect(card).to_have_class("lx-card lx-on")
    assert "#" in card.inner_text()
    assert painted(page) == count


def test_arrow_keys_walk_over_the_map_and_enter_picks(visit: Visit) -> None:
    page = visit(FACES)
    map_of(page).focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
        seen.append(pixels(page))
    assert len(set(seen)) >= 4
    says(page, "Empty spot at")
    page.keyboard.press("Enter")
    assert wait_for_query(page, "point").isdecimal()


def test_another_map_and_colour_keep_the_picked_point(visit: Visit) -> None:
    page = visit(FACES)
    click_map(page, places_on(page).points[0])
    row, before = wait_for_query(page, "point"), pixels(page)
    page.get_by_label("Map", exact=True).click()
    page.get_by_role("option", name="PCA").click()
    wait_for_query(page, "map", lambda name: name == "pca")
    page.get_by_label("Colour by").click()
    page.get_by_role("option", name="reconstruction error").click()
    wait_for_query(page, "colour", lambda name: name == "reconstruction error")
    says(page, "√ squared error")
    map_of(page)
    assert pixels(page) == before
    assert query(page)["point"] == row


def test_a_pick_survives_a_visit_elsewhere(visit: Visit) -> None:
    page = visit(FACES)
    click_map(page, places_on(page).points[2])
    row, before = wait_for_query(page, "point"), pixels(page)
    page.get_by_role("link", name="Walk").click()
    page.get_by_test_id("latent-slider-0").wait_for()
    page.get_by_role("link", name="Explore").click()
    map_of(page)
    says(page, "nearest images in the")
    wait_painted(page)
    assert query(page)["point"] == row
    assert pixels(page) == before


def test_walk_from_here_carries_the_code(visit: Visit) -> None:
    page = visit(FACES)
    click_map(page, places_on(page).empty)
    wait_for_query(page, "at")
    before = pixels(page)
    page.get_by_role("button", name="Walk from here").click()
    page.get_by_test_id("latent-slider-0").wait_for()
    says(page, "Started from a spot on the map")
    assert pixels(page) == before


def test_home_map_is_alive(visit: Visit) -> None:
    page = visit("/?model=faces-tiny")
    places = places_on(page)
    count = painted(page)
    click_map(page, places.points[0])
    assert painted(page) == count + 1
    says(page, "Models here")
