"""What each objective minimises and logs."""

from __future__ import annotations

import math

import pytest
import torch

from tests.fixtures import pixels, small_model
from vae_core.errors import ConfigError
from vae_core.estimators import kl_to_standard_normal
from vae_core.likelihoods import LIKELIHOODS
from vae_core.model import Autoencoder
from vae_core.objectives import AE, OBJECTIVES, VAE, Batch, BetaVAE, Terms, build_objective
from vae_core.objectives.base import Objective
from vae_core.objectives.registry import describe_objective, objective_fields
from vae_core.posterior import POSTERIORS

X = pixels(6)
every = pytest.mark.parametrize("name", OBJECTIVES)


Y = torch.tensor([0, 1, 2, -1, 2, -1])
KINDS = [(likelihood, posterior) for likelihood in LIKELIHOODS for posterior in POSTERIORS]


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    return small_model(likelihood="gaussian", n_classes=3)


def run(objective: Objective, model: Autoencoder, *, step: float = 0) -> Terms:
    generator = torch.Generator().manual_seed(0)
    return objective(model, Batch(X, generator, Y, 600), torch.tensor(step))


@every
@pytest.mark.parametrize(("likelihood", "posterior"), KINDS)
def test_objective_likelihood_and_posterior_combine_freely(
    name: str, likelihood: str, posterior: str
) -> None:
    model = small_model(likelihood=likelihood, posterior=posterior, n_classes=3)
    terms = run(build_objective(name, {}), model)
    terms.loss.mean().backward()
    assert terms.loss.shape == (len(X),)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in gradients)
    assert model.mean_head.weight.grad is not None


@every
def test_terms_are_one_finite_value_per_image(name: str, model: Autoencoder) -> None:
    terms = run(build_objective(name, {}), model)
    for values in (terms.loss, *terms.parts.values()):
        assert values.shape == (len(X),)
        assert values.isfinite().all()


@every
def test_an_elbo_is_logged_whenever_there_is_one(name: str, model: Autoencoder) -> None:
    parts = run(build_objective(name, {}), model).parts
    if "kl" in parts:
        torch.testing.assert_close(parts["elbo"], -(parts["reconstruction"] + parts["kl"]))
    else:
        assert "elbo" not in parts


@every
def test_the_same_generator_gives_the_same_loss(name: str, model: Autoencoder) -> None:
    objective = build_objective(name, {})
    assert run(objective, model).loss.equal(run(objective, model).loss)


@every
def test_global_randomness_is_left_alone(name: str, model: Autoencoder) -> None:
    before = torch.get_rng_state()
    run(build_objective(name, {}), model)
    assert torch.get_rng_state().equal(before)


@every
def test_a_step_far_beyond_any_warm_up_is_understood(name: str, model: Autoencoder) -> None:
    assert run(build_objective(name, {}), model, step=math.inf).loss.isfinite().all()


def test_the_autoencoder_scores_the_mean_code_and_knows_no_elbo(model: Autoencoder) -> None:
    terms = run(AE(), model)
    raw = model.decode_raw(model.encode(X).mean)
    assert set(terms.parts) == {"reconstruction"}
    torch.testing.assert_close(terms.loss, model.likelihood.nll(raw, X))


def test_the_vae_minimises_reconstruction_plus_kl_in_nats(model: Autoencoder) -> None:
    terms, posterior = run(VAE(), model), model.encode(X)
    kl = kl_to_standard_normal(posterior.mean, posterior.log_std).sum(1)
    torch.testing.assert_close(terms.parts["kl"], kl)
    torch.testing.assert_close(terms.loss, -terms.parts["elbo"])
    torch.testing.assert_close(terms.loss - kl, terms.parts["reconstruction"])


def test_beta_one_is_the_vae(model: Autoencoder) -> None:
    assert run(BetaVAE(beta=1), model).loss.equal(run(VAE(), model).loss)


def test_beta_weighs_the_kl_and_leaves_the_logged_elbo_alone(model: Autoencoder) -> None:
    plain, heavy = run(VAE(), model), run(BetaVAE(beta=7), model)
    torch.testing.assert_close(heavy.loss, plain.loss + 6 * plain.parts["kl"])
    torch.testing.assert_close(heavy.parts["elbo"], plain.parts["elbo"])


@pytest.mark.parametrize(("step", "weight"), [(0, 0), (25, 1), (100, 4), (1e9, 4)])
def test_warm_up_grows_from_nothing_to_beta(step: float, weight: float, model: Autoencoder) -> None:
    terms = run(BetaVAE(beta=4, warmup_steps=100), model, step=step)
    parts = terms.parts
    torch.testing.assert_close(terms.loss, parts["reconstruction"] + weight * parts["kl"])


def test_free_nats_are_the_least_a_dimension_costs(model: Autoencoder) -> None:
    terms = run(BetaVAE(beta=1, free_nats=50.0), model)
    penalty = terms.loss - terms.parts["reconstruction"]
    torch.testing.assert_close(penalty, torch.full((6,), 3 * 50.0), rtol=1e-4, atol=1e-3)


def test_free_nats_below_the_kl_change_nothing(model: Autoencoder) -> None:
    free, plain = run(BetaVAE(beta=1, free_nats=1e-9), model), run(VAE(), model)
    torch.testing.assert_close(free.loss, plain.loss)


def test_free_dimensions_feel_no_pull_to_the_prior() -> None:
    model = small_model()
    terms = run(BetaVAE(beta=1, free_nats=50.0), model)
    (terms.loss - terms.parts["reconstruction"]).sum().backward()
    assert model.log_std_head is not None
    assert model.log_std_head.weight.grad is not None
    assert model.log_std_head.weight.grad.abs().max() < 1e-3


def test_options_are_described_for_flags_and_card() -> None:
    assert objective_fields("vae") == {}
    assert objective_fields("beta-vae")["beta"] == (float, 4.0, "weight of the KL term")
    described = describe_objective("beta-vae", build_objective("beta-vae", {"beta": 2.0}))
    others = {"warmup_steps": 0, "cycle_steps": 0, "free_nats": 0.0}
    assert described == {"name": "beta-vae", "beta": 2.0, **others}


def test_unknown_names_and_options_are_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match="'gan' is unknown; choose one of ae, denoising-ae, vae, beta-vae"
    ):
        build_objective("gan", {})
    with pytest.raises(ConfigError, match="'vae' has no option beta, it knows none"):
        build_objective("vae", {"beta": 2.0})
