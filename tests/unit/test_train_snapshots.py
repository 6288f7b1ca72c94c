"""Watching a run: it changes nothing, costs little, and shows the same things as they form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.fixtures import stripes
from vae_core.data.imageset import ImageSet
from vae_core.errors import CheckpointError, TrainingError
from vae_core.model import Autoencoder
from vae_core.pipeline import plan_model
from vae_core.train import Progress, TrainConfig, train
from vae_core.train.control import read_progress, write_ask
from vae_core.train.journal import read_journal
from vae_core.train.runtime import choose_runtime
from vae_core.train.snapshots import (
    MAX_SNAPSHOTS,
    SnapshotNote,
    SnapshotShelf,
    list_snapshots,
    read_moments,
    read_snapshot,
)
from vae_core.train.watch import warnings_of
from vae_core.train.watcher import Watcher, on_a_plane

SHORT = TrainConfig(n_latent=3, epochs=3, preset="mlp", likelihood="bernoulli")


def run_watched(
    folder: Path,
    config: TrainConfig = SHORT,
    *,
    images: ImageSet | None = None,
    watch: bool = True,
    resume: bool = False,
) -> Autoencoder:
    images = stripes(60) if images is None else images
    watcher = Watcher(folder) if watch else None
    runtime = choose_runtime("cpu", "float32")
    model, _ = train(
        images, folder, model_config=plan_model(images, config)[0], config=config,
        runtime=runtime, watcher=watcher, resume=resume,
    )  # fmt: skip
    return model


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot after every step."""
    monkeypatch.setattr("vae_core.train.watcher.FIRST_AFTER_SECONDS", 0.0)
    monkeypatch.setattr("vae_core.train.watcher.GROWTH", 0.0)
    for name in ("YOUNG_COST_SHARE", "COST_SHARE"):
        monkeypatch.setattr(f"vae_core.train.watcher.{name}", math.inf)


@pytest.mark.usefixtures("_often")
def test_a_watched_run_ends_bit_equal(tmp_path: Path) -> None:
    watched = run_watched(tmp_path / "a").state_dict()
    alone = run_watched(tmp_path / "b", watch=False).state_dict()
    assert len(list_snapshots(tmp_path / "a")) >= 9
    assert all(torch.equal(watched[name], alone[name]) for name in alone)


@pytest.mark.usefixtures("_often")
def test_snapshots_show_the_same_images_as_they_improve(tmp_path: Path) -> None:
    run_watched(tmp_path, TrainConfig(n_latent=3, epochs=15, preset="mlp"))
    notes = list_snapshots(tmp_path)
    first, last = (read_snapshot(notes[place].path) for place in (0, -1))
    assert (first.note.step, last.note.step) == (0, notes[-1].step)
    np.testing.assert_array_equal(first.originals, last.originals)
    assert first.originals.shape == last.reconstructions.shape == last.samples.shape
    assert last.labels is not None and last.xy.shape == (len(last.labels), 2) == (54, 2)
    assert last.label_names == ("flat", "steep")
    error = np.square(last.originals / 255.0 - last.reconstructions / 255.0).mean()
    assert error == pytest.approx(last.note.record["squared_error"], abs=1e-4)
    assert last.note.record["psnr_db"] > first.note.record["psnr_db"] + 1
    assert len(last.note.record["kl_per_dimension"]) == 3
    assert last.note.seconds > 0 and last.note.images_seen > first.note.images_seen == 0


@pytest.mark.parametrize("objective", ["ae", "conditional-vae", "m2", "attribute-vae"])
def test_every_kind_of_model_can_be_watched(tmp_path: Path, objective: str) -> None:
    config = TrainConfig(objective=objective, n_latent=2, epochs=1, preset="mlp")
    run_watched(tmp_path, config)
    last = read_snapshot(list_snapshots(tmp_path)[-1].path)
    assert np.isfinite(last.xy).all() and last.samples.max() > last.samples.min()
    # A moment and an epoch measure the same terms.
    assert set(read_journal(tmp_path)[-1]) >= {n for n in last.note.record if n.startswith("val_")}
    assert ("val_attributes" in last.note.record) == (objective == "attribute-vae")


def test_pictures_are_thinned_but_numbers_kept(tmp_path: Path) -> None:
    shelf = SnapshotShelf(tmp_path, n_steps=0)
    noise = np.zeros((4, 1, 8, 8), np.uint8)
    shelf.put_fixed(originals=noise, labels=None, label_names=())
    xy = np.zeros((5, 2), np.float32)
    for step in range(150):
        note = SnapshotNote(shelf.path_of(step), 0, step, float(step), step, {"val_loss": 1.0})
        shelf.put(note, reconstructions=noise, samples=noise, xy=xy)
    kept = [note.step for note in list_snapshots(tmp_path)]
    assert len(kept) <= MAX_SNAPSHOTS and kept[0] == 0 and kept[-1] == 149
    assert len(read_moments(tmp_path)) == 150
    assert [note.step for note in SnapshotShelf(tmp_path, n_steps=40).notes] == list(range(41))


def test_big_snapshots_stay_within_their_budget(tmp_path: Path) -> None:
    shelf, random = SnapshotShelf(tmp_path, n_steps=0), np.random.default_rng(0)
    noise = random.integers(0, 256, (16, 3, 64, 64), np.uint8)
    for step in range(30):
        note = SnapshotNote(shelf.path_of(step), 0, step, float(step), step, {})
        shelf.put(note, reconstructions=noise, samples=noise, xy=np.zeros((5, 2), np.float32))
    sizes = [note.path.stat().st_size for note in list_snapshots(tmp_path)]
    assert sum(sizes) <= 8_000_000 and len(sizes) >= 8


def test_a_damaged_moment_is_one_sentence(tmp_path: Path) -> None:
    run_watched(tmp_path)
    note = list_snapshots(tmp_path)[0]
    note.path.write_bytes(b"PK\x03\x04 nothing")
    with (tmp_path / "training" / "snapshots" / "index.jsonl").open("a") as index:
        index.write('{"step": 1e999, "epoch": 1}\n{"step": 7, "ep')
    assert list_snapshots(tmp_path)[0].step == 0
    with pytest.raises(CheckpointError, match="choose another moment"):
        read_snapshot(note.path)


def test_a_run_goes_on_although_its_last_moment_is_damaged(tmp_path: Path) -> None:
    run_watched(tmp_path)
    first, *_, last = list_snapshots(tmp_path)
    last.path.write_bytes(b"")
    run_watched(tmp_path, replace(SHORT, epochs=4), resume=True)
    newest = list_snapshots(tmp_path)[-1]
    assert newest.step > last.step
    assert read_snapshot(newest.path).xy.shape == read_snapshot(first.path).xy.shape


def test_the_map_does_not_flip_between_moments() -> None:
    random = np.random.default_rng(0)
    means = (random.normal(size=(200, 5)) * [5, 3, 1, 0.5, 0.1]).astype(np.float32)
    before = on_a_plane(means, None)
    turned = on_a_plane(-means + 0.01 * random.normal(size=means.shape).astype(np.float32), before)
    mirrored = on_a_plane(means * [-1, 1, 1, 1, 1], before)
    assert np.abs(mirrored - before).max() < 1e-3 * np.abs(before).max()
    assert np.corrcoef(turned[:, 0], before[:, 0])[0, 1] > 0.99
    two = means[:, :2]
    np.testing.assert_array_equal(on_a_plane(two, before), two)
    assert on_a_plane(means[:, :1], None).shape == (200, 2)


def test_finish_ends_the_training_and_keeps_the_best(tmp_path: Path) -> None:
    write_ask(tmp_path, "finish")
    config = TrainConfig(n_latent=2, minutes=10, preset="mlp")
    run_watched(tmp_path, config)
    assert list_snapshots(tmp_path)[-1].epoch >= 1


def test_progress_says_how_far_it_is(tmp_path: Path) -> None:
    run_watched(tmp_path)
    said = read_progress(tmp_path)
    assert said["phase"] == "Training" and said["text"].startswith("Epoch ")
    assert 0 <= said["share"] <= 1 and said["seconds_left"] >= 0
    assert 0 <= said["seconds"] < 600


def test_a_young_run_is_not_called_collapsed(tmp_path: Path) -> None:
    watcher, told = Watcher(tmp_path), {"collapse": "Posterior collapse.", "skipped": "1 of 9."}
    for share, expected in ((0.05, ["1 of 9."]), (0.5, ["Posterior collapse.", "1 of 9."])):
        watcher.warn(told, share=share)
        watcher.phase(f"at {share}")
        assert read_progress(tmp_path)["warnings"] == expected


def test_a_run_that_finishes_early_is_not_young(tmp_path: Path) -> None:
    class Listener(Watcher):
        def warn(self, sentences: Mapping[str, str], *, share: float) -> None:  # noqa: ARG002
            self.heard = share

    write_ask(tmp_path, "finish")
    images, config, watcher = stripes(60), replace(SHORT, minutes=60), Listener(tmp_path)
    train(
        images, tmp_path, model_config=plan_model(images, config)[0], config=config,
        runtime=choose_runtime("cpu", "float32"), watcher=watcher,
    )  # fmt: skip
    assert watcher.heard == 1.0


def test_the_share_does_not_fall_at_the_end_of_the_training(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, after_seconds=20)
    for share, left in ((0.5, 30.0), (1.0, 0.0)):
        watcher._written = -math.inf
        watcher.report(Progress(0, share, 1.0, 100.0, left))
    assert read_progress(tmp_path)["share"] == pytest.approx(60 / 80)


def test_a_full_disk_stops_no_watched_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vae_core.train.snapshots._write_npz", full)
    monkeypatch.setattr("vae_core.train.watcher.write_progress", full)
    run_watched(tmp_path)
    assert list_snapshots(tmp_path) == () and read_progress(tmp_path) == {}


def test_a_full_disk_at_a_save_leaves_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    run_watched(tmp_path)
    before = (tmp_path / "training" / "state.safetensors").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(TrainingError, match="make room"):
        run_watched(tmp_path)
    assert (tmp_path / "training" / "state.safetensors").read_bytes() == before


def test_divergence_is_told_with_what_to_do() -> None:
    record = {"active_units": 3, "val_loss": 90.0, "train_loss": 95.0}
    told = warnings_of(record, n_latent=3, best_loss=60.0, n_steps=100)
    assert "lower --learning-rate" in told["divergence"]
    # The mean of the epoch in which it went wrong lies below where it ended.
    halfway = warnings_of(record | {"val_loss": 900.0}, n_latent=3, best_loss=60.0, n_steps=100)
    assert list(halfway) == ["divergence"]
    learnt = warnings_of(record | {"train_loss": 40.0}, n_latent=3, best_loss=60.0, n_steps=100)
    assert list(learnt) == ["over-fitting"]
    calm = warnings_of(record | {"val_loss": 61.0}, n_latent=3, best_loss=60.0, n_steps=100)
    assert "divergence" not in calm
