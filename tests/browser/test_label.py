"""Names given to points of the map, and what all others are taken for."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import click_map, map_of, places_on, says
from tests.browser.test_regions import draw


def pick(page: Page, place: tuple[float, float]) -> None:
    """Click there and wait until the page asks for the name of just that point."""
    click_map(page, place)
    number = re.search(r"#(\d+)", page.locator(".lx-caption").inner_text())
    assert number is not None
    says(page, f"Image {number[1]},")


def type_name(page: Page, text: str) -> None:
    """Type a name for what is chosen and give it."""
    field = page.get_by_role("combobox", name="Class")
    field.click()
    field.fill(text)
    # The list of choices opens below the words.
    page.get_by_role("option", name=text).first.wait_for()
    field.press("Enter")
    page.get_by_role("button", name="Name it", exact=True).click()


def give_name(page: Page, text: str) -> None:
    """Name the point that is chosen."""
    type_name(page, text)
    says(page, f", named {text}")


def test_two_named_points_name_all_others_and_undo_takes_a_name_back(visit: Visit) -> None:
    page = visit("/label?model=digits-2d")
    map_of(page)
    first, second = places_on(page).points[:2]
    legend = page.locator(".lx-legend")
    pick(page, first)
    give_name(page, "round")
    says(page, "One class has a name so far")
    expect(page.locator(".lx-mark-text")).to_have_text(["round"])
    pick(page, second)
    says(page, "not named yet")
    give_name(page, "<b>long</b>")
    expect(legend).to_contain_text("predicted class")
    expect(legend).to_contain_text("<b>long</b>")
    says(page, "The names are your own")
    page.get_by_role("radio", name="Uncertainty").click()
    expect(legend).to_contain_text("uncertainty")
    page.get_by_role("button", name="Undo").click()
    says(page, "One class has a name so far")
    expect(page.locator(".lx-mark-text")).to_have_text(["round"])


def test_a_region_is_named_at_once_and_a_suggestion_by_its_pin(visit: Visit) -> None:
    page = visit("/label?model=digits-2d")
    n = draw(page, tool="box", left=0.02, top=0.1, right=0.6, bottom=0.98)
    says(page, f"{n:,} points of the region")
    type_name(page, "left")
    says(page, f"{n:,} points of the region, {n:,} of them named")
    says(page, "One class has a name so far")
    page.locator("[class*=_pin] button").first.click()
    says(page, "not named yet")
    give_name(page, "right")
    says(page, "The names are your own")
