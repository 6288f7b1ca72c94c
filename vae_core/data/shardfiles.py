"""Which `.tar` files a path means: one, a folder of them, or a pattern with braces."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from vae_core.data.listing import SUFFIXES
from vae_core.errors import DataError

MAX_SHARDS = 100_000
_BRACES = re.compile(r"\{([^{}]+)\}")
_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")


@dataclass(frozen=True)
class Shards:
    """The tar files of a source, in order; `shown` is how messages call each."""

    name: str
    paths: tuple[Path, ...]
    shown: tuple[str, ...]

    def stamps(self) -> list[str]:
        """Changes with any file's place, size or time."""
        found = [(path, path.stat()) for path in self.paths]
        return [f"{path.resolve()} {info.st_size} {info.st_mtime_ns}" for path, info in found]


def is_shards(path: Path) -> bool:
    """Whether a path means shards: a `.tar`, a pattern of them, a folder with nothing else.

    A folder that also holds pictures is a folder of pictures.
    """
    if path.is_dir():
        return bool(_tars_in(path)) and not _holds_pictures(path)
    return path.suffix.lower() == ".tar" and (path.is_file() or bool(_BRACES.search(str(path))))


def shards_fingerprint(path: Path) -> str:
    """A hash of the shards' names and sizes: the same for a copy. `DataError` as when loading."""
    shards = find_shards(path)
    lines = [f"{p.name} {p.stat().st_size}" for p in shards.paths]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def expand_braces(pattern: str) -> list[str]:
    """All names that `{000..009}` and `{a,b}` stand for, in order, as a shell would say them.

    `DataError` for an empty range or more than 100,000 names.
    """
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    before, after = pattern[: found.start()], expand_braces(pattern[found.end() :])
    choices = _choices(found.group(1), pattern)
    if not 1 <= len(choices) * len(after) <= MAX_SHARDS:
        raise DataError(
            f"The pattern '{pattern}' stands for {len(choices) * len(after):,} files, expected 1 "
            f"to {MAX_SHARDS:,}; correct the numbers in braces."
        )
    return [before + choice + rest for choice in choices for rest in after]


def _choices(inside: str, pattern: str) -> list[str]:
    numbers = _RANGE.fullmatch(inside)
    if numbers is None:
        return inside.split(",")
    first, last = numbers.groups()
    if int(last) - int(first) >= MAX_SHARDS:
        raise DataError(
            f"The range '{inside}' in '{pattern}' has more than {MAX_SHARDS:,} numbers; shorten it."
        )
    return [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]


def _holds_pictures(folder: Path) -> bool:
    return any(p.suffix.lower() in SUFFIXES for p in folder.rglob("*"))


def _tars_in(folder: Path) -> list[Path]:
    """Shards in a folder, or one level down where people keep `train/` and `val/` apart."""
    paths = sorted(folder.glob("*.tar")) or sorted(folder.glob("*/*.tar"))
    return [p for p in paths if p.is_file() and not p.name.startswith(".")]


def find_shards(path: Path) -> Shards:
    """The tar files a path stands for, in order; `DataError` when one does not exist."""
    if path.is_dir():
        paths, name = _tars_in(path), path.resolve().name
        shown = [p.relative_to(path).as_posix() for p in paths]
    else:
        paths = [path] if path.is_file() else [Path(p) for p in expand_braces(str(path))]
        name = _BRACES.sub("", path.stem).strip("-_. ") or path.resolve().parent.name
        shown = [p.name for p in paths]
    missing = [p for p in paths if not p.is_file()]
    if missing or not paths:
        raise DataError(
            f"'{path}' stands for {len(paths):,} shard(s) of which {len(missing):,} do not exist "
            f"(first: '{next(iter(missing), path)}'), expected all of them; get what is missing "
            "or correct the path."
        )
    # Shards of one name in several folders still need names apart.
    distinct = len(set(shown)) == len(shown)
    return Shards(name, tuple(paths), tuple(shown if distinct else map(str, paths)))
