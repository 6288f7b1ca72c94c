"""The grid between four corners: decoded in the browser, judged, clicked, taken away."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.driving import (
    code_in_url,
    eventually,
    pixels,
    query,
    run_ended,
    says,
    shown_pixels,
)
from vae_core.checkpoint import Checkpoint
from vae_core.examine import decode, snap
from vae_core.latent.paths import corner_grid

READY = "[data-testid=latent-grid][data-ready=true]"


@pytest.fixture
def grid(walk_tab: Page) -> Page:
    """The shared tab at the grid."""
    walk_tab.get_by_role("radio", name="Grid", exact=True).click()
    walk_tab.locator(READY).wait_for()
    return walk_tab


def cells(page: Page) -> list[str]:
    """All pictures of the grid, once the page rests."""
    run_ended(page)
    page.locator(READY).wait_for()
    script = "(all) => all.map((c) => c.toDataURL())"
    return list(page.locator(".lx-cell canvas").evaluate_all(script))


def taken(page: Page, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def codes_taken(page: Page) -> np.ndarray:
    with np.load(BytesIO(taken(page, "npz"))) as found:
        return np.array(found["codes"])


def test_the_cells_show_what_torch_decodes_between_the_corners(
    grid: Page, faces_checkpoint: Checkpoint
) -> None:
    codes = codes_taken(grid)
    corners = codes[[0, 6, 42, 48]]
    assert np.abs(codes - snap(corner_grid(corners, 7, 7))).max() <= 1.1e-3
    for cell in (0, 17, 48):
        seen = shown_pixels(grid.locator(".lx-cell canvas").nth(cell))
        wanted = decode(faces_checkpoint, codes[cell][None])[0].transpose(1, 2, 0) * 255
        assert np.abs(seen - wanted).max() <= 2


def test_every_cell_says_how_real_it_is(grid: Page) -> None:
    assert grid.locator(".lx-cell").count() == 49
    assert grid.locator(".lx-cell[data-level]").count() == 49
    names = grid.locator(".lx-cell").evaluate_all("(all) => all.map((b) => b.ariaLabel)")
    assert all("walk from here" in name for name in names)


def test_arrow_keys_look_from_cell_to_cell(grid: Page) -> None:
    grid.locator(".lx-cell").first.focus()
    expect(grid.get_by_test_id("grid-place")).to_have_text("Row 1, column 1")
    first = pixels(grid)
    grid.keyboard.press("ArrowRight")
    grid.keyboard.press("ArrowDown")
    expect(grid.get_by_test_id("grid-place")).to_have_text("Row 2, column 2")
    assert pixels(grid) != first


def test_a_spherical_grid_and_random_corners_are_other_codes(grid: Page) -> None:
    straight = cells(grid)
    grid.get_by_role("radio", name="spherical", exact=True).click()
    eventually(lambda: cells(grid) != straight, what="another grid")
    assert [cells(grid)[i] for i in (0, 6, 42, 48)] == [straight[i] for i in (0, 6, 42, 48)]
    grid.get_by_role("button", name="Four random codes").click()
    eventually(lambda: cells(grid)[0] != straight[0], what="a new corner")
    drawn = cells(grid)
    grid.get_by_role("radio", name="straight", exact=True).click()
    # The tests that follow find the grid at rest.
    eventually(lambda: cells(grid) != drawn, what="the straight grid between the new corners")


def test_a_sheet_holds_all_cells(grid: Page) -> None:
    cells(grid)
    with Image.open(BytesIO(taken(grid, "PNG sheet"))) as sheet:
        assert sheet.width == sheet.height
        assert sheet.width % 7 == 0


def test_a_click_walks_from_the_cell(grid: Page) -> None:
    cells(grid)
    wanted = codes_taken(grid)[10]
    grid.locator(".lx-cell").nth(10).hover()
    expect(grid.get_by_test_id("grid-place")).to_have_text("Row 2, column 4")
    picture = pixels(grid)
    grid.locator(".lx-cell").nth(10).click()
    says(grid, "Started from row 2, column 4 of the straight grid")
    grid.locator("[data-testid=latent-walk][data-ready=true]").wait_for()
    eventually(lambda: pixels(grid) == picture, what="the cell's picture")
    eventually(lambda: "z" in query(grid) and np.allclose(code_in_url(grid), wanted, atol=1e-6))
