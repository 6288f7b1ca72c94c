"""The prior fitted to codes: finds what is there, stays finite, comes back from arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from vae_core.errors import ConfigError, DataError
from vae_core.latent.mixture import MixturePrior, fit_mixture
from vae_core.train.loop import Interrupted

Floats = NDArray[np.float32]


def two_clusters(n: int = 2_000) -> Floats:
    """A quarter of the means around (−4, 0), the rest around (4, 1)."""
    random = np.random.default_rng(0)
    centers = np.where(np.arange(n)[:, None] < n // 4, [[-4.0, 0.0]], [[4.0, 1.0]])
    return (centers + 0.5 * random.standard_normal((n, 2))).astype(np.float32)


def draws(mean: Floats, std: float = 0.5) -> Floats:
    """Draws `[S,N,D]` from posteriors of that width: at least a thousand in all."""
    noise = np.random.default_rng(1).standard_normal((-(-1_000 // len(mean)), *mean.shape))
    return (mean + std * noise).astype(np.float32)


def draw(prior: MixturePrior, n: int = 5_000, *, seed: int = 0) -> Floats:
    return prior.sample(n, generator=torch.Generator().manual_seed(seed)).numpy()


def as_torch(prior: MixturePrior) -> MixtureSameFamily:
    weights, means, cholesky = (torch.from_numpy(a) for a in prior.to_arrays().values())
    return MixtureSameFamily(Categorical(weights), MultivariateNormal(means, scale_tril=cholesky))


def test_two_clusters_are_found_with_the_posteriors_width() -> None:
    prior = fit_mixture(draws(two_clusters()), n_components=2)
    order = np.argsort(prior.means[:, 0])
    assert prior.weights[order] == pytest.approx([0.25, 0.75], abs=0.01)
    assert prior.means[order] == pytest.approx(np.array([[-4, 0], [4, 1]]), abs=0.12)
    # Spread of the means and width of the posteriors: 0.5² + 0.5² in each dimension.
    covariance = prior.cholesky @ prior.cholesky.swapaxes(1, 2)
    assert covariance == pytest.approx(np.broadcast_to(np.eye(2) / 2, (2, 2, 2)), abs=0.08)


def test_samples_have_the_moments_of_the_codes() -> None:
    mean = two_clusters()
    z = draw(fit_mixture(draws(mean), n_components=3), 20_000)
    assert z.mean(0) == pytest.approx(mean.mean(0), abs=0.1)
    assert np.cov(z.T) == pytest.approx(np.cov(mean.T) + 0.25 * np.eye(2), abs=0.3)
    assert (z[:, 0] < 0).mean() == pytest.approx(0.25, abs=0.02)


def test_log_density_equals_torch_distributions() -> None:
    prior = fit_mixture(draws(two_clusters()), n_components=4)
    z = torch.randn((600, 2), generator=torch.Generator().manual_seed(0)) * 4
    assert torch.allclose(prior.log_density(z), as_torch(prior).log_prob(z), atol=1e-3)


def test_the_density_integrates_to_one() -> None:
    prior = fit_mixture(draws(two_clusters()), n_components=3)
    axis = torch.arange(-12, 12, 0.1)
    grid = torch.cartesian_prod(axis, axis)
    assert float(prior.log_density(grid).exp().sum() * 0.01) == pytest.approx(1, abs=1e-3)


def test_one_component_is_the_gaussian_of_the_codes() -> None:
    z = draws(two_clusters())
    prior = fit_mixture(z, n_components=1)
    covariance = prior.cholesky[0] @ prior.cholesky[0].T
    assert prior.weights == pytest.approx([1])
    assert prior.means[0] == pytest.approx(z[0].mean(0), abs=1e-3)
    assert covariance == pytest.approx(np.cov(z[0].T), abs=0.01)


def test_held_out_codes_are_likelier_than_under_one_gaussian() -> None:
    mean = two_clusters()
    z = torch.from_numpy(mean[1::2])
    one, two = (fit_mixture(draws(mean[::2]), n_components=k) for k in (1, 2))
    assert float(two.log_density(z).mean()) > float(one.log_density(z).mean()) + 0.3


@pytest.mark.parametrize("log_std", [-12.0, -1.0])
def test_degenerate_codes_stay_finite(log_std: float) -> None:
    mean = np.repeat(np.random.default_rng(0).normal(size=(10, 1)), 60, 0)
    mean = np.concatenate([mean, mean, np.full_like(mean, 3)], 1).astype(np.float32)
    prior = fit_mixture(draws(mean, math.exp(log_std)), n_components=10)
    z = draw(prior, 500)
    assert np.isfinite(z).all()
    assert bool(prior.log_density(torch.from_numpy(z)).isfinite().all())
    assert z[:, 2] == pytest.approx(np.full(500, 3), abs=6 * math.exp(max(log_std, -3)))


def test_few_images_get_few_components() -> None:
    random = np.random.default_rng(0)
    small, wide = random.normal(size=(45, 3)), random.normal(size=(200, 40))
    assert fit_mixture(draws(small), n_components=10).n_components == 2
    assert fit_mixture(draws(wide), n_components=10).n_components == 2
    assert fit_mixture(draws(small[:10])).n_components == 1


def test_more_dimensions_than_images_can_be_fitted() -> None:
    mean = np.random.default_rng(0).normal(size=(12, 30)).astype(np.float32)
    prior = fit_mixture(draws(mean, math.exp(-1)))
    assert prior.n_latent == 30
    assert draw(prior).std(0) == pytest.approx(np.sqrt(mean.var(0) + np.exp(-2)), rel=0.15)


def test_the_seed_decides_fit_and_samples() -> None:
    fits = [fit_mixture(draws(two_clusters(200)), n_components=3, seed=seed) for seed in (1, 1, 2)]
    assert (fits[0].means == fits[1].means).all()
    assert not (fits[0].means == fits[2].means).all()
    assert (draw(fits[0], seed=5) == draw(fits[1], seed=5)).all()
    assert not (draw(fits[0], seed=5) == draw(fits[0], seed=6)).all()


def test_the_share_that_is_done_rises_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_core.latent.mixture.MANY_DRAWS", 500)
    told: list[float] = []
    fit_mixture(draws(two_clusters()), n_components=3, progress=told.append)
    assert told == sorted(told)
    assert told[0] > 0
    assert told[-1] == pytest.approx(1)
    assert len(told) > 3


def test_the_listener_can_stop_it() -> None:
    def stop(_: float) -> None:
        raise Interrupted("enough")

    with pytest.raises(Interrupted):
        fit_mixture(draws(two_clusters()), n_components=3, progress=stop)


def test_a_part_of_the_draws_and_then_all_come_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    z = draws(two_clusters(4_000))
    whole = fit_mixture(z, n_components=2)
    monkeypatch.setattr("vae_core.latent.mixture.MANY_DRAWS", 400)
    stepped = fit_mixture(z, n_components=2)
    codes = torch.from_numpy(z[0])
    difference = whole.log_density(codes).mean() - stepped.log_density(codes).mean()
    assert abs(float(difference)) < 1e-3


def test_arrays_bring_the_same_prior_back() -> None:
    prior = fit_mixture(draws(two_clusters()), n_components=3)
    again = MixturePrior.from_arrays(prior.to_arrays())
    assert all(array.dtype == np.float32 for array in prior.to_arrays().values())
    assert (draw(again) == draw(prior)).all()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("weights", None, "lacks weights"),
        ("weights", np.ones(2), "sum to 1"),
        ("weights", np.array([1.5, -0.5]), "sum to 1"),
        ("means", np.zeros((3, 2)), "expected"),
        ("means", np.array([[0, np.nan], [0, 0]]), "describe no mixture"),
        ("cholesky", np.ones((2, 2, 2)), "lower triangles"),
        ("cholesky", np.zeros((2, 2, 2)), "positive diagonal"),
        ("cholesky", np.zeros((2, 2, 3)), "expected"),
    ],
)
def test_damaged_arrays_are_refused(name: str, value: Floats | None, says: str) -> None:
    arrays = fit_mixture(draws(two_clusters()), n_components=2).to_arrays()
    arrays.pop(name)
    with pytest.raises(DataError, match=says):
        MixturePrior.from_arrays(arrays if value is None else arrays | {name: value})


def test_too_few_or_broken_codes_are_refused() -> None:
    mean = two_clusters(40)
    with pytest.raises(DataError, match="Codes of 9 images came"):
        fit_mixture(draws(mean[:9]))
    with pytest.raises(DataError, match=r"expected \[S,N,D\]"):
        fit_mixture(mean)
    with pytest.raises(DataError, match="not finite"):
        fit_mixture(draws(mean) * np.inf)
    with pytest.raises(ConfigError, match="0 components"):
        fit_mixture(draws(mean), n_components=0)


def test_codes_of_another_size_have_no_density() -> None:
    with pytest.raises(DataError, match=r"expects \[M, 2\]"):
        fit_mixture(draws(two_clusters(100))).log_density(torch.zeros(3, 4))
