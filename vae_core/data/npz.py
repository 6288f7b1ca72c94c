"""Images from NumPy files: `.npz` and `.npy`, without pickle, in any of the usual layouts."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from vae_core.data.imageset import ImageSet, seeded_split
from vae_core.errors import DataError

# In order of preference; x_train is Keras's name, arr_0 NumPy's own for a nameless array.
IMAGE_KEYS = ("images", "x", "x_train", "arr_0", "data")
LABEL_KEYS = ("labels", "y", "y_train", "arr_1")
# A zip can promise more than any memory holds; what it declares is checked first.
MAX_BYTES = 16 * 2**30


def load_npz(path: Path, *, seed: int = 0) -> ImageSet:
    """Read a `.npz` (images under one of `IMAGE_KEYS`, labels under `LABEL_KEYS`) or a `.npy`.

    Raises `DataError` for a damaged file, pickled objects, or arrays that are no images.
    """
    arrays = _read_arrays(path)
    key = next((k for k in IMAGE_KEYS if k in arrays), None)
    if key is None:
        raise DataError(
            f"The file '{path.name}' holds {_listing(arrays)}, expected an array named "
            f"{', '.join(IMAGE_KEYS)}; save the images under 'images'."
        )
    images = to_image_array(arrays[key], f"array '{key}' of '{path.name}'")
    labels, names = _find_labels(arrays, len(images), path.name)
    return ImageSet(
        name=path.stem,
        images=images,
        ids=np.arange(len(images), dtype=np.int64),
        split=seeded_split(len(images), seed=seed),
        labels=labels,
        label_names=names,
    )


def to_image_array(array: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """Bring `[N,H,W]`, `[N,H,W,C]` or `[N,C,H,W]`, C being 1 or 3, to uint8 `[N,C,H,W]`.

    Integers must lie in 0..255, floats in 0..1, booleans become 0 and 255. Raises
    `DataError` otherwise; `what` names the array in the message.
    """
    planes = _channels_first(array, what)
    if planes.size == 0:
        raise DataError(f"The {what} is empty (shape {array.shape}); give it at least one image.")
    if planes.dtype == np.uint8:
        return planes
    if planes.dtype == np.bool_:
        return planes.astype(np.uint8) * np.uint8(255)
    if planes.dtype.kind not in "iuf":
        raise DataError(
            f"The {what} holds {planes.dtype}, expected uint8 or floats from 0 to 1; convert it."
        )
    return _scale_values(planes, what)


def to_labels(values: NDArray[Any], n: int, what: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number whatever names the classes: int64 `[n]` indices and the names, sorted.

    Raises `DataError` unless there is exactly one label for each of the n images.
    """
    flat = values.reshape(-1) if values.size == n else values
    if flat.shape != (n,) or flat.dtype.kind not in "iufUSb":
        raise DataError(
            f"The labels of {what} are {values.dtype} of shape {values.shape}, expected one "
            f"number or word for each of the {n:,} images; correct or remove them."
        )
    classes, indices = np.unique(flat, return_inverse=True)
    return indices.astype(np.int64), tuple(_label_name(c) for c in classes)


def _label_name(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _read_arrays(path: Path) -> Mapping[str, NDArray[Any]]:
    with _damage_explained(path):
        if path.suffix.lower() == ".npy":
            # Copy-on-write, so that torch meets a writable array and the file stays as it is.
            return {"images": open_memmap(path, mode="c")}
        _check_declared_size(path)
        with np.load(path, allow_pickle=False) as archive:
            # Other members are left packed: a file may carry gigabytes that are not asked for.
            wanted = (*IMAGE_KEYS, *LABEL_KEYS, "label_names")
            found: dict[str, NDArray[Any]] = {k: archive[k] for k in wanted if k in archive.files}
            return found or dict.fromkeys(archive.files, np.empty(0))


def _check_declared_size(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        n_bytes = sum(member.file_size for member in archive.infolist())
    if n_bytes > MAX_BYTES:
        raise DataError(
            f"The file '{path.name}' unpacks to {n_bytes / 2**30:,.0f} GB, at most "
            f"{MAX_BYTES // 2**30} GB are accepted; save the images as one .npy file."
        )


@contextmanager
def _damage_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    # NumPy raises OSError, ValueError, EOFError, MemoryError and more on foreign bytes.
    except Exception as error:
        pickled = "object" in str(error).lower() and isinstance(error, ValueError)
        why = "it holds pickled objects" if pickled else type(error).__name__
        raise DataError(
            f"The file '{path.name}' cannot be read ({why}), expected plain numeric NumPy arrays; "
            "save it anew with numpy.savez(path, images=..., labels=...)."
        ) from error


def _channels_first(array: NDArray[Any], what: str) -> NDArray[Any]:
    if array.ndim == 3:
        return array[:, None]
    # Channels last is asked first: [N,3,32,3] is far likelier three rows than three planes.
    if array.ndim == 4 and array.shape[3] in (1, 3):
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    if array.ndim == 4 and array.shape[1] in (1, 3):
        return array
    raise DataError(
        f"The {what} has shape {array.shape}, expected [N,H,W], [N,H,W,C] or [N,C,H,W] with "
        "1 or 3 channels; reshape it."
    )


def _scale_values(planes: NDArray[Any], what: str) -> NDArray[np.uint8]:
    low, high = float(planes.min()), float(planes.max())
    most = 1 if planes.dtype.kind == "f" else 255
    # Written so that a NaN, which compares false with everything, is refused as well.
    if not (low >= 0 and high <= most):
        raise DataError(
            f"The {what} holds {planes.dtype} from {low:.6g} to {high:.6g}, expected whole numbers "
            "from 0 to 255 or floats from 0 to 1; rescale it."
        )
    scaled: NDArray[np.uint8] = np.rint(planes * (255 // most)).astype(np.uint8)
    return scaled


def _find_labels(
    arrays: Mapping[str, NDArray[Any]], n: int, name: str
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    key = next((k for k in LABEL_KEYS if k in arrays), None)
    if key is None:
        return None, ()
    values, given = arrays[key], arrays.get("label_names")
    labels, names = to_labels(values, n, f"'{name}'")
    # Only numbers can point into a list of names; words name themselves.
    if given is None or given.ndim != 1 or values.dtype.kind not in "iu":
        return labels, names
    if int(values.min()) < 0 or int(values.max()) >= len(given):
        raise DataError(
            f"The labels of '{name}' run from {values.min()} to {values.max()}, but "
            f"'label_names' holds {len(given)} names; make them agree."
        )
    return values.reshape(-1).astype(np.int64), tuple(_label_name(v) for v in given)


def _listing(arrays: Mapping[str, NDArray[Any]]) -> str:
    return "arrays " + ", ".join(f"'{k}'" for k in sorted(arrays)) if arrays else "no arrays"
