"""What a person does and sees, as short functions on a playwright page."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

MAP = "[data-testid=latent-map]"
WALK = "[data-testid=latent-walk][data-ready=true]"
PICTURE = "[data-testid=decoded-image]"

# Pixel places on the map relative to its corner: the point with the most room around it, and the
# spot farthest from every point; none below the tools in the left upper corner.
_FIND_PLACES = """
(gd) => {
  const { xy, view } = gd.lxChart, w = gd.clientWidth, h = gd.clientHeight;
  const px = [];
  for (let i = 0; i < xy.length; i += 2) px.push(view.toPixel(xy[i], xy[i + 1]));
  const distance = ([x, y], [a, b]) => Math.hypot(a - x, b - y);
  const room = (at, self) =>
    px.reduce((least, p, i) => (i === self ? least : Math.min(least, distance(at, p))), 1e9);
  const free = (x, y) => x > 220 || y > 60;
  const inside = ([x, y]) => x > 20 && y > 20 && x < w - 20 && y < h - 20 && free(x, y);
  const points = px.map((p, i) => [inside(p) ? room(p, i) : -1, p]).sort((a, b) => b[0] - a[0]);
  const spots = [];
  for (let x = 15; x < w - 15; x += 12) for (let y = 15; y < h - 15; y += 12)
    if (free(x, y)) spots.push([room([x, y], -1), [x, y]]);
  spots.sort((a, b) => b[0] - a[0]);
  return { points: points.slice(0, 12).map((p) => p[1]), empty: spots[0][1] };
}
"""


@dataclass(frozen=True)
class Places:
    """Pixels from the map's left top corner."""

    points: list[tuple[float, float]]
    empty: tuple[float, float]


def map_of(page: Page) -> Locator:
    """The map, waited for until it can be clicked."""
    chart = page.locator(f"{MAP}[data-ready=true]")
    chart.wait_for()
    return chart


def places_on(page: Page) -> Places:
    """Points that stand apart, and the emptiest spot."""
    found = map_of(page).evaluate(_FIND_PLACES)
    return Places([tuple(p) for p in found["points"]], tuple(found["empty"]))


def click_map(page: Page, place: tuple[float, float]) -> None:
    """One click, away from the last one so that it is no double click."""
    map_of(page).click(position={"x": place[0], "y": place[1]})


def pick_is_told(page: Page) -> bool:
    """Whether Python has heard of the spot picked on the map and put it into the address bar."""
    script = "(gd) => gd.closest('.lx-root').parentElement.lxView.selected"
    picked, told = map_of(page).evaluate(script), query(page)
    if picked["kind"] == "point":
        return told.get("point") == str(picked["row"])
    at = [float(part) for part in told.get("at", "").split(",") if part]
    return bool(at) and np.allclose(at, [picked["x"], picked["y"]], atol=1e-3)


def pixels(page: Page) -> str:
    """The decoded picture's pixels as a PNG data URL."""
    return str(page.locator(PICTURE).evaluate("(canvas) => canvas.toDataURL()"))


def painted(page: Page) -> int:
    """How often the decoded picture was painted."""
    return int(page.locator(PICTURE).get_attribute("data-painted") or 0)


def wait_painted(page: Page) -> None:
    """Until there is a picture."""
    page.locator(f"{PICTURE}[data-painted]").wait_for()


def next_frame(page: Page) -> None:
    """Until what was asked for has been painted: elements paint in the next frame, not at once."""
    frames = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    page.evaluate(f"() => {frames}")


def swipe(page: Page, places: Sequence[tuple[float, float]]) -> None:
    """A finger is put down, moved and lifted, by pixels of the window."""
    finger = page.context.new_cdp_session(page)
    for index, (x, y) in enumerate(places):
        touch = {"type": "touchMove" if index else "touchStart", "touchPoints": [{"x": x, "y": y}]}
        finger.send("Input.dispatchTouchEvent", touch)
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    finger.detach()


def address(page: Page) -> str:
    """The address bar. Asked of the page: `page.url` stands still while Python sleeps."""
    return str(page.evaluate("() => location.href"))


def query(page: Page) -> dict[str, str]:
    """The query parameters of the address bar."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address(page)).query).items()}


def wait_for_query(page: Page, name: str, wanted: Callable[[str], bool] = bool) -> str:
    """The parameter's value, once it is there and as wanted."""
    eventually(lambda: wanted(query(page).get(name, "")), what=f"{name} in {address(page)}")
    return query(page)[name]


def eventually(
    condition: Callable[[], bool], *, what: object = "condition", seconds: float = 90
) -> None:
    """Poll until true; an assertion error that says what did not come."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"this did not come within {seconds} s: {what}"
        time.sleep(0.05)


def run_ended(page: Page) -> None:
    """Until the page's run is over. Ask it once something of that run is seen: not before."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def says(page: Page, text: str) -> None:
    """The page shows this text, soon."""
    expect(page.get_by_text(text).first).to_be_visible()


# ---- sliders -------------------------------------------------------------------------------------
class Slider:
    """One latent dimension's slider, moved by the mouse."""

    def __init__(self, page: Page, index: int = 0) -> None:
        self.page = page
        self.input = page.get_by_test_id(f"latent-slider-{index}")
        self.input.wait_for()
        self.input.scroll_into_view_if_needed()
        label = self.input.get_attribute("aria-label") or ""
        self.dim = int(re.findall(r"\d+", label)[0])

    @property
    def value(self) -> float:
        return float(self.input.input_value())

    def at(self, share: float) -> tuple[float, float]:
        """Window pixels of a share of the way, 0 left, 1 right."""
        box = self.input.bounding_box()
        assert box is not None
        return box["x"] + 8 + share * (box["width"] - 16), box["y"] + box["height"] / 2

    @property
    def share(self) -> float:
        low, high = (float(self.input.get_attribute(name) or 0) for name in ("min", "max"))
        return (self.value - low) / (high - low)

    def grab(self) -> None:
        self.page.mouse.move(*self.at(self.share))
        self.page.mouse.down()

    def move(self, share: float, *, steps: int = 3) -> None:
        self.page.mouse.move(*self.at(share), steps=steps)

    def drag(self, share: float) -> None:
        self.grab()
        self.move(share)
        self.page.mouse.up()


def code_in_url(page: Page) -> list[float]:
    """The code that the address bar holds."""
    return [float(part) for part in query(page).get("z", "").split(",") if part]


def code_on_sliders(page: Page) -> list[float]:
    """The code that the sliders of Walk stand at; the address bar follows when Python has heard."""
    script = "(root) => Array.from(root.parentElement.lxView.z)"
    return list(page.get_by_test_id("latent-walk").evaluate(script))


def is_told(page: Page) -> bool:
    """Whether Python has heard of the code on the sliders and put it into the address bar."""
    told, shown = code_in_url(page), code_on_sliders(page)
    return len(told) == len(shown) and np.allclose(told, shown, rtol=0, atol=1e-6)


def shown_pixels(canvas: Locator) -> NDArray[np.float64]:
    """What a canvas shows as `[H,W,3]`, 0 to 255."""
    script = (
        "(c) => [c.height, c.width, "
        "Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]"
    )
    height, width, values = canvas.evaluate(script)
    return np.array(values, np.float64).reshape(height, width, 4)[:, :, :3]
