"""What lies where in a `.tar`: pictures, and the label files beside them, by one pass over it.

Only headers and label files are read, nothing is ever extracted. Files that share a path up
to the first dot of their name belong to one sample (`a/7.jpg`, `a/7.cls`), as in WebDataset.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from vae_core.data.imageset import Skipped
from vae_core.data.listing import is_wanted, leads_outside
from vae_core.data.pixels import MAX_BYTES

# The first of these that a sample has gives its label; a .txt may be a caption instead.
LABEL_SUFFIXES = ("cls", "json", "txt")
LABEL_FIELDS = ("label_name", "class_name", "label", "class", "cls")
MAX_LABEL_BYTES = 2**16
MAX_LABEL_LENGTH = 64
BLOCK = 512


class Sample(NamedTuple):
    """One picture in a tar: `n_bytes` from `offset` on; `from_text` when a .txt labels it."""

    name: str
    offset: int
    n_bytes: int
    label: str | None
    from_text: bool


@dataclass
class _Shard:
    """What has been found so far; `labels` holds (place in LABEL_SUFFIXES, label) by sample."""

    pictures: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    labels: dict[str, tuple[int, str]] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)


class _Bounded:
    """A file that refuses reads larger than any honest header or label file needs."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, n: int = -1) -> bytes:
        # A forged header may claim a name of gigabytes; tarfile would read it all.
        if not 0 <= n <= 2**20:
            raise tarfile.ReadError(f"a header asks for {n:,} bytes")
        return self._stream.read(n)


def scan_tar(
    path: Path, *, shown: str, check: Callable[[], None] = lambda: None
) -> tuple[list[Sample], list[Skipped]]:
    """Samples of a tar in its order, and what of it was refused and why.

    A tar that is cut short or damaged gives its sound part, and a sentence under the name
    `shown`. `check` is called at each member and may raise to stop.
    """
    shard = _Shard()
    try:
        with path.open("rb") as stream:
            for member in _members(stream):
                check()
                _note(shard, member, stream)
    except (tarfile.TarError, OSError) as error:
        shard.skipped.append(Skipped(shown, _damage(error, len(shard.pictures))))
    return list(_samples(shard)), shard.skipped


def _damage(error: Exception, n_found: int) -> str:
    why = str(error).rstrip(".") or type(error).__name__
    if n_found == 0:
        return f"It cannot be read as a .tar ({why}), expected a whole one; copy it again."
    return (
        f"It is cut short or damaged ({why}), so only the {n_found:,} picture(s) before that are "
        "used; copy it again."
    )


def _members(stream: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Headers in the order of the file; `tarfile.TarError` where it stops making sense."""
    n_bytes = stream.seek(0, 2)
    stream.seek(0)
    try:
        # Only plain tar: a compressed one could unpack without end.
        archive = tarfile.open(fileobj=_Bounded(stream), mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
        before = -1
        while (member := archive.next()) is not None:
            # tarfile remembers all headers, which for a million pictures is a gigabyte.
            archive.members.clear()
            if member.size < 0 or member.offset <= before:
                raise tarfile.ReadError("a header leads backwards")
            if member.isreg() and member.offset_data + member.size > n_bytes:
                raise tarfile.ReadError("unexpected end of data")
            before = member.offset
            yield member
        stream.seek(archive.offset)
    except (tarfile.TarError, OSError):
        raise
    # Forged numbers, nested headers, odd encodings: tarfile fails in many ways.
    except Exception as error:
        raise tarfile.ReadError(str(error) or type(error).__name__) from error
    # A garbled header ends the loop like a proper end mark, which is a block of zeros.
    if stream.read(BLOCK).strip(b"\0"):
        raise tarfile.ReadError("a header is garbled")


def _note(shard: _Shard, member: tarfile.TarInfo, stream: BinaryIO) -> None:
    """Keep what a header says if it is of a picture or a label."""
    name = member.name
    while name.startswith("./"):  # as `tar -C folder -cf x.tar .` writes them
        name = name[2:]
    folder, _, file = name.rpartition("/")
    stem, _, suffix = file.partition(".")
    key, suffix = f"{folder}/{stem}", suffix.lower()
    is_label = suffix in LABEL_SUFFIXES
    if not is_label and not is_wanted(name, shard.skipped):
        return
    refusal = _refuse(shard, key, name, member, is_label)
    if refusal is not None:
        shard.skipped.append(Skipped(name, refusal))
    elif is_label:
        _note_label(shard, key, suffix, name, _content(stream, member))
    else:
        shard.pictures[key] = (name, member.offset_data, member.size)


def _refuse(
    shard: _Shard, key: str, name: str, member: tarfile.TarInfo, is_label: bool
) -> str | None:
    if leads_outside(name):
        return "Its name leads out of the archive, which no honest archive needs."
    if not member.isreg() or member.issparse():
        return "It is a link, a device or a file with holes, not a plain file."
    limit = MAX_LABEL_BYTES if is_label else MAX_BYTES
    if member.size > limit:
        return f"It has {member.size:,} bytes, more than {limit:,}."
    if not is_label and key in shard.pictures:
        return f"Its sample has a picture already, '{shard.pictures[key][0]}', which is used."
    return None


def _content(stream: BinaryIO, member: tarfile.TarInfo) -> bytes:
    stream.seek(member.offset_data)
    return stream.read(member.size)


def _note_label(shard: _Shard, key: str, suffix: str, name: str, content: bytes) -> None:
    try:
        text = content.decode("utf-8-sig").strip()
        label = _label_in_json(text) if suffix == "json" else text
    except (ValueError, RecursionError) as error:
        shard.skipped.append(Skipped(name, f"It holds no label that can be read ({error})."))
        return
    rank = LABEL_SUFFIXES.index(suffix)
    # A caption is no class: it is long, or has several lines.
    if label and len(label) <= MAX_LABEL_LENGTH and label.isprintable():
        shard.labels[key] = min(shard.labels.get(key, (rank, label)), (rank, label))


def _label_in_json(text: str) -> str:
    value = json.loads(text)
    if isinstance(value, dict):
        value = next((value[name] for name in LABEL_FIELDS if name in value), None)
    is_label = isinstance(value, int | str) and not isinstance(value, bool)
    return str(value).strip() if is_label else ""


def _samples(shard: _Shard) -> Iterator[Sample]:
    last = LABEL_SUFFIXES.index("txt")
    for key, (name, offset, n_bytes) in shard.pictures.items():
        rank, label = shard.labels.get(key, (-1, None))
        yield Sample(name, offset, n_bytes, label, rank == last)
