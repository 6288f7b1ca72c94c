"""Fixtures that unit, page and browser tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.fixtures import quick_maps, shared_data
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.cli import main

TINY_RUNS = {
    "digits-2d": "--data digits --latent 2 --epochs 3",
    "faces-tiny": "--data faces --images 120 --latent 8 --epochs 2 --batch-size 32",
}


class OneBrowser(LoadScopeScheduling):
    """All tests of tests/browser to one process, one after the other; each other test to any."""

    def _split_scope(self, nodeid: str) -> str:
        # xdist's own groups find no way into the ids of pytest 9.2.
        return "browser" if nodeid.startswith("tests/browser/") else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneBrowser:
    """Two browsers at once would wait for each other's cores."""
    return OneBrowser(config, log)


@pytest.fixture(scope="session", autouse=True)
def _calm_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One torch thread, and caches away from the home directory."""
    # On models this small a second thread mostly spins: measured 14 times the CPU time on a
    # busy machine.
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAE_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two real checkpoints, `digits-2d` (real UMAP) and `faces-tiny`."""
    folder = tmp_path_factory.mktemp("checkpoints")
    _train_tiny(folder, "digits-2d")
    with quick_maps():
        _train_tiny(folder, "faces-tiny")
    return folder


def _train_tiny(folder: Path, name: str) -> None:
    command = ["train", *TINY_RUNS[name].split(), "--out", str(folder / name), "--device", "cpu"]
    assert main(command) == 0, f"training {name} failed"


@pytest.fixture(scope="session")
def digits_checkpoint(tiny_checkpoints: Path) -> Checkpoint:
    """The tiny 2-d digits model, loaded; share it, never change it."""
    return load_checkpoint(tiny_checkpoints / "digits-2d")


@pytest.fixture(scope="session")
def faces_checkpoint(tiny_checkpoints: Path) -> Checkpoint:
    """The tiny 8-d faces model, loaded; share it, never change it."""
    return load_checkpoint(tiny_checkpoints / "faces-tiny")


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """A data directory that holds MNIST, or the test is skipped."""
    data = shared_data()
    if data is None or not (data / "mnist").is_dir():
        pytest.skip("MNIST is not at hand: set VAE_SHARED_DATA to a folder that holds mnist/")
    return data
