"""An estimate comes from real steps, leaves nothing behind and is near what a run then takes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures import Answer, stripes
from vae_core.data.imageset import ImageSet
from vae_core.errors import DataError
from vae_core.pipeline import plan_model
from vae_core.train.config import TrainConfig
from vae_core.train.loop import train
from vae_core.train.probe import Estimate, estimate
from vae_core.train.runtime import choose_runtime


def probe(images: ImageSet, config: TrainConfig, *, seconds: float = 0.2) -> Estimate:
    model_config, _ = plan_model(images, config)
    return estimate(
        images, config, model_config=model_config, runtime=choose_runtime("cpu"), seconds=seconds
    )


def test_an_estimate_is_near_what_a_run_takes(tmp_path: Path) -> None:
    images, config = stripes(300), TrainConfig(epochs=2, n_latent=4)
    found = probe(images, config, seconds=0.3)
    model_config, _ = plan_model(images, config)
    began = time.monotonic()
    train(images, tmp_path, model_config=model_config, config=config, runtime=choose_runtime("cpu"))
    # Other work on the machine comes and goes between the two.
    assert 0.125 < found.seconds_training / (time.monotonic() - began) < 8
    assert found.n_train_images == 240
    assert found.memory_bytes > 50e6


@pytest.mark.parametrize(
    "objective", ["ae", "beta-tcvae", "iwae", "m2", "conditional-vae", "attribute-vae"]
)
def test_every_kind_of_objective_can_be_measured(objective: str) -> None:
    found = probe(stripes(80), TrainConfig(objective=objective, minutes=2, n_latent=2), seconds=0)
    assert found.seconds_training == 120
    assert found.images_per_second > 0


def test_a_measurement_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    probe(stripes(60), TrainConfig(n_latent=2), seconds=0)
    assert list(tmp_path.iterdir()) == []


def test_too_few_images_are_refused() -> None:
    images = stripes(60)
    alone = images.take(np.flatnonzero(images.split == 0)[:1])
    with pytest.raises(DataError, match="need at least 3"):
        probe(alone, TrainConfig(n_latent=2))


def test_the_verb_tells_time_and_memory(answer: Answer) -> None:
    flags = ("--epochs", "2", "--latent", "2", "--device", "cpu")
    told = answer("estimate", "--data", "digits", *flags)
    assert told["n_images"] == 1_797
    parts = told["seconds_before"] + told["seconds_training"] + told["seconds_after"]
    assert told["seconds_total"] == pytest.approx(parts)
    assert told["seconds_training"] == pytest.approx(2 * told["seconds_per_epoch"])
