"""The model: any shape, any batch, no chance where none was asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.fixtures import pixels, small_model
from vae_core.data.imageset import ImageSet
from vae_core.errors import ConfigError, DataError
from vae_core.estimators import kl_to_standard_normal
from vae_core.likelihoods import LIKELIHOODS
from vae_core.model import LOG_STD_RANGE, ModelConfig
from vae_core.nets import PRESETS, architecture_for
from vae_core.nets.build import padded_size
from vae_core.nets.layers import Crop, Pad
from vae_core.types import ImageSpec

Shape = tuple[int, int, int]
SHAPES: list[Shape] = [(1, 1, 1), (1, 8, 8), (3, 45, 31), (1, 100, 60), (4, 16, 16), (2, 7, 200)]
every_preset = pytest.mark.parametrize("preset", PRESETS)


@every_preset
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_size_and_channel_count_goes_in_and_comes_out(preset: str, shape: Shape) -> None:
    model = small_model(shape, n_latent=2, preset=preset, likelihood="gaussian")
    with torch.no_grad():
        posterior = model.encode(pixels(2, shape))
        image = model.decode(posterior.mean)
    assert posterior.mean.shape == posterior.log_std.shape == (2, 2)
    assert image.shape == (2, *shape)
    assert image.isfinite().all()


@every_preset
def test_an_image_alone_gives_what_it_gives_in_a_batch(preset: str) -> None:
    model, x = small_model((3, 20, 13), preset=preset), pixels(4, (3, 20, 13))
    with torch.no_grad():
        together, alone = model.encode(x), model.encode(x[2:3])
        torch.testing.assert_close(alone.mean, together.mean[2:3], rtol=1e-4, atol=1e-5)
        images = model.decode(together.mean)
        torch.testing.assert_close(model.decode(alone.mean), images[2:3], rtol=1e-4, atol=1e-5)


@every_preset
def test_training_mode_changes_no_output(preset: str) -> None:
    model, x = small_model(preset=preset), pixels(3)
    with torch.no_grad():
        quiet = model.encode(x).mean
        assert model.train().encode(x).mean.equal(quiet)


@every_preset
def test_every_weight_takes_part(preset: str) -> None:
    model = small_model((1, 20, 13), preset=preset)
    posterior = model.encode(pixels(2, (1, 20, 13)))
    z = posterior.mean + posterior.std
    (model.decode_raw(z) * pixels(2, (1, 20, 13), seed=1)).sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64)])
def test_slim_has_a_third_of_the_weights(shape: Shape) -> None:
    slim, compact = (
        sum(weights.numel() for weights in small_model(shape, preset=preset).parameters())
        for preset in ("slim", "compact")
    )
    assert slim < 0.36 * compact


def test_encode_is_deterministic() -> None:
    model, x = small_model(), pixels(3)
    with torch.no_grad():
        assert model.encode(x).mean.equal(model.encode(x).mean)
        assert model.encode(x).log_std.equal(model.encode(x).log_std)


def test_sampling_obeys_its_generator() -> None:
    model = small_model()
    first, again, other = (
        model.sample(4, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    )
    assert first.equal(again)
    assert not first.equal(other)


def test_nothing_touches_the_global_random_state() -> None:
    model, x = small_model(), pixels(3)
    before = torch.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model.encode(x).sample(generator=generator)
        model.likelihood.target(x, generator)
        model.sample(2, generator=generator)
    assert torch.get_rng_state().equal(before)


@every_preset
def test_under_bfloat16_the_posterior_stays_float32_and_tiny_kls_survive(preset: str) -> None:
    model, x = small_model(preset=preset), pixels(4)
    torch.nn.init.normal_(model.mean_head.weight, std=1e-4)
    assert model.log_std_head is not None
    torch.nn.init.normal_(model.log_std_head.weight, std=1e-4)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        posterior = model.encode(x)
        kl = kl_to_standard_normal(posterior.mean, posterior.log_std).sum(1)
        raw = model.decode_raw(posterior.mean)
        nll = model.likelihood.nll(raw, x)
    assert {t.dtype for t in (posterior.mean, kl, raw, nll)} == {torch.float32}
    assert (kl > 0).all()
    assert (kl < 1e-2).all()


def test_log_std_is_bounded_whatever_the_weights_say() -> None:
    model = small_model()
    assert model.log_std_head is not None
    for bias, bound in zip((-1e6, 1e6), LOG_STD_RANGE, strict=True):
        torch.nn.init.constant_(model.log_std_head.bias, bias)
        posterior = model.encode(pixels(1))
        assert posterior.log_std.eq(bound).all()
        assert posterior.std.isfinite().all()


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@every_preset
def test_an_untrained_decoder_starts_near_the_mean_image(preset: str, likelihood: str) -> None:
    model = small_model((3, 12, 12), preset=preset, likelihood=likelihood)
    colour = torch.tensor([0.2, 0.5, 0.9])[:, None, None].expand(3, 12, 12)
    before = model.decode(torch.zeros(1, 3)).mean((0, 2, 3))
    model.start_at_mean(colour)
    after = model.decode(torch.zeros(1, 3)).mean((0, 2, 3))
    assert (after - colour[:, 0, 0]).abs().sum() < (before - colour[:, 0, 0]).abs().sum()
    assert after.argsort().tolist() == [0, 1, 2]


@pytest.mark.parametrize("size", [(8, 8), (45, 31), (7, 200), (1, 1)], ids=str)
@every_preset
def test_crop_undoes_pad(preset: str, size: tuple[int, int]) -> None:
    spec = ImageSpec(2, *size)
    padded = padded_size(architecture_for(preset, spec), spec)
    x = pixels(1, spec.shape)
    wide = Pad(size, padded)(x)
    assert wide.shape[2:] == padded
    assert Crop(padded, size)(wide).equal(x)


def test_wrong_shapes_are_refused_with_both_shapes_named() -> None:
    model = small_model((1, 8, 8), n_latent=3)
    with pytest.raises(DataError, match=r"\(2, 3, 8, 8\) came, the model expects \[B, 1, 8, 8\]"):
        model.encode(pixels(2, (3, 8, 8)))
    with pytest.raises(DataError, match=r"\(2, 4\) came, the model expects \[B, 3\]"):
        model.decode(torch.zeros(2, 4))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("spec"),
        lambda d: d.update(n_latent="many"),
        lambda d: d.update(architecture=None),
        lambda d: d["architecture"].update(depth=3),
        lambda d: d["architecture"].pop("kind"),
    ],
)
def test_a_garbled_description_is_refused(spoil: Callable[[dict[str, object]], object]) -> None:
    data = small_model().config.to_json()
    spoil(data)
    with pytest.raises(ConfigError, match="lacks or garbles a field"):
        ModelConfig.from_json(data)


@every_preset
def test_a_description_survives_json(preset: str) -> None:
    import json

    config = small_model((3, 45, 31), preset=preset).config
    assert ModelConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_unknown_presets_and_empty_codes_are_refused() -> None:
    with pytest.raises(ConfigError, match="Preset 'huge' is unknown; choose one of auto"):
        small_model(preset="huge")
    with pytest.raises(ConfigError, match="Latent size 0 is too small"):
        small_model(n_latent=0)


def test_a_set_of_anything_but_uint8_images_is_refused() -> None:
    one = np.zeros(1, np.int64)
    with pytest.raises(DataError, match=r"float64 of shape \(1, 1, 2, 2\), expected uint8"):
        ImageSet("odd", np.zeros((1, 1, 2, 2)), one, one.astype(np.uint8))
