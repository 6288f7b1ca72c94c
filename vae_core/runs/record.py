"""What a run's folder says of how it was started and how it ended.

run.json   arguments, title, device          run.log   what the process said
end.json   exit code and last sentence, written at every orderly end
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vae_core.errors import TrainingError
from vae_core.files import write_json
from vae_core.train.control import FOLDER, read_json

RUN, END, LOG, CARD = "run.json", "end.json", "run.log", "card.json"
WEIGHTS: Final = "model.safetensors"
FORMAT: Final = "latent-explorer-run/1"
# Kept free for the last words: a run that ends because the disk is full can still say so.
_ROOM, _ROOM_BYTES = "room", 16_384
_BEGUN: Final = "begun.json"


@dataclass(frozen=True)
class Record:
    """How a run was started: what follows `python -m vae_core`, its title and its device."""

    arguments: tuple[str, ...]
    title: str
    device: str


@dataclass(frozen=True)
class End:
    """How a process ended: exit code (0 done, 130 stopped by hand) and its last sentence."""

    code: int
    sentence: str


def write_record(folder: Path, record: Record) -> None:
    """Write run.json. Raises `OSError` on a full disk."""
    data = {"format": FORMAT, "title": record.title, "device": record.device}
    write_json(folder / RUN, data | {"arguments": list(record.arguments)})


def read_record(folder: Path) -> Record:
    """Read run.json; `TrainingError` when it is missing or was changed into something else."""
    found = read_json(folder / RUN)
    arguments: Any = found.get("arguments")
    title: Any = found.get("title")
    device: Any = found.get("device")
    # A hand that edits this file must not make the process do something other than train.
    good = found.get("format") == FORMAT and isinstance(title, str) and isinstance(device, str)
    if not (good and _are_words(arguments) and arguments[:1] == ["train"]):
        raise TrainingError(
            f"'{folder / RUN}' is damaged or of another version, expected the arguments of a "
            "training; restore it, or delete the run and start it again."
        )
    return Record(tuple(arguments), title, device)


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def begin_anew(folder: Path) -> None:
    """At the birth of a process: reserve room, note the weights there are, forget the last end.

    In this order: on a full disk it raises `OSError` and the last end stands.
    """
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for left in (folder / FOLDER).glob(".state.safetensors.*.tmp"):
        # Half a state of a process that was killed: it can be large.
        left.unlink(missing_ok=True)
    (folder / FOLDER / _ROOM).write_bytes(b"." * _ROOM_BYTES)
    write_json(folder / FOLDER / _BEGUN, {"weights": _weights_stamp(folder)})
    (folder / END).unlink(missing_ok=True)


def has_begun(folder: Path) -> bool:
    """Whether a process of the run in `folder` ever had its place."""
    return (folder / FOLDER / _BEGUN).is_file()


def write_end(folder: Path, end: End) -> None:
    """Write end.json, with the room reserved for it when the disk is full."""
    (folder / FOLDER / _ROOM).unlink(missing_ok=True)
    write_json(folder / END, {"code": end.code, "sentence": end.sentence})


def read_end(folder: Path) -> End | None:
    """How the last process ended; None when it was cut off, or its words are unreadable."""
    found = read_json(folder / END)
    code, sentence = found.get("code"), found.get("sentence")
    return End(code, sentence) if isinstance(code, int) and isinstance(sentence, str) else None


def has_new_card(folder: Path) -> bool:
    """Whether the last process wrote a checkpoint: its weights are not those of its birth.

    Compared for equality, never by age: clocks jump. Not the card itself: a visitor who
    renames the model writes that anew, and no card stands beside half a checkpoint.
    """
    before = read_json(folder / FOLDER / _BEGUN).get("weights", "")
    return (folder / CARD).is_file() and _weights_stamp(folder) != before


def _weights_stamp(folder: Path) -> str:
    try:
        found = (folder / WEIGHTS).stat()
    except OSError:
        return ""
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def with_option(arguments: Sequence[str], flag: str, value: str | None) -> tuple[str, ...]:
    """The arguments with `flag` set to `value`, or without it when that is None.

    A value that begins with a dash would be taken for a flag if it stood alone.
    """
    kept: list[str] = []
    skip = False
    for word in arguments:
        if not skip and word != flag and not word.startswith(f"{flag}="):
            kept.append(word)
        skip = not skip and word == flag
    if value is None:
        return tuple(kept)
    return (*kept, f"{flag}={value}") if value.startswith("-") else (*kept, flag, value)


def with_switch(arguments: Sequence[str], flag: str, *, on: bool) -> tuple[str, ...]:
    """The arguments with or without a flag that takes no value."""
    kept = tuple(word for word in arguments if word != flag)
    return (*kept, flag) if on else kept


def option_of(arguments: Sequence[str], flag: str) -> str | None:
    """The value of a flag, or None when it is not given."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == flag:
            return following
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None
