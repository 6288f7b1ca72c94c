"""What kind of source a path is: the questions that loading and inspecting ask alike."""

from __future__ import annotations

import difflib
import zipfile
from collections.abc import Iterable
from pathlib import Path

from vae_core.data.idx import find_idx_files
from vae_core.data.shardfiles import is_shards
from vae_core.errors import DataError


def existing_path(source: str | Path, names: Iterable[str]) -> Path:
    """The path that `source` gives; `DataError` where there is none, with the known `names`."""
    path = Path(source).expanduser()
    if path.exists() or is_shards(path):
        return path
    # A bare word is a misspelt name, anything with a slash or an ending a path.
    if isinstance(source, str) and path.name == source and not path.suffix:
        known = list(names)
        close = difflib.get_close_matches(source.lower(), known, n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        raise DataError(
            f"There is no data set '{source}'{hint}, the names are {', '.join(known)}; choose "
            "one or give the path of a folder, .zip, .tar, .npz or IDX file of your own."
        )
    raise DataError(
        f"The path '{path}' does not exist, expected a folder, .zip, .tar, .npz or IDX file; check "
        "its spelling."
    )


def is_sharded(path: Path) -> bool:
    """Whether pictures come in `.tar` shards."""
    # A stray .tar beside MNIST's files does not make shards of them.
    return is_shards(path) and not (path.is_dir() and find_idx_files(path))


def holds_pictures(path: Path) -> bool:
    """Whether a path that is no shards is a folder or zip of picture files."""
    if path.is_dir():
        return find_idx_files(path) is None
    suffix = path.suffix.lower()
    # A .npz is a zip too; other archives by content, whatever their ending.
    return suffix == ".zip" or (suffix != ".npz" and zipfile.is_zipfile(path))
