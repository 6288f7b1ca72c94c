"""Evidence bounds on a linear-Gaussian model, whose evidence is known in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence

from tests.fixtures import pixels, small_model
from vae_core.errors import ConfigError
from vae_core.estimators import importance_bound
from vae_core.evaluate import evidence_bounds, score_images
from vae_core.evaluate.bounds import log_weights
from vae_core.latent.mixture import MixturePrior
from vae_core.likelihoods import Gaussian
from vae_core.posterior import Posterior


@dataclass
class LinearModel:
    """x = Wz + b + σε on 2×2 images; its encoder is a little off, so that bounds are loose."""

    weight: Tensor
    bias: Tensor
    likelihood: Gaussian
    device: str = "cpu"

    def true_posterior(self, x: Tensor) -> MultivariateNormal:
        precision = torch.eye(2) + self.weight.T @ self.weight / self.likelihood.sigma**2
        covariance = precision.inverse()
        gain = covariance @ self.weight.T / self.likelihood.sigma**2
        return MultivariateNormal((x.flatten(1) - self.bias) @ gain.T, covariance)

    def encode(self, x: Tensor) -> Posterior:
        true = self.true_posterior(x)
        log_std = true.covariance_matrix.diagonal(dim1=-2, dim2=-1).sqrt().log() + 0.3
        return Posterior(true.mean + 0.2, log_std)

    def decode_raw(self, z: Tensor) -> Tensor:
        return (z @ self.weight.T + self.bias).view(-1, 1, 2, 2)

    def evidence(self, x: Tensor, prior: MixturePrior | None = None) -> Tensor:
        """log p(x) where z comes from N(0, I), or from the one Gaussian of `prior`."""
        factor, middle = self.weight, self.bias
        if prior is not None:
            factor = self.weight @ torch.from_numpy(prior.cholesky[0])
            middle = self.bias + self.weight @ torch.from_numpy(prior.means[0])
        spread = factor @ factor.T + self.likelihood.sigma**2 * torch.eye(4)
        return MultivariateNormal(middle, spread).log_prob(x.flatten(1))

    def elbo(self, x: Tensor) -> Tensor:
        made = self.encode(x)
        proposal = MultivariateNormal(made.mean, torch.diag_embed(made.std.square()))
        return self.evidence(x) - kl_divergence(proposal, self.true_posterior(x))


IMAGES: NDArray[np.uint8] = (
    np.random.default_rng(0).integers(0, 256, (50, 1, 2, 2)).astype(np.uint8)
)
X = torch.from_numpy(IMAGES).float() / 255


@pytest.fixture(scope="module")
def linear() -> LinearModel:
    weight = 0.5 * torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    return LinearModel(weight, torch.full((4,), 0.5), Gaussian().requires_grad_(False))


def test_nll_of_many_samples_is_the_known_evidence(linear: LinearModel) -> None:
    found = [evidence_bounds(linear, IMAGES, importance_samples=1000, seed=s).nll for s in range(8)]  # type: ignore[arg-type]
    standard_error = np.std(found, ddof=1) / math.sqrt(8)
    assert abs(np.mean(found) + float(linear.evidence(X).mean())) < 3 * standard_error + 1e-4


def test_the_bound_tightens_with_more_samples(linear: LinearModel) -> None:
    nll = [evidence_bounds(linear, IMAGES, importance_samples=k).nll for k in (1, 5, 50)]  # type: ignore[arg-type]
    assert nll == sorted(nll, reverse=True)
    assert nll[0] - nll[-1] > 0.05


def test_merging_groups_of_samples_never_loosens_the_bound(linear: LinearModel) -> None:
    weights = log_weights(linear, X, n=1000, generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    bounds = [
        float(torch.stack([importance_bound(g) for g in weights.split(k)]).double().mean())
        for k in (1, 10, 100, 1000)
    ]
    assert bounds == sorted(bounds)


def test_one_sample_averages_to_the_elbo(linear: LinearModel) -> None:
    weights = log_weights(linear, X, n=4000, generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    standard_error = float(weights.std() / math.sqrt(weights.numel()))
    assert abs(float(weights.mean() - linear.elbo(X).mean())) < 3 * standard_error


def test_with_one_sample_nll_and_elbo_are_the_same_number(linear: LinearModel) -> None:
    report = evidence_bounds(linear, IMAGES, importance_samples=1)  # type: ignore[arg-type]
    assert report.nll == pytest.approx(-report.elbo, rel=1e-5)
    assert report.elbo == pytest.approx(-(report.reconstruction + report.kl), rel=1e-5)


def test_the_standard_error_is_over_images(linear: LinearModel) -> None:
    report = evidence_bounds(linear, IMAGES, importance_samples=500)  # type: ignore[arg-type]
    right = float(linear.evidence(X).std()) / math.sqrt(50)
    assert report.nll_standard_error == pytest.approx(right, rel=0.05)


def test_samples_are_independent_and_memory_is_bounded(
    linear: LinearModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    decode = linear.decode_raw
    monkeypatch.setattr(linear, "decode_raw", lambda z: sizes.append(len(z)) or decode(z))
    monkeypatch.setattr("vae_core.evaluate.bounds.DECODE_AT_ONCE", 120)
    weights = log_weights(linear, X, n=7, generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert weights.shape == (7, 50)
    assert sizes == [100, 100, 100, 50]
    assert len(weights[:, 0].unique()) == 7


def gaussian_prior(mean: list[float], factor: list[list[float]]) -> MixturePrior:
    return MixturePrior(*(np.array(part, np.float32) for part in ([1.0], [mean], [factor])))


def test_nll_under_another_prior_is_its_known_evidence(linear: LinearModel) -> None:
    prior = gaussian_prior([0.3, -0.2], [[0.8, 0.0], [0.3, 0.7]])
    found = [
        evidence_bounds(linear, IMAGES, importance_samples=1000, mixture=prior, seed=s).nll_mixture  # type: ignore[arg-type]
        for s in range(8)
    ]
    known = -float(linear.evidence(X, prior).mean())
    standard_error = float(np.std(np.array(found, float), ddof=1)) / math.sqrt(8)
    assert abs(np.mean(np.array(found, float)) - known) < 3 * standard_error + 1e-3
    # Not the evidence under N(0, I) by another name.
    assert abs(known + float(linear.evidence(X).mean())) > 0.05


def test_a_mixture_that_is_the_standard_normal_changes_nothing(linear: LinearModel) -> None:
    prior = gaussian_prior([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
    found = evidence_bounds(linear, IMAGES, importance_samples=20, mixture=prior)  # type: ignore[arg-type]
    plain = evidence_bounds(linear, IMAGES, importance_samples=20)  # type: ignore[arg-type]
    assert found.nll_mixture == pytest.approx(found.nll, abs=1e-4)
    assert found.nll_mixture_standard_error == pytest.approx(found.nll_standard_error, abs=1e-4)
    assert (found.nll, found.elbo, found.kl) == (plain.nll, plain.elbo, plain.kl)
    assert plain.nll_mixture is None


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_reports_are_repeatable_and_leave_global_randomness_alone(likelihood: str) -> None:
    model, images = small_model(likelihood=likelihood), (pixels(120) * 255).byte().numpy()
    before = torch.get_rng_state()
    first = evidence_bounds(model, images, importance_samples=3)
    assert torch.get_rng_state().equal(before)
    assert first == evidence_bounds(model, images, importance_samples=3)
    assert first != evidence_bounds(model, images, importance_samples=3, seed=1)


def test_averages_are_over_images_not_over_batches() -> None:
    model, images = small_model(likelihood="gaussian"), (pixels(101) * 255).byte().numpy()
    images[100] = 0
    posterior = model.encode(torch.from_numpy(images) / 255)
    kl = 0.5 * (posterior.mean.square() + posterior.std.square() - 1 - 2 * posterior.log_std)
    report = evidence_bounds(model, images, importance_samples=1)
    assert report.kl == pytest.approx(float(kl.detach().sum(1).mean()), rel=1e-4)


@pytest.mark.parametrize("n", [0, -3])
def test_fewer_than_one_sample_is_refused(n: int) -> None:
    with pytest.raises(ConfigError, match=f"{n} importance samples"):
        evidence_bounds(small_model(), np.zeros((2, 1, 8, 8), np.uint8), importance_samples=n)


def test_image_scores_do_not_depend_on_the_batch_size() -> None:
    model, images = small_model((3, 9, 7)), (pixels(7, (3, 9, 7)) * 255).byte().numpy()
    for one, all_at_once in zip(
        vars(score_images(model, images, batch_size=1)).values(),
        vars(score_images(model, images)).values(),
        strict=True,
    ):
        np.testing.assert_allclose(one, all_at_once, rtol=1e-3, atol=1e-5)


def test_image_scores_are_those_of_the_mean_code() -> None:
    model, images = small_model(likelihood="gaussian"), (pixels(4) * 255).byte().numpy()
    scores, x = score_images(model, images), torch.from_numpy(images) / 255
    with torch.no_grad():
        rebuilt = model.decode(model.encode(x).mean)
    right = (rebuilt - x).square().mean((1, 2, 3))
    np.testing.assert_allclose(scores.squared_error, right, rtol=1e-5)
