"""One way in for names and paths, and the way back from ids to the originals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_core.data import fetch as fetch_module
from vae_core.data.catalogue import CATALOGUE, find_originals, load_images, source_record
from vae_core.data.idx import write_idx
from vae_core.errors import DataError


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, no data directory and no network."""

    def offline(*_: object) -> None:
        raise fetch_module._AttemptFailedError("no network in tests")

    monkeypatch.setenv("VAE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("VAE_DATA_DIR", raising=False)
    monkeypatch.setattr(fetch_module, "_download", offline)


def random_images(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def write_mnist_like(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, n in (("train", 60), ("t10k", 20)):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", random_images(n, 9, 9))
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(n, dtype=np.uint8) % 10)
    return folder


def write_source(kind: str, folder: Path) -> str:
    """A data source of each kind; returns what to give to `load_images`."""
    folder.mkdir()
    match kind:
        case "folder" | "zip":
            for number, pixels in enumerate(random_images(12, 10, 10, 3)):
                (folder / f"{'ab'[number % 2]}").mkdir(exist_ok=True)
                Image.fromarray(pixels).save(folder / f"{'ab'[number % 2]}" / f"{number}.png")
            if kind == "folder":
                return str(folder)
            return shutil.make_archive(str(folder) + "_", "zip", folder)
        case "npz":
            np.savez(folder / "a.npz", images=random_images(12, 10, 10, 3))
            return str(folder / "a.npz")
        case "npy":
            np.save(folder / "a.npy", random_images(12, 10, 10))
            return str(folder / "a.npy")
        case "idx":
            return str(write_mnist_like(folder) / "train-images-idx3-ubyte.gz")
        case "idx folder":
            return str(write_mnist_like(folder))
        case "mnist":
            write_mnist_like(folder.parent / "cache" / "data" / "mnist")
            return kind
    return kind


KINDS = ["folder", "zip", "npz", "npy", "idx", "idx folder", "mnist", "digits", "faces", "sprites"]


@pytest.mark.parametrize("kind", KINDS)
def test_originals_found_by_id_equal_the_set(tmp_path: Path, kind: str) -> None:
    source = write_source(kind, tmp_path / "data")
    found = load_images(source, n_images=10, seed=5)
    record = json.loads(json.dumps(source_record(source, found, seed=5)))
    originals = find_originals(record)
    rows = np.array([8, 2, 2, 0])
    assert originals is not None and len(found) == 10
    assert (originals(found.ids[rows]) == found.images[rows]).all()


@pytest.mark.parametrize("kind", ["folder", "npz", "mnist", "digits", "faces"])
def test_originals_come_in_the_recorded_size_and_channels(tmp_path: Path, kind: str) -> None:
    source = write_source(kind, tmp_path / "data")
    found = load_images(source, n_images=6, size=12, channels=1)
    originals = find_originals(source_record(source, found))
    assert found.images.shape == (6, 1, 12, 12) and originals is not None
    assert (originals(found.ids[:3]) == found.images[:3]).all()


@pytest.mark.parametrize("kind", ["folder", "zip", "npz", "idx", "idx folder"])
def test_originals_are_not_claimed_once_the_data_are_changed_or_gone(
    tmp_path: Path, kind: str
) -> None:
    source = Path(write_source(kind, tmp_path / "data"))
    record = source_record(source, load_images(source))
    if source.is_dir():
        changed = next(p for p in sorted(source.rglob("*")) if p.is_file() and "10k" not in p.name)
    else:
        changed = source
    if kind == "idx folder":
        changed = source / "train-images-idx3-ubyte.gz"
    changed.write_bytes(changed.read_bytes() + b"more")
    assert find_originals(record) is None
    changed.unlink()
    assert find_originals(record) is None


def test_originals_of_a_set_not_at_hand_or_an_odd_record_are_none() -> None:
    record: dict[str, object] = {"source": "mnist", "size": 28, "channels": 1, "seed": 0}
    assert find_originals(record) is None
    for odd in ({}, {"source": 3}, {"source": "digits"}, record | {"source": "/no/where"}):
        assert find_originals(odd) is None


def test_record_names_the_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_source("npz", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    record = source_record("data/a.npz", load_images("data/a.npz"), seed=4)
    assert record["source"] == str(tmp_path / "data" / "a.npz")
    assert [record[k] for k in ("n_images", "size", "channels", "seed", "n_skipped")] == [
        *(12, 10, 3, 4, 0)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_loads_with_splits_that_are_not_empty(tmp_path: Path, kind: str) -> None:
    found = load_images(write_source(kind, tmp_path / "data"), n_images=12)
    assert set(found.split.tolist()) == {0, 1, 2}


def test_same_seed_same_part_and_another_seed_another() -> None:
    first, again, other = (load_images("digits", n_images=50, seed=s) for s in (1, 1, 2))
    assert (first.ids == again.ids).all() and set(first.ids) != set(other.ids)
    assert (np.diff(first.ids) > 0).all() and (first.images == again.images).all()


def test_a_prefix_of_faces_does_not_depend_on_the_number() -> None:
    few, more = load_images("faces", n_images=4), load_images("faces", n_images=8)
    assert (few.images == more.images[:4]).all()


def test_faces_report_progress() -> None:
    seen: list[tuple[int, int]] = []
    load_images("faces", n_images=5, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)


def test_names_are_found_in_any_case_but_a_path_object_is_a_path() -> None:
    assert load_images(" Digits ").name == "digits"
    with pytest.raises(DataError, match="does not exist"):
        load_images(Path("digits"))


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"did you mean 'faces'") as caught:
        load_images("fases")
    assert all(name in str(caught.value) for name in CATALOGUE)
    with pytest.raises(DataError, match="path '/no/such/folder' does not exist"):
        load_images("/no/such/folder")


def test_paths_that_are_no_set_say_what_is_expected(tmp_path: Path) -> None:
    Image.new("L", (9, 9)).save(tmp_path / "one.png")
    with pytest.raises(DataError, match="single picture"):
        load_images(tmp_path / "one.png")
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(DataError, match="no data set that is known"):
        load_images(tmp_path / "notes.txt")


@pytest.mark.parametrize("option", [{"n_images": 0}, {"size": 0}, {"size": 9999}, {"channels": 2}])
def test_senseless_options_are_a_sentence(option: dict[str, int]) -> None:
    with pytest.raises(DataError, match="asked for"):
        load_images("digits", **option)  # type: ignore[arg-type]


def test_offline_mnist_says_where_to_put_the_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="by hand") as caught:
        load_images("mnist")
    assert str(tmp_path / "cache" / "data" / "mnist") in str(caught.value)


def test_mnist_is_taken_from_the_data_directory(tmp_path: Path) -> None:
    write_mnist_like(tmp_path / "data" / "fashion-mnist")
    found = load_images("fashion-mnist", data_dir=tmp_path / "data")
    assert found.label_names[9] == "Ankle boot" and np.bincount(found.split)[2] == 20
    assert find_originals(source_record("fashion-mnist", found), data_dir=tmp_path / "data")


def test_a_random_part_keeps_the_shares_of_the_splits() -> None:
    part = load_images("digits", n_images=600)
    shares = np.bincount(part.split, minlength=3) / len(part)
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.04)
