"""Two processes train as one would: same losses, same weights; torchrun's variables are checked.

This file is also the program that torchrun starts, see `work`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.fixtures import ROOT, pixels, small_model
from vae_core.errors import ConfigError
from vae_core.objectives import OBJECTIVES, Batch, build_objective
from vae_core.train.processes import (
    VARIABLES,
    Processes,
    current_processes,
    joined,
    main_first,
    mean_over_processes,
    share_of_batch,
    wrapped,
)
from vae_core.train.step import TrainStep

CPU = torch.device("cpu")
N_STEPS, N_BATCH = 4, 12
Arrays = dict[str, NDArray[np.float64]]


def flat(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def train_ae(processes: Processes, *, seed: int = 0) -> Arrays:
    """Losses of the whole batches and weights after each of a few AdamW steps."""
    model = small_model(preset="mlp", likelihood="bernoulli-continuous", seed=seed).train()
    module = wrapped(TrainStep(model, build_objective("ae", {})), processes, device=CPU)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.1)
    images, losses, weights = pixels(N_STEPS * N_BATCH), [], []
    for step in range(N_STEPS):
        rows = torch.arange(step * N_BATCH, (step + 1) * N_BATCH)
        batch = Batch(images[share_of_batch(rows, processes)])
        loss = module(batch, torch.tensor(float(step))).loss.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(mean_over_processes(loss)))
        weights.append(flat(model).numpy().astype(np.float64))
    return {"losses": np.array(losses), "weights": np.array(weights)}


def gradients_of(objective: str, processes: Processes, *, seed: int) -> NDArray[np.float64]:
    """Of a loss on images and noise of this seed.

    Two passes, as DDP complains about a parameter left out only at the second.
    """
    model = small_model(preset="mlp", likelihood="gaussian", n_classes=2).train()
    module = wrapped(TrainStep(model, build_objective(objective, {})), processes, device=CPU)
    noise = torch.Generator().manual_seed(seed)
    y = torch.tensor([0, 1, -1, -1]) if objective == "m2" else torch.tensor([0, 1, 1, 0])
    for step in (0.0, 1.0):
        model.zero_grad()
        batch = Batch(pixels(4, seed=seed), noise, y, n_images=8)
        module(batch, torch.tensor(step)).loss.sum().backward()
    found = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return torch.cat(found).numpy().astype(np.float64)


def in_turn(processes: Processes, path: Path) -> NDArray[np.bool_]:
    """Whether a file was there already, twice; the first process, which fails, is the slower."""
    found = []
    for attempt in (path.with_suffix(".a"), path.with_suffix(".b")):
        with contextlib.suppress(OSError), main_first(processes):
            time.sleep(0.3 if processes.is_main else 0)
            found.append(attempt.exists())
            attempt.touch()
            if processes.is_main:
                raise OSError("after making it")
    return np.array(found)


def work(folder: Path) -> None:
    """What each process does under torchrun; its findings go to `folder`."""
    processes = current_processes()
    with joined(processes, device=CPU, timeout_seconds=120):
        # Another seed in each process: the first one's weights must win.
        found = train_ae(processes, seed=processes.rank)
        found["mean"] = mean_over_processes(torch.tensor([1.0, processes.rank])).double().numpy()
        for name in OBJECTIVES:
            found[f"gradient {name}"] = gradients_of(name, processes, seed=processes.rank)
        found["first"] = in_turn(processes, folder / "made once")
    found["left"] = np.array([not torch.distributed.is_initialized()])
    np.savez(folder / f"{processes.rank}.npz", **found)  # type: ignore[arg-type]


def torchrun(*arguments: str, n: int = 2, seconds: float = 300) -> str:
    """Run this file in n processes on this machine; none of them outlives the call.

    It takes 10 s; on two cores that eight others want, 105 s were seen.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python",
               f"--nproc-per-node={n}", sys.executable, __file__, *arguments]  # fmt: skip
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, env=settings, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=seconds)
    finally:
        # Asked first: torchrun takes its processes along, which live in sessions of their own.
        for stop in (process.terminate, process.kill):
            if process.poll() is None:
                stop()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=10)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Arrays, Arrays]]:
    """What the first and the second of two processes found."""
    folder = tmp_path_factory.mktemp("processes")
    said = torchrun(str(folder))
    assert "Warning" not in said, said
    with np.load(folder / "0.npz") as first, np.load(folder / "1.npz") as second:
        yield dict(first), dict(second)


def test_two_processes_train_as_one_does(pair: tuple[Arrays, Arrays]) -> None:
    alone = train_ae(Processes())
    for found in pair:
        np.testing.assert_allclose(found["losses"], alone["losses"], rtol=1e-5)
        np.testing.assert_allclose(found["weights"], alone["weights"], atol=1e-5)
    assert np.abs(alone["weights"][-1] - alone["weights"][0]).max() > 1e-3


def test_the_weights_stay_the_same_to_the_last_bit(pair: tuple[Arrays, Arrays]) -> None:
    np.testing.assert_array_equal(pair[0]["weights"], pair[1]["weights"])
    assert pair[0]["mean"].tolist() == pair[1]["mean"].tolist() == [1.0, 0.5]
    assert pair[0]["left"].all() and pair[1]["left"].all()


def test_the_main_process_goes_first_even_when_it_fails(pair: tuple[Arrays, Arrays]) -> None:
    assert pair[0]["first"].tolist() == [False, False]
    assert pair[1]["first"].tolist() == [True, True]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients_are_averaged_for_every_objective(
    pair: tuple[Arrays, Arrays], objective: str
) -> None:
    first, second = (found[f"gradient {objective}"] for found in pair)
    np.testing.assert_array_equal(first, second)
    alone = [gradients_of(objective, Processes(), seed=seed) for seed in (0, 1)]
    np.testing.assert_allclose(first, (alone[0] + alone[1]) / 2, rtol=1e-4, atol=1e-4)
    assert np.abs(alone[0] - alone[1]).max() > 0.01


def test_alone_nothing_is_wrapped_or_joined() -> None:
    module, values = nn.Linear(2, 2), torch.tensor([1.0, 2.0], requires_grad=True)
    with joined(Processes(), device=CPU):
        assert not torch.distributed.is_initialized()
        assert wrapped(module, Processes(), device=CPU) is module
        assert mean_over_processes(values).tolist() == [1.0, 2.0]
    assert not mean_over_processes(values).requires_grad


@pytest.mark.parametrize(("n", "each"), [(12, 4), (13, 4), (14, 4), (3, 1)])
def test_shares_are_equal_and_apart(n: int, each: int) -> None:
    shares = [share_of_batch(torch.arange(n), Processes(rank, 3)) for rank in range(3)]
    assert torch.cat(shares).tolist() == list(range(3 * each))
    assert [len(share) for share in shares] == [each] * 3


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_small_a_batch_is_a_sentence(n: int) -> None:
    with pytest.raises(ConfigError, match=f"batch of {n} image.* 3 processes.*--batch-size"):
        share_of_batch(torch.arange(n), Processes(2, 3))


def set_variables(patch: pytest.MonkeyPatch, *values: str | None) -> None:
    for name, value in zip(VARIABLES, values, strict=True):
        if value is None:
            patch.delenv(name, raising=False)
        else:
            patch.setenv(name, value)


def test_torchruns_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, None, None, None)
    assert current_processes() == Processes(0, 1, 0) and current_processes().is_main
    set_variables(monkeypatch, "5", "8", "1")
    assert current_processes() == Processes(rank=5, world=8, local_rank=1)
    assert not current_processes().is_main


BAD = [
    "0 2 -",
    "- 2 -",
    "x 2 0",
    "0 two 0",
    "0 2.0 0",
    "-1 2 0",
    "2 2 0",
    "0 0 0",
    "0 2 1",
    "0 ² 0",
]


@pytest.mark.parametrize("said", BAD)
def test_garbled_variables_are_a_sentence(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, *(None if word == "-" else word for word in said.split()))
    with pytest.raises(ConfigError, match=r"torchrun.*\.$"):
        current_processes()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def test_who_waits_in_vain_gives_up_and_can_go_on_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", free_port())
    late = joined(Processes(0, 2), device=CPU, timeout_seconds=1)
    with pytest.raises(ConfigError, match="Process 0 of 2 did not find the others"), late:
        pytest.fail("the other process does not exist")
    assert not torch.distributed.is_initialized()


def test_nowhere_to_meet_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.setenv("MASTER_PORT", "1")
    with (
        pytest.raises(ConfigError, match="MASTER_ADDR"),
        joined(Processes(1, 2, 1), device=CPU, timeout_seconds=1),
    ):
        pytest.fail("there is no address")


if __name__ == "__main__":
    work(Path(sys.argv[1]))
