"""Disentanglement scores on codes whose structure is known: good, bad, doubled, dead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from vae_core.data.imageset import Factor
from vae_core.errors import DataError
from vae_core.evaluate.dci import dci, disentanglement
from vae_core.evaluate.factors import factor_vae_score, mig, sap

Array = NDArray[np.float32]
N = 2_000


def some_factors(n: int = N, *, seed: int = 0) -> dict[str, Factor]:
    """Two continuous factors and one of two categories, independent of each other."""
    random = np.random.default_rng(seed)
    return {
        "x": Factor(random.random(n, np.float32)),
        "y": Factor(random.random(n, np.float32)),
        "kind": Factor(random.integers(0, 2, n).astype(np.float32), ("round", "square")),
    }


FACTORS = some_factors()
PERFECT: Array = np.stack([f.values * 4 - 2 for f in FACTORS.values()], 1)
NOISE: Array = np.random.default_rng(1).normal(size=(N, 5)).astype(np.float32)
ROTATION = np.array([[2, -1, 2], [2, 2, -1], [-1, 2, 2]], np.float32) / 3
MIXED: Array = ((PERFECT - PERFECT.mean(0)) / PERFECT.std(0)) @ ROTATION

SCORES: dict[str, Callable[[Array, dict[str, Factor]], float]] = {
    "mig": lambda codes, factors: mig(codes, factors).score,
    "sap": lambda codes, factors: sap(codes, factors).score,
    "dci": lambda codes, factors: dci(codes, factors).disentanglement or 0.0,
    "completeness": lambda codes, factors: dci(codes, factors).completeness or 0.0,
    "votes": lambda codes, factors: factor_vae_score(codes, factors).score,
}
every_score = pytest.mark.parametrize("score", SCORES.values(), ids=SCORES.keys())


@every_score
def test_one_dimension_per_factor_scores_high(
    score: Callable[[Array, dict[str, Factor]], float],
) -> None:
    # The SAP of a factor of two categories can at best be 1 − 1/2: on average (1+1+.5)/3.
    best = 2.5 / 3 if score is SCORES["sap"] else 1.0
    assert 0.93 * best < score(PERFECT, FACTORS) <= best


@pytest.mark.parametrize("name", ["mig", "sap", "dci", "completeness"])
def test_a_rotation_costs_most_of_the_score(name: str) -> None:
    assert SCORES[name](MIXED, FACTORS) < 0.5 * SCORES[name](PERFECT, FACTORS)


@pytest.mark.parametrize("name", ["mig", "sap"])
def test_a_doubled_code_has_no_gap(name: str) -> None:
    assert SCORES[name](np.hstack([PERFECT, PERFECT]), FACTORS) == 0


def test_a_doubled_code_stays_disentangled_but_not_complete() -> None:
    doubled = dci(np.hstack([PERFECT, PERFECT]), FACTORS)
    assert doubled.disentanglement and doubled.disentanglement > 0.9
    assert doubled.completeness and doubled.completeness < 0.8


@every_score
def test_dead_dimensions_do_no_harm(score: Callable[[Array, dict[str, Factor]], float]) -> None:
    dead = np.full((N, 2), 0.1, np.float32)
    assert score(np.hstack([dead, PERFECT]), FACTORS) >= score(PERFECT, FACTORS) - 1e-6


@every_score
def test_codes_that_say_nothing_score_nothing(
    score: Callable[[Array, dict[str, Factor]], float],
) -> None:
    assert score(np.full((N, 4), 0.1, np.float32), FACTORS) == 0


@pytest.mark.parametrize(("name", "most"), [("mig", 0.01), ("sap", 0.02), ("dci", 0.1)])
def test_noise_scores_next_to_nothing(name: str, most: float) -> None:
    assert 0 <= SCORES[name](NOISE, FACTORS) < most


def test_votes_on_noise_are_as_good_as_guessing() -> None:
    report = factor_vae_score(NOISE, FACTORS)
    assert report.chance == pytest.approx(1 / 3)
    assert report.score == pytest.approx(report.chance, abs=0.1)


def test_votes_are_judged_on_others_than_they_were_made_of() -> None:
    votes = {"n_train_votes": 100, "n_test_votes": 15}
    found = [factor_vae_score(NOISE, FACTORS, **votes, seed=seed).score for seed in range(12)]
    assert np.mean(found) == pytest.approx(1 / 3, abs=0.11)


def test_votes_compare_dimensions_in_their_own_units() -> None:
    stretched = PERFECT * np.array([100, 1, 1], np.float32)
    assert factor_vae_score(stretched, FACTORS).score > 0.99


@pytest.mark.parametrize("name", ["mig", "sap", "votes"])
def test_the_order_of_dimensions_does_not_matter(name: str) -> None:
    codes = np.hstack([MIXED, NOISE])
    assert SCORES[name](codes[:, ::-1], FACTORS) == pytest.approx(SCORES[name](codes, FACTORS))


@pytest.mark.parametrize("name", ["mig", "sap", "dci"])
def test_the_unit_of_the_codes_does_not_matter(name: str) -> None:
    again = SCORES[name](MIXED * 1000 + 5000, FACTORS)
    assert again == pytest.approx(SCORES[name](MIXED, FACTORS), abs=0.01)


def test_mutual_information_of_a_copy_is_the_entropy_in_nats() -> None:
    kind = {"kind": Factor(np.tile([0, 1, 2, 3], 100).astype(np.float32), tuple("abcd"))}
    report = mig(np.stack([kind["kind"].values, np.zeros(400, np.float32)], 1), kind)
    np.testing.assert_allclose(report.mutual_information, [[np.log(4)], [0]], atol=1e-12)
    assert report.entropy["kind"] == pytest.approx(np.log(4))
    assert report.score == pytest.approx(1)


def test_a_gap_is_taken_per_factor() -> None:
    codes = np.stack([FACTORS["x"].values, FACTORS["x"].values, FACTORS["kind"].values], 1)
    shares = mig(codes, FACTORS).per_factor
    assert shares["x"] == 0
    assert shares["y"] < 0.02
    assert shares["kind"] == pytest.approx(1, abs=0.01)


def test_sap_reports_squared_correlation_and_balanced_accuracy() -> None:
    report = sap(np.hstack([PERFECT, NOISE[:, :1]]), FACTORS)
    assert report.prediction[0] == pytest.approx([1, 0, 0.5], abs=0.06)
    assert report.prediction[2] == pytest.approx([0, 0, 1], abs=0.06)
    assert report.prediction[3] == pytest.approx([0, 0, 0.5], abs=0.06)


def test_sap_of_a_mixture_is_its_share_of_variance() -> None:
    assert sap(MIXED, FACTORS).prediction[0, :2] == pytest.approx([4 / 9, 4 / 9], abs=0.04)


def test_a_category_beside_dead_dimensions_has_the_gap_to_guessing() -> None:
    beside = np.hstack([PERFECT[:, 2:], np.full((N, 2), 0.1, np.float32)])
    assert sap(beside, {"kind": FACTORS["kind"]}).score == pytest.approx(0.5)


def test_a_rare_category_counts_as_much_as_a_common_one() -> None:
    is_rare = (np.arange(N) % 20 == 0).astype(np.float32)
    shifted = NOISE[:, :1] + 2 * is_rare[:, None]
    half_seen = (is_rare * (np.arange(N) % 40 == 0))[:, None]
    codes = np.hstack([shifted, half_seen])
    found = sap(codes, {"rare": Factor(is_rare, ("no", "yes"))}).prediction[:, 0]
    # Half-way between two normal curves 2 apart, Φ(1) of each side is right.
    assert found[0] == pytest.approx(0.84, abs=0.05)
    # All common ones and half of the rare ones are right.
    assert found[1] == pytest.approx(0.75, abs=0.08)


def test_levels_of_a_stepped_factor_are_kept_and_others_binned() -> None:
    steps = np.random.default_rng(0).integers(0, 32, N).astype(np.float32)
    found = mig(PERFECT, {"steps": Factor(steps / 7), "smooth": FACTORS["x"]}).entropy
    assert found["steps"] == pytest.approx(np.log(32), abs=0.02)
    assert found["smooth"] == pytest.approx(np.log(20), abs=0.02)


def test_importances_on_a_diagonal_are_disentangled_and_even_ones_not() -> None:
    assert disentanglement(np.eye(3)) == pytest.approx(1)
    assert disentanglement(np.ones((3, 3)) / 3) == pytest.approx(0)
    # One pure dimension of weight 1.5, one even one of weight 1: half pure in all.
    mixture = disentanglement(np.array([[1.5, 0.0], [0.5, 0.5]]))
    assert mixture == pytest.approx(0.6)


def test_informativeness_is_skill_over_guessing() -> None:
    skill = dci(PERFECT[:, 1:], FACTORS).informativeness_per_factor
    assert skill["x"] < 0.05
    assert skill["y"] > 0.98
    assert skill["kind"] == pytest.approx(1)
    # A forest on noise is worse than guessing the mean, which is no skill rather than less.
    assert dci(NOISE, FACTORS).informativeness_per_factor["x"] == 0


def test_what_cannot_be_compared_is_none() -> None:
    alone = {"x": FACTORS["x"]}
    assert dci(PERFECT, alone).disentanglement is None
    assert dci(PERFECT[:, :1], FACTORS).completeness is None
    assert mig(PERFECT[:, :1], alone).score == pytest.approx(1, abs=0.01)


def test_a_factor_that_never_varies_is_left_out() -> None:
    with_still = FACTORS | {"still": Factor(np.full(N, 3, np.float32))}
    assert list(mig(PERFECT, with_still).per_factor) == list(FACTORS)
    assert mig(PERFECT, with_still).score == mig(PERFECT, FACTORS).score
    assert factor_vae_score(PERFECT, with_still).factor_names == tuple(FACTORS)


def test_more_dimensions_than_rows_are_no_hindrance() -> None:
    few = some_factors(40)
    codes = np.random.default_rng(0).normal(size=(40, 60)).astype(np.float32)
    assert mig(codes, few).mutual_information.shape == (60, 3)
    assert dci(codes, few).importance.shape == (60, 3)


def test_collapsed_dimensions_have_no_vote() -> None:
    asleep = np.hstack([PERFECT, NOISE * 0.01])
    report = factor_vae_score(asleep, FACTORS)
    assert report.n_dimensions == 3
    assert not report.votes[3:].any()
    assert report.votes[:3].sum() == 800


def test_random_parts_repeat_by_seed() -> None:
    first, again = (factor_vae_score(MIXED, FACTORS, seed=3).votes for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (factor_vae_score(MIXED, FACTORS, seed=4).votes != first).any()


def test_the_report_says_how_many_rows_were_used() -> None:
    assert sap(PERFECT, FACTORS, max_rows=500).n_rows == 500
    assert mig(PERFECT, FACTORS).n_rows == N


@pytest.mark.parametrize("codes", [PERFECT.T, PERFECT[:100], PERFECT[:, 0]])
def test_codes_that_do_not_fit_the_factors_are_refused(codes: Array) -> None:
    with pytest.raises(DataError, match=r"expected codes \[N,D\]"):
        mig(codes, FACTORS)


def test_other_unusable_input_is_refused() -> None:
    with pytest.raises(DataError, match="30 or more"):
        mig(PERFECT[:10], some_factors(10))
    with pytest.raises(DataError, match="NaN"):
        mig(np.where(PERFECT > 1.9, np.nan, PERFECT), FACTORS)
    with pytest.raises(DataError, match="None of the 1 factors varies"):
        mig(PERFECT, {"still": Factor(np.zeros(N, np.float32))})
    with pytest.raises(DataError, match="shared by 10 rows"):
        lonely = Factor(np.arange(40, dtype=np.float32), tuple(map(str, range(40))))
        factor_vae_score(PERFECT[:40], {"lonely": lonely})
