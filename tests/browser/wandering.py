"""Random actions on Walk and Explore, and whether a link opened afresh shows the same picture."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from playwright.sync_api import Page

from tests.browser.driving import (
    WALK,
    Slider,
    address,
    eventually,
    is_told,
    map_of,
    pick_is_told,
    pixels,
    run_ended,
    wait_painted,
)

# The sliders are told to Python after 250 ms; a second click within 400 would be a double click.
REST_MS = 700


@dataclass
class Tally:
    """Actions done by name; links opened by kind, and those that showed other pixels."""

    actions: Counter[str] = field(default_factory=Counter)
    replays: Counter[str] = field(default_factory=Counter)
    differing: list[str] = field(default_factory=list)


class Wanderer:
    """One tab that does one random thing after another; `replay` opens its link in a new one."""

    def __init__(self, page: Page, *, seed: int) -> None:
        self.page, self.chance, self.tally = page, random.Random(seed), Tally()
        self.place = "walk"

    def act(self) -> str:
        """One random action of those the place allows; says which."""
        choices: dict[str, dict[str, Callable[[], None]]] = {
            "walk": {
                "slider drag": self._drag, "key nudges": self._nudge, "random": self._random,
                "undo": lambda: self._history("undo"), "redo": lambda: self._history("redo"),
                "plane drag": self._plane, "path stop": self._path_stop,
                "to explore": self._to_explore,
            },
            "explore": {
                "map click": self._click_map, "more map clicks": self._click_map,
                "walk from here": self._walk_from_here, "to walk": self._to_walk,
            },
        }  # fmt: skip
        name = self.chance.choice(list(choices[self.place]))
        choices[self.place][name]()
        self.tally.actions[name.removeprefix("more ").removesuffix("s")] += 1
        return name

    def replay(self) -> bool:
        """Whether the links to the present state show, in fresh tabs, the very same pixels."""
        rest(self.page)
        shown = pixels(self.page)
        links = {f"address of {self.place}": address(self.page)}
        if self.place == "walk":
            links["permalink"] = self._permalink()
            shown_again = pixels(self.page)
            if shown_again != shown:
                self.tally.differing.append("the walk itself, after a visit to Export")
        for kind, link in links.items():
            self.tally.replays[kind] += 1
            if not self._shows(link, shown):
                self.tally.differing.append(f"{kind}: {link}")
        return not self.tally.differing

    def _shows(self, link: str, wanted: str) -> bool:
        fresh = self.page.context.new_page()
        try:
            fresh.goto(link)
            fresh.locator(WALK).wait_for() if self.place == "walk" else map_of(fresh)
            wait_painted(fresh)
            # The first picture may be of a map's own choice until the link's spot is picked.
            until = time.monotonic() + 10
            while pixels(fresh) != wanted and time.monotonic() < until:
                time.sleep(0.1)
            rest(fresh)
            return pixels(fresh) == wanted
        finally:
            fresh.close()

    def _permalink(self) -> str:
        self._turn_to("Export")
        link = self.page.get_by_text("code=z1.").inner_text().replace("\n", "")
        self._turn_to("Sliders")
        self.page.locator(WALK).wait_for()
        wait_painted(self.page)
        rest(self.page)
        return link

    def _turn_to(self, section: str) -> None:
        self.page.get_by_role("radio", name=section, exact=True).click()
        rest(self.page)

    # ---- on Walk ---------------------------------------------------------------------------------
    def _slider(self) -> Slider:
        sliders = self.page.locator("[data-testid^=latent-slider]:visible").count()
        return Slider(self.page, self.chance.randrange(min(sliders, 6)))

    def _drag(self) -> None:
        self._slider().drag(self.chance.uniform(0.02, 0.98))

    def _nudge(self) -> None:
        self._slider().input.focus()
        key = self.chance.choice(("ArrowLeft", "ArrowRight"))
        for _ in range(self.chance.randint(1, 12)):
            self.page.keyboard.press(key)

    def _random(self) -> None:
        self.page.get_by_role("button", name="Random code").click()

    def _history(self, way: str) -> None:
        self.page.keyboard.press({"undo": "z", "redo": "y"}[way])

    def _plane(self) -> None:
        pad = self.page.get_by_test_id("plane-pad")
        if not pad.is_visible():
            self.page.get_by_text("Two sliders as a plane").click()
        pad.scroll_into_view_if_needed()
        box = pad.bounding_box()
        assert box is not None
        places = [(self.chance.random(), self.chance.random()) for _ in range(3)]
        spots = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in places]
        self.page.mouse.move(*spots[0])
        self.page.mouse.down()
        for spot in spots[1:]:
            self.page.mouse.move(*spot, steps=4)
        self.page.mouse.up()

    def _path_stop(self) -> None:
        self._turn_to("Paths")
        stops = self.page.get_by_role("combobox", name="From, through, to")
        stops.click()
        for _ in range(self.chance.choice((0, 1, 3))):
            self.page.keyboard.press("Backspace")
        options = self.page.get_by_role("option", name=re.compile("image|code"))
        options.first.wait_for()
        options.nth(self.chance.randrange(options.count())).click()
        self.page.keyboard.press("Escape")
        rest(self.page)
        self._turn_to("Sliders")
        self.page.locator(WALK).wait_for()
        wait_painted(self.page)

    def _to_explore(self) -> None:
        rest(self.page)
        self.page.get_by_role("link", name="Explore").first.click()
        map_of(self.page)
        rest(self.page)
        self.place = "explore"
        self._click_map()

    # ---- on Explore ------------------------------------------------------------------------------
    def _click_map(self) -> None:
        rest(self.page)
        box = map_of(self.page).bounding_box()
        assert box is not None
        # Clear of the tools in the left upper corner.
        x, y = (self.chance.uniform(low, 0.95) for low in (0.35, 0.1))
        map_of(self.page).click(position={"x": box["width"] * x, "y": box["height"] * y})
        eventually(lambda: pick_is_told(self.page), what="the pick in the link")
        rest(self.page)

    def _walk_from_here(self) -> None:
        self.page.get_by_role("button", name="Walk from here").first.click()
        self._arrive()

    def _to_walk(self) -> None:
        self.page.get_by_role("link", name="Walk").first.click()
        self._arrive()

    def _arrive(self) -> None:
        self.page.locator(WALK).wait_for()
        wait_painted(self.page)
        rest(self.page)
        self.place = "walk"


def rest(page: Page) -> None:
    """Until what was done last has been told to Python and answered."""
    page.wait_for_timeout(REST_MS)
    if "/walk" in address(page) and page.locator(WALK).count():
        eventually(lambda: is_told(page), what="the sliders' code in the link")
    run_ended(page)


def wander(page: Page, *, n: int, every: int, seed: int = 0) -> Tally:
    """n random actions from the Walk page on, each `every`-th followed by a replay."""
    wanderer = Wanderer(page, seed=seed)
    for count in range(1, n + 1):
        wanderer.act()
        if count % every == 0:
            wanderer.replay()
    return wanderer.tally
