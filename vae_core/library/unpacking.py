"""A model out of a zip that anyone may have made.

Names, sizes, hashes and contents are checked in a hidden folder, and one rename makes the
model appear.
"""

from __future__ import annotations

import json
import lzma
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

import numpy as np
import torch

from vae_core.card import MAX_BYTES
from vae_core.checkpoint import (
    CARD,
    FILES,
    OPTIONAL,
    Checkpoint,
    load_checkpoint,
    read_card,
    verify_checkpoint,
)
from vae_core.data.catalogue import CATALOGUE
from vae_core.errors import CheckpointError
from vae_core.files import write_json
from vae_core.library.keeping import clear_leftovers, hidden_folder
from vae_core.library.packing import REPORT, slug

MAX_MODEL_BYTES: Final = 2_000_000_000
KNOWN: Final = {
    CARD: MAX_BYTES,
    REPORT: 50_000_000,
    **dict.fromkeys((*FILES, *OPTIONAL), MAX_MODEL_BYTES),
}
# A model's folder zipped by hand also holds these; they are left where they are.
IGNORED: Final = ("metrics.jsonl", "report.html", ".DS_Store")
# A zip packs what repeats well a thousandfold; weights and codes never.
_MAX_PACKED: Final = 100
_FREE_PACKED_BYTES: Final = 64_000_000
_MAX_ENTRIES: Final = 200


def import_model(
    source: Path | BinaryIO,
    *,
    into: Path,
    name: str = "",
    may_read: Callable[[Path], bool],
    taken: Collection[str] = (),
) -> Path:
    """Unpack a model from a zip into a new folder below `into`; returns that folder.

    The folder is called like the one in the zip (or `name`), with a number where that is there
    or among `taken` (models of other folders, say).
    Nothing but the known files is taken, each within its limit; hashes, weights, codes and maps
    are checked before the model appears. `may_read` says of a path of images that the card
    names whether it may be opened here: without that, originals would be a way to read
    any folder. `CheckpointError` says in one sentence why a zip is refused; nothing of it stays.
    """
    into.mkdir(parents=True, exist_ok=True)
    clear_leftovers(into)
    with _staging(into) as hidden:
        found = _unpack(source, hidden)
        _check_model(hidden)
        _forget_paths(hidden, may_read)
        return _settle(hidden, into / slug(name or found), taken=taken)


@contextmanager
def _staging(into: Path) -> Iterator[Path]:
    hidden = hidden_folder(into.resolve())
    hidden.mkdir()
    try:
        yield hidden
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _unpack(source: Path | BinaryIO, hidden: Path) -> str:
    """Copy the known files of a zip into `hidden`; returns what its folder was called."""
    try:
        with zipfile.ZipFile(source) as archive:
            entries = _entries(archive, free=shutil.disk_usage(hidden).free)
            for known, entry in entries.items():
                _copy(archive, entry, hidden / known)
    except (
        zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError, LookupError,
        zipfile.LargeZipFile, OverflowError, MemoryError, zlib.error, lzma.LZMAError,
    ) as error:  # fmt: skip
        raise CheckpointError(
            f"The zip is damaged, cut short, locked or no zip at all ({repr(error)[:120]}); "
            "download it again from where it came."
        ) from error
    return Path(entries[CARD].filename).parent.name


def _entries(archive: zipfile.ZipFile, *, free: int) -> dict[str, zipfile.ZipInfo]:
    """The known files of a zip by name, looked at before a byte of them is unpacked."""
    found: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    every = archive.infolist()
    if len(every) > _MAX_ENTRIES:
        raise _refuse(f"it holds {len(every):,} files, at most {_MAX_ENTRIES} were expected")
    for entry in every:
        parts = entry.filename.split("/")
        if entry.is_dir() or parts[-1] in IGNORED or parts[0] == "__MACOSX":
            continue
        if entry.flag_bits & 1:
            raise _refuse("it is locked with a password")
        if len(parts) > 2 or parts[-1] not in KNOWN or parts[0] == "..":
            raise _refuse(f"'{_shown(entry.filename)}' in it is none of the files of a model")
        if parts[-1] in found:
            raise _refuse(f"it holds {parts[-1]} twice, one model was expected")
        if entry.file_size > KNOWN[parts[-1]]:
            raise _refuse(f"{parts[-1]} would take {entry.file_size:,} bytes, which is too many")
        found[parts[-1]] = entry
        folders.add("/".join(parts[:-1]))
    lacking = [name for name in (CARD, *FILES) if name not in found]
    if lacking or len(folders) > 1:
        raise _refuse(f"it lacks {', '.join(lacking)}" if lacking else "it mixes several folders")
    _check_sizes(sum(entry.compress_size for entry in found.values()),
                 sum(entry.file_size for entry in found.values()), free=free)  # fmt: skip
    return found


def _check_sizes(packed: int, unpacked: int, *, free: int) -> None:
    if unpacked > min(MAX_MODEL_BYTES, max(_FREE_PACKED_BYTES, packed * _MAX_PACKED)):
        raise _refuse(f"{packed:,} bytes would unpack to {unpacked:,}, which no model does")
    if unpacked > free:
        raise _refuse(f"it needs {unpacked:,} bytes of disk and {free:,} are free")


def _refuse(why: str) -> CheckpointError:
    return CheckpointError(
        f"The zip was not taken: {why}; give a zip that Latent Explorer wrote for one model."
    )


def _shown(name: str) -> str:
    """A foreign name, short and without anything that could format or forge a sentence."""
    return re.sub(r"[^\w./ -]", "?", name)[:60]


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """Unpack one file, and no byte more than its header announced."""
    with archive.open(entry) as packed, target.open("wb") as opened:
        left = entry.file_size
        while piece := _read(packed, min(1 << 20, left + 1)):
            left -= len(piece)
            if left < 0:
                raise _refuse("a file in it is longer than it says")
            opened.write(piece)


def _read(packed: IO[bytes], n_bytes: int) -> bytes:
    try:
        return packed.read(n_bytes)
    except OSError as error:
        # How bzip2 says that its data are damaged: not to be taken for the disk.
        raise zipfile.BadZipFile(str(error)) from error


def _check_model(folder: Path) -> None:
    """Everything a page would open is opened here, in the hidden folder; errors name no path."""
    try:
        card = verify_checkpoint(folder)
        extra = set(card["files"]) - set(FILES) - set(OPTIONAL)
        if extra:
            raise _refuse(f"its card lists '{_shown(min(extra))}', which is no file of a model")
        for name in card["files"]:
            if name.endswith(".npz"):
                _check_npz(folder / name)
        _try_out(load_checkpoint(folder))
        _check_report(folder / REPORT)
    except CheckpointError as error:
        told = str(error).replace(f"{folder}/", "").replace(str(folder), "it")
        raise CheckpointError(told) from error


def _check_npz(path: Path) -> None:
    """An .npz is a zip itself: how much it would unpack to is looked at before it is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [entry.file_size for entry in archive.infolist()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _refuse(f"{path.name} in it is damaged") from error
    packed = path.stat().st_size
    if sum(sizes) > min(MAX_MODEL_BYTES, max(_FREE_PACKED_BYTES, packed * _MAX_PACKED)):
        raise _refuse(f"{path.name} would unpack to {sum(sizes):,} bytes, which no model does")


def _try_out(checkpoint: Checkpoint) -> None:
    """Read all parts and decode one code."""
    codes, _, _, _ = checkpoint.codes, checkpoint.maps, checkpoint.prior, checkpoint.calibration
    with torch.no_grad():
        image = checkpoint.model.decode(torch.from_numpy(codes.mean[:1].astype(np.float32)))
    if not bool(image.isfinite().all()):
        raise _refuse("its weights decode to values that are not finite")


def _check_report(path: Path) -> None:
    if not path.is_file():
        return
    try:
        if not isinstance(json.loads(path.read_text(encoding="utf-8")), dict):
            raise ValueError("no table")
    except (ValueError, RecursionError) as error:
        raise _refuse(f"{REPORT} in it is damaged") from error


def _forget_paths(folder: Path, may_read: Callable[[Path], bool]) -> None:
    """Cut a path of images to its last part unless it may be opened here."""
    card: dict[str, Any] = read_card(folder)
    source = card["data"]["source"]
    if source not in CATALOGUE and not may_read(Path(source)):
        # Said to be elsewhere, or a folder called "faces" would pass for the built-in set.
        name = re.split(r"[/\\]", source.rstrip("/\\"))[-1][:100] or "unknown"
        card["data"] = {**card["data"], "source": f"{name} (elsewhere)", "fingerprint": None}
        write_json(folder / CARD, card)


def _settle(hidden: Path, wanted: Path, *, taken: Collection[str]) -> Path:
    """Rename to the first free name; a folder that appears meanwhile is never replaced."""
    for number in range(1, 10_000):
        target = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        if target.name in taken or target.exists() or target.is_symlink():
            continue
        try:
            return hidden.rename(target)
        except OSError:
            if not target.exists():
                raise
    raise CheckpointError(
        f"There are thousands of models called '{wanted.name}'; give this one another name."
    )
