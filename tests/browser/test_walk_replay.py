"""Whatever was done before, a link shows a colleague the very same pixels."""

from __future__ import annotations

from tests.browser.conftest import Visit
from tests.browser.driving import WALK
from tests.browser.wandering import wander


def test_links_after_random_actions_show_the_same_pixels(visit: Visit) -> None:
    page = visit("/walk?model=faces-tiny")
    page.locator(WALK).wait_for()
    found = wander(page, n=20, every=7, seed=3)
    assert found.actions.total() == 20
    assert found.replays.total() >= 2
    assert found.differing == []
