"""Training: exact resume, the best model kept, no poisoned files, no global randomness."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.fixtures import small_model, stripes
from vae_core.data.imageset import ImageSet
from vae_core.errors import ConfigError, DataError, TrainingError
from vae_core.model import Autoencoder, ModelConfig
from vae_core.nets import architecture_for
from vae_core.train import TrainConfig, train
from vae_core.train.config import one_cycle
from vae_core.train.journal import Journal, read_journal
from vae_core.train.loop import Interrupted, Progress
from vae_core.train.runtime import Runtime, choose_runtime
from vae_core.train.state import Position, has_state, read_note
from vae_core.train.step import ImageFeed, epoch_order, step_seed

CPU = Runtime(torch.device("cpu"), None, "test")
IMAGES = stripes()
N_STEPS = 64 // 16
EPOCHS = 2


def run(
    folder: Path,
    *,
    images: ImageSet = IMAGES,
    preset: str = "conv-s",
    likelihood: str = "gaussian",
    resume: bool = False,
    report: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **options: Any,
) -> tuple[Autoencoder, Position]:
    spec = images.spec
    defaults = {"n_latent": 2, "epochs": EPOCHS, "batch_size": 16, "device": "cpu"}
    config = TrainConfig(**{**defaults, **options})
    model = ModelConfig(spec, config.n_latent, architecture_for(preset, spec), likelihood)
    return train(
        images, folder, model_config=model, config=config, runtime=CPU,
        resume=resume, report=report, cancelled=cancelled,
    )  # fmt: skip


def after(n_calls: int) -> Callable[[], bool]:
    """True from the n-th call on."""
    calls = iter(range(1, 10_000))
    return lambda: next(calls) >= n_calls


def same_weights(one: Autoencoder, other: Autoencoder) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(a.equal(b) for a, b in pairs)


@pytest.fixture
def each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_core.train.loop.REPORT_EVERY_SECONDS", -1.0)


@pytest.mark.usefixtures("each_step")
@pytest.mark.parametrize("stop_after", [1, N_STEPS, N_STEPS + 1, EPOCHS * N_STEPS])
@pytest.mark.parametrize("objective", ["vae", "beta-vae"])
def test_a_resumed_run_ends_with_the_same_bits(
    tmp_path: Path, stop_after: int, objective: str
) -> None:
    options = {"warmup_steps": 5} if objective == "beta-vae" else {}
    chosen: dict[str, Any] = {"objective": objective, "objective_options": options}
    whole, end = run(tmp_path / "whole", **chosen)
    with pytest.raises(Interrupted, match=r"give the same command with --resume"):
        run(tmp_path / "parts", cancelled=after(stop_after), **chosen)
    resumed, resumed_end = run(tmp_path / "parts", resume=True, **chosen)
    assert same_weights(whole, resumed)
    assert (end.step, end.images_seen, end.best_loss) == (
        resumed_end.step, resumed_end.images_seen, resumed_end.best_loss,
    )  # fmt: skip


@pytest.mark.usefixtures("each_step")
@pytest.mark.parametrize("stop_after", [1, N_STEPS, EPOCHS * N_STEPS])
def test_the_journal_of_a_resumed_run_is_that_of_a_whole_one(
    tmp_path: Path, stop_after: int
) -> None:
    run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "parts", cancelled=after(stop_after))
    run(tmp_path / "parts", resume=True)
    whole, parts = read_journal(tmp_path / "whole"), read_journal(tmp_path / "parts")
    for record in (*whole, *parts):
        record.pop("seconds")
    assert parts == whole


@pytest.mark.usefixtures("each_step")
def test_ctrl_c_during_the_check_after_an_epoch_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = run(tmp_path / "whole", epochs=1)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr("vae_core.train.loop.validate", stopped)
        run(tmp_path / "parts", epochs=1)
    resumed, _ = run(tmp_path / "parts", epochs=1, resume=True)
    assert same_weights(whole, resumed)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path: Path) -> None:
    first, _ = run(tmp_path / "a")
    again, _ = run(tmp_path / "b")
    other, _ = run(tmp_path / "c", seed=1)
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_the_best_epoch_by_validation_is_returned_and_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Tensor]] = []
    losses = iter([5.0, 3.0, 9.0])

    def scripted(run: Any, _: object) -> dict[str, float]:
        seen.append({k: v.clone() for k, v in run.model.state_dict().items()})
        return {"val_loss": next(losses), "active_units": 1}

    monkeypatch.setattr("vae_core.train.loop.validate", scripted)
    model, position = run(tmp_path, epochs=3)
    assert (position.best_epoch, position.best_loss) == (2, 3.0)
    assert all(v.equal(seen[1][k]) for k, v in model.state_dict().items())
    assert not model.training


def test_validation_averages_over_images_not_over_batches(tmp_path: Path) -> None:
    images = stripes(640)
    images.split[:] = np.where(np.arange(640) < 501, 1, 0)
    images.images[500] = 0
    model, _ = run(tmp_path, images=images, objective="ae", epochs=1, preset="mlp")
    x = torch.from_numpy(images.images[:501]) / 255
    with torch.no_grad():
        right = model.likelihood.nll(model.decode_raw(model.encode(x).mean), x).double().mean()
    assert read_journal(tmp_path)[0]["val_loss"] == pytest.approx(float(right), rel=1e-6)


def test_training_learns_and_reports(tmp_path: Path) -> None:
    shares: list[float] = []
    run(
        tmp_path,
        images=stripes(300),
        epochs=12,
        preset="mlp",
        report=lambda p: shares.append(p.share),
    )
    losses = [float(record["val_loss"]) for record in read_journal(tmp_path)]  # type: ignore[arg-type]
    assert losses[-1] < losses[0] - 10
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)


def test_every_epoch_is_journalled_with_the_true_elbo(tmp_path: Path) -> None:
    run(tmp_path, objective="beta-vae", objective_options={"beta": 3.0}, epochs=1)
    record = read_journal(tmp_path)[0]
    parts = [float(record[f"val_{k}"]) for k in ("reconstruction", "kl")]  # type: ignore[arg-type]
    assert record["val_elbo"] == pytest.approx(-sum(parts))
    assert record["val_loss"] == pytest.approx(parts[0] + 3 * parts[1])
    assert 0 <= int(record["active_units"]) <= 2  # type: ignore[arg-type]


def test_a_journal_holds_json_whatever_happens(tmp_path: Path) -> None:
    Journal(tmp_path).write({"epoch": 1, "loss": math.nan})
    with (tmp_path / "metrics.jsonl").open("a") as opened:
        opened.write('{"epoch": 2, "lo')
    assert read_journal(tmp_path) == [{"epoch": 1, "loss": "nan"}]


def test_global_random_states_are_left_alone(tmp_path: Path) -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    run(tmp_path, epochs=1)
    assert torch.get_rng_state().equal(torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # type: ignore[index]


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("batch_size", [16, 64])
def test_a_loss_that_explodes_ends_with_a_sentence_and_no_bad_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: int, batch_size: int
) -> None:
    monkeypatch.setattr("vae_core.train.loop.one_cycle", lambda *_, **__: 1e30)
    with pytest.raises(TrainingError, match=r"lower --learning-rate") as caught:
        run(tmp_path, epochs=epochs, batch_size=batch_size)
    assert "\n" not in str(caught.value)
    if has_state(tmp_path):
        tensors = load_file(tmp_path / "training" / "state.safetensors")
        assert all(t.isfinite().all() for t in tensors.values())


def test_a_weight_that_turns_nan_late_leaves_the_good_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poison(share: float, *, peak: float) -> float:
        return math.nan if share >= 0.6 else peak

    monkeypatch.setattr("vae_core.train.loop.one_cycle", poison)
    with pytest.raises(TrainingError, match="finite number was expected"):
        run(tmp_path)
    assert read_note(tmp_path)["position"]["epoch"] == 1
    tensors = load_file(tmp_path / "training" / "state.safetensors")
    assert all(t.isfinite().all() for t in tensors.values())


def test_too_few_images_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds 2 image\(s\).* at least 3"):
        run(tmp_path / "out", images=stripes(2))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("n", [3, 5, 17])
def test_very_small_sets_train(tmp_path: Path, n: int) -> None:
    model, position = run(tmp_path, images=stripes(n), epochs=1)
    assert position.step == 1
    assert all(p.isfinite().all() for p in model.parameters())


def test_minutes_end_a_run_with_a_usable_model(tmp_path: Path) -> None:
    model, position = run(tmp_path, epochs=1, minutes=0.01)
    assert position.seconds >= 0.6
    assert position.epoch >= 1
    assert not model.training


@pytest.mark.parametrize("resident_bytes", [0, 2**31])
def test_batches_are_float_images_wherever_they_live(
    monkeypatch: pytest.MonkeyPatch, resident_bytes: int
) -> None:
    monkeypatch.setattr("vae_core.train.step.RESIDENT_BYTES", resident_bytes)
    feed = ImageFeed(IMAGES.images, CPU.device)
    batch = feed.batch(torch.tensor([3, 1]))
    assert (feed.resident is None) == (resident_bytes == 0)
    torch.testing.assert_close(batch, torch.from_numpy(IMAGES.images[[3, 1]]) / 255)


def test_every_epoch_visits_every_image_in_its_own_order() -> None:
    first, second = (epoch_order(50, seed=0, epoch=e) for e in (0, 1))
    assert first.sort().values.tolist() == list(range(50))
    assert not first.equal(second)
    assert not first.equal(epoch_order(50, seed=1, epoch=0))


def test_step_seeds_do_not_repeat() -> None:
    seeds = {step_seed(seed, seen) for seed in range(20) for seen in range(0, 6400, 64)}
    assert len(seeds) == 20 * 100


def test_the_schedule_rises_to_its_peak_and_falls_to_nearly_nothing() -> None:
    rates = [one_cycle(i / 100, peak=0.1) for i in range(101)]
    assert max(rates) == pytest.approx(0.1)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"epochs": 0}, "--epochs 0 came"),
        ({"n_latent": 0}, "--latent 0 came"),
        ({"batch_size": -4}, "--batch-size -4 came"),
        ({"minutes": 0}, "--minutes 0 came"),
        ({"minutes": math.nan}, "--minutes nan came"),
        ({"learning_rate": math.nan}, "--learning-rate nan came"),
        ({"learning_rate": 1.5}, "--learning-rate 1.5 came"),
        ({"seed": -1}, "--seed -1 came"),
        ({"seed": 2**64}, "--seed 18446744073709551616 came"),
    ],
)
def test_senseless_options_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        TrainConfig(**options)


def test_the_device_is_chosen_with_a_reason() -> None:
    assert choose_runtime("cpu", "float32").autocast is None
    assert choose_runtime("cpu", "bfloat16").autocast is torch.bfloat16
    assert choose_runtime("cpu").reason.startswith("Training on cpu (it was asked for) in ")


@pytest.mark.parametrize("name", ["tpu", "cuda:999", "", "cpu:x"])
def test_devices_that_are_not_there_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"Device '{name}'"):
        choose_runtime(name)


def test_unknown_precisions_are_refused() -> None:
    with pytest.raises(ConfigError, match="Precision 'int8' is unknown"):
        choose_runtime("cpu", "int8")


def test_training_in_bfloat16_keeps_its_weights_in_float32(tmp_path: Path) -> None:
    runtime = choose_runtime("cpu", "bfloat16")
    config = TrainConfig(n_latent=2, epochs=1, batch_size=32)
    spec = small_model(n_latent=2, preset="mlp").config
    model, _ = train(IMAGES, tmp_path, model_config=spec, config=config, runtime=runtime)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
