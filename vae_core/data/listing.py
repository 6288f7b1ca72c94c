"""Which pictures a folder or `.zip` holds, and what of it is refused before it is opened."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vae_core.data.imageset import Skipped
from vae_core.data.pixels import FORMATS, MAX_BYTES
from vae_core.errors import DataError

_SUFFIXES = "png apng jpg jpeg jpe jfif webp gif bmp dib tif tiff ppm pgm pbm pnm"
# Pictures to a person but not to this program: these are reported, other files ignored.
_FOREIGN = "heic heif avif svg psd jp2 jxl ico tga raw dng"
SUFFIXES = frozenset(f".{name}" for name in _SUFFIXES.split())
FOREIGN_SUFFIXES = frozenset(f".{name}" for name in _FOREIGN.split())
MAX_TOTAL_BYTES = 32 * 2**30
MAX_RATIO = 200  # deflate reaches 1,032 on constant data; pictures that matter stay below 100

Read = Callable[[str], bytes | Path]
Found = tuple[dict[str, tuple[int, int]], list[Skipped]]


@dataclass(frozen=True)
class Listing:
    """Image files below `root`, sorted by name: `stamps` hold (size in bytes, time or CRC)."""

    root: Path
    zipped: bool
    names: tuple[str, ...]
    stamps: tuple[tuple[int, int], ...]
    skipped: tuple[Skipped, ...]

    @property
    def fingerprint(self) -> str:
        """A hash of names and sizes: the same for a copy, another once a file is added."""
        lines = (f"{name} {stamp[0]}" for name, stamp in zip(self.names, self.stamps, strict=True))
        text = "\n".join(lines).encode("utf-8", "surrogatepass")
        return hashlib.sha256(text).hexdigest()[:32]


def list_images(path: Path) -> Listing:
    """Image files of a folder or `.zip` in sorted order, by their names only.

    Raises `DataError` when there is none, or the zip is damaged or would unpack too large.
    """
    zipped = not path.is_dir()
    try:
        found, skipped = _list_zip(path) if zipped else _list_folder(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DataError(
            f"'{path}' cannot be opened ({error}), expected a folder or a whole .zip of images; "
            "check or copy it again."
        ) from error
    if not found:
        first = f" (skipped: {skipped[0].path}: {skipped[0].reason})" if skipped else ""
        raise DataError(
            f"'{path}' holds no images{first}, expected {FORMATS} files; put some there."
        )
    # By folder first: a plain sort would put 'a-b/1' before 'a/1'.
    names = tuple(sorted(found, key=lambda name: name.split("/")))
    return Listing(path, zipped, names, tuple(found[n] for n in names), tuple(skipped))


@contextmanager
def open_listing(listing: Listing) -> Iterator[Read]:
    """Yield a function from a listed name to the file's content or path."""
    if not listing.zipped:
        yield lambda name: listing.root / name
        return
    # One archive for all threads: ZipFile locks around its reads.
    with zipfile.ZipFile(listing.root) as archive:
        # The same choice as when listing: of two members with one name the last accepted one.
        accepted = (m for m in archive.infolist() if _refuse_member(m) is None)
        members = {_slashed(member): member for member in accepted}
        yield lambda name: archive.read(members[name])


def _list_folder(root: Path) -> Found:
    found: dict[str, tuple[int, int]] = {}
    skipped: list[Skipped] = []
    for folder, subfolders, files in os.walk(root, onerror=_note_error(skipped)):
        # In place, which is how os.walk is told not to go down there; it follows no linked folder.
        subfolders[:] = [name for name in subfolders if not _is_junk(name)]
        for file in files:
            path = Path(folder) / file
            name = path.relative_to(root).as_posix()
            if not is_wanted(name, skipped):
                continue
            if path.is_file():  # a pipe would block for ever, a broken link has nothing
                info = path.stat()
                found[name] = (info.st_size, info.st_mtime_ns)
            else:
                skipped.append(Skipped(name, "It is a broken link or no regular file."))
    return found, skipped


def _note_error(skipped: list[Skipped]) -> Callable[[OSError], None]:
    def note(error: OSError) -> None:
        skipped.append(Skipped(str(error.filename), f"The folder cannot be read: {error}."))

    return note


def _list_zip(path: Path) -> Found:
    found: dict[str, tuple[int, int]] = {}
    skipped: list[Skipped] = []
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
    total = sum(member.file_size for member in members)
    if total > MAX_TOTAL_BYTES:
        raise DataError(
            f"The archive '{path}' unpacks to {total / 2**30:,.0f} GB, at most "
            f"{MAX_TOTAL_BYTES // 2**30} GB are accepted; split it."
        )
    for member in members:
        if not is_wanted(_slashed(member), skipped):
            continue
        refusal = _refuse_member(member)
        if refusal is None:
            found[_slashed(member)] = (member.file_size, member.CRC)
        else:
            skipped.append(Skipped(member.filename, refusal))
    return found, skipped


def leads_outside(name: str) -> bool:
    """Whether a member's name points out of its archive: absolute, with a drive or with '..'."""
    # Nothing is ever extracted; such a name is a sign of malice all the same.
    name = name.replace("\\", "/")
    return name.startswith("/") or ".." in name.split("/") or name[1:2] == ":"


def _slashed(member: zipfile.ZipInfo) -> str:
    # Some Windows programs part folders by backslashes, against the format's rule.
    return member.filename.replace("\\", "/")


def _refuse_member(member: zipfile.ZipInfo) -> str | None:
    if leads_outside(member.filename):
        return "Its name leads out of the archive, which no honest archive needs."
    # The upper 16 bits hold the Unix mode when a Unix program packed the archive.
    if stat.S_ISLNK(member.external_attr >> 16):
        return "It is a symbolic link, not a file."
    if member.flag_bits & 1:
        return "It is locked with a password; save the archive without one."
    if member.file_size > MAX_BYTES:
        return f"It unpacks to {member.file_size:,} bytes, more than {MAX_BYTES:,}."
    # Below 3 MB no ratio matters, and a plain drawing may well pack that small.
    if member.file_size > MAX_RATIO * max(member.compress_size, 2**14):
        return f"It unpacks to more than {MAX_RATIO} times its packed size."
    return None


def is_wanted(name: str, skipped: list[Skipped]) -> bool:
    """Whether a file is an image to read; hidden files pass unmentioned, others join `skipped`."""
    if any(_is_junk(part) for part in name.split("/")):
        return False
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in FOREIGN_SUFFIXES:
        skipped.append(Skipped(name, f"{suffix[1:].upper()} is not read, save it as {FORMATS}."))
    return suffix in SUFFIXES


def _is_junk(part: str) -> bool:
    hidden = part.startswith(".") and part not in (".", "..")
    return hidden or part == "__MACOSX" or part.lower() == "thumbs.db"
