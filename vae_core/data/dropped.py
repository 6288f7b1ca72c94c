"""What kind of data set some dropped files are, by their content, and how it is written down."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

from vae_core.data.archive import is_zip
from vae_core.data.idx import idx_header, load_idx_folder
from vae_core.data.listing import FOREIGN_SUFFIXES, SUFFIXES, list_images
from vae_core.data.npz import load_npz
from vae_core.data.pixels import open_image
from vae_core.errors import DataError

File = tuple[str, bytes]

# Arrays are read whole, by the app as by a run.
MAX_UNPACKED_BYTES: Final = 4 * 2**30
_NPY_MARK: Final = b"\x93NUMPY"
_ENDINGS: Final = {
    "PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif",
    "PPM": ".ppm",
}  # fmt: skip
Write = Callable[[Sequence[File], Path], None]


def kind_of(files: Sequence[File]) -> tuple[str, Write]:
    """The ending of the kept file, and what writes and checks it.

    Raises `DataError` for files that make no data set.
    """
    whole = [kind for kind in (_whole_kind(content) for _, content in files) if kind is not None]
    if len(files) == 1 and whole:
        return whole[0]
    if whole:
        raise DataError(
            f"{len(files)} files came with {len(whole)} archive(s) or array file(s) among them, "
            "expected a single one or pictures only; drop one data set at a time."
        )
    is_idx = [idx_header(content) is not None for _, content in files]
    if all(is_idx):
        return "", _write_idx
    if any(is_idx):
        raise DataError(
            f"{sum(is_idx)} of {len(files)} files are IDX files and the others are not, expected "
            "one kind; drop them apart."
        )
    if not any(is_picture(file) for file in files):
        raise DataError(
            f"'{shown_name(files[0][0])}' is no data set by its content, expected a zip of "
            "pictures, pictures, a .npz, .npy or IDX file; choose another."
        )
    return ".zip", _write_pictures


def _whole_kind(content: bytes) -> tuple[str, Write] | None:
    if content.startswith(_NPY_MARK):
        return ".npy", _write_array
    if not is_zip(content):
        return None
    return (".npz", _write_array) if _holds_arrays(content) else (".zip", _write_zip)


def _holds_arrays(content: bytes) -> bool:
    """Whether a zip is what NumPy calls an .npz."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _write_zip(files: Sequence[File], part: Path) -> None:
    part.write_bytes(files[0][1])
    # Raises for a damaged archive, one without pictures and one that unpacks too large.
    list_images(part)


def _write_array(files: Sequence[File], part: Path) -> None:
    part.write_bytes(files[0][1])
    if part.suffix == ".npz":
        with zipfile.ZipFile(part) as archive:
            _check_unpacked(files[0][0], sum(item.file_size for item in archive.infolist()))
    load_npz(part)


def _write_idx(files: Sequence[File], part: Path) -> None:
    part.mkdir()
    _check_unpacked(files[0][0], sum((idx_header(content) or ((), 0))[1] for _, content in files))
    for name, content in _idx_names(files):
        (part / name).write_bytes(content)
    load_idx_folder(part)


def _check_unpacked(name: str, n_bytes: int) -> None:
    if n_bytes > MAX_UNPACKED_BYTES:
        most = amount(MAX_UNPACKED_BYTES)
        raise DataError(
            f"'{shown_name(name)}' unpacks to {amount(n_bytes)}, at most {most} are accepted "
            "here; copy it to a folder on the server instead."
        )


def _idx_names(files: Sequence[File]) -> Iterator[tuple[str, bytes]]:
    """The names under which IDX files find each other: by role, not by what they were called."""
    taken: set[str] = set()
    only_test = all(_is_test(name) for name, _ in files)
    for name, content in files:
        part = "t10k" if _is_test(name) and not only_test else "train"
        shape, _ = idx_header(content) or ((), 0)
        role = "images-idx3" if len(shape) in (3, 4) else "labels-idx1"
        packed = ".gz" if content.startswith(b"\x1f\x8b") else ""
        if f"{part}-{role}" in taken:
            raise DataError(
                f"Two IDX files came for {part} {role.partition('-')[0]}, the second being "
                f"'{shown_name(name)}'; drop one images file and its labels, and 't10k' or 'test' "
                "in the names of the test files."
            )
        taken.add(f"{part}-{role}")
        yield f"{part}-{role}-ubyte{packed}", content


def _is_test(name: str) -> bool:
    return "t10k" in name.lower() or "test" in name.lower()


# ---- pictures ----------------------------------------------------------------------------------
def is_picture(file: File) -> bool:
    """Whether a file is a picture by its content, or by its name where it is damaged."""
    return bool(_suffix_of(file[1])) or _suffix(file[0]) in SUFFIXES | FOREIGN_SUFFIXES


def _suffix_of(content: bytes) -> str:
    """The usual ending of a picture's content, "" where it is none that can be opened."""
    try:
        return _ENDINGS.get(open_image(content, name="").format or "", "")
    except DataError:
        return ""


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (a visitor's name is no path)


def _write_pictures(files: Sequence[File], part: Path) -> None:
    taken: set[str] = set()
    # Pictures are packed already; to store them is faster and no larger.
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            if is_picture(file):
                archive.writestr(zipfile.ZipInfo(_member_name(file, taken)), file[1])
    list_images(part)


def _member_name(file: File, taken: set[str]) -> str:
    """A plain name with the ending of its content, or its own where it is no sound picture."""
    name, content = file
    plain = re.sub(r"[^\w .()+-]", "_", last_part(name))
    stem = plain[: -len(_suffix(plain)) or None].strip(" .")[:80] or "picture"
    suffix = _suffix_of(content) or _suffix(plain)
    found, number = f"{stem}{suffix}", 2
    while found.lower() in taken:
        found, number = f"{stem} ({number}){suffix}", number + 1
    taken.add(found.lower())
    return found


# ---- words -------------------------------------------------------------------------------------
def last_part(name: str) -> str:
    """A file's own name, whatever folders a browser or an archive puts before it."""
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


def amount(n_bytes: int) -> str:
    """Bytes as one reads them: "5.2 MB", "1.3 GB"."""
    return f"{n_bytes / 2**30:,.1f} GB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:,.1f} MB"


def shown_name(name: str) -> str:
    """A visitor's file name, short and printable enough for a sentence."""
    last = "".join(c if c.isprintable() else "�" for c in last_part(name))
    return last if len(last) <= 60 else f"{last[:40]}…{last[-15:]}"
