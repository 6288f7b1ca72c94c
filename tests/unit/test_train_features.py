"""Averages, early stops, skipped steps, halved batches, few labels, warnings, kill -9."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.fixtures import ROOT, small_model, stripes
from vae_core.data.imageset import ImageSet
from vae_core.errors import ConfigError, DataError, TrainingError
from vae_core.model import Autoencoder, ModelConfig
from vae_core.nets import architecture_for
from vae_core.train import TrainConfig, train
from vae_core.train.journal import read_journal
from vae_core.train.malloc import keep_freed_memory
from vae_core.train.runtime import Runtime
from vae_core.train.state import Position, has_state
from vae_core.train.step import hide_labels
from vae_core.train.watch import warnings_of

CPU = Runtime(torch.device("cpu"), None, "test")
IMAGES = stripes()


def run(
    folder: Path, *, images: ImageSet = IMAGES, tell: list[str] | None = None, **options: Any
) -> tuple[Autoencoder, Position]:
    told = [] if tell is None else tell
    extra = {k: options.pop(k) for k in ("initial", "resume", "cancelled") if k in options}
    defaults = {"n_latent": 2, "epochs": 2, "batch_size": 16, "device": "cpu"}
    config = TrainConfig(**{**defaults, **options})
    labelled = config.objective in ("conditional-vae", "m2")
    model = ModelConfig(
        images.spec, config.n_latent, architecture_for("mlp", images.spec), "gaussian",
        n_classes=2 * labelled, is_classifier=config.objective == "m2",
    )  # fmt: skip
    return train(
        images, folder, model_config=model, config=config, runtime=CPU, tell=told.append, **extra
    )


def weights(model: Autoencoder) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_the_average_of_the_weights_lags_behind_and_is_what_is_kept(tmp_path: Path) -> None:
    plain, _ = run(tmp_path / "plain", epochs=1)
    averaged, _ = run(tmp_path / "ema", epochs=1, ema_decay=0.9)
    still, _ = run(tmp_path / "still", epochs=1, ema_decay=0.999999)
    assert not weights(plain).equal(weights(averaged))
    moved = [float((weights(m) - weights(plain)).norm()) for m in (averaged, still)]
    assert moved[0] > 0
    assert averaged.training is False


def test_a_resumed_average_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole", ema_decay=0.9)
    calls = iter(range(100))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(TrainingError):
        patch.setattr("vae_core.train.loop.REPORT_EVERY_SECONDS", -1.0)
        run(tmp_path / "parts", ema_decay=0.9, cancelled=lambda: next(calls) >= 5)
    resumed, _ = run(tmp_path / "parts", ema_decay=0.9, resume=True)
    assert weights(whole).equal(weights(resumed))


def scripted_losses(patch: pytest.MonkeyPatch, losses: list[float]) -> None:
    values = iter(losses)

    def validate(*_: object) -> dict[str, float]:
        return {"val_loss": next(values), "active_units": 2}

    patch.setattr("vae_core.train.loop.validate", validate)


def test_patience_counts_epochs_without_a_better_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted_losses(monkeypatch, [5, 4, 6, 7, 1, 1])
    told: list[str] = []
    _, position = run(tmp_path, epochs=6, patience_epochs=2, tell=told)
    assert (position.epoch, position.best_epoch) == (4, 2)
    assert "has not improved for 2 epochs; the best was epoch 2" in told[-1]


def test_a_loss_of_the_warm_up_sets_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted_losses(monkeypatch, [1, 2, 9, 8, 8.5, 8.5])
    options = {"beta": 4.0, "warmup_steps": 12}
    _, position = run(
        tmp_path, epochs=6, patience_epochs=2, objective="beta-vae", objective_options=options
    )
    assert (position.best_epoch, position.best_loss, position.epoch) == (4, 8, 6)


class Spoiler:
    """Stands in for the objective's call and spoils chosen calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, spoil: Any) -> None:
        from vae_core.train.step import TrainStep

        self.sizes: list[int] = []
        forward = TrainStep.forward

        def wrapped(module: TrainStep, batch: Any, step: Tensor) -> Any:
            if step.isinf():
                return forward(module, batch, step)
            self.sizes.append(len(batch.x))
            terms = forward(module, batch, step)
            return terms._replace(loss=spoil(len(self.sizes), batch, terms.loss))

        monkeypatch.setattr(TrainStep, "forward", wrapped)


def test_a_step_without_a_finite_gradient_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spoiler(monkeypatch, lambda n, _, loss: loss * float("nan") if n == 2 else loss)
    told: list[str] = []
    model, position = run(tmp_path, tell=told)
    assert position.n_skipped_steps == 1
    assert weights(model).isfinite().all()
    assert any("1 of 4 steps had a gradient that was not finite" in t for t in told)
    assert all(np.isfinite(float(r["train_loss"])) for r in read_journal(tmp_path))  # type: ignore[arg-type]


def test_a_skipped_step_leaves_weights_and_moments_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spoiler(monkeypatch, lambda n, _, loss: loss * float("inf") if n == 1 else loss)
    first, _ = run(tmp_path / "a", epochs=1, batch_size=32)
    assert weights(first).isfinite().all()
    assert not weights(first).equal(weights(small_model(n_latent=2, preset="mlp")))


def test_most_steps_skipped_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Spoiler(monkeypatch, lambda n, _, loss: loss * float("nan") if n % 4 else loss)
    with pytest.raises(TrainingError, match="finite number was expected"):
        run(tmp_path)


def out_of_memory_above(limit: int) -> Any:
    def spoil(_: int, batch: Any, loss: Tensor) -> Tensor:
        if len(batch.x) > limit:
            raise torch.OutOfMemoryError("scripted")
        return loss

    return spoil


def test_too_little_memory_halves_the_batch_and_keeps_its_effective_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = run(tmp_path / "whole", objective="ae")
    spoiler = Spoiler(monkeypatch, out_of_memory_above(5))
    told: list[str] = []
    pieces, position = run(tmp_path / "pieces", objective="ae", tell=told)
    assert spoiler.sizes[:7] == [16, 8, 4, 4, 4, 4, 4]
    assert position.n_pieces == 4
    assert position.step == 8
    torch.testing.assert_close(weights(pieces), weights(whole), rtol=1e-4, atol=1e-5)
    assert "worked off in 4 parts, its effective size stays the same" in "".join(told)


def test_no_memory_for_one_image_ends_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Spoiler(monkeypatch, out_of_memory_above(0))
    with pytest.raises(TrainingError, match="choose a smaller --batch-size"):
        run(tmp_path)


def test_other_errors_are_not_taken_for_lack_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Tensor:
        raise RuntimeError("shapes differ")

    Spoiler(monkeypatch, broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        run(tmp_path)


def test_few_labels_are_dealt_evenly_and_by_seed() -> None:
    labels = np.repeat(np.arange(3), [50, 30, 4])
    kept = hide_labels(labels, n_labels=14, seed=0)
    assert [int((kept == c).sum()) for c in range(3)] == [5, 5, 4]
    assert (labels[kept >= 0] == kept[kept >= 0]).all()
    assert not np.array_equal(kept, hide_labels(labels, n_labels=14, seed=1))
    assert np.array_equal(hide_labels(labels, n_labels=0, seed=0), labels)


@pytest.mark.parametrize("n", [1, 85])
def test_too_few_or_too_many_labels_are_refused(n: int) -> None:
    with pytest.raises(ConfigError, match=f"--n-labels {n} came, expected 2 .* to 84"):
        hide_labels(np.repeat(np.arange(2), 42), n_labels=n, seed=0)


def test_few_labels_come_along_in_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    def spoil(_: int, batch: Any, loss: Tensor) -> Tensor:
        seen.append((len(batch.x), int((batch.y >= 0).sum())))
        return loss

    Spoiler(monkeypatch, spoil)
    run(tmp_path, objective="m2", n_labels=4, epochs=1)
    assert all(n == 24 and 8 <= known <= 12 for n, known in seen)
    assert "val_accuracy" in read_journal(tmp_path)[0]


@pytest.mark.parametrize("objective", ["m2", "conditional-vae"])
def test_objectives_with_labels_refuse_a_set_without(tmp_path: Path, objective: str) -> None:
    with pytest.raises(DataError, match="has no labels but the objective"):
        run(tmp_path, images=replace(IMAGES, labels=None), objective=objective)


def test_m2_learns_to_tell_its_classes_from_few_labels(tmp_path: Path) -> None:
    run(tmp_path, images=stripes(400), objective="m2", n_labels=40, epochs=12, learning_rate=0.01)
    assert float(read_journal(tmp_path)[-1]["val_accuracy"]) >= 0.7  # type: ignore[arg-type]


def test_a_run_starts_from_given_weights(tmp_path: Path) -> None:
    first, _ = run(tmp_path / "first", epochs=4)
    again, _ = run(tmp_path / "again", initial=first, epochs=1, learning_rate=1e-9)
    torch.testing.assert_close(weights(again), weights(first), rtol=1e-4, atol=1e-5)
    with pytest.raises(ConfigError, match="has another shape than these options describe"):
        run(tmp_path / "other", initial=first, n_latent=3)


def test_tensorboard_gets_every_number(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run(tmp_path, tensorboard=True)
    files = list((tmp_path / "tensorboard").iterdir())
    assert sum(f.stat().st_size for f in files) > 500


def test_tensorboard_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        run(tmp_path, tensorboard=True)


RECORD = {"active_units": 8, "val_loss": 100.0, "train_loss": 99.0, "n_skipped_steps": 0}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"kl_per_dimension": [1e-4] * 8}, "collapse"),
        ({"kl_per_dimension": [9.0] + [0.0] * 7, "active_units": 1}, "unused"),
        ({"val_loss": 130.0}, "over-fitting"),
        ({"n_skipped_steps": 3}, "skipped"),
    ],
)
def test_what_goes_wrong_is_said_in_words(changes: dict[str, Any], kind: str) -> None:
    found = warnings_of({**RECORD, **changes}, n_latent=8, best_loss=101.0, n_steps=50)
    assert list(found) == [kind]
    assert found[kind].endswith(".")


@pytest.mark.parametrize("changes", [{}, {"kl_per_dimension": [2.0] * 8}, {"val_loss": 99.5}])
def test_nothing_is_said_when_all_is_well(changes: dict[str, Any]) -> None:
    assert warnings_of({**RECORD, **changes}, n_latent=8, best_loss=101.0, n_steps=50) == {}


def test_a_collapsed_run_says_so(tmp_path: Path) -> None:
    told: list[str] = []
    run(tmp_path, objective="beta-vae", objective_options={"beta": 1e6}, epochs=4, tell=told)
    assert any("Posterior collapse" in sentence for sentence in told)


KILLED = """
from pathlib import Path
from tests.unit.test_train_features import run
run(Path({folder!r}), epochs=60)
"""


def test_kill_9_in_mid_run_loses_at_most_an_epoch(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    code = KILLED.format(folder=str(parts))
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        while process.poll() is None and not has_state(parts):
            time.sleep(0.001)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    resumed, end = run(parts, epochs=60, resume=True)
    whole, _ = run(tmp_path / "whole", epochs=60)
    assert weights(whole).equal(weights(resumed))
    assert [r["epoch"] for r in read_journal(parts)] == list(range(1, 61))
    assert end.epoch == 60


def test_freed_memory_is_kept_only_where_that_is_known_to_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert keep_freed_memory() is False
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert keep_freed_memory() is False
