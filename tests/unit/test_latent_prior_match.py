"""The aggregate posterior beside the prior: densities, KL, and holes that are there or not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.toys import linear_gaussian
from vae_core.errors import ConfigError, DataError
from vae_core.latent.codes import Codes
from vae_core.latent.prior_match import is_point_posterior, match_prior, prior_holes
from vae_core.posterior import POINT_LOG_STD


def made_of(mean: NDArray[np.floating], log_std: NDArray[np.floating] | float) -> Codes:
    n, zero = len(mean), np.zeros(len(mean), np.float32)
    wide = np.broadcast_to(np.asarray(log_std, np.float32), mean.shape)
    return Codes(
        ids=np.arange(n, dtype=np.int64),
        split=np.full(n, 2, np.uint8),
        mean=mean.astype(np.float32),
        log_std=wide,
        squared_error=zero,
        reconstruction_nats=zero,
        kl_nats=np.zeros_like(mean, np.float32),
        n_total=n,
    )


def normal(n: int, n_latent: int, *, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal((n, n_latent))


def filled(n: int = 2_000, *, std: float = 0.3) -> Codes:
    """Posteriors whose aggregate is exactly N(0, I) in two dimensions but for chance."""
    return made_of(*linear_gaussian(n, (1 - std**2) * np.eye(2), std))


def ring(n: int = 2_000) -> Codes:
    """Points on a circle of radius 1.5: the middle of the prior is empty."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    radius = 1.5 + 0.05 * normal(n, 1)[:, 0]
    return made_of(np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), POINT_LOG_STD)


def test_an_aggregate_that_is_the_prior_matches_it() -> None:
    found = match_prior(filled())
    assert found.kl_nats.max() < 0.01
    np.testing.assert_allclose(found.density[0], found.prior_density, atol=0.03)
    np.testing.assert_allclose(found.mean, 0, atol=0.05)
    np.testing.assert_allclose(found.std, 1, atol=0.05)


def test_the_kl_is_that_of_the_gaussian_the_codes_are() -> None:
    mean, log_std = linear_gaussian(4_000, np.diag([0.16, 1.0]), 0.3)
    found = match_prior(made_of(mean + np.array([1.0, 0.0]), log_std))
    variance = np.array([0.25, 1.09])
    exact = 0.5 * (np.array([1.0, 0.0]) + variance - 1 - np.log(variance))
    np.testing.assert_allclose(found.kl_nats, exact, rtol=0.05, atol=0.01)


def test_the_kl_sees_two_peaks_that_mean_and_deviation_hide() -> None:
    side = np.where(np.arange(1_000) % 2, 1, -1)[:, None] * np.sqrt(1 - 0.1**2)
    found = match_prior(made_of(side, np.log(0.1)))
    # Two narrow peaks of variance 1 in all: KL = −log 2 − log σ.
    exact = -np.log(2) - np.log(0.1)
    np.testing.assert_allclose(found.std, 1, rtol=1e-3)
    assert 0.9 * exact < found.kl_nats[0] <= exact + 1e-3


def test_densities_are_masses_over_the_grid() -> None:
    found = match_prior(filled(300), n_bins=40, span=4.0)
    width = found.grid[1] - found.grid[0]
    assert found.grid.shape == (40,) and found.density.shape == (2, 40)
    np.testing.assert_allclose(found.density.sum(1) * width + found.outside, 1, atol=1e-5)


def test_points_give_a_histogram() -> None:
    codes = normal(3_000, 1)
    found = match_prior(made_of(codes, POINT_LOG_STD), n_bins=20)
    counted = np.histogram(codes, bins=20, range=(-5, 5), density=True)[0]
    np.testing.assert_allclose(found.density[0], counted, atol=2e-3)
    assert found.is_point and not match_prior(filled(50)).is_point


def test_the_kl_of_few_points_is_not_taken_for_a_mismatch() -> None:
    found = match_prior(made_of(normal(100, 30), POINT_LOG_STD))
    # Without the correction the average would be about 0.2 nats.
    assert found.kl_nats.mean() < 0.1


def test_what_lies_beyond_the_grid_still_counts() -> None:
    far = match_prior(made_of(normal(500, 1) + 40, -1.0))
    assert far.outside[0] == pytest.approx(1, abs=1e-6)
    assert far.kl_nats[0] > 700


def test_collapsed_dimensions_are_not_active() -> None:
    mean, log_std = linear_gaussian(500, np.diag([0.75, 0.0]), 0.5)
    log_std[:, 1] = 0
    found = match_prior(made_of(mean, log_std))
    assert found.is_active.tolist() == [True, False] and found.n_active == 1
    assert found.kl_nats[1] < 1e-3


def test_a_full_prior_has_no_more_holes_than_chance() -> None:
    found = prior_holes(filled(), n=5)
    assert found.share < 0.03
    assert found.share_of_real == pytest.approx(0.01, abs=0.002)


def test_the_middle_of_a_ring_is_a_hole() -> None:
    found = prior_holes(ring(), n=8)
    radius = np.linalg.norm(found.codes, axis=1)
    assert found.share > 0.7
    assert radius[0] < 0.2 and found.ratio.min() > 10
    assert radius.max() < 2.3
    assert "of draws from the prior land in holes" in found.text


def test_holes_are_spread_out_and_their_neighbours_are_real() -> None:
    codes = ring()
    found = prior_holes(codes, n=6)
    gaps = np.linalg.norm(found.codes[:, None] - found.codes, axis=2) + 9 * np.eye(6)
    assert gaps.min() > 0.3
    distance = np.linalg.norm(codes.mean[found.nearest_rows] - found.codes, axis=1)
    np.testing.assert_allclose(distance / found.typical_distance, found.ratio, rtol=1e-4)
    everything = np.linalg.norm(codes.mean[:, None] - found.codes, axis=2).min(0)
    np.testing.assert_allclose(distance, everything, rtol=1e-4)


def test_dimensions_the_decoder_ignores_make_no_holes() -> None:
    mean, log_std = linear_gaussian(2_000, np.diag([0.91, 0.91, *[1e-4] * 10]), 0.3)
    log_std[:, 2:] = 0
    found = prior_holes(made_of(mean, log_std), n=3)
    assert found.is_used.sum() == 2
    assert found.share < 0.03


def test_repeated_images_do_not_shrink_the_unit() -> None:
    once, many = (np.repeat(normal(300, 2), k, axis=0) for k in (1, 4))
    found = [prior_holes(made_of(codes, POINT_LOG_STD), n=1) for codes in (once, many)]
    assert found[1].typical_distance == pytest.approx(found[0].typical_distance, rel=0.1)
    apart = np.linalg.norm(normal(300, 2)[:, None] - normal(300, 2), axis=2)
    truth = np.median(np.sort(apart, axis=1)[:, 1])
    assert found[0].typical_distance == pytest.approx(truth, rel=1e-3)


def test_the_same_seed_gives_the_same_holes() -> None:
    codes = filled(200)
    first, again, other = (prior_holes(codes, n=4, n_draws=500, seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(first.codes, again.codes)
    assert first.share == again.share
    assert (first.codes != other.codes).any()


@pytest.mark.parametrize("n", [0, 6])
def test_numbers_of_holes_that_cannot_be_are_refused(n: int) -> None:
    with pytest.raises(ConfigError, match=f"{n} holes out of 10 draws"):
        prior_holes(filled(50), n=n, n_draws=10)


def test_codes_that_are_all_alike_are_refused() -> None:
    for log_std in (0.0, POINT_LOG_STD):
        with pytest.raises(DataError, match="0 different codes in 0 used dimensions"):
            prior_holes(made_of(np.full((50, 3), 0.1), log_std))
    with pytest.raises(DataError, match="2 different codes in 2 used"):
        prior_holes(made_of(np.repeat(np.eye(2), 20, axis=0), -1.0))


def test_codes_that_are_not_finite_are_refused() -> None:
    broken = normal(50, 2)
    broken[3, 1] = np.inf
    for function in (match_prior, prior_holes):
        with pytest.raises(DataError, match="not finite"):
            function(made_of(broken, 0.0))
    with pytest.raises(DataError, match="not finite"):
        prior_holes(replace(filled(50), log_std=np.full((50, 2), np.nan, np.float32)))


def test_a_posterior_with_a_width_is_no_point() -> None:
    assert is_point_posterior(ring(10))
    assert not is_point_posterior(filled(10))
