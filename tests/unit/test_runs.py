"""Runs as processes: the queue, kills, pauses, going on, and what damaged files do.

A run that waits needs no torch, so most of these tests let it wait behind a ticket of their own.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.fixtures import save_small
from vae_core.cli import build_parser
from vae_core.errors import TrainingError
from vae_core.library import rename_model
from vae_core.runs.launch import _train, _wait
from vae_core.runs.queue import QUEUES, Ticket, join_queue, places
from vae_core.runs.record import (
    End,
    Record,
    begin_anew,
    has_new_card,
    option_of,
    read_end,
    with_option,
    write_end,
    write_record,
)
from vae_core.runs.store import (
    RunView,
    ask,
    delete_run,
    list_runs,
    read_run,
    resume_run,
    slug,
    start_run,
)
from vae_core.train.control import read_ask, write_progress
from vae_core.train.snapshots import list_snapshots

# So few that there is no UMAP, which would have to be compiled; far more epochs than there is time.
FEW = ("train", "--data", "digits", "--images", "15", "--latent", "2", "--preset", "mlp")
LONG = (*FEW, "--epochs", "100000")


def wait_for(view: Callable[[], RunView], good: Callable[[RunView], bool]) -> RunView:
    until = time.monotonic() + 90
    while not good(found := view()):
        assert time.monotonic() < until, found
        time.sleep(0.05)
    return found


def processes_of(folder: Path) -> list[int]:
    """The processes whose command line names this run."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder).encode() in words:
            found.append(int(place.name))
    return found


def kill(folder: Path) -> None:
    for number in processes_of(folder):
        os.kill(number, signal.SIGKILL)
    wait_for(lambda: read_run(folder), lambda run: not run.is_alive)


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    """A folder of runs; what still lives at the end is killed."""
    folder = tmp_path / "runs"
    yield folder
    for run in list_runs(folder):
        if run.is_alive:
            kill(run.folder)


@pytest.fixture
def busy(runs: Path) -> Iterator[Ticket]:
    """The CPU's queue has somebody at work: this test."""
    (runs / "somebody").mkdir(parents=True)
    ticket = join_queue(runs, "somebody", device="cpu")
    yield ticket
    ticket.leave()


@pytest.mark.usefixtures("busy")
def test_runs_wait_in_the_order_they_were_started(runs: Path) -> None:
    first = start_run(runs, "Erste Gesichter!", arguments=LONG, title="Faces")
    second = start_run(runs, "Erste Gesichter!", arguments=LONG, taken={"erste-gesichter-2"})
    assert (first.folder.name, first.title) == ("erste-gesichter", "Faces")
    assert second.folder.name == "erste-gesichter-3"
    assert [(run.status, run.place) for run in list_runs(runs)] == [("queued", 1), ("queued", 2)]
    assert option_of(first.arguments, "--out") == str(first.folder)
    assert "--watch" in first.arguments


@pytest.mark.usefixtures("busy")
def test_a_killed_run_leaves_the_queue_to_the_others(runs: Path) -> None:
    first, second = (start_run(runs, "a", arguments=LONG) for _ in range(2))
    kill(first.folder)
    assert read_run(second.folder).place == 1
    killed = read_run(first.folder)
    assert killed.status == "failed" and "cut off" in killed.problem
    assert resume_run(first.folder).place == 2


@pytest.mark.usefixtures("busy")
def test_a_waiting_run_needs_no_torch_and_leaves_when_asked(runs: Path) -> None:
    run = start_run(runs, "a", arguments=LONG)
    (number,) = processes_of(run.folder)
    assert "torch" not in Path(f"/proc/{number}/maps").read_text()
    ask(run.folder, "pause")
    stopped = wait_for(lambda: read_run(run.folder), lambda found: not found.is_alive)
    assert stopped.status == "stopped"
    # Or the same command in a terminal would pause at once.
    assert read_ask(run.folder) == ""
    assert "--resume" not in resume_run(run.folder).arguments


@pytest.mark.usefixtures("busy")
def test_two_starts_at_the_same_moment_both_queue(runs: Path) -> None:
    threads = [
        threading.Thread(target=start_run, args=(runs, "same"), kwargs={"arguments": LONG})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(places(runs)) == ["same", "same-2", "same-3", "same-4", "somebody"]
    assert sorted(places(runs).values()) == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("busy")
def test_only_runs_that_stand_still_can_be_deleted_or_resumed(runs: Path) -> None:
    run = start_run(runs, "a", arguments=LONG)
    with pytest.raises(TrainingError, match="pause it first"):
        delete_run(run.folder)
    with pytest.raises(TrainingError, match="pause it first"):
        resume_run(run.folder)
    kill(run.folder)
    delete_run(run.folder)
    assert list_runs(runs) == [] and not run.folder.exists()


def test_nothing_but_a_run_is_deleted(runs: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "run.json").write_text("{}")
    runs.mkdir()
    (runs / "link").symlink_to(precious)
    for folder in (precious, runs / "link", runs, runs / "missing"):
        with pytest.raises(TrainingError, match="nothing was deleted"):
            delete_run(folder)
    assert (precious / "run.json").is_file()


@pytest.mark.usefixtures("busy")
def test_damaged_files_are_told_and_others_still_listed(runs: Path) -> None:
    good, bad, odd = (start_run(runs, name, arguments=LONG) for name in ("good", "bad", "odd"))
    kill(bad.folder)
    (bad.folder / "run.json").write_text("{not json")
    (odd.folder / "training" / "ask.json").write_text("[]")
    record = json.loads((odd.folder / "run.json").read_text())
    (odd.folder / "run.json").write_text(json.dumps(record | {"arguments": ["list", "/"]}))
    found = {run.folder.name: run for run in list_runs(runs)}
    assert found["good"].status == "queued" and found["good"] == read_run(good.folder)
    assert found["bad"].status == "failed" and "damaged" in found["bad"].problem
    assert read_ask(odd.folder) == ""
    with pytest.raises(TrainingError, match="damaged"):
        resume_run(bad.folder)
    position = {"epoch": math.inf, "seconds": 10**400}
    (bad.folder / "training" / "state.json").write_text(json.dumps({"position": position}))
    assert read_run(bad.folder).text == "0 epochs in 0 s"


def test_a_full_disk_is_one_sentence_and_leaves_no_folder(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vae_core.runs.store.write_record", full)
    with pytest.raises(TrainingError, match=r"No space left.*start it again\.$"):
        start_run(runs, "a", arguments=LONG)
    assert list(runs.iterdir()) == []


def test_a_full_disk_leaves_a_run_that_stands_still_as_it_was(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = runs / "a"
    folder.mkdir(parents=True)
    write_record(folder, Record(LONG, "A", "cpu"))
    begin_anew(folder)
    write_end(folder, End(130, "Stopped."))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vae_core.runs.record.write_json", full)
    with pytest.raises(TrainingError, match=r"No space left.*start it again\.$"):
        resume_run(folder)
    with pytest.raises(OSError, match="No space left"):
        begin_anew(folder)
    assert read_end(folder) == End(130, "Stopped.")


@pytest.mark.usefixtures("busy")
def test_whoever_waits_outlasts_a_queue_that_is_held(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (runs / "a").mkdir()
    ticket = join_queue(runs, "a", device="cpu")
    monkeypatch.setattr("vae_core.runs.queue.PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr("vae_core.runs.launch.time.sleep", lambda _: ask(runs / "a", "pause"))
    with FileLock(runs / QUEUES / "queue.lock"):
        end = _wait(runs / "a", ticket)
    assert end is not None and "left the queue" in end.sentence


@pytest.mark.usefixtures("busy")
def test_a_queue_that_somebody_removed_is_told(runs: Path) -> None:
    (runs / "a").mkdir()
    ticket = join_queue(runs, "a", device="cpu")
    shutil.rmtree(runs / QUEUES)
    end = _wait(runs / "a", ticket)
    assert end is not None and "queue was lost" in end.sentence


@pytest.mark.usefixtures("busy")
def test_a_run_goes_on_where_its_folder_was_moved_to(runs: Path) -> None:
    run = start_run(runs, "a", arguments=LONG)
    kill(run.folder)
    moved = run.folder.rename(runs / "b")
    assert option_of(resume_run(moved).arguments, "--out") == str(moved)


@pytest.mark.usefixtures("busy")
def test_a_title_may_be_any_text(runs: Path) -> None:
    run = start_run(runs, "a", arguments=LONG, title="--5 °C \ud800")
    args = build_parser().parse_args(list(run.arguments))
    assert args.title == run.title == "--5 °C ?"


@pytest.mark.parametrize("folder", ["/proc/nowhere", "/dev/null/runs"])
def test_a_folder_that_cannot_be_written_is_one_sentence(folder: str) -> None:
    with pytest.raises(TrainingError, match=r"may be written to, and make room\.$"):
        start_run(Path(folder), "a", arguments=LONG)


def test_names_become_folder_names() -> None:
    assert slug("../../etc/passwd") == "etc-passwd"
    assert slug("Übung № 1") == "ubung-no-1"
    assert slug("✂") == "run" and len(slug("x" * 200)) == 40


def test_a_new_name_makes_no_finished_run(tmp_path: Path) -> None:
    save_small(tmp_path)
    begin_anew(tmp_path)
    rename_model(tmp_path, "Another title")
    assert not has_new_card(tmp_path)
    save_small(tmp_path)
    assert has_new_card(tmp_path)


def test_options_are_replaced_however_they_are_written() -> None:
    words = ("train", "--minutes", "5", "--title=--minutes", "--minutes=3")
    assert with_option(words, "--minutes", None) == ("train", "--title=--minutes")
    assert with_option(words, "--minutes", "1")[-2:] == ("--minutes", "1")


def test_a_run_is_killed_goes_on_is_finished_and_continued(runs: Path) -> None:
    run = start_run(runs, "digits", arguments=LONG)
    look = lambda: read_run(run.folder)  # noqa: E731
    wait_for(look, lambda found: found.phase == "Training" and len(list_snapshots(run.folder)) > 1)
    assert look().images_per_second > 0 and look().share > 0
    kill(run.folder)
    cut = look()
    assert cut.status == "stopped" and "cut off" in cut.problem
    again = resume_run(run.folder)
    assert "--resume" in again.arguments
    wait_for(look, lambda found: found.phase == "Training")
    ask(run.folder, "finish")
    done = wait_for(look, lambda found: not found.is_alive)
    assert (done.status, done.problem, done.share) == ("done", "", 1.0)
    assert done.is_explorable and "--resume" in done.arguments

    ticket = join_queue(runs, "somebody", device="cpu")
    longer = resume_run(run.folder, minutes=2)
    assert longer.status == "queued" and longer.is_explorable
    assert 2 < float(option_of(longer.arguments, "--minutes") or 0) < 3
    kill(run.folder)
    assert look().is_explorable
    ticket.leave()


def test_a_data_set_that_is_gone_is_the_last_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    end = _train(["train", "--data", "/nowhere/at/all", "--out", "/tmp/none"])
    assert end.code == 2 and "/nowhere/at/all" in end.sentence
    assert end.sentence in capsys.readouterr().err


def test_a_bug_in_the_training_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> int:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(sys.modules[build_parser.__module__], "main", broken)
    end = _train(["train"])
    assert end.code == 1 and "by nought" in end.sentence


def test_progress_that_makes_no_sense_is_shown_as_none(runs: Path, busy: Ticket) -> None:
    run = start_run(runs, "a", arguments=LONG)
    write_progress(run.folder, {"share": "much", "seconds_left": [], "warnings": 3, "text": None})
    busy.leave()
    view = read_run(run.folder)
    assert 0 <= view.share <= 1 and view.warnings == ()
    ask(run.folder, "pause")
