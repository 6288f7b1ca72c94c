"""A large folder decoded once: uint8 images in one memory-mapped file, with what failed beside.

    <cache>/packed/<key>/images.npy    uint8 [N,C,H,W]
    <cache>/packed/<key>/meta.json     written last, so that it vouches for the images

The key covers names, sizes and times of all files, so a changed folder never meets an old cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from vae_core.data.imageset import Skipped
from vae_core.types import ImageSpec

# Raise it whenever the same files would give other pixels; old entries are then not found.
VERSION = 1
N_SPOT_CHECKS = 32
SPOT_BYTES = 64 * 2**10

Decoded = NDArray[np.uint8] | Skipped


@dataclass(frozen=True)
class Packed:
    """Images uint8 `[N,C,H,W]`, the positions int64 `[N]` they had in the list, and the rest."""

    images: NDArray[np.uint8]
    kept: NDArray[np.int64]
    skipped: tuple[Skipped, ...]


def cache_root() -> Path:
    """Directory for all that can be made again: `VAE_CACHE_DIR` or ~/.cache/latent-explorer."""
    chosen = os.environ.get("VAE_CACHE_DIR")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "latent-explorer"


def make_key(parts: Iterable[str]) -> str:
    """Name of a cache entry: a hash over everything that decides its content."""
    digest = hashlib.sha256(f"packed {VERSION}\n".encode())
    for part in parts:
        # With its length before it, no part can pass for two.
        digest.update(f"{len(part)}:{part}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


def gather_images(n: int, spec: ImageSpec, decoded: Iterator[Decoded]) -> Packed:
    """Collect n decoded pictures in memory, leaving out those that failed."""
    images = np.empty((n, *spec.shape), np.uint8)
    kept, skipped = _consume(decoded, images.__setitem__)
    return Packed(images[: len(kept)], kept, skipped)


def pack_images(
    key: str, n: int, *, spec: ImageSpec, decode: Callable[[], Iterator[Decoded]]
) -> Packed:
    """The pictures of a cache entry, memory-mapped; `decode` is called when it must be made.

    A damaged entry is made again. Where the cache cannot be written the pictures stay in
    memory. The mapping is copy-on-write: changing the array never changes the file.
    """
    folder = cache_root() / "packed" / key
    found = _open_entry(folder, spec)
    if found is not None:
        return found
    try:
        _write_entry(folder, n, spec, decode)
        found = _open_entry(folder, spec)
    except OSError:  # read-only place or full disk
        found = None
    return found or gather_images(n, spec, decode())


def _consume(
    decoded: Iterator[Decoded], store: Callable[[int, NDArray[np.uint8]], object]
) -> tuple[NDArray[np.int64], tuple[Skipped, ...]]:
    kept: list[int] = []
    skipped: list[Skipped] = []
    for position, item in enumerate(decoded):
        if isinstance(item, Skipped):
            skipped.append(item)
        else:
            store(len(kept), item)
            kept.append(position)
    return np.array(kept, np.int64), tuple(skipped)


def _write_entry(
    folder: Path, n: int, spec: ImageSpec, decode: Callable[[], Iterator[Decoded]]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # Without meta the entry counts as absent, whatever happens from here on.
    (folder / "meta.json").unlink(missing_ok=True)
    part = folder / f"{uuid.uuid4().hex}.part"
    try:
        with part.open("wb") as stream:
            kept, skipped = _stream_images(stream, n, spec, decode())
        part.replace(folder / "images.npy")
        _write_meta(folder, part, n, kept, skipped)
    # Also when the person cancels or presses Ctrl-C: no half gigabyte is left behind.
    except BaseException:
        part.unlink(missing_ok=True)
        if not any(folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _stream_images(
    stream: BinaryIO, n: int, spec: ImageSpec, decoded: Iterator[Decoded]
) -> tuple[NDArray[np.int64], tuple[Skipped, ...]]:
    _write_header(stream, n, spec)
    kept, skipped = _consume(decoded, lambda _, pixels: stream.write(pixels.tobytes()))
    # NumPy leaves room in the header for the first dimension to be rewritten in place.
    stream.seek(0)
    _write_header(stream, len(kept), spec)
    return kept, skipped


def _write_header(stream: BinaryIO, n: int, spec: ImageSpec) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (n, *spec.shape)}
    npy_format.write_array_header_1_0(stream, header)


def _write_meta(
    folder: Path,
    part: Path,
    n: int,
    kept: NDArray[np.int64],
    skipped: tuple[Skipped, ...],
) -> None:
    meta = {
        "version": VERSION,
        "n_files": n,
        "dropped": np.setdiff1d(np.arange(n), kept).tolist(),
        "skipped": [[item.path, item.reason] for item in skipped],
        "n_bytes": (folder / "images.npy").stat().st_size,
        "spot_checks": _spot_checks(folder / "images.npy"),
    }
    # Also by way of a temporary file: a half-written meta must not vouch for anything.
    part.write_text(json.dumps(meta), encoding="utf-8")
    part.replace(folder / "meta.json")


def _open_entry(folder: Path, spec: ImageSpec) -> Packed | None:
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        path = folder / "images.npy"
        sound = meta["n_bytes"] == path.stat().st_size
        if not sound or meta["spot_checks"] != _spot_checks(path):
            return None
        # Mode c, copy-on-write: torch warns about arrays that it may not write to.
        images = np.load(path, mmap_mode="c", allow_pickle=False)
        kept = np.setdiff1d(np.arange(meta["n_files"]), np.array(meta["dropped"], np.int64))
        skipped = tuple(Skipped(path, reason) for path, reason in meta["skipped"])
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None
    fits = images.dtype == np.uint8 and images.shape == (len(kept), *spec.shape)
    return Packed(images, kept.astype(np.int64), skipped) if fits else None


def _spot_checks(path: Path) -> list[int]:
    """Checksums of blocks spread over the file: damage shows without reading all of it."""
    n_bytes = path.stat().st_size
    starts = np.linspace(0, max(0, n_bytes - SPOT_BYTES), N_SPOT_CHECKS).astype(int).tolist()
    checks: list[int] = []
    with path.open("rb") as stream:
        for start in starts:
            stream.seek(start)
            checks.append(zlib.crc32(stream.read(SPOT_BYTES)))
    return checks
