"""Real data sets, where they are at hand: VAE_SHARED_DATA or ../shared/data beside the project."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from vae_core.data.catalogue import find_originals, load_images, source_record

BESIDE = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SHARED = Path(os.environ.get("VAE_SHARED_DATA", BESIDE))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_CACHE_DIR", str(tmp_path / "cache"))


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not at hand; set VAE_SHARED_DATA to where it is")
    return path


def test_mnist_has_its_official_numbers_and_labels() -> None:
    mnist = load_images("mnist", data_dir=shared("mnist").parent)
    assert mnist.images.shape == (70_000, 1, 28, 28)
    assert np.bincount(mnist.split).tolist() == [55_000, 5_000, 10_000]
    assert mnist.labels is not None and mnist.labels[[0, 1, 60_000]].tolist() == [5, 0, 7]
    originals = find_originals(source_record("mnist", mnist), data_dir=shared("mnist").parent)
    assert originals is not None
    assert (originals(np.array([69_999, 3])) == mnist.images[[69_999, 3]]).all()


def test_omniglot_zip_of_one_bit_pictures_in_nested_folders() -> None:
    found = load_images(shared("omniglot-small1.zip"), size=28)
    assert found.images.shape == (2720, 1, 28, 28) and found.skipped == ()
    assert len(found.label_names) == 136 and found.label_names[0] == "Balinese/character01"
    assert found.images.mean() > 200  # black strokes on white


def test_cifar_zip_has_ten_classes_and_is_packed() -> None:
    found = load_images(shared("cifar10-5k.zip"))
    assert found.images.shape == (5000, 3, 32, 32) and len(found.label_names) == 10
    assert isinstance(load_images(shared("cifar10-5k.zip")).images, np.memmap)
