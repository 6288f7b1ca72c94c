"""The sheet of pictures and words: what lies where, and that nothing runs out of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vae_core.errors import ConfigError
from vae_core.export.contact import MARGIN, Band, contact_sheet

GREY = np.full((4, 1, 28, 28), 77, np.uint8)


def pixels(data: bytes) -> NDArray[np.uint8]:
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


def n_grey(sheet: NDArray[np.uint8]) -> int:
    return int((sheet == 77).all(2).sum())


def test_every_picture_is_on_the_sheet_enlarged_without_blur() -> None:
    sheet = pixels(contact_sheet([Band("a", GREY), Band("b", GREY[:1])], title="t"))
    assert n_grey(sheet) == 5 * 84 * 84


def test_a_long_band_goes_on_in_the_next_line() -> None:
    one, many = (
        pixels(contact_sheet([Band("a", np.repeat(GREY, times, 0))], title="t")) for times in (1, 6)
    )
    assert many.shape[1] <= 1_200
    assert many.shape[0] >= one.shape[0] + 84
    assert n_grey(many) == 24 * 84 * 84


def test_words_are_cut_and_never_leave_the_sheet() -> None:
    long = "nothing but words " * 60
    sheet = pixels(contact_sheet([Band(long, GREY, [long] * 4)], title=long, lines=[long]))
    assert (sheet[:, : MARGIN - 1] == 255).all()
    assert (sheet[:, -MARGIN + 1 :] == 255).all()


def test_large_pictures_shrink_and_reals_are_taken_too() -> None:
    sheet = pixels(contact_sheet([Band("a", np.full((1, 3, 256, 512), 0.5))], title="t"))
    assert int((sheet == 128).all(2).sum()) == 128 * 64


def test_a_sheet_without_pictures_is_an_error() -> None:
    with pytest.raises(ConfigError, match="No picture"):
        contact_sheet([Band("a", GREY[:0])], title="t")
