"""Directions worth walking along, what each is worth, and what single dimensions mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vae_core.data.imageset import Factor
from vae_core.errors import ConfigError, DataError
from vae_core.latent.codes import Codes
from vae_core.latent.directions import (
    Direction,
    attribute_direction,
    dimension_directions,
    direction_plane,
    factor_directions,
    label_directions,
    name_dimensions,
    principal_directions,
    project_on,
    step,
)

Floats = NDArray[np.float32]
NAMES = ("left", "middle", "right")


def normal(n: int, n_latent: int, *, seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    return random.standard_normal((n, n_latent)).astype(np.float32)


def known(n: int = 600) -> Codes:
    """Five dimensions: size, side (a label and a category), spin (by distance from 0), two idle.

    The last does not vary at all.
    """
    mean, zero = normal(n, 5), np.zeros(n, np.float32)
    mean[:, 4] = 0.3
    side = np.digitize(mean[:, 1], [-0.7, 0.7])
    factors = {
        "size": Factor(mean[:, 0] * 3 + 5),
        "side": Factor(side.astype(np.float32), NAMES),
        "spin": Factor(mean[:, 2] ** 2),
        "heads": Factor((normal(n, 1, seed=3)[:, 0] > 0).astype(np.float32), ("no", "yes")),
        "same": Factor(np.ones(n, np.float32)),
    }
    split = (np.arange(n) % 2 * 2).astype(np.uint8)
    return Codes(
        np.arange(n, dtype=np.int64), split, mean, np.zeros_like(mean), zero, zero,
        np.zeros_like(mean), n, side.astype(np.int64), NAMES, factors,
    )  # fmt: skip


CODES = known()


def by_name(directions: Sequence[Direction]) -> dict[str, Direction]:
    return {direction.name: direction for direction in directions}


def two_groups(shift: float, *, n: int = 400, n_latent: int = 6) -> Floats:
    """Unit Gaussians, the second half moved by `shift` along the first dimension."""
    codes = normal(n, n_latent)
    codes[n // 2 :, 0] += shift
    return codes


def test_two_groups_give_the_way_from_one_to_the_other_and_its_true_effect() -> None:
    codes = two_groups(2.0)
    found = attribute_direction(codes, range(200, 400), range(200), name="moved")
    assert found.vector[0] > 0.98 and np.linalg.norm(found.vector) == pytest.approx(1)
    assert found.quality == pytest.approx(2.0, abs=0.25)
    assert found.scale == pytest.approx((codes @ found.vector).std(), rel=1e-4)
    assert found.chance_95 is not None and found.chance_95 < 0.4
    assert found.text.startswith("effect size d 2.0") or found.text.startswith("effect size d 1.9")


def test_groups_that_mean_nothing_have_the_effect_of_chance() -> None:
    codes, inside = normal(300, 40), np.random.default_rng(5).permutation(300)
    found = attribute_direction(codes, inside[:20], inside[20:40], name="nothing")
    assert found.quality is not None and found.chance_95 is not None
    # Measured on the rows it was fitted on, 40 dimensions would give an effect above 2.
    assert found.quality < 2 * found.chance_95 < 1.5
    assert found.chance_mean == pytest.approx(0, abs=0.15)


def test_swapped_groups_turn_the_direction_round() -> None:
    codes = two_groups(1.0)
    there = attribute_direction(codes, range(200), range(200, 400), name="a")
    back = attribute_direction(codes, range(200, 400), range(200), name="b")
    np.testing.assert_allclose(there.vector, -back.vector, atol=1e-6)


def test_the_seed_decides_the_figure_and_nothing_else() -> None:
    codes = two_groups(1.0, n=60)
    a, b, c = (
        attribute_direction(codes, range(30), range(30, 60), name="a", seed=seed)
        for seed in (0, 0, 1)
    )
    assert (a.quality, a.chance_95) == (b.quality, b.chance_95)
    assert a.quality != c.quality
    np.testing.assert_array_equal(a.vector, c.vector)


def test_single_codes_give_a_direction_without_a_figure() -> None:
    found = attribute_direction(CODES.mean, [3], [8], name="pair")
    apart = CODES.mean[3] - CODES.mean[8]
    np.testing.assert_allclose(found.vector, apart / np.linalg.norm(apart), atol=1e-6)
    assert found.quality is found.chance_95 is None
    assert "not measured" in found.text


def test_groups_without_any_spread_have_no_finite_effect() -> None:
    codes = np.repeat(np.eye(2, dtype=np.float32), 20, axis=0)
    assert attribute_direction(codes, range(20), range(20, 40), name="a").quality is None


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ([], [1], "No codes are selected"),
        ([1], [600], "Rows from 600 to 600"),
        ([1, 2, 3], [3, 4], "1 codes are in both groups of 3 and 2"),
    ],
)
def test_groups_that_cannot_be_are_refused(a: list[int], b: list[int], said: str) -> None:
    with pytest.raises(DataError, match=said):
        attribute_direction(CODES.mean, a, b, name="a")


def test_groups_in_the_same_place_are_refused() -> None:
    codes = np.full((20, 3), 0.1, np.float32)
    with pytest.raises(DataError, match="10 and 10 codes of the two groups have the same mean"):
        attribute_direction(codes, range(10), range(10, 20), name="a")


def test_codes_that_are_not_finite_are_refused() -> None:
    broken = CODES.mean.copy()
    broken[0, 0] = np.nan
    codes = replace(CODES, mean=broken)
    for build in (label_directions, factor_directions, name_dimensions):
        with pytest.raises(DataError, match="no NaN or infinity"):
            build(codes)
    with pytest.raises(DataError, match="no NaN or infinity"):
        attribute_direction(broken, [1], [2], name="a")


def test_each_label_stands_against_the_rest() -> None:
    found = by_name(label_directions(CODES))
    assert tuple(found) == NAMES
    assert found["left"].vector[1] < -0.95 and found["right"].vector[1] > 0.95
    middle, right = found["middle"], found["right"]
    assert right.quality is not None and middle.quality is not None
    assert right.quality > 2 > 0.5 > middle.quality


def test_unknown_labels_belong_to_no_group() -> None:
    labels = np.full(600, -1)
    labels[:10], labels[10:30] = 0, 2
    left, right = label_directions(replace(CODES, labels=labels))
    assert (left.name, right.name) == ("left", "right")
    expected = CODES.mean[:10].mean(0) - CODES.mean[10:30].mean(0)
    np.testing.assert_allclose(left.vector, expected / np.linalg.norm(expected), atol=1e-5)


def test_without_labels_or_with_one_there_is_no_direction() -> None:
    for labels in (None, np.zeros(600, np.int64), np.full(600, -1)):
        assert label_directions(replace(CODES, labels=labels)) == ()


def test_factors_are_found_where_they_were_put() -> None:
    found = by_name(factor_directions(CODES))
    assert list(found) == ["size", *(f"side: {name}" for name in NAMES), "spin", "heads: yes"]
    assert found["size"].vector[0] > 0.999 and found["size"].quality_name == "R²"
    assert (found["size"].quality or 0) > 0.99
    right = found["side: right"]
    assert right.vector[1] > 0.99 and right.quality_name == "AUROC"
    assert (right.quality or 0) > 0.98


def test_what_no_line_reads_scores_like_nothing_on_held_out_rows() -> None:
    found = by_name(factor_directions(CODES))
    assert (found["spin"].quality or 0) < 0.1
    assert 0.4 < (found["heads: yes"].quality or 0) < 0.6


def test_test_rows_measure_and_never_fit() -> None:
    turned = np.where(CODES.split == 2, -1, 1) * CODES.factors["size"].values
    found = factor_directions(replace(CODES, factors={"size": Factor(turned)}))
    assert found[0].vector[0] > 0.99
    assert found[0].quality is not None and found[0].quality < 0


def test_few_codes_give_directions_without_figures() -> None:
    few = known(12)
    for direction in factor_directions(few):
        assert direction.quality is None
        assert np.linalg.norm(direction.vector) == pytest.approx(1, abs=1e-5)
    assert all(name.text in (None, "unused") for name in name_dimensions(few))
    assert factor_directions(known(1)) == ()


def test_factors_may_be_unknown_in_places() -> None:
    size = CODES.factors["size"].values.copy()
    size[::3] = np.nan
    nothing = Factor(np.full(600, np.nan, np.float32))
    codes = replace(CODES, factors={"size": Factor(size), "nothing": nothing})
    (found,) = factor_directions(codes)
    assert (found.quality or 0) > 0.99
    assert (name_dimensions(codes)[0].score or 0) > 0.95


def test_principal_directions_share_the_variance() -> None:
    codes = normal(500, 4) * np.array([4, 2, 1, 0], np.float32)
    found = principal_directions(codes, 9)
    assert [d.name for d in found] == [f"principal axis {k}" for k in (1, 2, 3)]
    assert sum(d.quality or 0 for d in found) == pytest.approx(1, abs=1e-5)
    assert found[0].scale == pytest.approx(4, rel=0.1)
    with pytest.raises(ConfigError, match="0 principal axes were asked for"):
        principal_directions(codes, 0)


def test_dimensions_come_in_order_of_what_they_carry() -> None:
    kl = np.tile(np.array([1, 3, 2, 0.5, 0], np.float32), (600, 1))
    found = dimension_directions(replace(CODES, kl_nats=kl))
    assert [d.name for d in found][:3] == ["dimension 1", "dimension 2", "dimension 0"]
    assert (found[0].quality, found[0].quality_name) == (3.0, "KL in nats")
    assert found[-1].scale == pytest.approx(0, abs=1e-6)


def test_a_step_is_one_standard_deviation() -> None:
    direction = principal_directions(CODES.mean, 1)[0]
    moved = step(CODES.mean, direction, amount=-1.5)
    along = (moved - CODES.mean) @ direction.vector
    np.testing.assert_allclose(along, -1.5 * direction.scale, rtol=1e-4)
    assert step(CODES.mean[0], direction, amount=2).shape == (5,)
    with pytest.raises(DataError, match="expected as many"):
        step(np.zeros(4, np.float32), direction, amount=1)


def test_the_map_runs_along_the_direction_and_square_to_it() -> None:
    codes = normal(400, 4) * np.array([1, 5, 2, 1], np.float32) + 3
    direction = attribute_direction(codes, range(50), range(50, 400), name="a")
    places, plane = project_on(codes, direction), direction_plane(codes, direction)
    np.testing.assert_allclose(places[:, 0], codes @ direction.vector, atol=1e-4)
    assert places[:, 1].mean() == pytest.approx(0, abs=1e-4)
    assert plane.axes[0] @ plane.axes[1] == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(plane.transform(plane.inverse(places)), places, atol=1e-4)


def test_the_second_axis_holds_the_most_of_what_is_left() -> None:
    codes = normal(400, 3) * np.array([5, 3, 1], np.float32)
    first = principal_directions(codes, 1)[0]
    assert project_on(codes, first)[:, 1].std() == pytest.approx(3, rel=0.1)


def test_one_dimension_leaves_nothing_for_the_second_axis() -> None:
    codes = normal(50, 1)
    places = project_on(codes, principal_directions(codes, 1)[0])
    np.testing.assert_allclose(np.abs(places[:, 0]), np.abs(codes[:, 0]), atol=1e-5)
    assert not places[:, 1].any()


def test_dimensions_are_named_after_what_they_tell() -> None:
    size, side, spin, idle, flat = name_dimensions(CODES)
    assert size.text is not None and size.text.startswith("size, R² 0.9")
    assert side.text in ("side: left, AUROC 1.00", "side: right, AUROC 1.00")
    # Neither high nor low but far from 0: no line would see it.
    assert spin.text is not None and spin.text.startswith("spin, R² 0.")
    assert idle.text is None and idle.score is not None
    assert (flat.text, flat.target) == ("unused", None)


def test_chance_names_no_dimension() -> None:
    codes = replace(CODES, mean=normal(600, 5, seed=9))
    assert [name.text for name in name_dimensions(codes)] == [None] * 5


def test_a_yes_or_no_is_named_once_and_without_its_answer() -> None:
    yes = Factor((CODES.mean[:, 3] > 0).astype(np.float32), ("no", "yes"))
    codes = replace(CODES, factors={"hat": yes}, labels=None)
    assert name_dimensions(codes)[3].text == "hat, AUROC 1.00"
    assert [d.name for d in factor_directions(codes)] == ["hat: yes"]


def test_a_dimension_of_two_values_counts_ties_half() -> None:
    heads, mean = CODES.factors["heads"], CODES.mean.copy()
    is_wrong = np.arange(600) % 20 < 4
    mean[:, 3] = np.where(is_wrong, 1 - heads.values, heads.values)
    name = name_dimensions(replace(CODES, mean=mean, factors={"heads": heads}, labels=None))[3]
    # With a share of 0.2 wrong on either side the area is that of two straight lines, 0.8.
    assert name.score == pytest.approx(0.8, abs=0.03)
