"""Titles, notes, sizes, and deleting without leaving half a model behind."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from uuid import uuid4

from vae_core.card import MAX_NOTES, MAX_TITLE
from vae_core.checkpoint import CARD, read_card
from vae_core.errors import CheckpointError
from vae_core.files import write_json

_HIDDEN: Final = re.compile(r"\.library-(\d+)-[0-9a-f]{32}\Z")


def rename_model(folder: Path, title: str) -> None:
    """Give a model another title; the folder keeps its name, so that links go on working.

    `CheckpointError` for an empty or overlong title or a folder without a good card.
    """
    text = " ".join("".join(c for c in title if c.isprintable() or c.isspace()).split())
    if not 1 <= len(text) <= MAX_TITLE:
        raise CheckpointError(
            f"A title of {len(text):,} letters came, expected 1 to {MAX_TITLE}; "
            f"{'write' if not text else 'shorten'} it."
        )
    _change_card(folder, {"title": text, "renamed": True})


def set_notes(folder: Path, text: str) -> None:
    """Keep a text of one's own with a model; an empty one takes it away. Errors as above."""
    if len(text) > MAX_NOTES:
        raise CheckpointError(
            f"Notes of {len(text):,} letters came, expected at most {MAX_NOTES:,}; shorten them."
        )
    _change_card(folder, {"notes": text.strip()})


def _change_card(folder: Path, words: Mapping[str, str | bool]) -> None:
    card = read_card(folder) | dict(words)
    for name, text in words.items():
        if not text:
            del card[name]
    write_json(folder / CARD, card)


# ---- disk ----------------------------------------------------------------------------------------
def disk_used(folder: Path) -> int:
    """Bytes of all files below `folder`, links not followed; 0 when there is no such folder."""
    files = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    return sum(map(_bytes_of, files))


def _bytes_of(path: Path) -> int:
    try:
        found = path.lstat()
    except OSError:
        # Gone meanwhile: a run replaces its files while it trains.
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def delete_model(
    folder: Path, *, within: Path, is_busy: Callable[[Path], bool] = lambda _: False
) -> None:
    """Delete a model's folder with all it holds, training state too.

    Only a plain folder right below `within` that holds a model, and none that `is_busy` says a
    run is writing to. It is moved out of sight first: a crash leaves no half a model listed.
    `CheckpointError` says why not.
    """
    clear_leftovers(within)
    target = _own_folder(folder, within)
    if is_busy(target):
        raise CheckpointError(
            f"A run is writing to '{target.name}', a model at rest was expected; stop the run "
            "first."
        )
    hidden = hidden_folder(within.resolve())
    target.rename(hidden)
    shutil.rmtree(hidden)


def _own_folder(folder: Path, within: Path) -> Path:
    """`folder` in full when it is a model's own folder right below `within`."""
    target = folder.parent.resolve() / folder.name
    is_inside = target.parent == within.resolve() and folder.name not in ("", ".", "..")
    if not is_inside or folder.name.startswith(".") or target.is_symlink() or not target.is_dir():
        raise CheckpointError(
            f"'{folder}' is no plain folder right below '{within}', only those are deleted here; "
            "delete it by hand if you mean it."
        )
    if not any((target / name).is_file() for name in (CARD, "model.safetensors")):
        raise CheckpointError(
            f"'{folder}' holds no model, only models are deleted here; delete it by hand if you "
            "mean it."
        )
    return target


def hidden_folder(parent: Path) -> Path:
    """A new name below `parent` that no list of models shows."""
    return parent / f".library-{os.getpid()}-{uuid4().hex}"


def clear_leftovers(parent: Path) -> None:
    """Remove what a process that is gone left half deleted or half unpacked."""
    if not parent.is_dir():
        return
    for path in parent.iterdir():
        found = _HIDDEN.match(path.name)
        if found and not _is_alive(int(found[1])) and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
