"""Rates in bits and distortions, against exact entropies and plain codecs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.fixtures import pixels, small_model, stripes
from vae_core.errors import ConfigError, DataError
from vae_core.estimators import kl_to_standard_normal
from vae_core.evaluate.bounds import evidence_bounds
from vae_core.evaluate.rate import (
    RatePoint,
    code_length_bits,
    codec_points,
    lossless_bits_per_value,
    mean_codes,
    model_point,
    pca_code_points,
    pca_points,
    plain_code_points,
    quantised_point,
    rate_point,
)

IMAGES = stripes(60).images


def by_name(points: list[RatePoint]) -> dict[str, RatePoint]:
    return {point.name: point for point in points}


def test_entropy_of_uniform_and_constant_codes_is_exact() -> None:
    uniform = np.repeat(np.arange(8), 5)[:, None]
    assert code_length_bits(uniform) == pytest.approx(3)
    assert code_length_bits(np.full((40, 1), -7)) == 0
    assert code_length_bits(np.hstack([uniform, uniform, uniform * 0])) == pytest.approx(6)
    assert code_length_bits(np.array([[0], [0], [0], [1]])) == pytest.approx(0.811278, abs=1e-6)


def test_a_gaussian_costs_its_entropy_less_log_step() -> None:
    z = np.random.default_rng(0).standard_normal((20_000, 1))
    for step in (0.25, 0.5):
        bits = code_length_bits(np.rint(z / step).astype(np.int64))
        truth = 0.5 * math.log2(2 * math.pi * math.e) - math.log2(step)
        assert bits == pytest.approx(truth, abs=0.02)


def test_a_table_of_other_rows_costs_more_than_the_entropy() -> None:
    random = np.random.default_rng(0)
    rows, others = random.integers(0, 9, (200, 2)), random.integers(0, 9, (200, 2))
    assert code_length_bits(rows) < code_length_bits(rows, others) < code_length_bits(rows) + 0.2
    # (count + ½)/(rows + ½·(symbols + escape)): 4 of 4 zeros, a one-symbol alphabet.
    zeros = np.zeros((4, 1), np.int64)
    assert code_length_bits(zeros, zeros) == pytest.approx(-math.log2(4.5 / 5))


def test_a_symbol_outside_the_table_is_escaped() -> None:
    table = np.zeros((4, 1), np.int64)
    for stranger in (1, -1, 1_000_000):
        bits = code_length_bits(np.array([[stranger]]), table)
        assert bits == pytest.approx(-math.log2(0.5 / 5) + 32)
    gap = np.array([[0], [0], [2], [2]])
    assert code_length_bits(np.array([[1]]), gap) == pytest.approx(-math.log2(0.5 / 6))


def test_rounding_costs_a_twelfth_of_the_squared_step() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4_000, 1, 1, 1), dtype=np.uint8)
    codes = images.reshape(-1, 1) / 255
    coarse, fine = (
        quantised_point("code", codes, images, lambda z: z, step=step) for step in (0.1, 0.02)
    )
    assert coarse.mse == pytest.approx(0.01 / 12, rel=0.05)
    assert coarse.psnr_db == pytest.approx(-10 * math.log10(coarse.mse))
    assert fine.mse < coarse.mse / 15
    # Halving the step costs a bit: here five times finer.
    assert fine.bits_per_image - coarse.bits_per_image == pytest.approx(math.log2(5), abs=0.2)


def test_what_is_not_lost_has_an_infinite_psnr() -> None:
    assert rate_point("exact", 5, 0).psnr_db == math.inf
    assert rate_point("close", 5, 0.001).psnr_db == pytest.approx(30)


def test_a_model_pays_its_kl_and_shows_a_decoded_draw() -> None:
    model = small_model(likelihood="gaussian")
    x = torch.from_numpy(IMAGES).float() / 255
    with torch.no_grad():
        posterior = model.encode(x)
        kl = kl_to_standard_normal(posterior.mean, posterior.log_std).sum(1).mean()
        mean_mse = float((model.decode(posterior.mean) - x).square().mean())
    point = model_point(model, IMAGES, name="beta 1")
    assert point.name == "beta 1"
    assert point.bits_per_image == pytest.approx(float(kl) / math.log(2), rel=1e-5)
    assert 0.9 * mean_mse < point.mse != pytest.approx(mean_mse, rel=1e-6)


def test_a_collapsed_model_sends_nothing() -> None:
    model = small_model(likelihood="gaussian")
    for head in (model.mean_head, model.log_std_head):
        torch.nn.init.zeros_(head.weight)
    assert model_point(model, IMAGES).bits_per_image == 0
    assert plain_code_points(model, IMAGES, steps=[0.5])[0].bits_per_image == 0


def test_only_discrete_likelihoods_have_a_code_length() -> None:
    for likelihood in ("gaussian", "bernoulli-continuous"):
        assert lossless_bits_per_value(small_model(likelihood=likelihood), IMAGES) is None
    for likelihood in ("bernoulli", "logistic"):
        model = small_model(likelihood=likelihood)
        bits = lossless_bits_per_value(model, IMAGES, seed=2)
        report = evidence_bounds(model, IMAGES, importance_samples=1, seed=2)
        assert bits == pytest.approx(-report.elbo / 64 / math.log(2))
        assert bits is not None
        assert bits > 0


def test_codes_do_not_depend_on_how_many_come() -> None:
    model, images = small_model(), (pixels(260) * 255).byte().numpy()
    codes = mean_codes(model, images)
    assert codes.shape == (260, 3)
    assert codes[250:] == pytest.approx(mean_codes(model, images[250:]), abs=1e-5)


def test_finer_steps_of_a_model_cost_more_and_lose_less() -> None:
    model = small_model(likelihood="gaussian")
    points = plain_code_points(model, IMAGES, steps=[0.01, 0.1, 10], table_images=IMAGES)
    rates = [point.bits_per_image for point in points]
    assert rates == sorted(rates, reverse=True)
    x = torch.from_numpy(IMAGES).float() / 255
    with torch.no_grad():
        exact = (model.decode(model.encode(x).mean) - x).square().mean()
    assert points[0].mse == pytest.approx(float(exact), rel=1e-2)


def test_png_and_lossless_webp_lose_nothing() -> None:
    for images in (IMAGES, stripes(5, (3, 12, 10)).images):
        points = by_name(codec_points(images, webp_qualities=()))
        for name in ("PNG, lossless", "WebP, lossless"):
            assert (points[name].mse, points[name].psnr_db) == (0, math.inf)
            assert 0 < points[name].header_bits < points[name].bits_per_image


def test_better_webp_costs_more() -> None:
    images = stripes(6, (3, 32, 32)).images
    points = codec_points(images, webp_qualities=(1, 30, 90))[2:]
    rates, errors = zip(*((point.bits_per_image, point.mse) for point in points), strict=True)
    assert list(rates) == sorted(rates)
    assert list(errors) == sorted(errors, reverse=True)
    assert 0 < errors[-1] < 0.01


def test_black_and_white_png_takes_a_bit_per_pixel_at_most() -> None:
    random = np.random.default_rng(0)
    noise = (random.integers(0, 2, (5, 1, 32, 32)) * 255).astype(np.uint8)
    point = codec_points(noise, webp_qualities=())[0]
    assert point.mse == 0
    assert point.bits_per_image < 32 * 32 + 8 * 110
    grey = codec_points(np.minimum(noise, 254), webp_qualities=())[0]
    assert grey.bits_per_image > point.bits_per_image


def test_constant_images_are_nearly_all_header() -> None:
    point = codec_points(np.full((3, 1, 28, 28), 9, np.uint8), webp_qualities=())[0]
    assert point.bits_per_image == pytest.approx(point.header_bits, rel=0.1)


def test_pca_loses_less_at_higher_rates() -> None:
    train, test = stripes(300, seed=1).images, stripes(80, seed=2).images
    points = pca_points(train, test, bits_per_image=(3, 12, 60, 180))
    assert [point.bits_per_image for point in points] == [6, 12, 60, 180]
    errors = [point.mse for point in points]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.05 * errors[0]


def test_entropy_coded_pca_beats_fixed_levels_at_equal_rate() -> None:
    train, test = stripes(1_000, seed=1).images, stripes(100, seed=2).images
    fixed = pca_points(train, test, bits_per_image=(30,))[0]
    coded = pca_code_points(train, test, steps=(0.15, 0.3, 0.6, 1.2, 2.4))
    rates = [point.bits_per_image for point in coded]
    assert rates == sorted(rates, reverse=True)
    cheaper = [point for point in coded if point.bits_per_image <= fixed.bits_per_image]
    assert min(point.mse for point in cheaper) < fixed.mse / 2


def test_pca_of_few_or_equal_images_still_answers() -> None:
    few = pca_points(IMAGES[:2], IMAGES, bits_per_image=(600,))[0]
    assert few.bits_per_image == 12
    flat = np.full((5, 1, 4, 4), 51, np.uint8)
    point = pca_points(flat, flat, bits_per_image=(6,))[0]
    assert point.mse == pytest.approx(0, abs=1e-9)
    assert pca_code_points(flat, flat, steps=[0.5])[0].mse == pytest.approx(0, abs=1e-9)


def test_odd_orders_are_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="above 0"):
        pca_points(IMAGES, IMAGES, bits_per_image=(0,))
    with pytest.raises(ConfigError, match="step of -1"):
        plain_code_points(small_model(), IMAGES, steps=[-1])
    with pytest.raises(DataError, match="expected the same"):
        pca_points(IMAGES, IMAGES[:, :, :4], bits_per_image=(6,))
    with pytest.raises(DataError, match="one row per image"):
        quantised_point("code", np.zeros((3, 2)), IMAGES, lambda z: z, step=1)
    with pytest.raises(DataError, match="2 channels"):
        codec_points(np.zeros((1, 2, 4, 4), np.uint8))


def test_no_images_are_refused() -> None:
    for ask in (codec_points, lambda none: model_point(small_model(), none)):
        with pytest.raises(DataError, match="at least one"):
            ask(IMAGES[:0])
