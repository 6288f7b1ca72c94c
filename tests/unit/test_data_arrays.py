"""Arrays from files: IDX, NPZ and the bundled digits."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vae_core.data.digits import load_digits
from vae_core.data.idx import (
    find_idx_files,
    is_idx,
    load_idx_folder,
    load_idx_pair,
    read_idx,
    write_idx,
)
from vae_core.data.npz import load_npz
from vae_core.errors import DataError


def images(n: int = 5, *shape: int) -> NDArray[np.uint8]:
    size = (n, *(shape or (6, 7)))
    return np.random.default_rng(n).integers(0, 256, size).astype(np.uint8)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_idx_round_trip(tmp_path: Path, kind: str, ending: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    write_idx(tmp_path / f"a{ending}", array)
    again = read_idx(tmp_path / f"a{ending}")
    assert again.dtype == array.dtype and (again == array).all() and again.flags.writeable
    assert is_idx(tmp_path / f"a{ending}") and len(list(tmp_path.iterdir())) == 1


def test_idx_refuses_a_type_it_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="int64"):
        write_idx(tmp_path / "a", np.arange(3))


IDX_HEADER = b"\x00\x00\x08\x03" + b"\x00\x00\x00\x02" * 3
BAD_IDX = {
    "empty": (b"", "magic number"),
    "text": (b"hello world", "magic number"),
    "wrong type": (b"\x00\x00\x07\x01" + bytes(8), "magic number"),
    "cut header": (IDX_HEADER[:9], "within its header"),
    "short": (IDX_HEADER + bytes(7), "holds 7 bytes"),
    "long": (IDX_HEADER + bytes(9), "more than 8"),
    "enormous": (b"\x00\x00\x08\x03" + b"\xff\xff\xff\x7f" * 3, "at most 16 GB"),
    "cut gzip": (gzip.compress(IDX_HEADER + bytes(8))[:-6], "cannot be read"),
    "broken gzip": (b"\x1f\x8b" + bytes(30), "cannot be read"),
}


@pytest.mark.parametrize("what", BAD_IDX)
def test_bad_idx_is_refused(tmp_path: Path, what: str) -> None:
    content, words = BAD_IDX[what]
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_idx(tmp_path / "a")


def test_gzipped_idx_longer_than_declared_is_not_unpacked_whole(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(IDX_HEADER + bytes(50_000_000), 1))
    with pytest.raises(DataError, match="more than 8"):
        read_idx(tmp_path / "a.gz")


def test_missing_idx_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "none")


def test_idx_pair_of_any_size(tmp_path: Path) -> None:
    write_idx(tmp_path / "x-images-idx3-ubyte", images(12, 9, 4))
    write_idx(tmp_path / "x-labels-idx1-ubyte.gz", np.arange(12, dtype=np.uint8) % 3 + 4)
    found = load_idx_pair(tmp_path / "x-images-idx3-ubyte", tmp_path / "x-labels-idx1-ubyte.gz")
    assert found.images.shape == (12, 1, 9, 4) and found.name == "x"
    assert found.labels is not None and found.label_names == ("4", "5", "6")
    assert found.labels[:4].tolist() == [0, 1, 2, 0]


def test_idx_labels_of_another_count_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path / "i", images(5))
    write_idx(tmp_path / "l", np.zeros(4, np.uint8))
    with pytest.raises(DataError, match="one for each image"):
        load_idx_pair(tmp_path / "i", tmp_path / "l")


def write_quadruple(folder: Path, n_train: int = 40, n_test: int = 10) -> None:
    for part, n in (("train", n_train), ("t10k", n_test)):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images(n))
        write_idx(folder / f"{part}-labels-idx1-ubyte", np.arange(n, dtype=np.uint8) % 10)


def test_idx_folder_keeps_the_official_test_set(tmp_path: Path) -> None:
    write_quadruple(tmp_path)
    found = load_idx_folder(tmp_path, name="mine", seed=3)
    assert (found.split[40:] == 2).all() and np.bincount(found.split).tolist() == [36, 4, 10]
    assert (found.images[40:, 0] == images(10)).all()
    assert (found.ids == np.arange(50)).all() and found.label_names == tuple("0123456789")
    assert (load_idx_folder(tmp_path, seed=3).split == found.split).all()
    assert (load_idx_folder(tmp_path, seed=4).split != found.split).any()


def test_idx_folder_without_test_files_is_split_by_chance(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", images(20))
    found = load_idx_folder(tmp_path)
    assert np.bincount(found.split).tolist() == [16, 2, 2] and found.labels is None


def test_folder_without_idx_files(tmp_path: Path) -> None:
    assert find_idx_files(tmp_path) is None
    with pytest.raises(DataError, match="no IDX images"):
        load_idx_folder(tmp_path)


LAYOUTS = [(4, 6, 7), (4, 6, 7, 1), (4, 6, 7, 3), (4, 1, 6, 7), (4, 3, 6, 7)]


@pytest.mark.parametrize("shape", LAYOUTS, ids=str)
@pytest.mark.parametrize("key", ["images", "x_train", "arr_0"])
def test_npz_layouts(tmp_path: Path, shape: tuple[int, ...], key: str) -> None:
    array = images(*shape)
    members: dict[str, Any] = {key: array}
    np.savez(tmp_path / "a.npz", **members)
    found = load_npz(tmp_path / "a.npz")
    assert found.images.shape[2:] == (6, 7) and found.images.shape[1] in (1, 3)
    expected = array[0, ..., 0] if shape[-1] in (1, 3) else array.reshape(4, -1, 6, 7)[0, 0]
    assert (found.images[0, 0] == expected).all()


def test_npz_floats_booleans_and_wide_integers_mean_the_same(tmp_path: Path) -> None:
    bits = images(3) > 127
    for array in (bits, bits.astype(np.float32), bits.astype(np.int64) * 255):
        np.savez(tmp_path / "a.npz", images=array)
        found = load_npz(tmp_path / "a.npz").images
        assert found.dtype == np.uint8 and (found[:, 0] == bits * 255).all()


def test_npz_labels_of_numbers_and_words(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=images(3), labels=np.array(["cat", "ant", "cat"]))
    found = load_npz(tmp_path / "a.npz")
    assert found.labels is not None and found.labels.tolist() == [1, 0, 1]
    assert found.label_names == ("ant", "cat")
    np.savez(tmp_path / "b.npz", x=images(2), y=[[1], [0]], label_names=["zero", "one"])
    assert load_npz(tmp_path / "b.npz").label_names == ("zero", "one")


BAD_ARRAYS: dict[str, tuple[Any, str]] = {
    "flat": (np.zeros((4, 784)), "shape"),
    "five channels": (np.zeros((4, 8, 8, 5)), "1 or 3 channels"),
    "out of range": (np.full((2, 4, 4), 1.5), "floats from 0 to 1"),
    "negative": (np.full((2, 4, 4), -1), "from 0 to 255"),
    "nan": (np.full((2, 4, 4), np.nan), "nan"),
    "none": (np.zeros((0, 4, 4)), "empty"),
    "complex": (np.zeros((2, 4, 4), complex), "complex"),
    "pickled": (np.array([{}, []], dtype=object), "pickled objects"),
}


@pytest.mark.parametrize("what", BAD_ARRAYS)
@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_bad_arrays_are_refused(tmp_path: Path, what: str, ending: str) -> None:
    array, words = BAD_ARRAYS[what]
    path = tmp_path / f"a.{ending}"
    if ending == "npz":
        np.savez(path, images=array)
    else:
        np.save(path, array)
    with pytest.raises(DataError, match=words):
        load_npz(path)


def test_npz_without_images_or_with_odd_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", weights=np.zeros(3))
    with pytest.raises(DataError, match="'weights'"):
        load_npz(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", images=images(3), labels=[1, 2])
    with pytest.raises(DataError, match="for each of the 3 images"):
        load_npz(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", images=images(2), labels=[0, 7], label_names=["a", "b"])
    with pytest.raises(DataError, match="make them agree"):
        load_npz(tmp_path / "c.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"text"])
def test_damaged_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    for name in ("a.npz", "a.npy"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            load_npz(tmp_path / name)


def test_digits_are_scaled_to_the_full_range() -> None:
    digits = load_digits()
    assert digits.images.shape == (1797, 1, 8, 8)
    assert digits.images.min() == 0 and digits.images.max() == 255
    assert digits.labels is not None and np.bincount(digits.labels).min() > 170
