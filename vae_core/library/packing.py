"""A model as one zip: the files its card lists, the card, and the report."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import BinaryIO, Final

from vae_core.checkpoint import CARD, FILES, OPTIONAL, verify_checkpoint
from vae_core.files import plain_name

REPORT: Final = "report.json"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def zip_model(folder: Path, target: BinaryIO) -> None:
    """Write the files a model's card lists, the card and the report as a zip into `target`.

    The same model gives the same bytes. The hashes are checked before, so that no damage is
    handed on; `CheckpointError` says what is wrong. Training state stays where it is.
    """
    card = verify_checkpoint(folder)
    names = [CARD, *(name for name in (*FILES, *OPTIONAL) if name in card["files"])]
    if (folder / REPORT).is_file():
        names.append(REPORT)
    # Weights and codes do not pack: storing them is quicker, and as small.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name in names:
            entry = zipfile.ZipInfo(f"{slug(folder.name)}/{name}", _EPOCH)
            entry.external_attr = 0o644 << 16
            with (folder / name).open("rb") as source, archive.open(entry, "w") as opened:
                shutil.copyfileobj(source, opened, 1 << 20)


def slug(name: str) -> str:
    """A name as a folder may carry it anywhere: a to z, digits, dots, dashes; else "model"."""
    return plain_name(name, otherwise="model", most=60, also="._")


def packed_model(folder: Path) -> bytes:
    """`zip_model` as bytes, for a download."""
    buffer = io.BytesIO()
    zip_model(folder, buffer)
    return buffer.getvalue()
