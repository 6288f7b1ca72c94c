"""The Gaussian posterior, diagonal and full, against torch.distributions."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal, kl_divergence

from tests.fixtures import pixels, small_model
from vae_core.errors import ConfigError
from vae_core.model import Autoencoder, ModelConfig
from vae_core.posterior import POSTERIORS, Posterior, full_posterior

B, D = 5, 4
DRAW = torch.Generator().manual_seed(3)
MEAN, LOG_SCALE = torch.randn(B, D, generator=DRAW), 0.5 * torch.randn(B, D, generator=DRAW)
BELOW = torch.randn(B, D * (D - 1) // 2, generator=DRAW)
FULL = full_posterior(MEAN, LOG_SCALE, BELOW)
TRUE = MultivariateNormal(MEAN, FULL.covariance)


def test_the_factor_is_lower_triangular_with_a_positive_diagonal() -> None:
    assert FULL.factor is not None
    assert FULL.factor.triu(1).eq(0).all()
    assert FULL.factor.diagonal(dim1=1, dim2=2).gt(0).all()


def test_log_std_is_that_of_each_dimension_by_itself() -> None:
    variances = FULL.covariance.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close((2 * FULL.log_std).exp(), variances)


def test_full_kl_equals_that_of_torch_and_no_term_is_negative() -> None:
    prior = MultivariateNormal(torch.zeros(D), torch.eye(D))
    torch.testing.assert_close(FULL.kl_terms().sum(1), kl_divergence(TRUE, prior))
    assert FULL.kl_terms().ge(0).all()


def test_full_log_density_equals_that_of_torch() -> None:
    z = torch.randn(3, B, D, generator=DRAW)
    torch.testing.assert_close(FULL.log_density(z), TRUE.log_prob(z), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(FULL.log_density(z[0]), TRUE.log_prob(z[0]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("posterior", [FULL, Posterior(MEAN, LOG_SCALE)])
def test_every_sample_meets_every_posterior(posterior: Posterior) -> None:
    z = torch.randn(7, D, generator=DRAW)
    pairs = posterior.log_density_pairs(z)
    assert pairs.shape == (7, B)
    torch.testing.assert_close(pairs[2], posterior.log_density(z[2].expand(B, D)))


def test_nothing_below_the_diagonal_is_the_diagonal_posterior() -> None:
    full, plain = full_posterior(MEAN, LOG_SCALE, BELOW * 0), Posterior(MEAN, LOG_SCALE)
    z = torch.randn(2, B, D, generator=DRAW)
    torch.testing.assert_close(full.kl_terms(), plain.kl_terms())
    torch.testing.assert_close(full.log_density(z), plain.log_density(z))
    draws = [p.sample(generator=torch.Generator().manual_seed(1)) for p in (full, plain)]
    torch.testing.assert_close(*draws)


def test_samples_have_the_mean_and_the_covariance() -> None:
    z = FULL.sample(n=20_000, generator=torch.Generator().manual_seed(0))
    assert z.shape == (20_000, B, D)
    torch.testing.assert_close(z.mean(0), MEAN, atol=0.1, rtol=0.05)
    torch.testing.assert_close(torch.cov(z[:, 2].T), FULL.covariance[2], atol=0.15, rtol=0.1)


def test_a_point_has_no_width_and_samples_itself() -> None:
    posterior = small_model(posterior="point").encode(pixels(2))
    z = posterior.sample(generator=torch.Generator().manual_seed(0))[0]
    torch.testing.assert_close(z, posterior.mean, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", POSTERIORS)
def test_a_model_gives_its_kind_and_one_dimension_needs_no_factor(kind: str) -> None:
    wide, narrow = small_model(posterior=kind), small_model(n_latent=1, posterior=kind)
    assert (wide.encode(pixels(2)).factor is not None) == (kind == "full")
    assert narrow.encode(pixels(2)).factor is None


def test_full_covariances_differ_between_images() -> None:
    posterior = small_model(posterior="full").encode(pixels(2))
    assert not posterior.covariance[0].equal(posterior.covariance[1])
    assert posterior.covariance[0, 1, 0] != 0


def test_an_unknown_kind_is_refused() -> None:
    config = ModelConfig(**{**vars(small_model().config), "posterior": "banded"})
    with pytest.raises(ConfigError, match="'banded' is unknown; choose one of diagonal, full"):
        Autoencoder(config)


def test_a_detached_posterior_has_the_same_values_and_no_gradient() -> None:
    posterior = small_model(posterior="full").encode(pixels(2))
    detached = posterior.detach()
    assert detached.mean.equal(posterior.mean)
    assert not detached.kl_terms().requires_grad
