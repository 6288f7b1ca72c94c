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


def heading_of_pick(page: Page) -> str:
    """The number of the image below the map."""
    heading = page.get_by_role("heading", name=re.compile(r"^Image \d+$"))
    return heading.inner_text().removeprefix("Image ")


def pick(page: Page, place: int) -> str:
    """Click that point and wait until the page speaks of it; → the point in the address."""
    click_map(page, places_on(page).points[place])
    caption = page.locator(".lx-caption").inner_text()
    # The address may still hold an earlier pick; it changes before the details do.
    eventually(lambda: f"#{heading_of_pick(page)} " in f"{caption} ", what=caption)
    return wait_for_query(page, "point")


def assert_link_reopens(visit: Visit, page: Page, *, fresh: bool) -> None:
    """The address opened anew, or in a fresh browser, shows the very same pixels."""
    again = visit(address(page), fresh=fresh)
    map_of(again)
    wait_painted(again)
    # The first picture may be of the map's own choice.
    eventually(lambda: pixels(again) == pixels(page), what="the picture of the link")
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
    assert heading_of_pick(page)
    says(page, "reconstruction")
    expect(page.locator(".js-plotly-plot .errorbar").first).to_be_attached()
    expect(page.locator(".lxs-row").last.locator("img")).to_have_count(8)
    assert_link_reopens(visit, page, fresh=path == FACES)


@pytest.mark.parametrize("path", [f"{FACES}&map=2,5&colour=KL", DIGITS])
def test_click_where_nothing_is_decodes_that_place(visit: Visit, path: str) -> None:
    page = visit(path)
    before = pixels(page)
    click_map(page, places_on(page).empty)
    assert pixels(page) != before
    says(page, "Empty spot at")
    says(page, "An empty spot")
    x, y = wait_for_query(page, "at").split(",")
    assert (float(x), float(y)) != (0, 0)
    assert "point" not in query(page)
    assert_link_reopens(visit, page, fresh=False)


def test_home_map_is_alive(tab: Page) -> None:
    places, count = places_on(tab), painted(tab)
    click_map(tab, places.points[0])
    assert painted(tab) == count + 1
    says(tab, "Models here")


def test_every_click_counts(explore: Page) -> None:
    places, count, seen = places_on(explore), painted(explore), []
    for index, point in enumerate(places.points[:6], start=1):
        click_map(explore, point)
        assert painted(explore) == count + index
        seen.append(pixels(explore))
    assert len(set(seen)) == len(seen)
    last = explore.locator(".lx-caption").inner_text()
    eventually(lambda: f"#{heading_of_pick(explore)} " in f"{last} ", what=last)


def test_hover_shows_what_a_point_is(explore: Page) -> None:
    point, count = places_on(explore).points[0], painted(explore)
    map_of(explore).hover(position={"x": point[0], "y": point[1]})
    card = explore.get_by_test_id("hover-card")
    expect(card).to_have_class("lx-card lx-on")
    assert "#" in card.inner_text()
    assert painted(explore) == count


def test_arrow_keys_walk_over_the_map_and_enter_picks(explore: Page) -> None:
    map_of(explore).focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"):
        explore.keyboard.press(key)
        seen.append(pixels(explore))
    assert len(set(seen)) >= 4
    says(explore, "Empty spot at")
    wait_for_query(explore, "at")
    explore.keyboard.press("Enter")
    assert wait_for_query(explore, "point").isdecimal()


def test_a_pick_survives_a_visit_elsewhere(explore: Page) -> None:
    row, before = pick(explore, 2), pixels(explore)
    explore.get_by_role("link", name="Walk").first.click()
    explore.get_by_test_id("latent-slider-0").wait_for()
    explore.get_by_role("link", name="Explore").first.click()
    map_of(explore)
    says(explore, "nearest images in the")
    eventually(lambda: pixels(explore) == before, what="the picture of the pick")
    assert wait_for_query(explore, "point") == row


def test_walk_from_here_carries_the_code(explore: Page) -> None:
    click_map(explore, places_on(explore).empty)
    says(explore, "An empty spot")
    before = pixels(explore)
    explore.get_by_role("button", name="Walk from here").click()
    explore.get_by_test_id("latent-slider-0").wait_for()
    says(explore, "Started from a spot on the map")
    eventually(lambda: pixels(explore) == before, what="the same picture on Walk")


def test_another_map_and_colour_keep_the_picked_point(explore: Page) -> None:
    row, before = pick(explore, 0), pixels(explore)
    explore.get_by_label("Map", exact=True).click()
    explore.get_by_role("option", name="PCA").click()
    wait_for_query(explore, "map", lambda name: name == "pca")
    explore.get_by_label("Colour by").click()
    explore.get_by_role("option", name="reconstruction error").click()
    wait_for_query(explore, "colour", lambda name: name == "reconstruction error")
    says(explore, "√ squared error")
    map_of(explore)
    assert pixels(explore) == before
    assert query(explore)["point"] == row
