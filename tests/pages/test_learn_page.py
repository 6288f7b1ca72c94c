"""The Learn page without a browser: its texts, its payload, and a server without its models."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pages.shared import learn
from pages.shared.learn_payload import BETAS, NAMES, Lesson, cross_entropy_floor, read_lesson
from pages.shared.learn_texts import BETA_WORDS
from pages.shared.models import listed_checkpoints
from tests.fixtures import ROOT, save_small
from tests.pages.conftest import OpenApp
from tests.pages.test_pages import assert_whole, words
from vae_core.checkpoint import load_checkpoint, verify_checkpoint
from vae_core.data.digits import load_digits
from vae_core.errors import CheckpointError
from vae_core.estimators import kl_to_standard_normal

MOST_BYTES, MOST_BYTES_EACH = 1_500_000, 250_000


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    """What the shipped models give the page."""
    return read_lesson(learn.FOLDER)


def test_all_chapters_are_there_and_say_their_sources(open_app: OpenApp) -> None:
    app = open_app("learn")
    assert_whole(app)
    assert [item.value for item in app.header] == [chapter.title for chapter in learn.CHAPTERS]
    assert not app.info
    assert words(app).count("Sources:") == len(learn.CHAPTERS)


def test_without_the_models_two_chapters_still_work(
    open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn, "FOLDER", tmp_path)
    shown = list[str]()
    monkeypatch.setattr(learn, "latent_lesson", lambda key, **_: shown.append(key))
    app = open_app("learn")
    assert_whole(app)
    assert "is not a folder" in app.info[0].value
    assert shown == ["learn_noise", "learn_pixel"]


def test_the_models_are_small_whole_and_no_part_of_the_model_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = []
    for name in NAMES:
        card = verify_checkpoint(learn.FOLDER / name)
        assert "--preset mlp-s" in card["command"]
        sizes.append(sum(file.stat().st_size for file in (learn.FOLDER / name).iterdir()))
    assert max(sizes) < MOST_BYTES_EACH
    assert sum(sizes) < MOST_BYTES
    monkeypatch.setenv("VAE_CHECKPOINTS", str(ROOT / "checkpoints"))
    monkeypatch.setattr("sys.argv", ["app.py"])
    listed = {item.path.name for item in listed_checkpoints()}
    assert "faces" in listed
    assert not listed & {"learn", *NAMES}


def test_a_model_of_other_images_is_refused(tmp_path: Path) -> None:
    shutil.copytree(learn.FOLDER, tmp_path / "learn")
    shutil.rmtree(tmp_path / "learn" / "beta-4")
    save_small(tmp_path / "learn" / "beta-4")
    with pytest.raises(CheckpointError, match="codes of other images"):
        read_lesson(tmp_path / "learn")


def test_rate_and_distortion_are_what_the_loss_sees(lesson: Lesson) -> None:
    images = load_digits().images
    for name in ("beta-0", "beta-1", "beta-4"):
        checkpoint, shown = load_checkpoint(learn.FOLDER / name), lesson.models[name]
        model = checkpoint.model
        x = torch.from_numpy(images[checkpoint.codes.ids[checkpoint.codes.held_out]]).float() / 255
        with torch.no_grad():
            posterior = model.encode(x)
            z = posterior.sample(n=50, generator=torch.Generator().manual_seed(3))
            nll = torch.stack([model.likelihood.nll(model.decode_raw(draw), x) for draw in z])
        kl = kl_to_standard_normal(posterior.mean, posterior.log_std).sum(1)
        assert shown["rate"] == pytest.approx(float(kl.mean()), rel=1e-4, abs=1e-5)
        assert shown["distortion"] == pytest.approx(float(nll.mean()), abs=0.1)


def test_more_beta_buys_no_richer_code_and_no_better_copy(lesson: Lesson) -> None:
    rates, distortions = ([m[name] for m in lesson.by_beta()] for name in ("rate", "distortion"))
    assert rates == sorted(rates, reverse=True)
    assert distortions == sorted(distortions)
    assert [model["beta"] for model in lesson.by_beta()] == list(BETAS)
    assert len(BETA_WORDS) == len(BETAS)
    assert all(model["distortion"] > lesson.floor for model in lesson.by_beta())


def test_the_floor_is_the_cross_entropy_of_a_perfect_copy() -> None:
    images = load_digits().images[:5]
    x = torch.from_numpy(images).double() / 255
    perfect = torch.nn.functional.binary_cross_entropy(x, x, reduction="none").sum((1, 2, 3))
    assert np.allclose(cross_entropy_floor(images), perfect.numpy(), rtol=1e-6)


def test_the_twelve_digits_are_held_out_and_go_with_their_codes(lesson: Lesson) -> None:
    checkpoint, rows = load_checkpoint(learn.FOLDER / "beta-1"), lesson.digits["rows"]
    assert set(rows) <= set(checkpoint.codes.held_out.tolist())
    assert lesson.digits["labels"][:10] == list(range(10))
    x = torch.tensor(lesson.digits["pixels"]).float().reshape(-1, 1, 8, 8) / 255
    with torch.no_grad():
        posterior = checkpoint.model.encode(x)
    shown = lesson.models["beta-1"]["chosen"]
    assert np.allclose(shown["mean"], posterior.mean.numpy(), atol=1e-5)
    assert np.allclose(shown["log_std"], posterior.log_std.numpy(), atol=1e-5)


def test_the_hole_is_far_from_the_plain_codes_and_near_the_vaes(lesson: Lesson) -> None:
    found = []
    for name in ("ae", "beta-1"):
        codes = load_checkpoint(learn.FOLDER / name).codes.mean
        scaled = (codes - codes.mean(0)) / codes.std(0)
        found.append(float(np.hypot(*(scaled - lesson.hole).T).min()))
    assert found[0] > 3 * found[1]
