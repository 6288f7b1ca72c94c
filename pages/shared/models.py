"""Where the models lie that the app knows, and where it writes new ones."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path

from vae_core.checkpoint import CARD, Checkpoint, Listed, list_checkpoints
from vae_core.data.roots import SETTING, allowed_path, roots_from
from vae_core.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def _folders() -> list[Path]:
    """VAE_CHECKPOINTS if set, else checkpoints/ and runs/; then folders given after `--`."""
    named = os.environ.get("VAE_CHECKPOINTS", "")
    usual = [Path(name) for name in named.split(os.pathsep) if name]
    given = [Path(name) for name in sys.argv[1:] if Path(name).is_dir()]
    return [*(usual or [ROOT / "checkpoints", ROOT / "runs"]), *given]


def listed_checkpoints() -> list[Listed]:
    """All checkpoints of all folders, `faces` first; a folder may be a checkpoint itself."""
    found: dict[str, Listed] = {}
    for folder in _folders():
        inside = (folder / CARD).is_file()
        looked_into = folder.parent if inside else folder
        for item in _list(looked_into, _trace(looked_into)):
            if not inside or item.path == folder:
                found.setdefault(item.path.name, item)
    return sorted(found.values(), key=lambda item: (item.path.name != "faces", item.path.name))


@lru_cache(maxsize=32)
def _list(folder: Path, trace: tuple[object, ...]) -> tuple[Listed, ...]:  # noqa: ARG001  (other files, another list)
    """Each run of each page asks several times: the cards are read anew only when one changed."""
    return tuple(list_checkpoints(folder))


def _trace(folder: Path) -> tuple[object, ...]:
    """What changes when a checkpoint below `folder` comes, goes or gets another card."""
    if not folder.is_dir():
        return ()
    return tuple(
        (path.name, *(_stamp(path / name) for name in (CARD, "model.safetensors")))
        for path in sorted(folder.iterdir())
    )


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        now = path.stat()
    except OSError:
        return ()
    # A card is written whole under another name and then moved here: the inode tells that, too.
    return now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


def folder_for_runs() -> Path:
    """Where the app writes models it makes: runs/, or the last of the folders it was given."""
    runs, known = ROOT / "runs", [f for f in _folders() if not (f / CARD).is_file()]
    return runs if runs in known or not known else known[-1]


def data_roots() -> tuple[Path, ...]:
    """Folders below which a visitor may name data: VAE_DATA_ROOTS, else data/ and VAE_DATA_DIR."""
    usual = [ROOT / "data", *(Path(name) for name in [os.environ.get("VAE_DATA_DIR", "")] if name)]
    return roots_from(os.environ.get(SETTING, ""), otherwise=usual)


def may_read(path: Path) -> bool:
    """Whether a visitor may have the images at `path` opened."""
    try:
        allowed_path(str(path), data_roots())
    except DataError:
        return False
    return path.is_absolute()


def map_of_all(checkpoint: Checkpoint) -> str | None:
    """Name of a model with these weights whose map shows all images, or None."""
    weights = checkpoint.card["files"]["model.safetensors"]
    for item in listed_checkpoints():
        card = item.card
        if card and card["files"].get("model.safetensors") == weights and (
            card["n_codes"] == card["n_images"] == checkpoint.codes.n_total
        ):  # fmt: skip
            return item.path.name
    return None
