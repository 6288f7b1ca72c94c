"""Regions, groups, vectors, rankings: what one does with many points of the map at once."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import (
    click_map,
    eventually,
    map_of,
    next_frame,
    places_on,
    query,
    run_ended,
    says,
    wait_for_query,
    wait_painted,
)
from vae_core.checkpoint import load_checkpoint
from vae_core.examine import snap
from vae_core.latent.trust import calibrate_trust, trust_of

FACES = "/explore?model=faces-tiny"


def draw(page: Page, *, tool: str, left: float, top: float, right: float, bottom: float) -> int:
    """Draw a box, or a lasso along the same border, by shares of the map; the rows inside."""
    chart = map_of(page)
    page.get_by_test_id(f"tool-{tool}").click()
    box = chart.bounding_box()
    assert box is not None
    x = [box["x"] + share * box["width"] for share in (left, right)]
    y = [box["y"] + share * box["height"] for share in (top, bottom)]
    page.mouse.move(x[0], y[0])
    page.mouse.down()
    for i, j in ((1, 0), (1, 1), (0, 1)) if tool == "lasso" else ((1, 1),):
        page.mouse.move(x[i], y[j], steps=4)
    page.mouse.up()
    return int(chart.get_attribute("data-chosen") or 0)


def inside(page: Page, **border: float) -> int:
    """How many points lie within these shares of the map, counted apart."""
    return int(
        map_of(page).evaluate(
            """(gd, { left, top, right, bottom }) => {
              const { xy, view: { x0, x1, y0, y1 } } = gd.lxChart;
              let n = 0;
              for (let i = 0; i < xy.length; i += 2) {
                const u = (xy[i] - x0) / (x1 - x0), v = (y1 - xy[i + 1]) / (y1 - y0);
                if (u > left && u < right && v > top && v < bottom) n++;
              }
              return n;
            }""",
            border,
        )
    )


@pytest.mark.parametrize("tool", ["lasso", "box"])
def test_a_region_counts_the_points_within_it_and_says_what_they_are(
    visit: Visit, tool: str
) -> None:
    page = visit(FACES)
    border = {"left": 0.02, "top": 0.1, "right": 0.5, "bottom": 0.98}
    expected = inside(page, **border)
    assert draw(page, tool=tool, **border) == expected > 0
    says(page, f"{expected} images, ")
    says(page, "the average code, decoded")
    says(page, "Along its own principal axes")


def test_a_click_without_a_line_takes_the_region_away(visit: Visit) -> None:
    page = visit(FACES)
    assert draw(page, tool="box", left=0.02, top=0.1, right=0.98, bottom=0.98) > 0
    says(page, "of those on the map")
    click_map(page, (30, 200))
    says(page, "No region is chosen.")
    assert map_of(page).get_attribute("data-chosen") == "0"


def test_two_groups_make_a_vector_that_becomes_a_map(visit: Visit) -> None:
    page = visit(FACES)
    for left, right in ((0.02, 0.45), (0.55, 0.98)):
        n = draw(page, tool="box", left=left, top=0.12, right=right, bottom=0.98)
        says(page, f"{n} images, ")
        run_ended(page)  # until then the form below may be that of the last region
        page.get_by_label("Name", exact=True).fill(f"from {left}")
        page.get_by_role("button", name="Keep as a group").click()
        says(page, f"Kept 'from {left}'")
    page.get_by_role("radio", name="Groups and vectors").click()
    says(page, "effect size d")
    page.get_by_role("button", name="Keep this vector").click()
    says(page, "Kept. It is a slider")
    page.wait_for_timeout(2_000)  # the page runs anew, which would close an open menu
    run_ended(page)
    page.get_by_label("Map", exact=True).click()
    page.keyboard.press("ArrowDown")
    page.get_by_role("option", name=re.compile("^vector ")).click()
    expect(page.locator(".lx-axis-x")).to_contain_text("from 0.02")


def share_painted(canvas: Locator) -> float:
    """Share of a canvas's pixels that are not clear."""
    script = """(c) => {
      const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
      let n = 0;
      for (let i = 3; i < data.length; i += 4) n += data[i] > 0;
      return n / (c.width * c.height);
    }"""
    return float(canvas.evaluate(script))


def test_a_few_points_in_view_become_originals_or_reconstructions(visit: Visit) -> None:
    page = visit(FACES)
    words, front = page.get_by_test_id("picture-count"), page.get_by_test_id("pictures")
    expect(words).to_have_text(re.compile(r"^\d+ originals$"))
    originals, share = front.evaluate("(canvas) => canvas.toDataURL()"), share_painted(front)
    assert share > 0
    page.get_by_test_id("tool-originals").click()
    expect(words).to_contain_text("pictures, as the model rebuilds them")
    # The reconstructions are painted in slices.
    eventually(lambda: share_painted(front) == share, what="as many pictures")
    assert front.evaluate("(canvas) => canvas.toDataURL()") != originals
    page.get_by_test_id("tool-originals").click()
    eventually(lambda: front.evaluate("(canvas) => canvas.toDataURL()") == originals)
    page.get_by_test_id("tool-pictures").click()
    expect(words).to_have_text("")


def test_the_worst_image_can_be_shown_on_the_map(visit: Visit) -> None:
    page = visit(FACES)
    page.get_by_role("radio", name="Worst and best").click()
    says(page, "24 of ")
    worst = page.get_by_role("radiogroup", name=re.compile("^Why")).get_by_role("radio").first
    number = worst.inner_text()
    worst.click()
    page.get_by_role("button", name="Show it on the map").click()
    expect(page.locator(".lx-caption")).to_contain_text(f"#{number}")


def test_an_image_is_found_by_its_number(visit: Visit, tiny_checkpoints: Path) -> None:
    ids = load_checkpoint(tiny_checkpoints / "faces-tiny").codes.ids
    page = visit(FACES)
    wait_painted(page)
    field = page.get_by_label("Find image", exact=True)
    field.fill(str(ids[-1]))
    field.press("Enter")
    expect(page.locator(".lx-caption")).to_contain_text(f"#{ids[-1]}")
    assert wait_for_query(page, "point") == str(len(ids) - 1)
    field.fill("no such")
    field.press("Enter")
    says(page, "No image 'no such' is on this map")


def test_the_badge_says_what_python_says(visit: Visit, tiny_checkpoints: Path) -> None:
    checkpoint = load_checkpoint(tiny_checkpoints / "faces-tiny")
    codes = checkpoint.codes
    scale = calibrate_trust(
        codes.mean, log_std=codes.log_std, held_out=codes.held_out, max_held_out=1_000
    )
    page = visit(f"{FACES}&map=pca")
    click_map(page, places_on(page).empty)
    wait_for_query(page, "at")
    place = np.array([[float(v) for v in query(page)["at"].split(",")]], np.float32)
    z = snap(checkpoint.maps["pca"].inverse(place))
    expected = trust_of(scale, z)
    badge = page.get_by_test_id("trust")
    eventually(lambda: str(expected.verdict[0]).split()[0] in badge.inner_text(), what=expected)
    assert f"{expected.distance[0]:.1f}×" in badge.inner_text()


def test_the_legend_hides_what_lies_outside_its_handles(visit: Visit) -> None:
    page = visit(f"{FACES}&colour=reconstruction error")
    everything = {"left": 0.02, "top": 0.12, "right": 0.98, "bottom": 0.98}
    all_of_them = draw(page, tool="box", **everything)
    handle = page.get_by_test_id("filter-low")
    handle.evaluate("(end) => { end.value = (Number(end.min) + Number(end.max)) / 2; }")
    handle.dispatch_event("input")
    expect(page.get_by_test_id("point-count")).to_have_text(re.compile(r"^\d+ of 120 of 120"))
    shown = int(page.get_by_test_id("point-count").inner_text().split()[0])
    assert 0 < draw(page, tool="box", **everything) <= shown < all_of_them


def test_a_kind_is_found_by_its_name_and_becomes_the_region(
    visit: Visit, tiny_checkpoints: Path
) -> None:
    codes = load_checkpoint(tiny_checkpoints / "faces-tiny").codes
    assert codes.labels is not None
    n = int((codes.labels == codes.label_names.index("curly")).sum())
    page = visit(FACES)
    wait_painted(page)
    field = page.get_by_label("Find image", exact=True)
    field.fill("curly")
    field.press("Enter")
    says(page, f"{n} images, ")
    expect(page.locator(".lx-legend")).to_contain_text("label:curly")
    expect(page.locator(".lx-caption")).to_contain_text("curly")


def test_a_row_of_the_table_goes_to_its_point(visit: Visit, tiny_checkpoints: Path) -> None:
    ids = load_checkpoint(tiny_checkpoints / "faces-tiny").codes.ids
    page = visit(FACES)
    n = draw(page, tool="box", left=0.02, top=0.1, right=0.98, bottom=0.98)
    says(page, f"{n} images, ")
    run_ended(page)
    table = page.get_by_test_id("stDataFrame")
    table.scroll_into_view_if_needed()
    page.wait_for_timeout(1_000)  # the grid is drawn anew while the page settles
    table.click(position={"x": 16, "y": 38 + 17 + 35})
    row = int(wait_for_query(page, "point"))
    expect(page.locator(".lx-caption")).to_contain_text(f"#{ids[row]}")
    says(page, f"{n} images, ")


def test_a_direction_is_tried_on_the_picked_spot_without_the_server(visit: Visit) -> None:
    page = visit(FACES, fresh=True)
    page.get_by_role("radio", name="Groups and vectors").click()
    walk = page.locator("[data-testid=latent-walk][data-ready=true]")
    slider = walk.get_by_test_id("latent-slider-0")
    slider.scroll_into_view_if_needed()
    picture = walk.get_by_test_id("decoded-image")
    next_frame(page)
    before = picture.evaluate("(canvas) => canvas.toDataURL()")
    page.context.set_offline(True)
    slider.evaluate("(end) => { end.value = end.max; end.dispatchEvent(new Event('input')); }")
    eventually(lambda: picture.evaluate("(canvas) => canvas.toDataURL()") != before)
    page.context.set_offline(False)
    expect(walk.get_by_label("Random code", exact=True)).to_be_hidden()
