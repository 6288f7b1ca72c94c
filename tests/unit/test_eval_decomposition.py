"""The parts of the KL and the aggregate posterior, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.toys import gaussian_correlation, linear_gaussian, tc_toy
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.decomposition import compare_to_prior, decompose_kl, prior_discrepancy

CORRELATED = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 0.25]])
STD = 0.5


def test_the_parts_are_those_of_a_linear_gaussian_model() -> None:
    parts = decompose_kl(*linear_gaussian(2_000, CORRELATED, STD), max_codes=1_000)
    aggregate = CORRELATED + STD**2 * np.eye(3)
    information = 0.5 * np.linalg.slogdet(aggregate / STD**2)[1]
    variance = np.diag(aggregate)
    assert parts.mutual_information == pytest.approx(information, abs=0.1)
    assert parts.total_correlation == pytest.approx(gaussian_correlation(aggregate), abs=0.06)
    assert parts.dimension_kl == pytest.approx(0.5 * (variance - 1 - np.log(variance)), abs=0.03)


def test_the_parts_sum_to_the_kl() -> None:
    parts = decompose_kl(*linear_gaussian(1_000, CORRELATED, STD))
    total = parts.mutual_information + parts.total_correlation + parts.dimensionwise_kl
    assert total == pytest.approx(parts.sampled_kl, abs=1e-4)
    assert abs(parts.sampled_kl - parts.kl) < 4 * parts.standard_error < 0.5


def test_correlated_posteriors_can_have_an_independent_aggregate() -> None:
    own = np.array([[0.45, 0.4], [0.4, 0.45]])
    mean, log_std = linear_gaussian(2_000, np.eye(2) - own, math.sqrt(0.45))
    factor = np.broadcast_to(np.linalg.cholesky(own).astype(np.float32), (2_000, 2, 2))
    parts = decompose_kl(mean, log_std, factor=factor, max_codes=1_000)
    assert parts.mutual_information == pytest.approx(-0.5 * np.linalg.slogdet(own)[1], abs=0.05)
    assert parts.total_correlation == pytest.approx(0, abs=0.03)
    assert parts.dimension_kl == pytest.approx(np.zeros(2), abs=0.02)
    assert abs(parts.sampled_kl - parts.kl) < 4 * parts.standard_error < 0.5
    # Taken for diagonal, the aggregate would look correlated.
    assert decompose_kl(mean, log_std, max_codes=1_000).total_correlation > 0.06
    whole, marginal = (
        compare_to_prior(mean, log_std, factor=factor),
        compare_to_prior(mean, log_std),
    )
    assert whole.density == pytest.approx(marginal.density)
    assert whole.discrepancy.value < marginal.discrepancy.value / 4


def test_a_collapsed_posterior_has_no_part_at_all() -> None:
    parts = decompose_kl(np.zeros((300, 4), np.float32), np.zeros((300, 4), np.float32))
    assert parts.kl == 0
    assert parts.sampled_kl == pytest.approx(0, abs=1e-6)
    assert parts.mutual_information == pytest.approx(0, abs=1e-4)
    assert parts.total_correlation == pytest.approx(0, abs=1e-4)
    assert parts.dimension_kl == pytest.approx(np.zeros(4), abs=1e-4)


def test_independent_dimensions_have_hardly_any_total_correlation() -> None:
    parts = decompose_kl(*linear_gaussian(1_500, np.eye(4) / 2, math.sqrt(0.5)))
    # Of the order of D²/N with information far below log N.
    assert abs(parts.total_correlation) < 0.03
    assert np.abs(parts.dimension_kl).max() < 0.01


def test_the_toy_shows_its_true_total_correlation() -> None:
    mean, log_std, truth = tc_toy(1_000)
    assert truth == pytest.approx(6.79, abs=0.01)
    assert decompose_kl(mean, log_std).total_correlation == pytest.approx(truth, rel=0.1)


def test_a_duplicated_dimension_shows_as_total_correlation() -> None:
    mean, log_std = linear_gaussian(800, np.eye(2) / 2, 0.3)
    twice = np.concatenate([mean, mean], 1), np.concatenate([log_std, log_std], 1)
    alone, doubled = decompose_kl(mean, log_std), decompose_kl(*twice)
    assert doubled.total_correlation > alone.total_correlation + 1
    assert doubled.dimension_kl[:2] == pytest.approx(doubled.dimension_kl[2:], abs=0.05)


def test_information_stops_at_log_n() -> None:
    apart = np.arange(50, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)
    parts = decompose_kl(apart, np.full((50, 2), -6, np.float32))
    assert parts.mutual_information == pytest.approx(math.log(50), abs=1e-4)
    assert parts.mutual_information <= parts.ceiling + 1e-4
    assert parts.is_saturated


def test_duplicated_images_lower_the_information_by_the_log_of_the_copies() -> None:
    apart = np.arange(50, dtype=np.float32)[:, None] * np.ones((1, 2), np.float32)
    copies = np.repeat(apart, 4, 0)
    parts = decompose_kl(copies, np.full_like(copies, -6))
    assert parts.mutual_information == pytest.approx(math.log(50), abs=1e-4)
    assert not parts.is_saturated


def test_fewer_codes_are_scored_against_the_same_posteriors() -> None:
    sets, seen = linear_gaussian(1_000, CORRELATED, STD), []
    few = decompose_kl(*sets, max_codes=400, progress=lambda done, n: seen.append((done, n)))
    every = decompose_kl(*sets)
    assert (few.n_codes, few.n_images, every.n_codes) == (400, 1_000, 1_000)
    assert few.kl == every.kl
    assert few.mutual_information == pytest.approx(every.mutual_information, abs=0.2)
    assert seen[-1] == (400, 400)


def test_memory_bounded_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = linear_gaussian(200, CORRELATED, STD)
    whole, whole_report = decompose_kl(*sets), compare_to_prior(*sets)
    monkeypatch.setattr("vae_core.evaluate.decomposition.PAIRS_AT_ONCE", 1_000)
    parts, report = decompose_kl(*sets), compare_to_prior(*sets)
    assert parts.total_correlation == pytest.approx(whole.total_correlation, abs=1e-5)
    assert report.density == pytest.approx(whole_report.density, abs=1e-6)


def test_the_seed_decides_the_codes() -> None:
    sets = linear_gaussian(100, CORRELATED, STD)
    again = decompose_kl(*sets, seed=3).sampled_kl
    assert decompose_kl(*sets, seed=3).sampled_kl == again != decompose_kl(*sets).sampled_kl


def test_the_aggregate_has_the_moments_and_shape_of_its_gaussian() -> None:
    report = compare_to_prior(*linear_gaussian(4_000, CORRELATED, STD))
    assert report.std == pytest.approx([math.sqrt(1.25)] * 2 + [math.sqrt(0.5)], rel=0.05)
    assert report.mean == pytest.approx(np.zeros(3), abs=0.06)
    assert report.gaussian_kl == pytest.approx([0.0134, 0.0134, 0.0966], abs=0.02)
    middle = (report.edges[1:] + report.edges[:-1]) / 2
    truth = np.exp(-(middle**2) / 1.0) / math.sqrt(math.pi)
    assert report.density[2] == pytest.approx(truth, abs=0.04)


def test_histograms_hold_all_the_mass_that_is_not_outside() -> None:
    mean = np.array([[0.0, 20.0], [0.0, 0.0]], np.float32)
    report = compare_to_prior(mean, np.full((2, 2), -3, np.float32), n_bins=10)
    assert report.density.sum(1) + report.outside == pytest.approx([1, 1], abs=1e-5)
    assert report.outside == pytest.approx([0, 0.5], abs=1e-5)
    assert report.density.shape == (2, len(report.prior_density)) == (2, len(report.edges) - 1)


def test_the_prior_itself_is_not_discrepant() -> None:
    report = compare_to_prior(np.zeros((1_000, 3), np.float32), np.zeros((1_000, 3), np.float32))
    assert report.density[0] == pytest.approx(report.prior_density, abs=1e-5)
    found = report.discrepancy
    assert abs(found.value) < 4 * found.standard_error < 0.1
    assert abs(found.of_prior) < 0.05


@pytest.mark.parametrize("change", [lambda z: z + 1, lambda z: z * 0, lambda z: z.abs()])
def test_codes_unlike_the_prior_are_discrepant(change) -> None:  # type: ignore[no-untyped-def]
    z = torch.randn((1_000, 3), generator=torch.Generator().manual_seed(1))
    found = prior_discrepancy(change(z))
    assert found.value > 4 * found.standard_error > 0
    assert found.value > 0.5
    assert abs(found.of_prior) < 0.05


def test_few_codes_have_no_standard_error() -> None:
    assert math.isnan(prior_discrepancy(torch.zeros(5, 2)).standard_error)


@pytest.mark.parametrize(
    ("shape", "other"), [((3, 2), (3, 3)), ((3,), (3,)), ((1, 2), (1, 2)), ((4, 0), (4, 0))]
)
def test_wrong_shapes_are_told_apart(shape: tuple[int, ...], other: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="expected two arrays"):
        decompose_kl(np.zeros(shape, np.float32), np.zeros(other, np.float32))


def test_factors_of_another_size_are_refused() -> None:
    zeros = np.zeros((5, 2), np.float32)
    for measure in (decompose_kl, compare_to_prior):
        with pytest.raises(DataError, match=r"factors of shape \(5, 3, 3\).*expected \[N,D,D\]"):
            measure(zeros, zeros, factor=np.zeros((5, 3, 3), np.float32))


def test_numbers_that_are_not_finite_are_refused() -> None:
    mean = np.array([[0.0], [np.nan]], np.float32)
    with pytest.raises(DataError, match="not finite"):
        compare_to_prior(mean, np.zeros_like(mean))


@pytest.mark.parametrize(("n_bins", "span"), [(1, 5.0), (64, 0.0), (64, math.nan)])
def test_histograms_need_bins_and_a_span(n_bins: int, span: float) -> None:
    with pytest.raises(ConfigError, match="two or more"):
        compare_to_prior(np.zeros((9, 1)), np.zeros((9, 1)), n_bins=n_bins, span=span)
