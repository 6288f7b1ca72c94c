"""Where the models lie that the app knows, and where it writes new ones."""

from __future__ import annotations

import os
import sys
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
        for item in list_checkpoints(folder.parent) if inside else list_checkpoints(folder):
            if not inside or item.path == folder:
                found.setdefault(item.path.name, item)
    return sorted(found.values(), key=lambda item: (item.path.name != "faces", item.path.name))


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
