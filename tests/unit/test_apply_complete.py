"""Completing and denoising pictures, from Python and from the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.fixtures import Answer, Refused, save_small, sharp_model, small_model, stripes
from vae_core.apply.anchors import Anchors, decode_anchors
from vae_core.apply.complete import complete, fill_from_neighbours, half_hidden
from vae_core.apply.denoise import (
    Noise,
    add_noise,
    denoise_by_encoder,
    denoise_by_search,
    fit_axes,
    trained_noise,
)
from vae_core.apply.search import SearchCancelledError, prior_for
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.quality import image_quality
from vae_core.examine import decode
from vae_core.grid import to_bytes
from vae_core.latent.codes import encode_set


@pytest.fixture(scope="module")
def sharp(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A checkpoint whose codes matter; its 40 stored codes are as wide as the prior."""
    model = sharp_model()
    codes = encode_set(model, stripes(40))
    draws = np.random.default_rng(0).standard_normal(codes.mean.shape).astype(np.float32)
    folder = tmp_path_factory.mktemp("sharp") / "sharp"
    return load_checkpoint(save_small(folder, model=model, codes=replace(codes, mean=draws)))


@pytest.fixture(scope="module")
def anchors(sharp: Checkpoint) -> Anchors:
    return decode_anchors(sharp)


@pytest.fixture(scope="module")
def digit(sharp: Checkpoint) -> np.ndarray:
    """A picture the model can make: the decode of a stored code."""
    return to_bytes(decode(sharp, np.array([[1.0, -0.7, 0.4]])))[0]


def test_visible_pixels_are_kept_and_the_best_come_first(
    sharp: Checkpoint, anchors: Anchors, digit: np.ndarray
) -> None:
    hidden = half_hidden(digit.shape[1:], "left")
    found = complete(sharp, digit, hidden, n=4, anchors=anchors)
    assert found.codes.shape == (4, 3)
    assert np.array_equal(to_bytes(found.images)[:, :, ~hidden], np.stack([digit[:, ~hidden]] * 4))
    assert np.array_equal(found.images[:, :, hidden], found.decoded[:, :, hidden])
    assert (np.diff(found.log_joint) <= 0).all()
    assert found.weights.sum() == pytest.approx(1, abs=1e-5)
    assert np.allclose(decode(sharp, found.codes), found.decoded, atol=1e-4)
    assert not found.spread[~hidden].any()


def test_answers_differ_where_much_is_hidden_and_agree_where_little_is(
    sharp: Checkpoint, anchors: Anchors, digit: np.ndarray
) -> None:
    everything, dot = np.ones(digit.shape[1:], bool), np.zeros(digit.shape[1:], bool)
    dot[4, 4] = True
    open_ = complete(sharp, digit, everything, anchors=anchors)
    told = complete(sharp, digit, dot, anchors=anchors)
    assert len(np.unique(open_.images.round(3), axis=0)) == 5
    assert open_.spread[dot].mean() > 2 * told.spread[dot].mean()


def test_with_nothing_hidden_the_code_rebuilds_as_well_as_the_encoders(
    sharp: Checkpoint, anchors: Anchors, digit: np.ndarray
) -> None:
    nothing = np.zeros(digit.shape[1:], bool)
    found = complete(sharp, digit, nothing, n=1, draw_steps=0, anchors=anchors)
    x = digit / np.float32(255)
    encoded = denoise_by_encoder(sharp, x).image
    assert np.array_equal(to_bytes(found.images[0]), digit)
    assert np.square(found.decoded[0] - x).mean() <= np.square(encoded - x).mean() + 1e-4


def test_a_completion_can_be_repeated_and_stopped(
    sharp: Checkpoint, anchors: Anchors, digit: np.ndarray
) -> None:
    hidden = half_hidden(digit.shape[1:], "top")
    first, again = (complete(sharp, digit, hidden, anchors=anchors, seed=5) for _ in range(2))
    assert np.array_equal(first.images, again.images)
    with pytest.raises(SearchCancelledError):
        complete(sharp, digit, hidden, anchors=anchors, cancelled=lambda: True)


def test_pictures_and_masks_that_do_not_fit_are_refused(
    sharp: Checkpoint, anchors: Anchors, digit: np.ndarray
) -> None:
    hidden = half_hidden(digit.shape[1:], "right")
    with pytest.raises(DataError, match="A picture of shape"):
        complete(sharp, digit[:, :-1], hidden, anchors=anchors)
    with pytest.raises(DataError, match="A mask of shape"):
        complete(sharp, digit, hidden[:-1], anchors=anchors)
    with pytest.raises(ConfigError, match="expected 1 to"):
        complete(sharp, digit, hidden, n=0, anchors=anchors)
    with pytest.raises(ConfigError, match="expected one of left"):
        half_hidden((8, 8), "middle")


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_two_halves_leave_only_the_middle(side: str) -> None:
    opposite = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}[side]
    here, there = half_hidden((8, 7), side), half_hidden((8, 7), opposite)
    assert not (here & there).any()
    assert here.sum() == there.sum() == (24 if side in ("left", "right") else 28)


def test_hidden_pixels_take_after_their_nearest_neighbour() -> None:
    pixels = np.arange(4, dtype=np.uint8).reshape(1, 1, 4) * 51
    hidden = np.array([[True, False, False, True]])
    assert np.allclose(fill_from_neighbours(pixels, hidden), [[[0.2, 0.2, 0.4, 0.4]]])
    assert np.allclose(fill_from_neighbours(pixels, ~hidden & hidden), pixels / 255)
    assert np.allclose(fill_from_neighbours(pixels, hidden | True), 0.5)


def test_points_without_a_prior_get_the_gaussian_of_their_codes() -> None:
    model = small_model(posterior="point", n_latent=3)
    codes = encode_set(model, stripes(60))
    prior = prior_for(model, codes)
    z = torch.from_numpy(codes.mean)
    assert torch.allclose(prior.to_z(prior.to_u(z)), z, atol=1e-4)
    assert torch.allclose(torch.cov(prior.to_u(z).T), torch.eye(3), atol=0.05)


@pytest.mark.parametrize("kind", ["gaussian", "masking", "salt-and-pepper"])
def test_a_search_that_knows_the_noise_comes_nearer_than_the_encoder(
    sharp: Checkpoint, anchors: Anchors, digit: np.ndarray, kind: str
) -> None:
    clean, noise = digit / np.float32(255), Noise(kind, 0.5)
    noisy = add_noise(clean, noise, seed=1)
    found = denoise_by_search(sharp, noisy, noise, anchors=anchors)
    encoded = denoise_by_encoder(sharp, noisy).image
    psnr = [image_quality(clean[None], x[None]).psnr[0] for x in (noisy, encoded, found.image)]
    assert psnr[2] > max(psnr[:2])
    assert found.code.shape == (3,)


def test_noise_is_repeatable_and_checked() -> None:
    clean = np.full((1, 8, 8), 0.5, np.float32)
    assert np.array_equal(*(add_noise(clean, Noise(), seed=2) for _ in range(2)))
    for kind, amount in (("blur", 0.1), ("gaussian", 1.5), ("masking", float("nan"))):
        with pytest.raises(ConfigError, match="an amount from 0 to 1"):
            Noise(kind, amount)


def test_axes_keep_what_lies_in_them_and_drop_the_rest() -> None:
    images = stripes(90).images
    for part in (images, images[:20]):  # more and fewer pictures than pixels
        axes = fit_axes(part, n=10)
        x = part[0] / np.float32(255)
        kept = axes.denoise(x)
        assert np.allclose(axes.denoise(kept), kept, atol=0.02)
        noisy = add_noise(x, Noise("gaussian", 0.3))
        assert np.square(axes.denoise(noisy) - x).mean() < np.square(noisy - x).mean()
    with pytest.raises(DataError, match="2 or more"):
        fit_axes(images[:1])
    with pytest.raises(DataError, match="axes of 64 values"):
        axes.denoise(np.zeros((1, 4, 4), np.float32))


def test_the_card_says_what_noise_a_model_was_trained_on() -> None:
    card = {"objective": {"name": "denoising-vae", "noise": "masking", "amount": 0.3, "beta": 1}}
    assert trained_noise(card) == Noise("masking", 0.3)
    assert trained_noise({"objective": {"name": "vae"}}) is None


# ---- the verbs -----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small checkpoint and a picture of its kind."""
    folder = tmp_path_factory.mktemp("apply")
    Image.fromarray(stripes(1).images[0, 0]).save(folder / "mine.png")
    return save_small(folder / "small"), folder / "mine.png"


def test_the_verb_complete_writes_pictures_and_codes(
    stripe: tuple[Path, Path], tmp_path: Path, answer: Answer
) -> None:
    told = answer("complete", *stripe, "--hide", "left", "--n", 3, "--out", tmp_path / "a")
    assert told["hidden_pixels"] == 32
    assert len(told["log_joint"]) == 3
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {*(f"completion-{i}.png" for i in (1, 2, 3)), "spread.png", "completions.npz"}
    with np.load(tmp_path / "a" / "completions.npz") as found:
        shown = complete(load_checkpoint(stripe[0]), stripes(1).images[0], found["hidden"], n=3)
        assert np.allclose(found["codes"], shown.codes, atol=1e-5)


def test_a_mask_is_a_picture_that_is_white_where_hidden(
    stripe: tuple[Path, Path], tmp_path: Path, answer: Answer, refused: Refused
) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[:2] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(mask[:4]).save(tmp_path / "small.png")
    told = answer("complete", *stripe, "--hide", tmp_path / "mask.png", "--out", tmp_path / "b")
    assert told["hidden_pixels"] == 16
    said = refused("complete", *stripe, "--hide", tmp_path / "small.png", "--out", tmp_path / "c")
    assert "8×4, expected 8×8" in said


def test_the_verb_denoise_measures_when_it_added_the_noise(
    stripe: tuple[Path, Path], tmp_path: Path, answer: Answer, refused: Refused
) -> None:
    for method in ("search", "encoder"):
        out = tmp_path / f"{method}.png"
        told = answer("denoise", *stripe, "--method", method, "--add-noise", "--out", out)
        assert {"noisy_psnr_db", "denoised_psnr_db", "denoised_ssim"} <= set(told)
        with Image.open(out) as picture:
            assert picture.size == (8, 8)
    told = answer("denoise", *stripe, "--out", tmp_path / "d.png")
    assert "denoised_psnr_db" not in told
    assert "amount from 0 to 1" in refused("denoise", *stripe, "--amount", 3, "--out", out)
