"""Faces and sprites: reproducible, governed by their factors, and clear about mistakes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from vae_core.data import faces, sprites
from vae_core.data.factors import FactorSpec
from vae_core.data.look import HAIR_STYLES
from vae_core.errors import DataError

PLAIN = {"smile": 0.2, "glasses": 0.0, "hair_style": 1.0, "hair_colour": 1.0, "head_turn": 0.1}
FACE = {"skin_tone": 0.3, "eye_openness": 0.8, "brow": 0.0, "age_lines": 0.2, "background": 0.4}
BASE = PLAIN | FACE


def ids(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


def sprite(**steps: int) -> NDArray[np.uint8]:
    """One sprite at the given steps of its factors, else the largest in the middle."""
    place = {"shape": 0, "scale": 5, "orientation": 0, "x": 16, "y": 16} | steps
    number = np.ravel_multi_index(tuple(place.values()), tuple(sprites.SIZES.values()))
    image: NDArray[np.uint8] = sprites.render_sprites(ids(int(number)))[0, 0]
    return image


def centroid(image: NDArray[np.uint8]) -> tuple[float, float]:
    rows, columns = np.nonzero(image)
    return float(columns.mean()), float(rows.mean())


def test_a_face_depends_only_on_its_number_and_the_seed() -> None:
    together = faces.render_faces(ids(7, 3, 1_000_000), seed=2)
    alone = faces.render_faces(ids(3), seed=2)
    assert np.array_equal(together[1], alone[0])
    assert together.shape == (3, 3, 64, 64)


def test_another_seed_gives_other_faces() -> None:
    assert faces.face_factors(3, seed=0) != faces.face_factors(3, seed=1)


@pytest.mark.parametrize("spec", faces.FACTORS, ids=lambda spec: str(spec.name))
def test_every_factor_alone_changes_the_face(spec: FactorSpec) -> None:
    low, high = (faces.draw_face(BASE | {spec.name: v}) for v in (spec.low, spec.high))
    changed = np.abs(low.astype(int) - high).max(axis=0) > 8
    assert changed.sum() >= 20


@pytest.mark.parametrize("name", [s.name for s in faces.FACTORS if not s.categories])
def test_a_small_step_of_a_continuous_factor_is_a_small_change(name: str) -> None:
    before = faces.draw_face(BASE | {name: 0.5}).astype(int)
    after = faces.draw_face(BASE | {name: 0.51}).astype(int)
    assert 0 < np.abs(after - before).sum() < 0.01 * before.sum()


def test_a_darker_skin_tone_darkens_the_cheeks_step_by_step() -> None:
    tones = np.linspace(0, 1, 9)
    means = [faces.draw_face(BASE | {"skin_tone": t})[:, 38:44, 22:42].mean() for t in tones]
    assert all(a > b for a, b in pairwise(means))


def test_glasses_follow_the_turning_head() -> None:
    places = []
    for turn in (-1.0, 0.0, 1.0):
        bare, worn = (faces.draw_face(BASE | {"head_turn": turn, "glasses": g}) for g in (0, 3))
        places.append(centroid((bare != worn).any(axis=0).astype(np.uint8))[0])
    assert places[0] + 3 < places[1] < places[2] - 3


def test_categories_of_the_factors_are_all_drawn_and_named() -> None:
    drawn = [faces.face_factors(i) for i in range(200)]
    for spec in faces.FACTORS:
        values = {f[spec.name] for f in drawn}
        assert all(spec.low <= v <= spec.high for v in values)
        assert not spec.categories or len(values) == len(spec.categories)


def test_a_larger_portrait_shows_the_same_person() -> None:
    small, large = faces.draw_face(BASE), faces.draw_face(BASE, size=128)
    reduced = large.reshape(3, 64, 2, 64, 2).mean(axis=(2, 4))
    assert np.abs(reduced - small).mean() < 4


def test_a_set_of_faces_knows_labels_factors_and_split() -> None:
    made = faces.make_faces(30)
    style = made.factors["hair_style"]
    assert made.labels is not None and np.array_equal(made.labels, style.values)
    assert made.label_names == style.categories == HAIR_STYLES
    assert np.bincount(made.split).tolist() == [18, 2, 10]
    assert np.array_equal(made.images[4:6], faces.render_faces(ids(4, 5)))


def test_progress_ends_with_everything_done() -> None:
    calls: list[tuple[int, int]] = []
    faces.make_faces(70, progress=lambda done, total: calls.append((done, total)))
    assert len(calls) >= 2 and calls == sorted(calls) and calls[-1] == (70, 70)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"smile": 3.0}, "'smile' is 3.0"),
        ({"brow": float("nan")}, "'brow' is nan"),
        ({"hair_style": 1.5}, "whole number"),
        ({"beard": 1.0}, "beard"),
    ],
)
def test_impossible_factors_are_refused_by_name(change: dict[str, float], word: str) -> None:
    with pytest.raises(DataError, match=word):
        faces.draw_face(BASE | change)


def test_a_missing_factor_is_named() -> None:
    with pytest.raises(DataError, match="smile"):
        faces.draw_face(FACE)


def test_numbers_that_do_not_exist_are_refused() -> None:
    with pytest.raises(DataError, match="from 0 up"):
        faces.face_factors(-1)
    with pytest.raises(DataError, match="at least one"):
        faces.make_faces(0)
    with pytest.raises(DataError, match="8 or more"):
        faces.draw_face(BASE, size=0)


def test_sprite_factors_have_the_counts_of_dsprites() -> None:
    every = np.arange(sprites.N_SPRITES, dtype=np.int64)
    factors = sprites.sprite_factors(every)
    counts = {name: len(np.unique(f.values)) for name, f in factors.items()}
    assert counts == {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}
    assert sprites.N_SPRITES == 737_280


def test_sprites_are_black_and_white_and_clear_of_the_border() -> None:
    some = np.random.default_rng(0).integers(0, sprites.N_SPRITES, 1500)
    images = sprites.render_sprites(some)
    assert set(np.unique(images)) == {0, 255}
    assert images.any(axis=(1, 2, 3)).all()
    assert not images[:, :, [0, -1]].any() and not images[..., [0, -1]].any()


@pytest.mark.parametrize("shape", [0, 1, 2])
def test_x_and_y_move_a_sprite_and_scale_grows_it(shape: int) -> None:
    left, top = centroid(sprite(shape=shape, x=0, y=0))
    right, bottom = centroid(sprite(shape=shape, x=31, y=31))
    assert right - left == pytest.approx(32) and bottom - top == pytest.approx(32)
    small, large = sprite(shape=shape, scale=0), sprite(shape=shape, scale=5)
    assert (large > 0).sum() == pytest.approx(4 * (small > 0).sum(), rel=0.15)


def test_half_a_turn_changes_a_heart_but_hardly_an_ellipse() -> None:
    changed = [(sprite(shape=s, orientation=20) != sprite(shape=s)).mean() for s in (1, 2)]
    assert changed[0] < 0.01 < changed[1]


def test_a_set_of_sprites_holds_different_ones_and_grows_at_its_end() -> None:
    small, large = sprites.make_sprites(60), sprites.make_sprites(600)
    assert len(np.unique(large.ids)) == 600
    assert np.array_equal(small.images, large.images[:60])
    assert np.bincount(large.split).tolist() == [370, 30, 200]
    assert not np.array_equal(small.ids, sprites.make_sprites(60, seed=1).ids)


def test_sprites_out_of_range_are_refused() -> None:
    with pytest.raises(DataError, match="from 0 to 737279"):
        sprites.render_sprites(ids(0, 737_280))
    with pytest.raises(DataError, match="from 1 to 737280"):
        sprites.make_sprites(0)
