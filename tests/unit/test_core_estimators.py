"""Formulas against torch.distributions and against models whose evidence is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from tests.fixtures import pixels
from vae_core.estimators import (
    active_units,
    importance_bound,
    kl_to_standard_normal,
    log_normal,
    log_standard_normal,
    psnr,
)
from vae_core.posterior import Posterior
from vae_core.types import ImageSpec

DRAW = torch.Generator().manual_seed(7)
MEAN, LOG_STD = torch.randn(6, 4, generator=DRAW), torch.randn(6, 4, generator=DRAW)


def test_kl_takes_the_log_of_the_standard_deviation_not_of_the_variance() -> None:
    right = kl_divergence(Normal(MEAN, LOG_STD.exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_to_standard_normal(MEAN, LOG_STD), right)


def test_kl_is_zero_at_the_prior_and_positive_beside_it() -> None:
    zero = torch.zeros(3)
    assert kl_to_standard_normal(zero, zero).eq(0).all()
    assert kl_to_standard_normal(zero, zero + 0.01).gt(0).all()


@pytest.mark.parametrize("log_std", [-1e-4, -3e-5, 1e-5, 2e-4])
def test_tiny_kls_are_exact_and_not_noise_around_zero(log_std: float) -> None:
    found = kl_to_standard_normal(torch.zeros(1), torch.tensor([log_std]))
    assert float(found) == pytest.approx(log_std**2, rel=0.02)


def test_log_densities_equal_those_of_torch() -> None:
    x = MEAN + 0.3
    right = Normal(MEAN, LOG_STD.exp()).log_prob(x).sum(-1)
    torch.testing.assert_close(log_normal(x, MEAN, LOG_STD), right)
    torch.testing.assert_close(log_standard_normal(x), Normal(0.0, 1.0).log_prob(x).sum(-1))


def test_importance_bound_of_equal_weights_is_that_weight() -> None:
    weights = torch.tensor([[-700.0, 3.0]]).expand(50, 2)
    torch.testing.assert_close(importance_bound(weights), weights[0])


def test_importance_bound_of_one_sample_is_the_sample() -> None:
    torch.testing.assert_close(importance_bound(MEAN[:1]), MEAN[0])


def test_importance_bound_is_the_log_of_the_mean_and_never_below_the_mean_of_logs() -> None:
    bound = importance_bound(MEAN)
    torch.testing.assert_close(bound, MEAN.exp().mean(0).log())
    assert (bound >= MEAN.mean(0)).all()


def test_active_units_tell_living_from_dead_dimensions() -> None:
    alive, nearly_dead = torch.randn(500, 1, generator=DRAW), torch.full((500, 1), 3.0)
    nearly_dead += 0.05 * torch.randn(500, 1, generator=DRAW)
    found = active_units(torch.cat([alive, nearly_dead, torch.zeros(500, 1)], 1))
    assert found.tolist() == [True, False, False]


def test_active_units_of_duplicated_codes_are_the_same() -> None:
    assert active_units(MEAN).equal(active_units(MEAN.repeat(5, 1)))


@pytest.mark.parametrize(("error", "decibel"), [(1.0, 0.0), (0.01, 20.0), (0.0, 120.0)])
def test_psnr(error: float, decibel: float) -> None:
    assert float(psnr(torch.tensor(error))) == pytest.approx(decibel)


def test_samples_have_the_posterior_mean_and_spread() -> None:
    posterior = Posterior(MEAN, LOG_STD)
    z = posterior.sample(n=20_000, generator=torch.Generator().manual_seed(1))
    standard_error = posterior.std / math.sqrt(20_000)
    assert ((z.mean(0) - MEAN).abs() < 5 * standard_error).all()
    torch.testing.assert_close(z.std(0), posterior.std, rtol=0.03, atol=0)


def test_a_sample_is_mean_plus_std_times_noise() -> None:
    z = Posterior(MEAN, LOG_STD).sample(n=2, generator=torch.Generator().manual_seed(3))
    noise = torch.randn((2, 6, 4), generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(z, MEAN + LOG_STD.exp() * noise)


def test_the_same_generator_seed_gives_the_same_sample_and_another_does_not() -> None:
    posterior = Posterior(MEAN, LOG_STD)
    first, again, other = (
        posterior.sample(generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert first.equal(again)
    assert not first.equal(other)


def test_image_spec_counts_and_names() -> None:
    spec = ImageSpec(3, 45, 31)
    assert (spec.shape, spec.n_values) == ((3, 45, 31), 3 * 45 * 31)
    assert str(spec) == "RGB 31×45"
    assert pixels(2, spec.shape).shape == (2, *spec.shape)
