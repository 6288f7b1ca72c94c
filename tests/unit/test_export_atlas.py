"""Sheets of originals: which picture lies where, and what is drawn again."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.fixtures import small_model, stripes
from vae_core.errors import DataError
from vae_core.export import atlas
from vae_core.latent.codes import Codes, encode_set

IMAGES = stripes(40)
CODES = encode_set(small_model(), IMAGES)
SHAPE = (1, 8, 8)
SOURCE = {"source": "stripes"}


def find(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    return IMAGES.images[ids]


@pytest.fixture(autouse=True)
def _small_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlas, "PER_SHEET", 16)
    monkeypatch.setattr(atlas, "COLUMNS", 4)


def fresh(source: str, codes: Codes = CODES) -> atlas.AtlasPlan:
    return atlas.plan_atlas(codes, SHAPE, source={"source": source})


def test_every_original_lies_at_its_place_unchanged() -> None:
    plan = fresh("places")
    sheets = [np.array(Image.open(io.BytesIO(s))) for s in atlas.atlas_sheets(find, CODES, plan)]
    assert len(sheets) == plan.n_sheets == 3
    for row in (0, 5, 17, 39):
        sheet, at = divmod(row, 16)
        top, left = 8 * (at // 4), 8 * (at % 4)
        tile = sheets[sheet][top : top + 8, left : left + 8, 0]
        assert (tile == find(CODES.ids[[row]])[0, 0]).all()


def test_large_pictures_are_shrunk_in_proportion() -> None:
    plan = atlas.plan_atlas(CODES, (3, 128, 64), source=SOURCE)
    assert (plan.height, plan.width) == (32, 16)
    pixels = np.full((2, 3, 128, 64), 200, np.uint8)
    assert Image.open(io.BytesIO(atlas.sheet_bytes_of(pixels, plan))).size == (4 * 16, 32)


def test_sheets_are_drawn_once_and_then_read() -> None:
    plan, asked = fresh("once"), []

    def counted(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        asked.append(len(ids))
        return find(ids)

    first = list(atlas.atlas_sheets(counted, CODES, plan))
    assert sum(asked) == 40
    assert list(atlas.atlas_sheets(counted, CODES, plan)) == first
    assert sum(asked) == 40


def test_what_was_drawn_before_an_error_is_kept() -> None:
    plan = fresh("broken")

    def broken(ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        return find(ids)[: 1 if ids.max() > 20 else None]

    with pytest.raises(DataError, match="1 originals"):
        list(atlas.atlas_sheets(broken, CODES, plan))
    assert [path.name for path in plan.folder.iterdir()] == ["0.webp"]


def test_other_ids_or_another_source_are_another_atlas() -> None:
    other = replace(CODES, ids=CODES.ids[::-1].copy())
    assert len({fresh("a").key, fresh("b").key, fresh("a", other).key}) == 3
    assert fresh("a").key == fresh("a").key


def test_beyond_the_limit_there_are_no_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlas, "MAX_TILES", 20)
    plan = fresh("limit")
    assert (plan.n, plan.n_sheets) == (20, 2)
    assert list(plan.rows(1)) == [16, 17, 18, 19]
