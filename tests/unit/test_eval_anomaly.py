"""Anomaly scores and thresholds on sets whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.fixtures import small_model, stripes
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.anomaly import (
    AnomalyFeatures,
    anomaly_features,
    anomaly_scores,
    code_distance,
    combine,
    copula_score,
    detection_report,
    neighbour_distance,
    path_features,
    tail_probability,
    typicality,
)
from vae_core.evaluate.images import score_images
from vae_core.evaluate.threshold import auroc, calibrate, one_vs_rest

Array = NDArray[np.float64]


def normal(*shape: int, seed: int = 0, center: float = 0.0) -> Array:
    return np.random.default_rng(seed).normal(center, 1, shape)


def features(n: int, *, seed: int = 0, nll: float = 100.0, shift: float = 0.0) -> AnomalyFeatures:
    """Made-up features; `shift` moves codes and errors, `nll` the likelihood."""
    error, code = np.abs(normal(n, seed=seed)) + 1 + shift, normal(n, 3, seed=seed + 50) + shift
    bound = nll + normal(n, seed=seed + 99)
    norm, spread = np.linalg.norm(code, axis=1), 0.5 + 0.05 * normal(n, seed=seed + 7)
    columns = (error**2, error**2 / 0.1, error, bound, bound - 1, bound / 10, norm, spread, code)
    return AnomalyFeatures(*(column.astype(np.float32) for column in columns))


def test_auroc_of_apart_equal_and_constant_scores() -> None:
    assert auroc(normal(50), normal(50) + 20) == 1
    assert auroc(normal(50) + 20, normal(50)) == 0
    assert auroc(normal(2_000), normal(2_000, seed=1)) == pytest.approx(0.5, abs=0.03)
    assert auroc(np.ones(9), np.ones(7)) == 0.5
    assert auroc(np.array([0.0, 1.0]), np.array([1.0, 2.0])) == pytest.approx(3.5 / 4)


def test_one_vs_rest_names_every_other_label() -> None:
    scores, labels = np.array([0.0, 1, 5, 6, 0.5, 0.2]), np.array([7, 7, 8, 8, 9, 9])
    found = one_vs_rest(scores, labels, normal=7)
    assert found == {-1: pytest.approx(6 / 8), 8: 1.0, 9: 0.5}
    with pytest.raises(DataError, match="0 normal"):
        one_vs_rest(scores, labels, normal=3)


def test_calibration_keeps_its_promise_on_new_images() -> None:
    threshold = calibrate(normal(400), false_alarm=0.05)
    rate = (normal(40_000, seed=1) > threshold.value).mean()
    assert abs(rate - threshold.expected) < 4 * threshold.spread
    assert threshold.expected <= 0.05
    assert threshold.achieved == pytest.approx(20 / 400, abs=1.1 / 400)


def test_expected_rate_and_spread_are_those_over_calibration_sets() -> None:
    # For uniform scores the true rate of a threshold t is 1 − t.
    sets = np.random.default_rng(0).uniform(size=(3_000, 50))
    rates = np.array([1 - calibrate(scores, false_alarm=0.1).value for scores in sets])
    promise = calibrate(sets[0], false_alarm=0.1)
    assert rates.mean() == pytest.approx(promise.expected, abs=0.003)
    assert rates.std() == pytest.approx(promise.spread, rel=0.05)
    assert promise.expected == pytest.approx(5 / 51)


def test_as_few_held_out_scores_as_can_be_calibrated() -> None:
    assert calibrate(normal(19)).value == normal(19).max()
    with pytest.raises(DataError, match="expected 19 or more"):
        calibrate(normal(18))


def test_constant_scores_get_a_threshold_that_says_so() -> None:
    threshold = calibrate(np.full(40, 2.5))
    assert (threshold.value, threshold.achieved, threshold.is_informative) == (2.5, 0, False)
    assert "All 40 held-out scores equal 2.5" in threshold.describe()
    assert "40 held-out images promise" in calibrate(normal(40)).describe()


@pytest.mark.parametrize("rate", [0, 1, -0.1, math.nan])
def test_impossible_false_alarm_rates_are_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        calibrate(normal(50), false_alarm=rate)


def test_tail_probabilities_count_held_out_scores() -> None:
    held_out = np.array([1.0, 2.0, 2.0, 3.0])
    found = tail_probability(np.array([0.0, 2.0, 3.0, 9.0]), held_out)
    assert found == pytest.approx([1, 4 / 5, 2 / 5, 1 / 5])
    both = tail_probability(np.array([[0.0, 9.0]]), np.stack([held_out, held_out], 1))
    assert both == pytest.approx(np.array([[1, 1 / 5]]))


def test_tail_probabilities_of_normal_images_are_uniform() -> None:
    found = tail_probability(normal(5_000, seed=1), normal(5_000))
    for level in (0.05, 0.3, 0.8):
        assert (found <= level).mean() == pytest.approx(level, abs=0.03)


def test_typicality_finds_both_sides() -> None:
    held_out = normal(500, center=100)
    found = typicality(np.array([100.0, 90.0, 110.0]), held_out)
    assert found == pytest.approx(np.array([0, 10, 10]), abs=0.2)


def test_copula_score_sees_either_tail_of_any_feature() -> None:
    held_out = normal(1_000, 3)
    middle = copula_score(np.zeros((1, 3)), held_out)[0]
    for outlier in ([9, 0, 0], [-9, 0, 0], [0, 0, 9], [9, 9, 9]):
        assert copula_score(np.array([outlier], float), held_out)[0] > middle + 4
    assert middle == pytest.approx(3 * math.log(2), abs=0.2)


def test_copula_score_takes_the_longer_tail_of_opposed_skews() -> None:
    skewed = np.random.default_rng(0).exponential(size=(1_000, 2)) * [1, -1]
    # Far out on each feature's longer side: neither all left nor all right tails add up.
    assert copula_score(np.array([[20.0, -20.0]]), skewed)[0] > 2 * math.log(1_001) - 0.01


def test_code_distance_is_mahalanobis() -> None:
    codes = normal(20_000, 2) @ np.array([[2.0, 0], [1.5, 0.5]])
    delta = np.array([1.0, 1.0])
    truth = math.sqrt(delta @ np.linalg.inv(np.cov(codes.T)) @ delta)
    assert code_distance(codes.mean(0)[None] + delta, codes)[0] == pytest.approx(truth, rel=0.02)


def test_distances_survive_degenerate_codes() -> None:
    constant = np.zeros((30, 4))
    assert code_distance(constant[:2] + 1, constant) == pytest.approx([0, 0])
    assert neighbour_distance(constant[:2] + 1, constant) == pytest.approx([2, 2])
    duplicated = np.repeat(normal(30, 1), 2, axis=1)
    assert np.isfinite(code_distance(duplicated, duplicated)).all()
    wide = normal(10, 40)
    assert np.isfinite(code_distance(wide, wide)).all()


def test_neighbour_distance_reaches_the_kth_code() -> None:
    held_out = np.array([[0.0], [1.0], [3.0], [10.0]])
    query = np.array([[0.0]])
    assert [neighbour_distance(query, held_out, k=k)[0] for k in (1, 3, 99)] == [0, 3, 10]


def test_combination_rules() -> None:
    held_out = np.stack([np.arange(9.0), np.arange(9.0)], 1)
    scores = np.array([[99.0, 99.0], [99.0, -1.0], [-1.0, -1.0]])
    # Beyond the 0.9 quantile, 7.2, whose tail is 2/10, scores exceed it by 0.8 on average.
    far = math.log(5) + (99 - 7.2) / 0.8
    assert combine(scores, held_out) == pytest.approx([4 * far, 2 * far, 0])
    assert combine(scores, held_out, rule="max") == pytest.approx([far, far, 0])


def test_combined_tails_are_those_of_the_held_out_scores_and_go_on_beyond() -> None:
    held_out = np.random.default_rng(0).exponential(size=(4_000, 1))
    points = np.array([[0.5], [2.0], [2.5], [5.0], [30.0]])
    # The tail of an exponential at s is exp(−s).
    assert combine(points, held_out, rule="max") == pytest.approx(points[:, 0], rel=0.1)


def test_combining_constant_scores_stays_finite() -> None:
    held_out = np.ones((9, 2))
    found = combine(np.array([[1.0, 1.0], [5.0, 1.0], [0.0, 0.0]]), held_out)
    assert found == pytest.approx([0, 2 * math.log(10), 0])


def test_an_inverted_likelihood_is_caught_by_the_combination() -> None:
    # Pixels N(0.3, 0.2²); bright even pictures have a higher density than any such picture.
    random = np.random.default_rng(0)
    groups = [random.normal(0.3, 0.2, (300, 64)) for _ in range(3)]
    groups.append(np.repeat(random.uniform(0.3, 0.4, (300, 1)), 64, axis=1))
    nll = [0.5 * np.square((x - 0.3) / 0.2).sum(1) for x in groups]
    assert auroc(nll[2], nll[3]) < 0.01
    tables = [np.stack([typicality(n, nll[0]), n], 1) for n in nll]
    combined = [combine(table, tables[0]) for table in tables]
    assert auroc(combined[2], combined[3]) > 0.97
    threshold = calibrate(combined[1]).value
    assert (combined[3] > threshold).mean() > 0.95
    assert (combined[2] > threshold).mean() < 0.12


def test_a_report_tells_foreign_images_and_keeps_false_alarms_low() -> None:
    report = detection_report(features(800), features(400, seed=1), features(400, seed=2, shift=6))
    for name in (
        "reconstruction",
        "unexplained",
        "path",
        "code_distance",
        "neighbours",
        "combined",
    ):
        found = report.scores[name]
        assert found.auroc > 0.99, name
        assert found.caught > 0.95, name
    rates = np.array([found.false_alarms for found in report.scores.values()])
    assert np.abs(rates - 0.05).max() < 4 * math.sqrt(0.05 * 0.95 * (1 / 400 + 1 / 400))
    assert (report.n_reference, report.n_calibration) == (400, 400)


def test_a_report_shows_what_likelihood_alone_gets_wrong() -> None:
    report = detection_report(features(400), features(300, seed=1), features(300, seed=2, nll=60))
    assert report.scores["negative_elbo"].auroc < 0.01
    assert report.scores["negative_bound"].caught == 0
    assert report.scores["typicality"].auroc > 0.99
    assert report.scores["combined"].auroc > 0.9


def test_a_report_on_the_same_distribution_tells_nothing() -> None:
    report = detection_report(features(400), features(900, seed=1), features(900, seed=2))
    aurocs = [found.auroc for found in report.scores.values()]
    assert aurocs == pytest.approx([0.5] * len(aurocs), abs=0.06)


def test_features_of_a_model_are_what_they_are_called() -> None:
    model, images = small_model(preset="mlp", likelihood="gaussian"), stripes(130).images
    found, plain = (
        anomaly_features(model, images, importance_samples=4),
        score_images(model, images),
    )
    assert found.squared_error == pytest.approx(plain.squared_error, rel=1e-4)
    assert found.error_norm == pytest.approx(np.sqrt(64 * plain.squared_error), rel=1e-4)
    assert found.kl == pytest.approx(plain.kl_nats.sum(1), rel=1e-4)
    assert found.code_norm == pytest.approx(np.linalg.norm(plain.mean, axis=1), rel=1e-4)
    spread = np.linalg.norm(np.exp(plain.log_std), axis=1)
    assert found.spread_norm == pytest.approx(spread, rel=1e-4)
    assert path_features(found)[:, 1] == pytest.approx(found.code_norm)


def test_more_samples_tighten_the_bound_only() -> None:
    model, images = small_model(preset="mlp"), stripes(20).images
    one, many = (anomaly_features(model, images, importance_samples=k) for k in (1, 50))
    assert one.negative_bound == pytest.approx(one.negative_elbo)
    assert (many.negative_bound < many.negative_elbo).all()
    assert many.squared_error == pytest.approx(one.squared_error)


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
def test_scores_of_a_model_are_finite_and_follow_the_seed(posterior: str) -> None:
    model = small_model(preset="mlp", posterior=posterior)
    images = stripes(60).images
    first, second, other = (anomaly_features(model, images, seed=s) for s in (1, 1, 2))
    assert (first.negative_elbo == second.negative_elbo).all()
    assert not (first.negative_elbo == other.negative_elbo).all()
    scores = anomaly_scores(first.take(np.arange(20)), first.take(np.arange(20, 60)))
    assert all(s.shape == (20,) and np.isfinite(s).all() for s in scores.values())


def test_a_collapsed_model_still_scores_by_its_errors() -> None:
    model = small_model(likelihood="gaussian")
    for head in (model.mean_head, model.log_std_head):
        torch.nn.init.zeros_(head.weight)
    found = anomaly_features(model, stripes(60).images)
    scores = anomaly_scores(found, found)
    assert scores["code_distance"] == pytest.approx(np.zeros(60))
    assert scores["combined"].std() > 0


@pytest.mark.parametrize(
    ("scores", "held_out", "says"),
    [
        (np.zeros((3, 2)), np.zeros((9, 3)), "equal columns"),
        (np.zeros(3), np.zeros((9, 1)), "equal columns"),
        (np.zeros(3), np.zeros(1), "1 held-out rows"),
        (np.array([np.nan]), np.zeros(9), "not finite"),
    ],
)
def test_scores_that_do_not_fit_are_refused(scores: Array, held_out: Array, says: str) -> None:
    with pytest.raises(DataError, match=says):
        tail_probability(scores, held_out)


def test_wrong_orders_to_the_model_are_refused() -> None:
    with pytest.raises(ConfigError, match="0 samples"):
        anomaly_features(small_model(), stripes(4).images, importance_samples=0)
    with pytest.raises(DataError, match="No images"):
        anomaly_features(small_model(), stripes(4).images[:0])
    with pytest.raises(DataError, match="expected 19 or more"):
        detection_report(features(30), features(9), features(9))


def test_the_unexplained_share_is_of_the_images_own_variance() -> None:
    model, images = small_model((1, 8, 8)), stripes(40).images
    found = anomaly_features(model, images, importance_samples=1)
    variance = (images / 255).reshape(40, -1).var(1)
    np.testing.assert_allclose(
        found.unexplained, found.squared_error / (variance + 1e-3), rtol=1e-4
    )
    flat = anomaly_features(model, np.full((2, 1, 8, 8), 9, np.uint8), importance_samples=1)
    assert np.isfinite(flat.unexplained).all()
