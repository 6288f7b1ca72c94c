"""What the command line gained with the engine: labels, priors, tables, processes, starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.fixtures import ROOT, quick_maps
from vae_core.checkpoint import load_checkpoint
from vae_core.cli import main
from vae_core.evaluate.images import score_images
from vae_core.latent.table import read_code_table
from vae_core.train.journal import read_journal

Made = Callable[..., Path]
QUICK = ["--data", "digits", "--epochs", "1", "--preset", "mlp", "--latent", "3", "--device", "cpu"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("engine")

    def train(name: str, *options: str) -> Path:
        out = folder / name
        if not out.exists():
            assert main(["train", *QUICK, "--out", str(out), *options]) == 0
        return out

    with quick_maps():
        yield train


def test_a_conditional_model_draws_the_class_it_is_told(made: Made, tmp_path: Path) -> None:
    path = made("conditional", "--objective", "conditional-vae")
    for label in ("3", "7"):
        command = ["sample", str(path), "--n", "4", "--label", label]
        assert main([*command, "--out", str(tmp_path / f"{label}.png")]) == 0
    assert (tmp_path / "3.png").read_bytes() != (tmp_path / "7.png").read_bytes()


@pytest.mark.parametrize(
    ("name", "label"), [("conditional", "12"), ("conditional", "x"), ("vae", "3")]
)
def test_labels_a_model_does_not_know_are_refused(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, label: str
) -> None:
    path = made(name, "--objective", "conditional-vae" if name == "conditional" else "vae")
    out = str(tmp_path / "x.png")
    assert main(["sample", str(path), "--label", label, "--out", out]) == 2
    assert f"--label {label} came, this model knows" in capsys.readouterr().err


def test_the_fitted_mixture_can_be_sampled_and_differs_from_the_prior(
    made: Made, tmp_path: Path
) -> None:
    path = made("vae", "--objective", "vae")
    for prior in ("normal", "mixture"):
        assert (
            main(["sample", str(path), "--prior", prior, "--out", str(tmp_path / f"{prior}.png")])
            == 0
        )
    assert (tmp_path / "normal.png").read_bytes() != (tmp_path / "mixture.png").read_bytes()


def test_a_damaged_prior_is_found_before_it_is_used(made: Made, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made("vae"), tmp_path / "copy"))
    (copy / "prior.npz").write_bytes(b"no prior")
    assert main(["verify", str(copy)]) == 2
    assert main(["sample", str(copy), "--prior", "mixture", "--out", str(tmp_path / "x.png")]) == 2


def test_codes_are_written_as_parquet(made: Made, tmp_path: Path) -> None:
    path = made("vae")
    out = tmp_path / "codes.parquet"
    assert main(["encode", str(path), "--data", "digits", "--out", str(out)]) == 0
    table = read_code_table(out)
    assert len(table.codes) == 1797
    assert table.model_key == load_checkpoint(path).key


@pytest.mark.parametrize("objective", ["ae", "wae", "denoising-ae"])
def test_a_plain_autoencoder_has_points_for_codes(made: Made, objective: str) -> None:
    checkpoint = load_checkpoint(made(objective, "--objective", objective))
    assert checkpoint.model.config.posterior == "point"
    assert not checkpoint.codes.kl_nats.any()
    variances = checkpoint.codes.mean.var(0)[checkpoint.codes.dimension_order]
    assert (np.diff(variances) <= 0).all()
    assert "elbo_nats" not in checkpoint.card["metrics"]


def test_options_of_objectives_reach_the_card(made: Made) -> None:
    path = made("noisy", "--objective", "denoising-vae", "--noise", "masking", "--amount", "0.25")
    card = load_checkpoint(path).card
    assert card["objective"] == {
        "name": "denoising-vae", "beta": 1.0, "noise": "masking", "amount": 0.25
    }  # fmt: skip


def test_switches_of_objectives_can_be_turned_off(made: Made) -> None:
    path = made("iwae", "--objective", "iwae", "--no-doubly-reparameterised")
    assert load_checkpoint(path).card["objective"]["doubly_reparameterised"] is False


def test_a_run_can_start_from_another_model(made: Made) -> None:
    first = made("vae")
    path = made(
        "later", "--start-from", str(first), "--objective", "iwae", "--learning-rate", "1e-9"
    )
    x = np.zeros((1, 1, 8, 8), np.uint8)
    means = [score_images(load_checkpoint(p).model, x).mean for p in (first, path)]
    np.testing.assert_allclose(*means, atol=1e-4)


def test_a_full_covariance_can_begin_from_a_diagonal_model(made: Made) -> None:
    first = made("vae")
    options = ("--posterior", "full", "--start-from", str(first))
    begun, gone_on = made("begun", *options, "--learning-rate", "1e-9"), made("gone-on", *options)
    x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    diagonal, close, full = (load_checkpoint(p).model.encode(x) for p in (first, begun, gone_on))
    assert close.factor is not None
    torch.testing.assert_close(close.mean, diagonal.mean, atol=1e-4, rtol=0)
    torch.testing.assert_close(close.covariance, diagonal.covariance, atol=0.05, rtol=0)
    torch.testing.assert_close(close.log_std, diagonal.log_std, atol=1e-2, rtol=0)
    assert full.covariance[:, 1, 0].abs().mean() > 3 * close.covariance[:, 1, 0].abs().mean()


def test_a_diagonal_model_cannot_begin_from_a_full_covariance(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = made("full", "--posterior", "full")
    assert main(["train", *QUICK, "--start-from", str(first), "--out", str(tmp_path / "x")]) == 2
    assert "only a full covariance may begin from a diagonal one" in capsys.readouterr().err


@pytest.mark.parametrize("posterior", ["full"])
@pytest.mark.parametrize("likelihood", ["logistic", "gaussian"])
def test_any_posterior_and_likelihood_make_a_checkpoint(
    made: Made, posterior: str, likelihood: str
) -> None:
    path = made(f"{posterior}-{likelihood}", "--posterior", posterior, "--likelihood", likelihood)
    model = load_checkpoint(path).model
    assert model.config.posterior == posterior
    assert model.encode(torch.zeros(1, 1, 8, 8)).covariance[0, 1, 0] != 0


TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TWO += ["-m", "tests.quick_main"]


def torchrun(*arguments: str) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, *TWO, *arguments], cwd=ROOT, env=environment, check=False,
            capture_output=True, timeout=240, text=True,
        )  # fmt: skip
        # torchrun looks for a free port and opens it later: an app server of another test may be
        # faster.
        if "EADDRINUSE" not in done.stderr and "already in use" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr[-6_000:]


def test_two_processes_train_and_encode_like_one(made: Made, tmp_path: Path) -> None:
    # No noise in this objective, so that the processes' shares add up to the whole batch; and no
    # bfloat16, which is rounded otherwise for half a batch, on processors that have it.
    options = ["--objective", "ae", "--likelihood", "bernoulli-continuous", "--batch-size", "64"]
    options += ["--precision", "float32"]
    one, two = made("one", *options), tmp_path / "two"
    torchrun("train", *QUICK, *options, "--out", str(two))
    losses = [[r["val_loss"] for r in read_journal(p)] for p in (one, two)]
    np.testing.assert_allclose(*losses, rtol=1e-4)  # type: ignore[arg-type]
    models = [load_checkpoint(p).model.state_dict() for p in (one, two)]
    for name, value in models[0].items():
        torch.testing.assert_close(value, models[1][name], rtol=1e-3, atol=1e-4)
    seen = [load_checkpoint(p).card["training"]["images_seen"] for p in (one, two)]
    assert seen[0] == seen[1]


def test_two_processes_encode_like_one(made: Made, tmp_path: Path) -> None:
    path, parts, alone = made("vae"), tmp_path / "parts", tmp_path / "alone.parquet"
    torchrun("encode", str(path), "--data", "digits", "--out", str(parts))
    assert main(["encode", str(path), "--data", "digits", "--out", str(alone)]) == 0
    assert len(list(parts.iterdir())) == 2
    codes = [read_code_table(p).codes for p in (parts, alone)]
    np.testing.assert_array_equal(codes[0].mean, codes[1].mean)
