"""Agreement of two codes of the same images: known-good, known-bad, and degenerate ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.compare import (
    best_of,
    linear_cka,
    neighbour_agreement,
    relative_spread,
)

N = 400


def normal(n: int = N, d: int = 6, *, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def rotation(d: int, *, seed: int = 3) -> NDArray[np.float64]:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


@pytest.mark.parametrize("k", [1, 10, 50, N - 1])
def test_identical_codes_agree_entirely(k: int) -> None:
    found = neighbour_agreement(normal(), normal(), k=k)
    assert found.share == 1
    assert found.per_image.min() == 1


def test_rotated_shifted_and_scaled_codes_agree_entirely() -> None:
    moved = 3 * (normal() @ rotation(6)) + 7
    assert neighbour_agreement(normal(), moved, k=10).share == pytest.approx(1, abs=2e-3)
    assert linear_cka(normal(), moved) == pytest.approx(1)


@pytest.mark.parametrize("k", [10, 50])
def test_unrelated_codes_agree_by_chance(k: int) -> None:
    found = neighbour_agreement(normal(), normal(d=9, seed=1), k=k)
    assert found.chance == k / (N - 1)
    assert found.share == pytest.approx(found.chance, rel=0.2)


def test_constant_codes_agree_by_chance() -> None:
    found = neighbour_agreement(normal(), np.full((N, 2), 5.3), k=10)
    assert found.share == pytest.approx(found.chance)
    assert np.isnan(linear_cka(normal(), np.full((N, 2), 5.3)))


@pytest.mark.parametrize("n", [4, 5, 20, 100])
def test_one_image_apart_from_equal_ones_has_no_alignment(n: int) -> None:
    lone = np.zeros((n, 3))
    lone[0] = [1, 2, 3]
    assert np.isnan(linear_cka(lone, normal(n)))
    assert np.isnan(linear_cka(lone, lone))


def test_duplicated_images_do_not_lower_agreement() -> None:
    twice = np.repeat(normal(40), 5, axis=0)
    assert neighbour_agreement(twice, twice, k=7).share == pytest.approx(1)
    assert linear_cka(twice, twice) == pytest.approx(1)


def test_ties_share_the_places_left() -> None:
    # Seen from 0, the images at 1 are one place for two: half of it is shared with the one at 1.
    first = np.array([[0.0], [1.0], [-1.0], [9.0]])
    second = np.array([[0.0], [1.0], [-2.0], [9.0]])
    assert neighbour_agreement(first, second, k=1).per_image[0] == 0.5


def test_half_of_the_code_kept_lies_between_chance_and_all() -> None:
    kept = normal() * np.array([1, 1, 1, 0, 0, 0])
    found = neighbour_agreement(normal(), kept, k=10)
    assert 3 * found.chance < found.share < 0.8


def test_agreement_is_symmetric_and_in_the_order_of_the_rows() -> None:
    a, b = normal(300), normal(300) + 0.4 * normal(300, seed=5)
    there, back = neighbour_agreement(a, b, k=10), neighbour_agreement(b, a, k=10)
    assert np.allclose(there.per_image, back.per_image)
    order = np.random.default_rng(0).permutation(300)
    assert np.allclose(neighbour_agreement(a[order], b[order], k=10).per_image,
                       there.per_image[order])  # fmt: skip


def test_unrelated_codes_have_no_alignment_whatever_their_size() -> None:
    found = [linear_cka(normal(60, 200, seed=s), normal(60, 150, seed=s + 50)) for s in range(8)]
    assert abs(float(np.mean(found))) < 0.03


def test_alignment_tells_a_strong_direction_from_a_weak_one() -> None:
    weights = np.array([5.0, 1, 1, 1, 1, 1])
    strong = (normal() * weights)[:, :1]
    weak = (normal() * weights)[:, 1:2]
    assert linear_cka(normal() * weights, strong) > 0.9 > linear_cka(normal() * weights, weak)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros((5, 2)), np.zeros((6, 2))),
        (np.zeros(5), np.zeros(5)),
        (np.full((5, 2), np.nan), np.zeros((5, 2))),
    ],
)
def test_codes_that_do_not_pair_are_refused(first: np.ndarray, second: np.ndarray) -> None:
    for measure in (linear_cka, lambda a, b: neighbour_agreement(a, b, k=1)):
        with pytest.raises(DataError):
            measure(first, second)


@pytest.mark.parametrize("k", [0, 5])
def test_more_neighbours_than_images_are_refused(k: int) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 4"):
        neighbour_agreement(normal(5), normal(5), k=k)


def test_the_best_value_is_found_among_those_that_exist() -> None:
    assert best_of([24.3, None, 24.9, math.nan], "higher") == (2,)
    assert best_of([0.00426, 0.00390, 0.003901], "lower") == (1, 2)
    assert best_of([3.0, 3.0], "higher") == ()
    assert best_of([3.0, None], "higher") == ()
    assert best_of([1.0, 2.0], "") == ()


def test_a_group_holds_together_or_not() -> None:
    codes = np.concatenate([normal(200), normal(200) * 0.1 + 9])
    near, some = np.arange(200, 400), np.arange(0, 400, 7)
    assert relative_spread(codes, near) < 0.05
    assert relative_spread(codes, some) == pytest.approx(1, abs=0.1)
    assert relative_spread(codes, np.array([5])) == 0
    assert math.isnan(relative_spread(np.ones((4, 2)), np.array([0, 1])))
