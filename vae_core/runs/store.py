"""Starting, listing, stopping and deleting runs; all that a page needs to know of them."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vae_core.errors import ExplorerError, TrainingError
from vae_core.files import plain_name
from vae_core.runs.launch import READY, STOPPED
from vae_core.runs.queue import QUEUES, nobody_starts, places
from vae_core.runs.record import (
    CARD,
    LOG,
    RUN,
    Record,
    has_begun,
    has_new_card,
    read_end,
    read_record,
    with_option,
    with_switch,
    write_record,
)
from vae_core.train.control import (
    FOLDER,
    Ask,
    has_state,
    read_ask,
    read_json,
    read_progress,
    write_ask,
)

ROOT = Path(__file__).resolve().parents[2]
Status = Literal["queued", "running", "done", "stopped", "failed"]
MAX_NAME = 40
CUT_OFF = "It was cut off (its process was killed, or the machine went down)"


@dataclass(frozen=True)
class RunView:
    """A run as it stands. `arguments` follow `python -m vae_core`.

    `place` counts the runs before it in its queue; `problem` is one sentence or ""; `share` in
    [0,1] and `text` say how far it is; `asked` what it was asked and has not done yet;
    `warnings` are what now speaks against its result; `is_explorable` whether it has a
    finished model, maybe from before it went on; `seconds` how long it trains since it was
    started or resumed.
    """

    folder: Path
    title: str
    arguments: tuple[str, ...]
    device: str
    status: Status
    place: int
    problem: str
    share: float
    text: str
    seconds_left: float | None
    images_per_second: float
    asked: Ask
    warnings: tuple[str, ...] = ()
    is_explorable: bool = False
    phase: str = ""
    seconds: float = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether a process waits or works for it."""
        return self.status in ("queued", "running")


def start_run(
    runs: Path,
    name: str,
    *,
    arguments: Sequence[str],
    title: str = "",
    device: str = "cpu",
    taken: Collection[str] = (),
) -> RunView:
    """Start a training below `runs` as a process that outlives this one; returns at once.

    `arguments` are those of the verb train, with or without the verb; --out, --watch,
    --share-cores, --title and --device are added here. `name` becomes the folder's name, with
    -2, -3, … when that is there or among `taken` (models of other folders, say).
    `TrainingError` when nothing can be written or the process does not start.
    """
    words = tuple(arguments[1:] if list(arguments[:1]) == ["train"] else arguments)
    device = _resolved(device)
    folder = _new_folder(runs, slug(name), taken)
    words = with_option(words, "--out", str(folder))
    words = with_option(words, "--device", device)
    if title:
        words = with_option(words, "--title", title)
    for flag in ("--watch", "--share-cores"):
        words = with_switch(words, flag, on=True)
    words = ("train", *words)
    try:
        with _refusals_told(folder):
            write_record(folder, Record(words, title or folder.name, device))
            _launch(folder)
    except ExplorerError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return read_run(folder)


@contextmanager
def _refusals_told(folder: Path) -> Iterator[None]:
    """What the disk or the system refuses becomes a `TrainingError` of one sentence."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"The run '{folder.name}' could not be started in '{folder.parent}' ({error}); check "
            "rights and free space, then start it again."
        ) from error


def slug(name: str) -> str:
    """A folder name for any text: small Latin letters, digits and dashes."""
    return plain_name(name, otherwise="run", most=MAX_NAME)


def _resolved(device: str) -> str:
    """The device that auto stands for: a queue is of a device, not of a wish."""
    if device != "auto":
        return device
    from vae_core.device import choose_device

    return str(choose_device(device)[0])


def _new_folder(runs: Path, name: str, taken: Collection[str]) -> Path:
    """Made here and now: of two that want the same name at once only one can make it."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            folder = runs.resolve() / (name if number == 1 else f"{name}-{number}")
            if folder.name not in taken and not folder.exists():
                try:
                    folder.mkdir()
                except FileExistsError:
                    continue
                return folder
    except OSError as error:
        raise TrainingError(
            f"No run can be written to '{runs}' ({error}); choose a folder that exists and may "
            "be written to, and make room."
        ) from error
    raise TrainingError(f"'{runs}' holds 9,999 runs called '{name}'; choose another name.")


def _launch(folder: Path) -> None:
    """Start the process and wait until it has its place; `TrainingError` when it never does."""
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vae_core.runs.launch", str(folder)],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    assert process.stdout is not None
    with process.stdout as words:
        said = words.readline().decode(errors="replace").strip()
    # Somebody has to take note of a child's end while this process lives, or it lingers.
    threading.Thread(target=process.wait, daemon=True).start()
    if said != READY:
        process.wait()
        raise TrainingError(_last_line(folder) or "Its process ended at once; start it again.")


def _last_line(folder: Path) -> str:
    try:
        with (folder / LOG).open("rb") as log:
            log.seek(max(0, (folder / LOG).stat().st_size - 4_000))
            lines = log.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def list_runs(runs: Path) -> list[RunView]:
    """All runs below `runs`: those at work, those waiting in their order, then the rest by name."""
    if not runs.is_dir():
        return []
    standing = places(runs)
    folders = [p for p in sorted(runs.iterdir()) if p.name[0] != "." and _is_listed(p, standing)]
    views = [_view(folder.resolve(), standing) for folder in folders]
    return sorted(views, key=lambda view: (not view.is_alive, view.place))


def _is_listed(folder: Path, standing: dict[str, int]) -> bool:
    """Not in the moment between its making and its place in the queue, when it is no run yet."""
    return (folder / RUN).is_file() and (folder.name in standing or has_begun(folder))


def read_run(folder: Path) -> RunView:
    """One run as it stands; `TrainingError` when there is none in `folder`."""
    if not (folder / RUN).is_file():
        raise TrainingError(f"'{folder}' holds no run; choose one of the list.")
    return _view(folder.resolve(), places(folder.parent))


def _view(folder: Path, standing: dict[str, int]) -> RunView:
    is_alive, place = folder.name in standing, standing.get(folder.name, 0)
    try:
        record, damage = read_record(folder), ""
    except TrainingError as error:
        record, damage = Record((), folder.name, ""), str(error)
    said = read_progress(folder) if place == 0 else {}
    status, problem = _status(folder, place if is_alive else None)
    return RunView(
        folder, record.title, record.arguments, record.device,
        "failed" if damage and not is_alive else status, place, damage or problem,
        share=1.0 if status == "done" else min(1.0, max(0.0, _number(said, "share"))),
        text=_words(folder, status, said, place), seconds_left=_left(said) if is_alive else None,
        images_per_second=_number(said, "images_per_second") if is_alive else 0.0,
        asked=read_ask(folder) if is_alive else "", warnings=_sentences(said.get("warnings")),
        is_explorable=(folder / CARD).is_file(), phase=str(said.get("phase", "")),
        seconds=_number(said, "seconds") if is_alive else 0.0,
    )  # fmt: skip


def _status(folder: Path, place: int | None) -> tuple[Status, str]:
    """Derived, never stored: from who holds a ticket, and from what lies in the folder."""
    if place is not None:
        return ("queued" if place else "running"), ""
    end = read_end(folder)
    if (end is not None and end.code == 0) or (end is None and has_new_card(folder)):
        return "done", ""
    is_saved = has_state(folder)
    if end is None:
        rest = "what it had saved is there" if is_saved else "nothing of it was saved yet"
        return ("stopped" if is_saved else "failed"), f"{CUT_OFF}; {rest}, resume goes on."
    if end.code == STOPPED:
        return "stopped", "" if is_saved else end.sentence
    return "failed", end.sentence or f"It ended with code {end.code}; its log says more."


def _words(folder: Path, status: Status, said: dict[str, Any], place: int) -> str:
    if status == "queued":
        return f"Waiting, {place} run{'s' * (place > 1)} before it"
    if status != "running":
        position = _position(folder)
        epoch, seconds = int(_number(position, "epoch")), _number(position, "seconds")
        time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} minutes"
        return f"{epoch} epoch{'s' * (epoch != 1)} in {time}" if position else ""
    text = str(said.get("text", ""))
    return text or ("Starting" if status == "running" else "")


def _position(folder: Path) -> dict[str, Any]:
    """Where the saved state stands; read without torch."""
    found = read_json(folder / FOLDER / "state.json").get("position")
    return found if isinstance(found, dict) else {}


def _number(said: dict[str, Any], name: str) -> float:
    """A finite number; 0 for whatever else somebody wrote there."""
    value = said.get(name)
    try:
        number = float(value) if isinstance(value, int | float) else 0.0
    except OverflowError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _left(said: dict[str, Any]) -> float | None:
    return _number(said, "seconds_left") if said.get("seconds_left") is not None else None


def _sentences(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def ask(folder: Path, what: Literal["pause", "finish"]) -> None:
    """Ask a run to pause (its state is saved) or to finish now with its best weights.

    Asked of a run that has ended it means nothing: a new start forgets it.
    """
    write_ask(folder, what)


def resume_run(folder: Path, *, minutes: float | None = None) -> RunView:
    """Go on with a run that stands still, from its saved state or, without one, from the start.

    `minutes` more than it has trained so far, also for a finished run. Returns at once.
    `TrainingError` when it is alive already, its record is damaged or nothing can be written.
    """
    folder = folder.resolve()
    record = read_record(folder)
    words = with_switch(record.arguments, "--resume", on=has_state(folder))
    # Folders can be moved: it writes where it is now.
    words = with_option(words, "--out", str(folder))
    if minutes is not None:
        total = _number(_position(folder), "seconds") / 60 + minutes
        words = with_option(words, "--minutes", f"{total:.8g}")
        # Whoever asks for more does not want it to stop again at once for want of progress.
        words = with_option(words, "--patience-epochs", None)
    with nobody_starts(folder.parent) as standing:
        if folder.name in standing:
            raise TrainingError(f"The run '{folder.name}' is at work already; pause it first.")
        with _refusals_told(folder):
            write_record(folder, Record(words, record.title, record.device))
    with _refusals_told(folder):
        _launch(folder)
    return read_run(folder)


def delete_run(folder: Path) -> None:
    """Delete a run with its model; `TrainingError` while it is alive, or for no run of ours."""
    if folder.is_symlink() or not (folder / RUN).is_file() or folder.name in ("", ".", ".."):
        raise TrainingError(f"'{folder}' holds no run of this list; nothing was deleted.")
    if not (folder.parent / QUEUES).is_dir():
        raise TrainingError(f"'{folder.parent}' is no folder of runs; nothing was deleted.")
    doomed = folder.with_name(f".deleted-{folder.name}")
    with nobody_starts(folder.parent) as standing:
        if folder.name in standing:
            raise TrainingError(
                f"The run '{folder.name}' is at work or waiting, only runs that stand still can "
                "be deleted; pause it first."
            )
        shutil.rmtree(doomed, ignore_errors=True)
        # Out of sight at once: the list never shows a folder that is half gone.
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
