"""Small file habits shared by everything that writes: atomic replace, JSON, hashes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `path`; on success it takes the place of `path`."""
    # Two threads of one process may write the same file, too.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replace_files(folder: Path, *, last: str) -> Iterator[Path]:
    """Yield an empty folder inside `folder`; on success its files take the place of those there.

    The file called `last` goes first and comes last: where it is, all belong together. On a full
    disk nothing of what was there before is touched.
    """
    new = folder / ".new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        (folder / last).unlink(missing_ok=True)
        for path in sorted(new.iterdir(), key=lambda path: path.name == last):
            path.replace(folder / path.name)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def plain_name(text: str, *, otherwise: str, most: int = 40, also: str = "") -> str:
    """A file name for any text: a to z, digits, dashes and what is in `also`, at most `most`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    ends = "-" + also
    joined = re.sub(rf"[^a-z0-9{re.escape(also)}]+", "-", plain).strip(ends)
    return joined[:most].rstrip(ends) or otherwise


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write readable JSON at once or not at all.

    What is no text (bytes in a path, half a character somebody typed) becomes a question mark.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    with replace_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", errors="replace")


def write_tensors(path: Path, tensors: dict[str, Tensor], *, note: dict[str, str]) -> None:
    """Write a safetensors file. `OSError` on a full disk, as for any other file."""
    # Only here: most who write files need no torch.
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    try:
        save_file(tensors, path, metadata=note)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    # The library makes a file for its owner alone: an app run by another user could not read it.
    path.chmod(mode)


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
