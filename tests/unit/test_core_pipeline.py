"""From a set of images to a folder; refusals come before any work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures import quick_maps, stripes
from vae_core.apply.verdict import verdict
from vae_core.checkpoint import CARD, load_checkpoint
from vae_core.data.imageset import ImageSet
from vae_core.data.validation import split_as_trained, with_validation
from vae_core.errors import CheckpointError, ConfigError, TrainingError
from vae_core.evaluate.calibration import calibrate_model
from vae_core.library import set_notes
from vae_core.pipeline import (
    check_folder,
    plan_model,
    suggest_likelihood,
    train_checkpoint,
)
from vae_core.train import TrainConfig
from vae_core.train.loop import Interrupted
from vae_core.train.runtime import choose_runtime
from vae_core.train.state import FOLDER, read_note

RUNTIME = choose_runtime("cpu", "float32")
CONFIG = TrainConfig(n_latent=2, epochs=2, batch_size=16, preset="mlp", device="cpu")


def make(folder: Path, *, images: ImageSet | None = None, **options: Any) -> list[str]:
    """Train in `folder` and return what was told."""
    told: list[str] = []
    config = replace(CONFIG, **options.pop("config", {}))
    with quick_maps():
        train_checkpoint(
            images or stripes(), folder, config=config, runtime=RUNTIME,
            record={"source": "stripes"}, command=options.pop("command", "none"),
            tell=told.append, **options,
        )  # fmt: skip
    return told


@pytest.mark.parametrize("objective", ["ae", "vae", "beta-vae"])
def test_every_objective_ends_with_a_checkpoint_whose_map_opens(
    tmp_path: Path, objective: str
) -> None:
    told = make(tmp_path, config={"objective": objective})
    checkpoint = load_checkpoint(tmp_path)
    assert list(checkpoint.maps) == ["umap", "pca"]
    assert len(checkpoint.codes) == 80
    assert ("elbo_nats" in checkpoint.card["metrics"]) == (objective != "ae")
    assert any(sentence.startswith("Likelihood: ") for sentence in told)


def test_training_leaves_what_verdicts_are_given_by(tmp_path: Path) -> None:
    make(tmp_path, images=stripes(600))
    checkpoint = load_checkpoint(tmp_path)
    known = stripes(40, seed=5).images
    noise = np.random.default_rng(0).integers(0, 256, known.shape).astype(np.uint8)
    kinds = [[found.level for found in verdict(checkpoint, x)] for x in (known, noise)]
    assert kinds[0].count("typical") > kinds[1].count("typical")


def test_a_name_too_long_for_a_card_costs_no_checkpoint(tmp_path: Path) -> None:
    make(tmp_path, images=replace(stripes(), name="stripes " * 40), command="--data \udcff" * 9999)
    card = load_checkpoint(tmp_path).card
    assert card["title"].startswith("stripes stripes") and card["command"].startswith("--data ?")


def test_notes_written_while_a_run_ends_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path)

    def slow(*args: Any, **options: Any) -> Any:
        set_notes(tmp_path, "Mine.")
        return calibrate_model(*args, **options)

    monkeypatch.setattr("vae_core.pipeline.calibrate_model", slow)
    make(tmp_path, config={"epochs": 3}, resume=True)
    assert load_checkpoint(tmp_path).card["notes"] == "Mine."


def test_a_damaged_note_of_the_images_does_not_stop_a_run(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / FOLDER / "images.json").write_text("")
    make(tmp_path, config={"epochs": 3}, resume=True)
    assert load_checkpoint(tmp_path).card["training"]["epoch"] == 3


def test_too_few_images_for_umap_are_told_and_mapped_by_pca(tmp_path: Path) -> None:
    told = make(tmp_path, images=stripes(12))
    assert "Only 12 images: too few for UMAP, the map shows PCA." in told
    assert list(load_checkpoint(tmp_path).maps) == ["pca"]


def test_a_set_without_a_test_split_is_measured_all_the_same(tmp_path: Path) -> None:
    images = stripes()
    images.split[images.split == 2] = 0
    make(tmp_path, images=images)
    assert np.isfinite(load_checkpoint(tmp_path).card["metrics"]["elbo_nats"])


def test_a_set_of_train_and_test_folders_gets_images_to_choose_the_best_epoch_by(
    tmp_path: Path,
) -> None:
    images = stripes()
    images.split[images.split == 1] = 0
    make(tmp_path, images=images)
    codes = load_checkpoint(tmp_path).codes
    assert [int((codes.split == part).sum()) for part in (0, 1, 2)] == [65, 7, 8]
    assert np.array_equal(codes.ids[codes.split == 2], images.ids[images.split == 2])


def test_metrics_are_those_of_the_test_images(tmp_path: Path) -> None:
    make(tmp_path)
    checkpoint = load_checkpoint(tmp_path)
    codes, metrics = checkpoint.codes, checkpoint.card["metrics"]
    test = codes.split == 2
    assert metrics["n_test_images"] == test.sum() == 8
    assert metrics["squared_error"] == pytest.approx(float(codes.squared_error[test].mean()))
    assert metrics["kl_nats"] == pytest.approx(float(codes.kl_nats[test].sum(1).mean()), rel=1e-2)
    assert metrics["sigma"] > 0


def test_a_run_that_explodes_leaves_no_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vae_core.train.loop.one_cycle", lambda *_, **__: 1e30)
    with pytest.raises(TrainingError):
        make(tmp_path)
    assert not (tmp_path / CARD).exists()
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("values", "channels", "name"),
    [
        ([0, 255], 1, "bernoulli"),
        ([5, 250, 100], 1, "gaussian"),
        ([0, 255], 3, "gaussian"),
        ([128], 1, "gaussian"),
    ],
)
def test_near_binary_grey_suggests_coins_and_all_else_a_gaussian(
    values: list[int], channels: int, name: str
) -> None:
    images = stripes(30, (channels, 6, 6))
    images.images[:] = np.random.default_rng(0).choice(values, images.images.shape)
    found, why = suggest_likelihood(images)
    assert found == name
    assert "nearly black or white" in why


def test_a_chosen_likelihood_is_not_second_guessed() -> None:
    model, told = plan_model(stripes(), replace(CONFIG, likelihood="bernoulli"))
    assert model.likelihood == "bernoulli"
    assert not any(sentence.startswith("Likelihood") for sentence in told)


def test_an_empty_folder_is_free_and_cannot_be_resumed(tmp_path: Path) -> None:
    check_folder(tmp_path, resume=False, config=CONFIG)
    check_folder(tmp_path / "new", resume=False, config=CONFIG)
    with pytest.raises(ConfigError, match="holds no interrupted run; leave --resume out"):
        check_folder(tmp_path, resume=True, config=CONFIG)


def test_a_finished_run_is_neither_overwritten_nor_resumed_with_other_options(
    tmp_path: Path,
) -> None:
    make(tmp_path)
    with pytest.raises(ConfigError, match="already holds a run; add --resume"):
        check_folder(tmp_path, resume=False, config=CONFIG)
    with pytest.raises(ConfigError, match=r"whose learning_rate, seed differ"):
        other = replace(CONFIG, seed=3, learning_rate=0.01)
        check_folder(tmp_path, resume=True, config=other)
    check_folder(tmp_path, resume=True, config=replace(CONFIG, epochs=5, minutes=1.0))


def test_a_run_from_before_an_option_was_there_took_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path)
    note = read_note(tmp_path)
    del note["config"]["n_validation"]
    monkeypatch.setattr("vae_core.pipeline.read_note", lambda _: note)
    check_folder(tmp_path, resume=True, config=CONFIG)
    with pytest.raises(ConfigError, match=r"whose n_validation differ"):
        check_folder(tmp_path, resume=True, config=replace(CONFIG, n_validation=3))


def without_validation(n: int = 80) -> ImageSet:
    """Stripes of a source that names training and test images only."""
    images = stripes(n)
    return replace(images, split=np.where(images.split == 2, 2, 0).astype(np.uint8))


def test_as_many_images_are_kept_for_validation_as_asked_for_and_found_again(
    tmp_path: Path,
) -> None:
    images = without_validation()
    make(tmp_path, images=images, config={"n_validation": 7})
    card = load_checkpoint(tmp_path).card
    again = split_as_trained(images, card)
    assert (again.split == 1).sum() == card["split"]["n_validation"] == 7
    assert card["training"]["n_train_images"] == (images.split == 0).sum() - 7
    stored = load_checkpoint(tmp_path).codes
    assert np.array_equal(np.sort(stored.ids[stored.split == 1]), again.ids[again.split == 1])
    usual = with_validation(images, seed=0)
    assert (usual.split == 1).sum() == (images.split == 0).sum() // 10
    train = np.flatnonzero(images.split == 0)
    dealt = np.random.default_rng(0).permutation(train)[: len(train) // 10]
    assert np.array_equal(np.flatnonzero(usual.split == 1), np.sort(dealt))
    # A card from before names no number.
    assert np.array_equal(split_as_trained(images, {"split": {"seed": 0}}).split, usual.split)


@pytest.mark.parametrize("n", [1, 30, 90])
def test_a_source_with_validation_images_gives_some_back_or_takes_more(n: int) -> None:
    images = stripes(300)
    before = set(images.ids[images.split == 1].tolist())
    dealt = with_validation(images, seed=0, n=n)
    now = set(dealt.ids[dealt.split == 1].tolist())
    assert len(now) == n and (now <= before or before <= now)
    assert np.array_equal(dealt.split == 2, images.split == 2)
    assert (dealt.split == 0).sum() == (images.split != 2).sum() - n
    assert np.array_equal(with_validation(images, seed=0, n=n).split, dealt.split)
    assert 1 < len(before) < 90 and with_validation(images, seed=0) is images


@pytest.mark.parametrize("images", [without_validation(), stripes()])
def test_more_validation_images_than_half_are_refused_before_any_work(
    tmp_path: Path, images: ImageSet
) -> None:
    with pytest.raises(ConfigError, match="half of them at least are to train on; give up to"):
        make(tmp_path, images=images, config={"n_validation": 40})
    assert not list(tmp_path.iterdir())


def test_a_finished_run_can_be_given_more_epochs(tmp_path: Path) -> None:
    make(tmp_path)
    make(tmp_path, resume=True, config={"epochs": 4})
    assert load_checkpoint(tmp_path).card["training"]["epoch"] == 4


@pytest.mark.parametrize("damage", ["truncated", "foreign", "empty"])
def test_a_damaged_state_is_refused_in_a_sentence(tmp_path: Path, damage: str) -> None:
    make(tmp_path)
    state = tmp_path / FOLDER / "state.safetensors"
    data = {"truncated": state.read_bytes()[:5000], "foreign": b"\x80\x04K.", "empty": b""}
    state.write_bytes(data[damage])
    with pytest.raises(CheckpointError, match="start again without --resume"):
        check_folder(tmp_path, resume=True, config=CONFIG)


def test_stopping_while_the_map_is_made_loses_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, Interrupted)):
        patch.setattr("vae_core.pipeline.encode_set", stopped)
        make(tmp_path)
    make(tmp_path, resume=True)
    assert load_checkpoint(tmp_path).card["training"]["epoch"] == 2


def test_the_card_is_strict_json(tmp_path: Path) -> None:
    make(tmp_path)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    json.loads((tmp_path / CARD).read_text(), parse_constant=refuse)
