"""The scatter itself: panning, zooming, colours, density, contours."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import eventually, map_of, pixels, places_on

FACES = "/explore?model=faces-tiny&map=pca"

# Draws N random points of two kinds in place of the map's own: the first half left of x = 0.
_DRAW = """
(gd, n) => {
  const chart = gd.lxChart, xy = new Float32Array(2 * n), values = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    values[i] = i < n / 2 ? 0 : 1;
    xy[2 * i] = (values[i] ? 1 : -1) * (0.2 + Math.random());
    xy[2 * i + 1] = Math.random();
  }
  const colour = { label: "side", kind: "categories", names: ["left", "right"], values };
  const projection = { id: `made ${n}` };
  return chart.draw({ xy, colour, projection, backdrop: null, look: chart.look });
}
"""


@pytest.fixture
def page(visit: Visit) -> Page:
    """The map of the tiny faces."""
    return visit(FACES)


def view(page: Page) -> dict[str, float]:
    """The map's borders and scale."""
    return dict(map_of(page).evaluate("(gd) => ({ ...gd.lxChart.view })"))


def ink(page: Page, *, left: bool) -> list[float]:
    """Mean red, green, blue of what is painted in one half, weighted by its opacity."""
    script = """(canvas, left) => {
      const pen = canvas.getContext("2d"), half = canvas.width >> 1;
      const { data } = pen.getImageData(left ? 0 : half, 0, half, canvas.height);
      const sums = [0, 0, 0, 0];
      for (let i = 0; i < data.length; i += 4) for (let c = 0; c < 4; c++)
        sums[c] += data[i + 3] * (c === 3 ? 1 : data[i + c]);
      return sums.slice(0, 3).map((sum) => sum / sums[3]);
    }"""
    return list(page.get_by_test_id("points").evaluate(script, left))


def test_dragging_moves_the_map_by_the_way_of_the_mouse(page: Page) -> None:
    before, shown = view(page), pixels(page)
    box = map_of(page).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 360, box["y"] + 270, steps=5)
    page.mouse.up()
    after = view(page)
    assert (before["x0"] - after["x0"]) * before["sx"] == pytest.approx(60, abs=1)
    assert (before["y0"] - after["y0"]) * before["sy"] == pytest.approx(30, abs=1)
    assert pixels(page) == shown  # a drag picks nothing


def test_the_wheel_zooms_about_the_pointer_and_a_double_click_resets(page: Page) -> None:
    before = view(page)
    box = map_of(page).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 400)
    page.mouse.wheel(0, -500)
    eventually(lambda: view(page)["sx"] > 1.5 * before["sx"], what="a closer view")
    after = view(page)
    under = [at["x0"] + 200 / at["sx"] for at in (before, after)]
    assert under[0] == pytest.approx(under[1], abs=1 / before["sx"])
    x, y = places_on(page).empty
    map_of(page).dblclick(position={"x": x, "y": y})
    eventually(lambda: view(page) == before, what="the whole map")


@pytest.mark.parametrize(("n", "kind"), [(400, "points"), (200_000, "density")])
def test_each_kind_is_painted_in_its_colour(page: Page, n: int, kind: str) -> None:
    map_of(page).evaluate(_DRAW, n)
    expect(page.get_by_test_id("points")).to_have_attribute("data-kind", kind)
    blue, orange = ink(page, left=True), ink(page, left=False)
    assert blue == pytest.approx([0x00, 0x72, 0xB2], abs=6)
    assert orange == pytest.approx([0xE6, 0x9F, 0x00], abs=6)


def test_kinds_that_step_back_are_grey_and_lie_below(page: Page) -> None:
    # Two kinds at the same place: the first row is drawn last unless its kind steps back.
    script = """(gd) => {
      const chart = gd.lxChart, xy = new Float32Array([0, 0, 0, 0, 1, 1]);
      const values = new Uint8Array([1, 0, 0]);
      const colour = { kind: "categories", names: ["rest", "found"], values, muted: [0] };
      const projection = { id: "made of three" };
      return chart.draw({ xy, colour, projection, backdrop: null, look: chart.look });
    }"""
    map_of(page).evaluate(script)
    orange, grey = ink(page, left=True), ink(page, left=False)
    assert orange[0] > orange[2] + 80
    assert max(grey) - min(grey) < 8


def test_density_becomes_points_when_few_are_in_view(page: Page) -> None:
    chart = map_of(page)
    chart.evaluate(_DRAW, 200_000)
    expect(page.get_by_test_id("points")).to_have_attribute("data-kind", "density")
    chart.evaluate("(gd) => gd.lxChart.zoomAt(300, 300, 6)")
    expect(page.get_by_test_id("points")).to_have_attribute("data-kind", "points")
    assert int(chart.evaluate("(gd) => gd.lxChart.n_in_view")) < 150_000


def test_contours_hold_the_shares_they_name(page: Page) -> None:
    # Random crossings of a horizontal ray with the outermost line say which points lie inside.
    script = """async (gd) => {
      const chart = gd.lxChart;
      chart.want("contours", true);
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      const { xy, lines } = chart;
      return lines.map((pieces) => {
        let inside = 0;
        for (let i = 0; i < xy.length; i += 2) {
          let odd = false;
          for (let k = 0; k < pieces.length; k += 4) {
            const [ax, ay, bx, by] = pieces.subarray(k, k + 4);
            if ((ay > xy[i + 1]) !== (by > xy[i + 1])
              && xy[i] < ax + (xy[i + 1] - ay) / (by - ay) * (bx - ax)) odd = !odd;
          }
          if (odd) inside++;
        }
        return inside / (xy.length / 2);
      });
    }"""
    map_of(page).evaluate(_DRAW, 4_000)
    found: Any = map_of(page).evaluate(script)
    assert found == pytest.approx([0.5, 0.8, 0.95], abs=0.06)
