"""What a visitor drops, made a data set on disk that outlives the session.

    <folder>/<name>-<hash>.zip     a zip as it came, or many pictures in one stored zip
    <folder>/<name>-<hash>.npz     or .npy
    <folder>/<name>-<hash>/        IDX files under their usual names

The name is a slug of the upload's name with a hash of its content, never a path of the visitor's:
the same upload twice is one data set. It is written beside and renamed when whole and checked.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
import unicodedata
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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

MAX_FILES: Final = 20_000
MAX_UPLOAD_BYTES: Final = 2 * 2**30
# Arrays are read whole, by the app as by a run.
MAX_UNPACKED_BYTES: Final = 4 * 2**30
QUOTA_BYTES: Final = 8 * 2**30
# Left free on the disk for the checkpoints of the runs.
SPARE_BYTES: Final = 256 * 2**20
_NPY_MARK: Final = b"\x93NUMPY"
_STAGING: Final = ".arriving-"
_STALE_SECONDS: Final = 3_600.0
_ENDINGS: Final = {
    "PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif",
    "PPM": ".ppm",
}  # fmt: skip


@dataclass(frozen=True)
class Upload:
    """A data set that was dropped before: its place, its name in words, its size, its age."""

    path: Path
    name: str
    n_bytes: int
    modified_seconds: float


def keep_upload(files: Sequence[File], folder: Path, *, quota_bytes: int = QUOTA_BYTES) -> Path:
    """Write one zip, many pictures, one `.npz` or `.npy`, or IDX files; what `--data` then gets.

    The kind is taken from the content. Raises `DataError` for anything else, when it is damaged
    or too large, when the uploads of this folder would exceed `quota_bytes`, and when the disk
    is full; then nothing of it is left behind.
    """
    _check_amount(files)
    kind, write = _kind_of(files)
    target = folder / f"{_slug_of(files)}-{_digest(files)}{kind}"
    if target.exists():
        # Used again: the oldest are the ones to delete first.
        os.utime(target)
        return target
    _check_room(folder, sum(len(content) for _, content in files), quota_bytes)
    with _staged(folder, target) as part:
        try:
            write(files, part)
        except DataError as error:
            # The visitor knows the upload by its own name, not by a place on this disk.
            raise DataError(str(error).replace(str(part), _shown(files[0][0]))) from error
    return target


def list_uploads(folder: Path) -> tuple[Upload, ...]:
    """The data sets kept in a folder, the last used first."""
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:  # nothing was ever dropped
        return ()
    uploads = [_described(path) for path in found if _NAME.fullmatch(path.name)]
    return tuple(sorted(uploads, key=lambda item: -item.modified_seconds))


def delete_upload(path: Path, folder: Path) -> None:
    """Delete one of the data sets that `list_uploads` gives; `DataError` for any other path."""
    if path not in [item.path for item in list_uploads(folder)]:
        raise DataError(
            f"'{path.name}' is no data set that was dropped here, expected one of those listed; "
            "reload the page."
        )
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    except OSError as error:
        raise DataError(
            f"'{path.name}' cannot be deleted ({error.strerror}); check the rights of '{folder}'."
        ) from error


# ---- kinds -------------------------------------------------------------------------------------
Write = Callable[[Sequence[File], Path], None]


def _kind_of(files: Sequence[File]) -> tuple[str, Write]:
    """The ending of the kept file, and what writes and checks it."""
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
    if not any(_is_picture(file) for file in files):
        raise DataError(
            f"'{_shown(files[0][0])}' is no data set by its content, expected a zip of pictures, "
            "pictures, a .npz, .npy or IDX file; choose another."
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
        raise DataError(
            f"'{_shown(name)}' unpacks to {_size(n_bytes)}, at most {_size(MAX_UNPACKED_BYTES)} are "
            "accepted here; copy it to a folder on the server instead."
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
                f"'{_shown(name)}'; drop one images file and its labels, and 't10k' or 'test' in "
                "the names of the test files."
            )
        taken.add(f"{part}-{role}")
        yield f"{part}-{role}-ubyte{packed}", content


def _is_test(name: str) -> bool:
    return "t10k" in name.lower() or "test" in name.lower()


# ---- pictures ----------------------------------------------------------------------------------
def _is_picture(file: File) -> bool:
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
            if _is_picture(file):
                archive.writestr(zipfile.ZipInfo(_member_name(file, taken)), file[1])
    list_images(part)


def _member_name(file: File, taken: set[str]) -> str:
    """A plain name with the ending of its content, or its own where it is no sound picture."""
    name, content = file
    plain = re.sub(r"[^\w .()+-]", "_", _last_part(name))
    stem = plain[: -len(_suffix(plain)) or None].strip(" .")[:80] or "picture"
    suffix = _suffix_of(content) or _suffix(plain)
    found, number = f"{stem}{suffix}", 2
    while found.lower() in taken:
        found, number = f"{stem} ({number}){suffix}", number + 1
    taken.add(found.lower())
    return found


# ---- names and room ----------------------------------------------------------------------------
_NAME = re.compile(r"([a-z0-9-]+)-[0-9a-f]{12}(\.zip|\.npz|\.npy)?")


def _last_part(name: str) -> str:
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _slug_of(files: Sequence[File]) -> str:
    first = _last_part(files[0][0]).removesuffix(".gz")
    title = first if len(files) == 1 else f"{len(files)} files"
    if len(files) > 1 and all(_is_picture(file) for file in files):
        title = f"{len(files)} pictures"
    return slug(title.rpartition(".")[0] or title)


def slug(text: str, *, otherwise: str = "upload") -> str:
    """Lower-case Latin letters, digits and dashes, at most 40: fit for any disk."""
    latin = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", latin.lower()).strip("-")[:40].strip("-") or otherwise


def _digest(files: Sequence[File]) -> str:
    """Over contents and last names in a fixed order, so that the order of dropping is nothing."""
    each = sorted((_last_part(name), hashlib.sha256(content).digest()) for name, content in files)
    digest = hashlib.sha256()
    for name, content in each:
        digest.update(f"{len(name)}:{name}".encode("utf-8", "surrogatepass") + content)
    return digest.hexdigest()[:12]


def _described(path: Path) -> Upload:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    info = path.stat()
    n_bytes = sum(p.stat().st_size for p in path.iterdir()) if path.is_dir() else info.st_size
    return Upload(path, match.group(1), n_bytes, info.st_mtime)


def _check_amount(files: Sequence[File]) -> None:
    n_bytes = sum(len(content) for _, content in files)
    if not files or n_bytes == 0:
        raise DataError("An empty upload came, expected pictures; choose files with content.")
    if len(files) > MAX_FILES:
        raise DataError(
            f"{len(files):,} files came, at most {MAX_FILES:,} are accepted at once; pack them "
            "into one zip."
        )
    if n_bytes > MAX_UPLOAD_BYTES:
        raise DataError(
            f"The upload has {_size(n_bytes)}, at most {_size(MAX_UPLOAD_BYTES)} are accepted; copy "
            "it to a folder on the server instead."
        )


def _check_room(folder: Path, n_bytes: int, quota_bytes: int) -> None:
    used = sum(item.n_bytes for item in list_uploads(folder))
    if used + n_bytes > quota_bytes:
        raise DataError(
            f"The upload has {_size(n_bytes)}, and {_size(used)} of the {_size(quota_bytes)} for "
            "dropped data are used; delete some under 'Dropped before'."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise DataError(_unwritable(folder, error)) from error
    if free < n_bytes + SPARE_BYTES:
        raise DataError(
            f"The upload has {_size(n_bytes)}, but the disk of '{folder}' has only {_size(free)} "
            f"left of which {_size(SPARE_BYTES)} stay free for runs; make room and drop it again."
        )


@contextmanager
def _staged(folder: Path, target: Path) -> Iterator[Path]:
    """A place of the same name beside the target, put there once the block went well."""
    staging = folder / f"{_STAGING}{uuid.uuid4().hex}"
    try:
        _sweep(folder)
        staging.mkdir()
        part = staging / target.name
        yield part
        # Another session may have dropped the same at the same time: then either copy will do.
        if not target.exists():
            part.rename(target)
    except OSError as error:
        raise DataError(_unwritable(folder, error)) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what a killed server left half written, but nothing that may still arrive."""
    for old in folder.glob(f"{_STAGING}*"):
        if time.time() - old.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(old, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk of '{folder}' became full while the upload was written, and nothing of it "
            "was kept; make room, for example under 'Dropped before', and drop it again."
        )
    return (
        f"The upload cannot be written to '{folder}' ({error.strerror or error}); check the "
        "folder's rights."
    )


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:,.1f} GB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:,.1f} MB"


def _shown(name: str) -> str:
    last = "".join(c if c.isprintable() else "�" for c in _last_part(name))
    return last if len(last) <= 60 else f"{last[:40]}…{last[-15:]}"
