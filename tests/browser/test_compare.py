"""Linked maps and shared sliders: what is done to one model's picture shows on the others'."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import shared_tab
from tests.browser.driving import eventually, next_frame, says
from tests.browser.server import RunningApp

MAPS = "[data-testid=linked-maps][data-ready=true]"
SAME = "[data-testid=latent-same][data-ready=true]"
# How many pixels of a map's upper layer are painted: the chosen points and nothing else.
_MARKED = """
(stages) => stages.map((stage) => {
  const c = stage.lastElementChild;
  const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
  let n = 0;
  for (let i = 3; i < data.length; i += 4) n += data[i] > 0;
  return n;
})
"""


@pytest.fixture(scope="module")
def compare_tab(wide: BrowserContext, app: RunningApp) -> Iterator[Page]:
    """One tab on Compare that the tests of this file share."""
    with shared_tab(wide, f"{app.url}/compare?models=digits-2d,faces-tiny") as page:
        page.get_by_test_id("compare-rebuilt").wait_for()
        yield page


def marked(page: Page) -> list[int]:
    return list(page.get_by_test_id("linked-stage").evaluate_all(_MARKED))


def test_what_is_chosen_on_one_map_lights_up_on_all(compare_tab: Page) -> None:
    compare_tab.get_by_role("radio", name="Maps", exact=True).click()
    compare_tab.locator(MAPS).wait_for()
    assert marked(compare_tab) == [0, 0, 0]
    stage = compare_tab.get_by_test_id("linked-stage").nth(1)
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    reach = 0.42 * box["width"]
    around = [(-reach, -reach), (reach, -reach), (reach, reach), (-reach, reach)]
    compare_tab.mouse.move(middle[0] - reach, middle[1] - reach)
    compare_tab.mouse.down()
    for x, y in around:
        compare_tab.mouse.move(middle[0] + x, middle[1] + y, steps=4)
    compare_tab.mouse.up()
    assert min(marked(compare_tab)) > 30
    n = int(compare_tab.locator(MAPS).get_attribute("data-chosen") or 0)
    assert n > 1
    says(compare_tab, f"Chosen: {n}")
    compare_tab.get_by_role("button", name="Let go").click()
    assert marked(compare_tab) == [0, 0, 0]
    expect(compare_tab.get_by_test_id("compare-chosen")).to_have_count(0)


def test_one_slider_moves_all_pictures(compare_tab: Page) -> None:
    compare_tab.get_by_role("radio", name="Same code", exact=True).click()
    compare_tab.locator(SAME).wait_for()
    pictures = compare_tab.get_by_test_id("same-picture")
    script = "(all) => all.map((c) => c.toDataURL())"
    next_frame(compare_tab)
    before = list(pictures.evaluate_all(script))
    compare_tab.get_by_test_id("same-slider-0").fill("2.5")
    compare_tab.get_by_test_id("same-slider-1").fill("-2")
    eventually(
        lambda: all(a != b for a, b in zip(before, pictures.evaluate_all(script), strict=True)),
        what="every picture to change",
    )
    assert len(before) == 2
