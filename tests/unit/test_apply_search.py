"""Search for codes: it finds a known one, draws the prior when nothing is seen, can be stopped."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.fixtures import sharp_model
from vae_core.apply.observe import Evidence, see_noisy, see_visible
from vae_core.apply.search import LatentPrior, SearchCancelledError, search_codes
from vae_core.errors import ConfigError, DataError
from vae_core.model import Autoencoder
from vae_core.objectives.denoising import CORRUPTIONS, corrupt

EVERYTHING = torch.ones(8, 8, dtype=torch.bool)
LIKELIHOODS = ("bernoulli", "gaussian", "logistic")


def standard(d: int) -> LatentPrior:
    return LatentPrior(torch.zeros(d), torch.eye(d))


def true_picture(model: Autoencoder) -> tuple[Tensor, Tensor]:
    z = torch.tensor([[1.0, -0.7, 0.4]])
    return z, model.decode(z)[0]


def joint(evidence: Evidence, model: Autoencoder, z: Tensor) -> Tensor:
    log_prior = -0.5 * (z.square() + 1.8378771).sum(1)
    return evidence(model.decode_raw(z)) + log_prior


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_search_is_not_worse_than_the_true_code(likelihood: str) -> None:
    model = sharp_model(likelihood)
    z, x = true_picture(model)
    evidence = see_visible(model.likelihood, x, EVERYTHING)
    starts = torch.randn((6, 3), generator=torch.Generator().manual_seed(1))
    found = search_codes(model, evidence, starts, prior=standard(3), climb_steps=80)
    true = joint(evidence, model, z)
    assert found.log_joint.max() >= true - 1e-3
    # What it says of its codes is what they score.
    assert torch.allclose(joint(evidence, model, found.codes), found.log_joint, atol=1e-2)
    assert torch.allclose(model.decode_raw(found.codes), found.raw, atol=1e-4)


def test_hidden_pixels_have_no_say() -> None:
    model = sharp_model()
    _, x = true_picture(model)
    visible = EVERYTHING.clone()
    visible[:, 4:] = False
    other = torch.where(visible, x, 1 - x)
    raw = model.decode_raw(torch.randn((4, 3), generator=torch.Generator().manual_seed(2)))
    same = [see_visible(model.likelihood, picture, visible)(raw) for picture in (x, other)]
    assert torch.equal(*same)
    assert not torch.equal(same[0], see_visible(model.likelihood, other, EVERYTHING)(raw))


def test_draws_that_see_nothing_are_draws_from_the_prior() -> None:
    model = sharp_model()
    _, x = true_picture(model)
    factor = torch.diag(torch.tensor([1.0, 2.0, 0.5]))
    prior = LatentPrior(torch.tensor([3.0, 0.0, 0.0]), factor)
    found = search_codes(
        model, see_visible(model.likelihood, x, ~EVERYTHING), torch.zeros(200, 3),
        prior=prior, climb_steps=0, draw_steps=40,
    )  # fmt: skip
    assert torch.allclose(found.codes.mean(0), prior.mean, atol=0.4)
    assert torch.allclose(found.codes.std(0), factor.diagonal(), rtol=0.2)
    assert 0.3 < float(found.acceptance.mean()) < 0.9


def test_draws_deviate_as_the_exact_posterior_of_a_linear_decoder() -> None:
    """p(x|z) = N(3z, 1) on one pixel with x = 3: the posterior is N(0.9, 0.1)."""

    class Linear:
        n_latent, device = 1, torch.device("cpu")

        class likelihood:  # noqa: N801
            mean = staticmethod(torch.sigmoid)

        @staticmethod
        def decode_raw(z: Tensor) -> Tensor:
            return 3 * z[:, :, None, None]

    def evidence(raw: Tensor) -> Tensor:
        return -0.5 * (raw - 3).square().flatten(1).sum(1)

    found = search_codes(
        Linear(), evidence, torch.zeros(800, 1), prior=standard(1),  # type: ignore[arg-type]
        climb_steps=30, draw_steps=60,
    )  # fmt: skip
    assert float(found.codes.mean()) == pytest.approx(0.9, abs=0.04)
    assert float(found.codes.std()) == pytest.approx(0.1**0.5, rel=0.1)


def test_a_seed_repeats_a_search_and_another_does_not() -> None:
    model = sharp_model()
    evidence = see_visible(model.likelihood, true_picture(model)[1], EVERYTHING)
    runs = [
        search_codes(
            model, evidence, torch.zeros(4, 3), prior=standard(3), climb_steps=5, draw_steps=6,
            seed=seed,
        ).codes
        for seed in (0, 0, 1)
    ]  # fmt: skip
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_it_tells_how_far_it_is_and_stops_when_asked() -> None:
    model = sharp_model()
    evidence = see_visible(model.likelihood, true_picture(model)[1], EVERYTHING)
    told: list[tuple[int, int]] = []
    starts = torch.zeros(2, 3)
    search_codes(
        model, evidence, starts, prior=standard(3), climb_steps=4, draw_steps=3,
        progress=lambda *at: told.append(at),
    )  # fmt: skip
    assert told == [(step, 7) for step in range(8)]
    told.clear()
    with pytest.raises(SearchCancelledError):
        search_codes(
            model, evidence, starts, prior=standard(3), climb_steps=50,
            progress=lambda *at: told.append(at), cancelled=lambda: len(told) == 3,
        )  # fmt: skip
    assert len(told) == 3


def test_starts_of_another_size_are_refused() -> None:
    model = sharp_model()
    evidence = see_visible(model.likelihood, true_picture(model)[1], EVERYTHING)
    with pytest.raises(DataError, match=r"expected \[B, 3\]"):
        search_codes(model, evidence, torch.zeros(2, 4), prior=standard(3))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_the_true_code_explains_noisy_pictures_best(kind: str, likelihood: str) -> None:
    """Gibbs' inequality: on average no code scores above the one the pictures came from."""
    model, generator = sharp_model(likelihood), torch.Generator().manual_seed(3)
    z = true_picture(model)[0]
    others = z + 0.7 * torch.randn((30, 3), generator=generator)
    raw = model.decode_raw(torch.cat([z, others]))
    total = torch.zeros(31)
    for _ in range(60):
        x = model.likelihood.sample(raw[:1], generator)
        noisy = corrupt(x, kind, amount=0.3, generator=generator)[0]
        total += see_noisy(model.likelihood, noisy, kind, amount=0.3)(raw)
    assert total.isfinite().all()
    assert int(total.argmax()) == 0


def test_a_noise_that_nobody_knows_is_refused() -> None:
    model = sharp_model()
    for kind, amount in (("blur", 0.5), ("gaussian", -0.1), ("masking", float("nan"))):
        with pytest.raises(ConfigError, match="expected one of gaussian"):
            see_noisy(model.likelihood, torch.zeros(1, 8, 8), kind, amount=amount)
