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
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vae_core.data.dropped import (
    File,
    amount,
    is_picture,
    kind_of,
    last_part,
    shown_name,
)
from vae_core.errors import DataError
from vae_core.files import plain_name

MAX_FILES: Final = 20_000
MAX_UPLOAD_BYTES: Final = 2 * 2**30
QUOTA_BYTES: Final = 8 * 2**30
# Left free on the disk for the checkpoints of the runs.
SPARE_BYTES: Final = 256 * 2**20
_STAGING: Final = ".arriving-"
_STALE_SECONDS: Final = 3_600.0


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
    kind, write = kind_of(files)
    target = folder / f"{_slug_of(files)}-{_digest(files)}{kind}"
    # Used again: the oldest are the ones to delete first.
    with suppress(OSError):
        os.utime(target)
    if target.exists():
        return target
    _check_room(folder, sum(len(content) for _, content in files), quota_bytes)
    with _staged(folder, target) as part:
        try:
            write(files, part)
        except DataError as error:
            # The visitor knows the upload by its own name, not by a place on this disk.
            shown = shown_name(files[0][0])
            text = str(error).replace(str(part), shown).replace(part.name, shown)
            raise DataError(text) from error
    return target


def list_uploads(folder: Path) -> tuple[Upload, ...]:
    """The data sets kept in a folder, the last used first."""
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:  # nothing was ever dropped
        return ()
    uploads = (_described(path) for path in found)
    known = [item for item in uploads if item is not None]
    return tuple(sorted(known, key=lambda item: -item.modified_seconds))


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


# ---- names and room ----------------------------------------------------------------------------
_NAME = re.compile(r"([a-z0-9-]+)-[0-9a-f]{12}(\.zip|\.npz|\.npy)?")


def _slug_of(files: Sequence[File]) -> str:
    first = last_part(files[0][0]).removesuffix(".gz")
    title = first if len(files) == 1 else f"{len(files)} files"
    if len(files) > 1 and all(is_picture(file) for file in files):
        title = f"{len(files)} pictures"
    return slug(title.rpartition(".")[0] or title)


def slug(text: str, *, otherwise: str = "upload") -> str:
    """Lower-case Latin letters, digits and dashes, at most 40: fit for any disk."""
    return plain_name(text, otherwise=otherwise)


def _digest(files: Sequence[File]) -> str:
    """Over contents and last names in a fixed order, so that the order of dropping is nothing."""
    each = sorted((last_part(name), hashlib.sha256(content).digest()) for name, content in files)
    digest = hashlib.sha256()
    for name, content in each:
        digest.update(f"{len(name)}:{name}".encode("utf-8", "surrogatepass") + content)
    return digest.hexdigest()[:12]


def _described(path: Path) -> Upload | None:
    """None for what is no upload, also for one that another session deletes right now."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    try:
        info = path.stat()
        n_bytes = sum(p.stat().st_size for p in path.iterdir()) if path.is_dir() else info.st_size
    except OSError:
        return None
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
            f"The upload has {amount(n_bytes)}, at most {amount(MAX_UPLOAD_BYTES)} are accepted; "
            "copy it to a folder on the server instead."
        )


def _check_room(folder: Path, n_bytes: int, quota_bytes: int) -> None:
    used = sum(item.n_bytes for item in list_uploads(folder))
    if used + n_bytes > quota_bytes:
        raise DataError(
            f"The upload has {amount(n_bytes)}, and {amount(used)} of the {amount(quota_bytes)} "
            "for dropped data are used; delete some under 'Dropped before'."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise DataError(_unwritable(folder, error)) from error
    if free < n_bytes + SPARE_BYTES:
        raise DataError(
            f"The upload has {amount(n_bytes)}, but the disk of '{folder}' has only {amount(free)} "
            f"left of which {amount(SPARE_BYTES)} stay free for runs; make room and drop it again."
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
        with suppress(OSError):  # another session's, which may just be done
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
