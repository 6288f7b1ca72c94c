"""What is special about each variant: schedules, corruption, importance weights, labels."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.fixtures import pixels, small_model
from vae_core.errors import ConfigError
from vae_core.estimators import (
    aggregate_log_densities,
    mmd_to_standard_normal,
    stratified_log_weight,
)
from vae_core.model import Autoencoder
from vae_core.objectives import (
    IWAE,
    VAE,
    Batch,
    BetaTCVAE,
    BetaVAE,
    CapacityVAE,
    ConditionalVAE,
    DenoisingAE,
    DenoisingVAE,
    InfoVAE,
    SemiSupervised,
    Terms,
    build_objective,
)
from vae_core.objectives.base import Objective
from vae_core.objectives.denoising import CORRUPTIONS, corrupt
from vae_core.objectives.registry import settling_steps

X, Y = pixels(6), torch.tensor([0, 1, 2, -1, 2, -1])


@pytest.fixture
def model() -> Autoencoder:
    return small_model(likelihood="gaussian", n_classes=3)


def run(
    objective: Objective,
    model: Autoencoder,
    *,
    step: float = 0,
    y: Tensor | None = Y,
    seed: int = 0,
) -> Terms:
    generator = torch.Generator().manual_seed(seed)
    return objective(model, Batch(X, generator, y, 600), torch.tensor(step))


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0), (25, 0.5), (50, 1), (99, 1), (100, 0), (125, 0.5), (math.inf, 1)]
)
def test_cycles_rise_over_their_first_half(step: float, share: float) -> None:
    weight = BetaVAE(beta=4, cycle_steps=100).weight(torch.tensor(step))
    assert float(weight) == pytest.approx(4 * share)


@pytest.mark.parametrize(("step", "capacity"), [(0, 0.0), (50, 15.0), (1e6, 30.0)])
def test_capacity_holds_the_average_kl_to_its_target(
    model: Autoencoder, step: float, capacity: float
) -> None:
    objective = CapacityVAE(gamma=10, capacity_nats=30, capacity_steps=100)
    terms = run(objective, model, step=step)
    distance = (terms.loss - terms.parts["reconstruction"]).mean() / 10
    expected = (terms.parts["kl"].mean() - capacity).abs()
    torch.testing.assert_close(distance, expected, rtol=1e-3, atol=1e-3)


def test_losses_are_comparable_only_after_the_ramps() -> None:
    assert settling_steps(VAE()) == 0
    assert settling_steps(BetaVAE(warmup_steps=70)) == 70
    assert settling_steps(CapacityVAE(capacity_steps=90)) == 90


def test_one_importance_sample_is_the_elbo_of_that_sample(model: Autoencoder) -> None:
    terms = run(IWAE(importance_samples=1), model)
    posterior = model.encode(X)
    z = posterior.sample(generator=torch.Generator().manual_seed(0))[0]
    log_q, log_p = posterior.log_density(z), -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
    nll = model.likelihood.nll(model.decode_raw(z), X)
    torch.testing.assert_close(terms.loss, nll - log_p + log_q)


def test_more_importance_samples_tighten_the_bound(model: Autoencoder) -> None:
    losses = [
        torch.stack([run(IWAE(importance_samples=k), model, seed=s).loss for s in range(20)]).mean()
        for k in (1, 5, 50)
    ]
    assert losses[0] > losses[1] > losses[2]


def gradients(model: Autoencoder, objective: IWAE, *, n: int) -> list[Tensor]:
    names = [model.mean_head.weight, next(iter(model.decoder.parameters()))]
    total = [torch.zeros_like(p) for p in names]
    for seed in range(n):
        found = torch.autograd.grad(run(objective, model, seed=seed).loss.sum(), names)
        total = [t + g / n for t, g in zip(total, found, strict=True)]
    return total


def test_dreg_has_the_value_and_the_decoder_gradient_of_iwae(model: Autoencoder) -> None:
    dreg, plain = IWAE(importance_samples=8), IWAE(8, doubly_reparameterised=False)
    assert run(dreg, model).loss.equal(run(plain, model).loss)
    of_decoder = [gradients(model, o, n=1)[1] for o in (dreg, plain)]
    torch.testing.assert_close(*of_decoder, rtol=1e-4, atol=1e-4)


def test_dreg_points_the_encoder_the_same_way_on_average_with_less_noise() -> None:
    model = small_model(n_latent=2, likelihood="gaussian", preset="mlp")
    objectives = IWAE(importance_samples=8), IWAE(8, doubly_reparameterised=False)
    dreg, plain = (gradients(model, o, n=300)[0].flatten() for o in objectives)
    assert float(torch.cosine_similarity(dreg, plain, dim=0)) > 0.9
    assert float(dreg.norm() / plain.norm()) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("n_images", [8, 64, 60_000])
def test_stratified_weights_sum_to_one_and_give_the_own_posterior_its_share(n_images: int) -> None:
    weight = stratified_log_weight(8, n_images, like=X).exp()
    torch.testing.assert_close(weight.sum(1), torch.ones(8))
    torch.testing.assert_close(weight.diagonal(), torch.full((8,), 1 / n_images))
    assert stratified_log_weight(1, 100, like=X).tolist() == [[0.0]]


def test_the_stratified_estimate_is_right_on_average() -> None:
    n, m, draw = 200, 20, torch.Generator().manual_seed(0)
    mean, log_std = torch.randn(n, 3, generator=draw), torch.full((n, 3), -0.5)
    z = mean + log_std.exp() * torch.randn(mean.shape, generator=draw)
    right = aggregate_log_densities(z, mean, log_std)[0].exp().mean()
    found = []
    for _ in range(400):
        rows = torch.randperm(n, generator=draw)[:m]
        weight = stratified_log_weight(m, n, like=z)
        pieces = aggregate_log_densities(z[rows], mean[rows], log_std[rows], log_weight=weight)
        found.append(pieces[0].exp().mean())
    assert float(torch.stack(found).mean()) == pytest.approx(float(right), rel=0.1)


def test_beta_one_is_the_vae_for_tcvae_and_the_split_adds_up(model: Autoencoder) -> None:
    plain, terms = run(VAE(), model), run(BetaTCVAE(beta=1), model)
    torch.testing.assert_close(terms.loss, plain.loss)
    posterior = model.encode(X)
    z = posterior.sample(generator=torch.Generator().manual_seed(0))[0]
    log_p = -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
    split = ("mutual_information", "total_correlation", "dimension_kl")
    total = sum(terms.parts[k] for k in split)
    torch.testing.assert_close(total, posterior.log_density(z) - log_p, rtol=1e-4, atol=1e-4)


def test_mmd_is_small_for_the_prior_and_grows_with_the_distance() -> None:
    draw = torch.Generator().manual_seed(0)
    z, prior = torch.randn(2, 400, 3, generator=draw)
    values = [float(mmd_to_standard_normal(z + shift, prior)) for shift in (0, 0.5, 2)]
    assert abs(values[0]) < 0.02 < values[1] < values[2]
    assert float(mmd_to_standard_normal(z[:1], prior[:1])) == 0.0
    assert float(mmd_to_standard_normal(torch.zeros(50, 3), prior[:50])) > 0.5


def test_info_vae_weighs_kl_and_mmd(model: Autoencoder) -> None:
    terms = run(InfoVAE(kl_weight=2, mmd_weight=3), model)
    parts = terms.parts
    expected = parts["reconstruction"] + 2 * parts["kl"] + 3 * parts["mmd"]
    torch.testing.assert_close(terms.loss, expected)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruption_stays_in_range_and_nothing_is_nothing(kind: str) -> None:
    x = pixels(200, (3, 4, 4))
    spoilt = corrupt(x, kind, amount=0.4, generator=torch.Generator().manual_seed(0))
    assert 0 <= float(spoilt.min()) <= float(spoilt.max()) <= 1
    assert not spoilt.equal(x)
    assert corrupt(x, kind, amount=0.0).equal(x)


def test_masking_and_salt_and_pepper_hit_whole_pixels_at_their_rate() -> None:
    x = torch.full((400, 3, 5, 5), 0.5)
    masked, peppered = (
        corrupt(x, k, amount=0.3, generator=torch.Generator().manual_seed(0))
        for k in ("masking", "salt-and-pepper")
    )
    assert float((masked == 0).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float((peppered == 1).float().mean()) == pytest.approx(0.15, abs=0.03)
    assert (masked == 0).all(1).equal((masked == 0).any(1))


@pytest.mark.parametrize(("kind", "amount"), [("blur", 0.1), ("gaussian", -1.0)])
def test_senseless_noise_is_refused(kind: str, amount: float) -> None:
    with pytest.raises(ConfigError, match="expected one of gaussian, masking"):
        corrupt(X, kind, amount=amount)


@pytest.mark.parametrize("objective", [DenoisingAE(amount=0.9), DenoisingVAE(amount=0.9)])
def test_denoising_scores_against_the_clean_image(objective: Objective, model: Autoencoder) -> None:
    seen: list[Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    targets: list[Tensor] = []
    nll = model.likelihood.nll
    model.likelihood.nll = lambda raw, t: targets.append(t) or nll(raw, t)  # type: ignore[method-assign,func-returns-value]
    run(objective, model)
    assert targets[0].equal(X)
    assert not seen[0].equal(X)


def test_a_conditional_vae_listens_to_its_label_and_can_do_without(model: Autoencoder) -> None:
    objective = ConditionalVAE(label_dropout=0)
    told, other = run(objective, model), run(objective, model, y=torch.zeros(6, dtype=torch.long))
    differs = (told.loss != other.loss).tolist()
    assert differs == (Y != 0).tolist()
    hidden = run(ConditionalVAE(label_dropout=1), model)
    assert run(objective, model, y=None).loss.shape == hidden.loss.shape == (6,)


def test_hidden_labels_make_a_plain_vae(model: Autoencoder) -> None:
    z, nobody = torch.randn(3, 3), torch.full((3,), -1)
    assert model.decode(z, nobody).equal(model.decode(z))
    assert not model.decode(z, torch.tensor([0, 1, 2])).equal(model.decode(z))


def test_m2_charges_a_wrong_classifier_on_labelled_images_only(model: Autoencoder) -> None:
    light, heavy = (
        run(SemiSupervised(classifier_weight=w, label_dropout=0), model) for w in (0, 100)
    )
    extra = heavy.loss - light.loss
    assert extra[Y >= 0].gt(1).all()
    assert extra[Y < 0].eq(0).all()
    assert light.parts["classification"][Y < 0].eq(0).all()


def test_m2_of_a_certain_classifier_is_the_labelled_bound(model: Autoencoder) -> None:
    assert model.label_head is not None
    torch.nn.init.zeros_(model.label_head.weight)
    model.label_head.bias.data = torch.tensor([0.0, 80.0, 0.0])
    objective = SemiSupervised(classifier_weight=0, label_dropout=0)
    unknown = run(objective, model, y=torch.full((6,), -1))
    known = run(objective, model, y=torch.ones(6, dtype=torch.long))
    torch.testing.assert_close(unknown.loss, known.loss)
    torch.testing.assert_close(unknown.parts["elbo"], -known.loss)


def test_m2_pays_for_indecision_exactly_its_entropy(model: Autoencoder) -> None:
    assert model.label_head is not None
    torch.nn.init.zeros_(model.label_head.weight)
    objective = SemiSupervised(label_dropout=0)
    terms = run(objective, model, y=None)
    each = [run(SemiSupervised(0, 0), model, y=torch.full((6,), c)).loss for c in range(3)]
    expected = torch.stack(each).mean(0) - math.log(3)
    torch.testing.assert_close(terms.loss, expected)


def test_objectives_with_labels_need_a_model_with_classes() -> None:
    with pytest.raises(ConfigError, match="needs labels but the model has no classes"):
        run(ConditionalVAE(), small_model())
    with pytest.raises(ConfigError, match="This model says no labels"):
        small_model().classify(torch.zeros(1, 4))


@pytest.mark.parametrize(
    ("name", "options"), [("beta-vae", {"beta": -1.0}), ("iwae", {"importance_samples": math.nan})]
)
def test_negative_options_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected a number of 0 or more"):
        build_objective(name, options)
