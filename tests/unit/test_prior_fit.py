"""What the mixture is fitted to, and who chooses how many Gaussians it has."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tests.fixtures import Answer, Refused, pixels, small_model
from vae_core.checkpoint import Checkpoint, load_checkpoint, verify_checkpoint
from vae_core.data.catalogue import load_images
from vae_core.data.imageset import ImageSet
from vae_core.errors import DataError
from vae_core.latent.prior_fit import choose_prior, fit_prior, posterior_draws


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return load_images("digits")


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
def test_draws_have_the_moments_of_the_posteriors(posterior: str) -> None:
    model = small_model(likelihood="gaussian", posterior=posterior)
    images = (pixels(3) * 255).byte().numpy()
    with torch.no_grad():
        q = model.encode(torch.from_numpy(images) / 255)
    draws = posterior_draws(model, images, np.arange(3), n=4_000)
    assert draws.shape == (4_000, 3, model.n_latent)
    assert draws.mean(0) == pytest.approx(q.mean.numpy(), abs=0.1)
    assert np.cov(draws[:, 0].T) == pytest.approx(q.covariance[0].numpy(), abs=0.15)


def test_the_encoder_sees_black_and_white_where_it_did_in_training() -> None:
    grey = np.full((40, 1, 8, 8), 128, np.uint8)
    sharp, point = (
        small_model(likelihood="bernoulli", posterior=kind) for kind in ("diagonal", "point")
    )
    narrow = posterior_draws(point, grey, np.arange(40))
    assert narrow.std(1).max() < 1e-3
    with torch.no_grad():
        nn.init.constant_(sharp.log_std_head.bias, -10.0)  # type: ignore[union-attr]
    assert posterior_draws(sharp, grey, np.arange(40)).std(1).mean() > 0.01


def test_only_the_rows_in_work_are_read() -> None:
    class Watched(np.ndarray[Any, np.dtype[np.uint8]]):
        most = 0

        def __getitem__(self, key: Any) -> Any:
            Watched.most = max(Watched.most, len(key))
            return super().__getitem__(key)

    images = (pixels(1_300) * 255).byte().numpy().view(Watched)
    drawn = posterior_draws(small_model(), images, np.arange(10, 1_300))
    assert drawn.shape[1] == 1_290
    assert Watched.most <= 500


@pytest.mark.parametrize("part", [0, 1, 2])
def test_training_images_alone_have_a_say(
    digits_checkpoint: Checkpoint, digits: ImageSet, part: int
) -> None:
    turned = (digits.split == part)[:, None, None, None]
    other = replace(digits, images=np.where(turned, 255 - digits.images, digits.images))
    first, second = (
        fit_prior(digits_checkpoint.model, images, n_components=1) for images in (digits, other)
    )
    is_same = np.allclose(first.means, second.means, atol=1e-3)
    assert is_same == (part != 0)


def test_validation_images_choose_the_number_of_components(
    digits_checkpoint: Checkpoint, digits: ImageSet
) -> None:
    told: list[str] = []
    found = choose_prior(digits_checkpoint.model, digits, n_components=[1, 4, 8], tell=told.append)
    assert list(found.nats) == [1, 4, 8]
    assert found.nats[found.prior.n_components] == max(found.nats.values())
    assert max(found.nats.values()) > found.normal_nats
    assert len(told) == 3


def test_without_validation_images_nobody_can_choose(
    digits_checkpoint: Checkpoint, digits: ImageSet
) -> None:
    part = digits.take(np.flatnonzero(digits.split != 1))
    with pytest.raises(DataError, match="no validation images"):
        choose_prior(digits_checkpoint.model, part, n_components=[2])


def test_fit_prior_improves_a_checkpoint_in_place(
    digits_checkpoint: Checkpoint, tmp_path: Path, answer: Answer
) -> None:
    path = Path(shutil.copytree(digits_checkpoint.path, tmp_path / "copy"))
    before = answer("evaluate", path, "--data", "digits", "--importance-samples", 50)
    told = answer("fit-prior", path, "--data", "digits", "--components", 2, 6, "--draws", 3)
    after = answer("evaluate", path, "--data", "digits", "--importance-samples", 50)
    card = verify_checkpoint(path)
    assert told["components"] == load_checkpoint(path).prior.n_components  # type: ignore[union-attr]
    assert "fit-prior" in card["prior"]["command"]
    assert card["prior"]["held_out_nats"][str(told["components"])] == told["held_out_nats"]
    assert after["nll"] == before["nll"]
    assert after["nll_mixture"] < after["nll"]


def test_other_images_than_those_of_the_training_are_refused(
    digits_checkpoint: Checkpoint, tmp_path: Path, refused: Refused
) -> None:
    images: NDArray[np.uint8] = np.zeros((20, 8, 8), np.uint8)
    np.savez(tmp_path / "other.npz", images=images)
    path = digits_checkpoint.path
    said = refused("fit-prior", path, "--data", tmp_path / "other.npz")
    assert "its training images were expected; give --data digits" in said


@pytest.mark.parametrize("flag", [["--components", "0"], ["--draws", "0"]])
def test_counts_below_one_are_refused(
    digits_checkpoint: Checkpoint, refused: Refused, flag: list[str]
) -> None:
    assert flag[0] in refused("fit-prior", digits_checkpoint.path, "--data", "digits", *flag)


def test_training_notes_how_the_mixture_came_about(digits_checkpoint: Checkpoint) -> None:
    fitted, note = digits_checkpoint.prior, digits_checkpoint.card["prior"]
    assert fitted is not None
    assert note == {"command": digits_checkpoint.card["command"], "components": fitted.n_components}


def test_a_mixture_of_unknown_origin_is_not_scored(
    digits_checkpoint: Checkpoint, tmp_path: Path, answer: Answer
) -> None:
    path = Path(shutil.copytree(digits_checkpoint.path, tmp_path / "copy"))
    command = ("evaluate", path, "--data", "digits", "--limit", 20, "--importance-samples", 2)
    assert "nll_mixture" in answer(*command)
    card = json.loads((path / "card.json").read_text(encoding="utf-8"))
    del card["prior"]
    (path / "card.json").write_text(json.dumps(card), encoding="utf-8")
    assert "nll_mixture" not in answer(*command)
