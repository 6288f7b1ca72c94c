"""Things that move are told from things that do not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vae_core.data.digits import load_digits
from vae_core.data.faces import make_faces
from vae_core.data.ground import centre_of_mass, ground_of
from vae_core.data.movement import LEAST_PICTURES, things_move
from vae_core.data.sprites import make_sprites

N = 48


def squares(*, shift: int, side: int = 6, ground: int = 0) -> NDArray[np.uint8]:
    """Squares at most `shift` pixels off the middle of 32×32 pictures, either way."""
    draw = np.random.default_rng(0)
    images = np.full((N, 1, 32, 32), ground, np.uint8)
    for image, (down, right) in zip(images, draw.integers(-shift, shift + 1, (N, 2)), strict=True):
        top, left = 16 + down - side // 2, 16 + right - side // 2
        image[0, top : top + side, left : left + side] = 255 - ground
    return images


def test_sprites_move_and_centred_sets_do_not() -> None:
    assert things_move(make_sprites(N, seed=3).images)
    assert not things_move(load_digits().images[:N])
    assert not things_move(make_faces(N, seed=3).images)


@pytest.mark.parametrize("ground", [0, 255])
def test_it_is_the_place_that_counts_not_the_polarity(ground: int) -> None:
    assert things_move(squares(shift=12, ground=ground))
    assert not things_move(squares(shift=2, ground=ground))


def test_both_directions_must_change() -> None:
    assert not things_move(np.sort(squares(shift=12), 3))


def test_large_things_are_not_small_ones() -> None:
    assert not things_move(squares(shift=6, side=20))


def test_nothing_to_see_is_no_movement() -> None:
    assert not things_move(np.zeros((N, 3, 8, 8), np.uint8))
    assert not things_move(squares(shift=12)[: LEAST_PICTURES - 1])
    assert not things_move(np.zeros((0, 1, 8, 8), np.uint8))
    rare = np.zeros((N, 1, 32, 32), np.uint8)
    rare[:3] = squares(shift=12)[:3]
    assert not things_move(rare)


def test_ground_is_the_border_of_each_channel_and_mass_has_its_middle() -> None:
    pixels = np.full((2, 3, 9, 7), 200, np.uint8)
    pixels[:, 1] = 10
    pixels[:, :, 4, 5] = 90
    np.testing.assert_array_equal(ground_of(pixels), [[200, 10, 200]] * 2)
    down, right = centre_of_mass(np.abs(pixels - ground_of(pixels)[..., None, None]))
    np.testing.assert_allclose(down, np.full((2, 3), 4))
    np.testing.assert_allclose(right, np.full((2, 3), 5))


def test_one_row_of_pixels_is_enough_to_ask() -> None:
    assert not things_move(np.random.default_rng(0).integers(0, 256, (N, 1, 1, 1), np.uint8))
