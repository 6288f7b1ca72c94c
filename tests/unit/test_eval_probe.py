"""Probes on features that say all, part or nothing of what is asked."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from vae_core.data.imageset import Factor
from vae_core.errors import DataError
from vae_core.evaluate import features as features_module
from vae_core.evaluate import probe as probe_module
from vae_core.evaluate.features import feature_sets
from vae_core.evaluate.probe import FactorProbe, LabelProbe, probe_factors, probe_labels

Array = NDArray[np.float32]
N = 600
RANDOM = np.random.default_rng(0)
TRAIN, TEST = np.arange(400), np.arange(400, N)
LABELS = RANDOM.integers(0, 3, N)
NOISE: Array = RANDOM.normal(size=(N, 4)).astype(np.float32)
CLEAR: Array = (np.eye(3)[LABELS] * 6 + RANDOM.normal(size=(N, 3))).astype(np.float32)
HARD: Array = (np.eye(3)[LABELS] + RANDOM.normal(size=(N, 3))).astype(np.float32)
# The four corners of a square, opposite ones alike: near neighbours tell, no line does.
CORNERS = RANDOM.integers(0, 2, (N, 2))
CROSS: Array = (CORNERS * 8 + RANDOM.normal(size=(N, 2))).astype(np.float32)
IMAGES = RANDOM.integers(0, 256, (N, 1, 6, 6)).astype(np.uint8)


def of_labels(x: Array, labels: NDArray[np.int64] = LABELS, *, seed: int = 0) -> LabelProbe:
    return probe_labels({"x": x}, labels, train=TRAIN, test=TEST, seed=seed)[0]


def of_factor(x: Array, factor: Factor) -> FactorProbe:
    return probe_factors({"x": x}, {"f": factor}, train=TRAIN, test=TEST)[0]


def test_classes_far_apart_are_read_without_error() -> None:
    found = of_labels(CLEAR)
    assert found.linear > 0.98
    assert found.neighbours > 0.98
    assert found.few_mean and found.few_mean > 0.97
    assert found.linear_converged


def test_noise_reads_no_better_than_guessing() -> None:
    found = of_labels(NOISE)
    assert found.chance == pytest.approx(1 / 3, abs=0.06)
    for accuracy in (found.linear, found.neighbours, found.few_mean):
        assert accuracy == pytest.approx(1 / 3, abs=0.1)


def test_neighbours_read_what_no_line_can() -> None:
    found = of_labels(CROSS, CORNERS.sum(1) % 2)
    assert found.neighbours > 0.98
    assert found.linear < 0.8


def test_the_linear_reader_does_not_care_for_units_but_neighbours_do() -> None:
    scaled = np.hstack([CLEAR / 1000, NOISE])
    assert of_labels(scaled).linear > 0.97
    assert of_labels(scaled).neighbours < 0.5


def test_constant_features_give_chance_and_do_no_harm() -> None:
    flat = np.full((N, 2), 0.1, np.float32)
    assert of_labels(flat).linear == of_labels(flat).chance
    assert of_labels(np.hstack([CLEAR, flat])).linear == of_labels(CLEAR).linear


def test_test_labels_are_never_learned_from() -> None:
    swapped = LABELS.copy()
    swapped[TEST] = (LABELS[TEST] + 1) % 3
    assert of_labels(CLEAR, swapped).linear < 0.05
    assert of_labels(CLEAR, swapped).neighbours < 0.05


def test_an_outlier_among_test_rows_hurts_no_other_row() -> None:
    wild = CLEAR.copy()
    wild[TEST[0]] = 1e6
    assert of_labels(wild).linear >= of_labels(CLEAR).linear - 1 / len(TEST)


def test_all_features_are_read_in_order_on_the_same_rows() -> None:
    pair = {"noise": NOISE, "clear": CLEAR, "again": CLEAR}
    noise, clear, again = probe_labels(pair, LABELS, train=TRAIN, test=TEST)
    assert (noise.features, clear.features, clear.n_dimensions) == ("noise", "clear", 3)
    assert (clear.few_mean, clear.few_std) == (again.few_mean, again.few_std)
    assert clear.linear > noise.linear


def test_few_labels_read_worse_than_many_and_differ_by_draw() -> None:
    found = probe_labels({"x": HARD}, LABELS, train=TRAIN, test=TEST, n_few_labels=6)[0]
    assert found.few_mean and found.few_std
    assert found.few_mean < found.linear - 0.05
    assert 0 < found.few_std < 0.15


def test_the_spread_of_two_draws_is_that_of_a_sample() -> None:
    found = probe_labels({"x": HARD}, LABELS, train=TRAIN, test=TEST, n_few_labels=9, n_draws=2)[0]
    assert found.few_mean and found.few_std
    # Mean and deviation (n − 1) give back the better draw: a whole number of right rows.
    n_right = (found.few_mean + found.few_std / np.sqrt(2)) * len(TEST)
    assert n_right == pytest.approx(round(n_right), abs=1e-6)


def test_few_labels_are_balanced_even_when_classes_are_not() -> None:
    rare = (np.arange(N) % 10 == 0).astype(np.int64)
    for draw in probe_module._balanced_draws(rare, TRAIN, 41, 3, seed=0):
        counts = np.bincount(rare[draw])
        assert sorted(counts.tolist()) == [20, 21]
        assert len(np.unique(draw)) == 41
        assert set(draw) <= set(TRAIN.tolist())


def test_without_enough_rows_for_few_labels_there_is_no_number() -> None:
    rare = (np.arange(N) % 20 == 0).astype(np.int64)
    assert not probe_module._balanced_draws(rare, TRAIN, 41, 3, seed=0)
    assert probe_module._balanced_draws(rare, TRAIN, 40, 3, seed=0)
    found = of_labels(NOISE, rare)
    assert found.few_mean is found.few_std is None
    one_each = probe_labels({"x": CLEAR}, LABELS, train=TRAIN, test=TEST, n_few_labels=2)[0]
    assert one_each.few_mean is None


def test_the_same_seed_gives_the_same_numbers() -> None:
    assert of_labels(HARD) == of_labels(HARD)
    assert of_labels(HARD, seed=1).few_mean != of_labels(HARD).few_mean


def test_too_many_rows_are_drawn_from_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "MAX_TRAIN_ROWS", 150)
    monkeypatch.setattr(probe_module, "MAX_TEST_ROWS", 50)
    found = of_labels(CLEAR)
    assert (found.n_train, found.n_test) == (150, 50)
    assert found == of_labels(CLEAR)


def test_a_stopped_reader_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "MAX_ITERATIONS", 1)
    assert not of_labels(CLEAR).linear_converged


def test_a_continuous_factor_is_read_as_explained_variance() -> None:
    signal = CLEAR @ np.array([1, -2, 3], np.float32)
    noise = np.random.default_rng(2).normal(size=N) * signal.std()
    assert of_factor(CLEAR, Factor(signal)).score == pytest.approx(1, abs=1e-3)
    # As much noise as signal: half of the variance can be known.
    half = of_factor(CLEAR, Factor((signal + noise).astype(np.float32)))
    assert half.measure == "r2"
    assert half.score == pytest.approx(0.5, abs=0.1)
    nothing = of_factor(NOISE, Factor(signal)).score
    assert nothing == pytest.approx(0, abs=0.05)


def test_two_categories_are_read_as_area_under_the_curve() -> None:
    kind = (LABELS == 1).astype(np.float32)
    found = of_factor(CLEAR, Factor(kind, ("no", "yes")))
    assert found.measure == "auroc"
    assert found.score is not None and found.score > 0.99
    # Φ(2/√2) for two normal curves 2 apart; decisions alone would give Φ(1) = 0.84.
    near = of_factor(NOISE[:, :1] + 2 * kind[:, None], Factor(kind, ("no", "yes"))).score
    assert near == pytest.approx(0.921, abs=0.04)
    # Ranks, not decisions: an area does not suffer from rare positives.
    rare = (np.arange(N) % 20 == 0).astype(np.float32)
    assert of_factor(NOISE, Factor(rare, ("no", "yes"))).score == pytest.approx(0.5, abs=0.2)


def test_more_categories_are_read_as_accuracy() -> None:
    found = of_factor(CLEAR, Factor(LABELS.astype(np.float32), ("a", "b", "c")))
    assert found.measure == "accuracy"
    assert found.score is not None and found.score > 0.98


def test_a_factor_that_never_varies_has_no_score() -> None:
    still = Factor(np.full(N, 2, np.float32))
    one_sided = Factor((np.arange(N) < 10).astype(np.float32), ("no", "yes"))
    assert of_factor(CLEAR, still).score is None
    assert of_factor(CLEAR, one_sided).score is None


def test_every_factor_is_read_from_every_feature() -> None:
    factors = {"a": Factor(CLEAR[:, 0]), "b": Factor(NOISE[:, 0])}
    found = probe_factors({"c": CLEAR, "n": NOISE}, factors, train=TRAIN, test=TEST)
    good = {(f.features, f.factor) for f in found if f.score is not None and f.score > 0.9}
    assert len(found) == 4
    assert good == {("c", "a"), ("n", "b")}


def test_the_three_contestants_and_their_names() -> None:
    sets = feature_sets(NOISE, IMAGES, train=TRAIN)
    assert list(sets) == ["codes", "pca-4", "pixels"]
    np.testing.assert_array_equal(sets["codes"], NOISE)
    np.testing.assert_allclose(sets["pixels"], IMAGES.reshape(N, -1) / 255, rtol=1e-6)


def test_components_are_those_of_the_train_rows_alone() -> None:
    late, early = np.arange(200, N), np.arange(200)
    found = feature_sets(NOISE, IMAGES, train=late)["pca-4"]
    flat = IMAGES.reshape(N, -1) / 255
    expected = PCA(4).fit(flat[late]).transform(flat)
    np.testing.assert_allclose(abs(found), abs(expected), atol=1e-3)
    inverted = IMAGES.copy()
    inverted[early] = 255 - inverted[early]
    again = feature_sets(NOISE, inverted, train=late)["pca-4"]
    np.testing.assert_allclose(again[late], found[late], atol=1e-5)


def test_no_more_components_than_there_can_be() -> None:
    wide = np.zeros((N, 50), np.float32)
    assert "pca-36" in feature_sets(wide, IMAGES, train=TRAIN)
    assert "pca-7" in feature_sets(wide, IMAGES, train=TRAIN[:7])


def test_large_images_are_averaged_over_blocks() -> None:
    images = np.zeros((5, 3, 40, 41), np.uint8)
    images[1], images[2, :, :3, :3] = 255, 90
    found = feature_sets(np.zeros((5, 2), np.float32), images, train=np.arange(4))
    pixels = found["pixels-3x3"]
    assert pixels.shape == (5, 3 * 14 * 14)
    np.testing.assert_allclose(pixels[1], 1, rtol=1e-6)
    np.testing.assert_allclose(np.flatnonzero(pixels[2]), [0, 196, 392])
    np.testing.assert_allclose(pixels[2, 0], 90 / 255, rtol=1e-6)


def test_components_of_huge_images_are_fitted_on_fewer_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = feature_sets(NOISE, IMAGES, train=TRAIN)["pca-4"]
    monkeypatch.setattr(features_module, "PCA_VALUES", 36 * 100)
    part = feature_sets(NOISE, IMAGES, train=TRAIN)["pca-4"]
    assert part.shape == whole.shape
    assert not np.allclose(part, whole)


@pytest.mark.parametrize(
    ("train", "test", "problem"),
    [
        (TRAIN, TRAIN[:5], "do not overlap"),
        (TRAIN, TEST[:0], "one or more of each"),
        (np.array([0, 0, 1]), TEST, "none twice"),
        (TRAIN, np.array([N]), f"expected 0 to {N - 1}"),
        (np.array([-1, 2]), TEST[:3], "same set"),
    ],
)
def test_rows_that_make_no_sense_are_refused(
    train: NDArray[np.int64], test: NDArray[np.int64], problem: str
) -> None:
    with pytest.raises(DataError, match=problem):
        probe_labels({"x": CLEAR}, LABELS, train=train, test=test)


def test_features_that_make_no_sense_are_refused() -> None:
    with pytest.raises(DataError, match=r"expected \[N,·\]"):
        of_labels(CLEAR.T)
    with pytest.raises(DataError, match="'x' hold NaN"):
        of_labels(np.where(CLEAR > 6, np.nan, CLEAR))
    with pytest.raises(DataError, match="expected two or more"):
        of_labels(CLEAR, np.zeros(N, np.int64))
    with pytest.raises(DataError, match="with the same N"):
        feature_sets(CLEAR[:10], IMAGES, train=TRAIN)
