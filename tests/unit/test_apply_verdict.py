"""Verdicts on features whose answer is known, and a calibration that travels with its model."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures import Answer, save_small, small_model, stripes, write_pictures
from vae_core.apply.verdict import (
    VerdictScale,
    calibrate_verdict,
    judge,
    most_unusual_first,
    scale_of,
    verdict,
)
from vae_core.checkpoint import CALIBRATION, add_part, load_checkpoint, verify_checkpoint
from vae_core.data.catalogue import load_images
from vae_core.errors import CheckpointError, ConfigError, DataError
from vae_core.evaluate.anomaly import AnomalyFeatures
from vae_core.evaluate.calibration import Calibration, calibrate_model
from vae_core.latent import encode_set

MODEL = small_model(likelihood="gaussian")
SET = stripes(600)


def made_up(n: int, *, seed: int = 0, missed: float = 0.0, away: float = 0.0) -> AnomalyFeatures:
    """Features of n pictures; `missed` raises the share missed, `away` moves the codes."""
    random = np.random.default_rng(seed)
    error, code = np.exp(random.normal(-2, 0.5, n)) + missed, random.normal(away, 1, (n, 4))
    nll, norm = random.normal(100, 5, n), np.linalg.norm(code, axis=1)
    columns = (error / 10, error, error, nll, nll - 1, nll / 10, norm, norm * 0 + 1, code)
    return AnomalyFeatures(*(column.astype(np.float32) for column in columns))


@pytest.fixture(scope="module")
def scale() -> VerdictScale:
    return calibrate_verdict(made_up(2_000))


def shares(scale: VerdictScale, features: AnomalyFeatures) -> tuple[float, float]:
    levels = [v.level for v in judge(scale, features)]
    foreign = levels.count("foreign") / len(levels)
    return foreign + levels.count("unusual") / len(levels), foreign


def test_new_normal_pictures_raise_the_promised_alarms(scale: VerdictScale) -> None:
    alarms, foreign = shares(scale, made_up(8_000, seed=1))
    assert alarms == pytest.approx(0.05, abs=0.025)
    assert 0 < foreign < 0.015
    assert scale.foreign is not None
    assert scale.foreign.expected <= 0.005


def test_each_view_alone_catches_what_it_sees(scale: VerdictScale) -> None:
    assert shares(scale, made_up(200, seed=2, missed=3.0)) == (1.0, 1.0)
    # Perfectly rebuilt, but far from all codes.
    assert shares(scale, made_up(200, seed=3, missed=0.0, away=6.0))[0] > 0.99


def test_a_likelihood_alone_condemns_nobody(scale: VerdictScale) -> None:
    known = made_up(300, seed=4)
    odd = replace(known, negative_elbo=known.negative_elbo + 1_000)
    assert shares(scale, odd) == shares(scale, known)
    assert {s.name: s.percentile for s in judge(scale, odd)[0].scores}["negative ELBO"] == 1


def test_the_words_say_the_rate_and_the_reason(scale: VerdictScale) -> None:
    usual, odd = (judge(scale, made_up(1, seed=5, missed=m))[0] for m in (0.0, 3.0))
    assert (usual.level, odd.level) == ("typical", "foreign")
    assert "5 in 100 would be called unusual" in usual.words
    assert "5 in 1,000 would be judged so by mistake" in odd.words
    assert "more than for all of held-out pictures" in odd.words
    assert odd.tail == pytest.approx(1 / 1_001)


def test_percentiles_count_held_out_pictures_below(scale: VerdictScale) -> None:
    middle = replace(made_up(1), squared_error=np.median(scale.held_out.squared_error)[None])
    found = {s.name: s for s in judge(scale, middle)[0].scores}
    assert found["squared error"].percentile == pytest.approx(0.5, abs=0.01)
    assert {"negative ELBO", "reconstruction", "KL"} <= set(found)
    silent = calibrate_verdict(made_up(200), has_evidence=False)
    assert not {"negative ELBO", "KL"} & {s.name for s in judge(silent, middle)[0].scores}


def test_few_held_out_pictures_promise_less() -> None:
    few = calibrate_verdict(made_up(60))
    assert few.foreign is None
    assert {v.level for v in judge(few, made_up(20, missed=9.0))} == {"unusual"}
    middling = calibrate_verdict(made_up(200))
    assert middling.foreign is not None
    assert 0.005 < middling.foreign.expected < 0.02
    with pytest.raises(DataError, match="39 held-out pictures came"):
        calibrate_verdict(made_up(39))


def test_a_batch_is_ranked_most_unusual_first(scale: VerdictScale) -> None:
    mild, wild, usual = (made_up(1, seed=7, missed=m) for m in (0.6, 5.0, 0.0))
    found = [judge(scale, f)[0] for f in (mild, wild, usual)]
    assert most_unusual_first(found) == [1, 0, 2]


def test_calibration_takes_held_out_images_alone_and_stays_small() -> None:
    found = calibrate_model(MODEL, SET)
    assert found is not None
    assert set(found.ids) == set(SET.ids[SET.split == 2])
    only_train = replace(SET, split=np.zeros(len(SET), np.uint8))
    assert calibrate_model(MODEL, only_train) is None
    long_codes = small_model(n_latent=8_000, preset="mlp")
    bulky = calibrate_model(long_codes, SET)
    assert bulky is not None
    assert sum(a.nbytes for a in bulky.to_arrays().values()) < 300_000


def test_a_checkpoint_carries_its_calibration(tmp_path: Path) -> None:
    images = stripes(600)
    folder = save_small(tmp_path / "m", model=MODEL, codes=encode_set(MODEL, images))
    with pytest.raises(ConfigError, match="run: python -m vae_core calibrate"):
        scale_of(load_checkpoint(folder))
    found = calibrate_model(MODEL, images)
    assert found is not None
    add_part(folder, found)
    verify_checkpoint(folder)
    checkpoint = load_checkpoint(folder)
    noise = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)
    usual = verdict(checkpoint, images.images[:200])
    assert np.mean([v.score for v in verdict(checkpoint, noise)]) > np.mean(
        [v.score for v in usual]
    )
    (folder / CALIBRATION).write_bytes(b"other")
    with pytest.raises(CheckpointError, match="damaged"):
        _ = load_checkpoint(folder).calibration


@pytest.mark.parametrize("harm", ["lacks", "longer", "nan"])
def test_odd_arrays_are_no_calibration(harm: str) -> None:
    arrays = Calibration(made_up(50), np.arange(50)).to_arrays()
    if harm == "lacks":
        del arrays["kl"]
    else:
        arrays["kl"] = np.ones(51) if harm == "longer" else np.full(50, np.nan)
    with pytest.raises(DataError, match="calibrate"):
        Calibration.from_arrays(arrays)


def test_the_verb_calibrates_on_the_test_images(tmp_path: Path, answer: Answer) -> None:
    folder = save_small(tmp_path / "m")
    said = answer("calibrate", folder, "--data", "digits", "--seed", 1)
    found = load_checkpoint(folder).calibration
    assert found is not None
    test = load_images("digits").subset("test")
    assert set(found.ids) == set(test.ids)
    assert (said["n_images"], said["foreign_false_alarms"]) == (len(test), pytest.approx(1 / 91))


def test_reconstruct_writes_a_table_most_unusual_first(tmp_path: Path, answer: Answer) -> None:
    folder = save_small(tmp_path / "m")
    answer("calibrate", folder, "--data", "digits")
    pictures = sorted(write_pictures(tmp_path / "in", 3, side=8).iterdir())
    answer("reconstruct", folder, *pictures, "--out", tmp_path / "o", "--csv", tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    assert {row["picture"] for row in rows} == set(map(str, pictures))
    tails = [float(row["as unusual"]) for row in rows]
    assert tails == sorted(tails)
