"""Sums of codes as a person makes them, against the arithmetic itself."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.browser.driving import PICTURE, WALK, eventually, query, says, shown_pixels, wait_painted
from tests.browser.wandering import rest
from vae_core.checkpoint import Checkpoint
from vae_core.examine import decode, snap
from vae_core.export import read_plain


def chosen_row(page: Page, letter: str, checkpoint: Checkpoint) -> int:
    """The row of the image that a letter of the sum stands for."""
    shown = page.get_by_role("combobox", name=letter, exact=True)
    words = str(shown.evaluate("(node) => node.value || node.closest('.stSelectbox').innerText"))
    number = re.search(r"image (\d+)", words)
    assert number is not None, words
    return int(np.flatnonzero(checkpoint.codes.ids == int(number[1]))[0])


def test_a_minus_b_plus_c_is_that_sum(visit: Visit, faces_checkpoint: Checkpoint) -> None:
    page = visit("/walk?model=faces-tiny")
    page.locator(WALK).wait_for()
    page.get_by_role("radio", name="Arithmetic", exact=True).click()
    page.get_by_test_id("sum-result").wait_for()
    a, b, c = (faces_checkpoint.codes.mean[chosen_row(page, x, faces_checkpoint)] for x in "ABC")
    wanted = snap(a - b + c)
    rest(page)
    page.get_by_role("button", name="Walk from here").click()
    page.locator(WALK).wait_for()
    wait_painted(page)

    def is_there() -> bool:
        found = read_plain(query(page).get("z", ""), n_latent=8)
        return found is not None and bool(np.abs(found - wanted).max() < 1e-6)

    eventually(is_there, what=f"{wanted} in the link")
    rest(page)
    picture = decode(faces_checkpoint, wanted[None])[0].transpose(1, 2, 0) * 255
    assert np.abs(shown_pixels(page.locator(PICTURE)) - picture).max() <= 2


def test_a_sweep_can_be_taken_as_a_sheet(visit: Visit) -> None:
    page = visit("/walk?model=faces-tiny")
    page.locator(WALK).wait_for()
    page.get_by_role("radio", name="Export", exact=True).click()
    says(page, "PNG is a sheet of all frames")
    rest(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="PNG", exact=True).click()
    with Image.open(BytesIO(Path(waiting.value.path()).read_bytes())) as sheet:
        assert sheet.format == "PNG"
        # Thirty frames, ten beside each other.
        assert sheet.width * 3 == sheet.height * 10
