"""IDX files, the form of MNIST and its relatives, plain or gzipped, of any count and size.

Format: two zero bytes, a type byte, the number of dimensions, each dimension as a big-endian
32-bit number, then the values. Source: yann.lecun.com/exdb/mnist (archived).
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from vae_core.data.imageset import ImageSet, seeded_split
from vae_core.data.npz import to_image_array, to_labels
from vae_core.errors import DataError

# The header of a few bytes can declare 2^96 values, so memory is never reserved unseen.
MAX_BYTES = 16 * 2**30
N_VAL_IMAGES = 5_000

# Numbers wider than a byte are big-endian in the file.
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class IdxFiles:
    """Image and label files of a data set; the label files and the test pair may be missing."""

    train_images: Path
    train_labels: Path | None
    test_images: Path | None
    test_labels: Path | None


def read_idx(path: Path, *, most: int | None = None) -> NDArray[Any]:
    """Read an IDX file, gzipped or not, as an array of its own shape and native byte order.

    `most` reads only that many of the first entries, without a look at the rest.
    Raises `DataError` when the magic number, the dimensions or the length do not fit.
    """
    try:
        with _open(path) as stream:
            return _read_stream(stream, path, most)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"The IDX file '{path}' cannot be read ({type(error).__name__}: {error}), expected a "
            "whole IDX file, plain or gzipped; copy or download it again."
        ) from error


def write_idx(path: Path, array: NDArray[Any]) -> None:
    """Write an array as an IDX file, gzipped when the name ends in `.gz`; replaces the old one.

    Raises `DataError` for a type that IDX does not know (it knows u1 i1 i2 i4 f4 f8).
    """
    kind = f"{array.dtype.kind}{array.dtype.itemsize}"
    code = next((c for c, t in _TYPES.items() if t.lstrip(">") == kind), None)
    if code is None or array.ndim > 255:
        raise DataError(f"IDX has no form for {array.dtype} arrays; convert to uint8 first.")
    # mtime=0 below makes the gzipped file depend on nothing but its content.
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    content = header + array.astype(_TYPES[code]).tobytes()
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    # A crash while writing leaves the old file whole.
    part.replace(path)


def load_idx_pair(
    images_path: Path, labels_path: Path | None = None, *, name: str | None = None, seed: int = 0
) -> ImageSet:
    """An IDX images file and, if there is one, its labels file as a set, split by chance.

    Raises `DataError` when a file is damaged or the counts of images and labels differ.
    """
    images, values = _read_pair(images_path, labels_path)
    labels, names = (None, ()) if values is None else to_labels(values, len(images), "the set")
    return ImageSet(
        name=name or images_path.name.split("-images")[0].split(".")[0],
        images=images,
        ids=np.arange(len(images), dtype=np.int64),
        split=seeded_split(len(images), seed=seed),
        labels=labels,
        label_names=names,
    )


def load_idx_folder(
    folder: Path, *, name: str | None = None, label_names: Sequence[str] = (), seed: int = 0
) -> ImageSet:
    """A folder with `train-images-idx3-ubyte(.gz)` and its companions as one set.

    Train images come first, then test images, numbered through in `ids`. The test files are
    the test split; of the others 5,000 (a tenth, if fewer) are dealt to val by `seed`.
    Raises `DataError` when the files are missing, damaged or do not fit together.
    """
    # None also for a folder that does not exist.
    files = find_idx_files(folder)
    if files is None:
        raise DataError(
            f"The folder '{folder}' holds no IDX images, expected train-images-idx3-ubyte(.gz); "
            "copy the files there."
        )
    title = name or folder.name
    if files.test_images is None:
        return load_idx_pair(files.train_images, files.train_labels, name=title, seed=seed)
    train, train_values = _read_pair(files.train_images, files.train_labels)
    test, test_values = _read_pair(files.test_images, files.test_labels)
    if train.shape[1:] != test.shape[1:]:
        raise DataError(
            f"In '{folder}' the train images are {train.shape[1:]} and the test images "
            f"{test.shape[1:]}, expected one size; keep sets of different sizes apart."
        )
    labels, names = _join_labels(train_values, test_values, len(train) + len(test))
    return ImageSet(
        name=title,
        images=np.concatenate([train, test]),
        ids=np.arange(len(train) + len(test), dtype=np.int64),
        split=_official_split(len(train), len(test), seed),
        labels=labels,
        label_names=tuple(label_names) if len(label_names) == len(names) else names,
    )


def find_idx_files(folder: Path) -> IdxFiles | None:
    """The IDX files of a folder, or None when it holds no train images in this form."""
    found = [_find(folder, part) for part in ("train-images", "t10k-images", "test-images")]
    if found[0] is None:
        return None
    test = found[1] or found[2]
    return IdxFiles(
        train_images=found[0],
        train_labels=find_labels(found[0]),
        test_images=test,
        test_labels=None if test is None else find_labels(test),
    )


def find_labels(images_path: Path) -> Path | None:
    """The labels file that belongs beside an images file, plain or gzipped, or None."""
    stem = images_path.name.removesuffix(".gz")
    if "images" not in stem:
        return None
    stem = stem.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    beside = (images_path.with_name(stem), images_path.with_name(stem + ".gz"))
    return next((path for path in beside if path.is_file()), None)


def is_idx(path: Path) -> bool:
    """Whether a file starts like an IDX file, gzipped or not."""
    try:
        with _open(path) as stream:
            magic = stream.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(magic) == 4 and magic[:2] == b"\x00\x00" and magic[2] in _TYPES and magic[3] > 0


def idx_header(content: bytes) -> tuple[tuple[int, ...], int] | None:
    """Declared shape and number of bytes of an IDX file's content, gzipped or not, or None."""
    try:
        # Enough for the magic number and all the dimensions there can be.
        head = content[: 4 + 4 * 255]
        if head.startswith(_GZIP_MAGIC):
            head = gzip.GzipFile(fileobj=BytesIO(content)).read(len(head))
        magic = head[:4]
        if len(magic) < 4 or magic[:2] != b"\x00\x00" or magic[2] not in _TYPES or magic[3] == 0:
            return None
        shape = struct.unpack(f">{magic[3]}I", head[4 : 4 + 4 * magic[3]])
    except (OSError, EOFError, zlib.error, struct.error):
        return None
    return shape, math.prod(shape) * np.dtype(_TYPES[magic[2]]).itemsize


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as probe:
        # By content: browsers like to unpack a .gz and keep its name.
        gzipped = probe.read(2) == _GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path, "rb")) if gzipped else path.open("rb")


def _read_stream(stream: BinaryIO, path: Path, most: int | None) -> NDArray[Any]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\x00\x00" or magic[2] not in _TYPES:
        raise DataError(
            f"The file '{path}' starts with {magic.hex(' ') or 'nothing'}, expected the magic "
            "number of an IDX file (such as 00 00 08 03); choose another file."
        )
    # The fourth magic byte counts the dimensions.
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"The IDX file '{path}' ends within its header; download it again.")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    dtype = np.dtype(_TYPES[magic[2]])
    n_bytes = math.prod(shape) * dtype.itemsize
    if n_bytes > MAX_BYTES:
        raise DataError(
            f"The IDX file '{path}' declares {shape}, which is {n_bytes / 2**30:,.0f} GB, at most "
            f"{MAX_BYTES // 2**30} GB are accepted; check that the file is whole."
        )
    if most is not None and most < shape[0]:
        shape = (most, *shape[1:])
        n_bytes = math.prod(shape) * dtype.itemsize
    # One byte more than declared shows a file that is too long without unpacking the rest.
    content = stream.read(n_bytes + (most is None))
    if len(content) != n_bytes:
        found = f"{len(content):,}" if len(content) < n_bytes else f"more than {n_bytes:,}"
        raise DataError(
            f"The IDX file '{path}' holds {found} bytes of values, expected {n_bytes:,} for its "
            f"declared shape {shape}; copy or download it again."
        )
    # astype copies: native byte order, and writable as torch expects.
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _read_pair(
    images_path: Path, labels_path: Path | None
) -> tuple[NDArray[np.uint8], NDArray[Any] | None]:
    images = to_image_array(read_idx(images_path), f"content of '{images_path.name}'")
    if labels_path is None:
        return images, None
    values = read_idx(labels_path)
    if values.shape != (len(images),):
        raise DataError(
            f"The labels file '{labels_path.name}' has shape {values.shape}, expected "
            f"({len(images)},), one for each image; pair the files that belong together."
        )
    return images, values


def _join_labels(
    train: NDArray[Any] | None, test: NDArray[Any] | None, n: int
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    if train is None or test is None:
        return None, ()
    return to_labels(np.concatenate([train, test]), n, "the set")


def _official_split(n_train: int, n_test: int, seed: int) -> NDArray[np.uint8]:
    split = np.zeros(n_train + n_test, np.uint8)
    split[n_train:] = 2
    # 5,000 of MNIST's 60,000 is the usual number; small sets give a tenth.
    n_val = min(N_VAL_IMAGES, n_train // 10)
    split[np.random.default_rng(seed).permutation(n_train)[:n_val]] = 1
    return split


def _find(folder: Path, part: str) -> Path | None:
    endings = ("-idx3-ubyte", "-idx4-ubyte", ".idx3-ubyte", ".idx4-ubyte")
    names = (folder / f"{part}{ending}{packed}" for ending in endings for packed in ("", ".gz"))
    return next((path for path in names if path.is_file()), None)
