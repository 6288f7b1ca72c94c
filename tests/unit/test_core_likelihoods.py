"""Scores per image in nats: sums over pixels, equal to torch.distributions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Normal

from tests.fixtures import pixels
from vae_core.errors import ConfigError
from vae_core.likelihoods import (
    LIKELIHOODS,
    LOG_SIGMA_FLOOR,
    Bernoulli,
    Gaussian,
    build_likelihood,
)

every = pytest.mark.parametrize("name", LIKELIHOODS)
X = pixels(5, (2, 6, 4))
RAW = 3 * torch.randn(X.shape, generator=torch.Generator().manual_seed(2))


@every
def test_scores_do_not_depend_on_the_batch(name: str) -> None:
    likelihood = build_likelihood(name)
    alone = torch.cat([likelihood.nll(RAW[i : i + 1], X[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(likelihood.nll(RAW, X), alone)


@every
def test_a_tiled_image_costs_four_times_as_much(name: str) -> None:
    likelihood = build_likelihood(name)
    tiled = likelihood.nll(RAW.repeat(1, 1, 2, 2), X.repeat(1, 1, 2, 2))
    torch.testing.assert_close(tiled, 4 * likelihood.nll(RAW, X))


def test_bernoulli_equals_torch() -> None:
    target = (X > 0.5).float()
    right = -TorchBernoulli(logits=RAW).log_prob(target).sum((1, 2, 3))
    torch.testing.assert_close(Bernoulli().nll(RAW, target), right)


def test_gaussian_equals_torch() -> None:
    likelihood = Gaussian()
    right = -Normal(RAW, likelihood.sigma).log_prob(X).sum((1, 2, 3))
    torch.testing.assert_close(likelihood.nll(RAW, X), right)


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.4])
def test_learned_sigma_becomes_the_spread_of_the_residuals(spread: float) -> None:
    residuals = spread * torch.randn(64, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    likelihood = Gaussian()
    optimizer = torch.optim.Adam(likelihood.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        (likelihood.nll(torch.zeros_like(residuals), residuals).mean() / 256).backward()
        optimizer.step()
    assert likelihood.sigma == pytest.approx(float(residuals.square().mean().sqrt()), rel=0.01)


@pytest.mark.parametrize("value", [-1e4, -50.0, -6.0, 0.0])
def test_log_sigma_stays_above_its_floor_and_its_loss_finite(value: float) -> None:
    likelihood = Gaussian()
    likelihood.log_sigma.data.fill_(value)
    assert math.log(likelihood.sigma) >= LOG_SIGMA_FLOOR - 1e-6
    assert likelihood.nll(RAW, X).isfinite().all()


@every
def test_shown_images_are_in_range_and_raw_of_mean_undoes_mean(name: str) -> None:
    likelihood = build_likelihood(name)
    assert likelihood.mean(RAW).min() >= 0
    assert likelihood.mean(RAW).max() <= 1
    grey = X.clamp(0.01, 0.99)
    torch.testing.assert_close(likelihood.mean(likelihood.raw_of_mean(grey)), grey)


@every
def test_what_is_shown_is_what_the_portable_program_is_told_to_show(name: str) -> None:
    likelihood = build_likelihood(name)
    shown = {"sigmoid": torch.sigmoid, "clamp01": lambda raw: raw.clamp(0, 1)}
    torch.testing.assert_close(likelihood.mean(RAW), shown[likelihood.shown_by](RAW))


@every
def test_samples_average_to_the_mean_and_obey_the_generator(name: str) -> None:
    likelihood = build_likelihood(name)
    raw = likelihood.raw_of_mean(torch.full((4000, 1, 2, 2), 0.5))
    with torch.no_grad():
        first, again, other = (
            likelihood.sample(raw, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
        )
    assert first.equal(again)
    assert not first.equal(other)
    assert float(first.mean()) == pytest.approx(0.5, abs=0.02)


def test_binarised_targets_are_coins_of_the_grey_value() -> None:
    grey = torch.full((4000, 1, 2, 2), 0.3)
    target = Bernoulli().target(grey, torch.Generator().manual_seed(0))
    assert set(target.unique().tolist()) == {0.0, 1.0}
    assert float(target.mean()) == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize("name", ["bernoulli-continuous", "gaussian"])
def test_other_likelihoods_score_the_grey_values_themselves(name: str) -> None:
    assert build_likelihood(name).target(X, None).equal(X)


def test_an_unknown_likelihood_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'poisson' is unknown; choose one of bernoulli"):
        build_likelihood("poisson")
