"""Pictures out of a visitor's zip: read in memory within limits, names used only to be shown."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import PurePosixPath
from typing import Final

from vae_core.data.listing import leads_outside
from vae_core.data.pixels import MAX_BYTES
from vae_core.errors import DataError

ZIP_MARKS: Final = (b"PK\x03\x04", b"PK\x05\x06")
# A picture hardly packs better than this; an archive that claims more is built to fill memory.
MAX_RATIO: Final = 200


def is_zip(data: bytes) -> bool:
    """Whether the content starts like a zip archive."""
    return data.startswith(ZIP_MARKS)


def zip_names(data: bytes, *, name: str) -> list[str]:
    """The members that may be pictures, in the archive's order: no folders, no hidden files.

    `DataError` when it is no sound zip. `name` is how messages call the archive.
    """
    with _opened(data, name) as archive:
        return [item.filename for item in archive.infolist() if _is_visible(item)]


def zip_members(data: bytes, names: list[str], *, name: str) -> Iterator[tuple[str, bytes | str]]:
    """Each member's last name with its bytes, or with the sentence why there are none."""
    with _opened(data, name) as archive:
        for member in names:
            shown = PurePosixPath(member.replace("\\", "/")).name or member
            try:
                yield shown, _read(archive, archive.getinfo(member), shown)
            except DataError as error:
                yield shown, str(error)


def _opened(data: bytes, name: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise DataError(
            f"The archive '{name}' is damaged or cut short ({error}), expected a whole zip; pack "
            "it again."
        ) from error


def _is_visible(item: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(item.filename.replace("\\", "/")).parts
    # A name with '..' is not hidden: it is refused by name when its turn comes.
    hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in parts)
    return bool(parts) and not item.is_dir() and not hidden


def _read(archive: zipfile.ZipFile, item: zipfile.ZipInfo, shown: str) -> bytes:
    # Names are never used as paths, yet the same zip is refused as a data set for it.
    if leads_outside(item.filename):
        raise DataError(
            f"The member '{shown}' has the name '{item.filename}', which leads out of the archive; "
            "pack it again with names below one folder."
        )
    too_large = item.file_size > MAX_BYTES
    if too_large or item.file_size > MAX_RATIO * max(item.compress_size, 1_000):
        raise DataError(
            f"The member '{shown}' unpacks to {item.file_size:,} bytes out of "
            f"{item.compress_size:,}, at most {MAX_BYTES:,} and {MAX_RATIO} times are read; save "
            "it smaller."
        )
    try:
        with archive.open(item) as member:
            # The size in the list may lie: no more is ever read than it says.
            return member.read(item.file_size)
    except (
        zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError,
        ValueError,
    ) as error:  # fmt: skip
        raise DataError(
            f"The member '{shown}' cannot be unpacked ({error or type(error).__name__}); pack it "
            "again without a password."
        ) from error
