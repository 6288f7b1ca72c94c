"""Pages overtaken by a newer rerun at any look into the session: no work is lost or done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import streamlit as st

from pages.shared import (
    explore,
    label_state,
    region_members,
    search_job,
    state,
    train_estimate,
    train_sources,
    train_start,
    train_sweep,
)
from pages.shared.train_data import Chosen
from pages.shared.train_settings import Settings
from tests.pages.reruns import CutError, Session
from vae_core.checkpoint import Checkpoint
from vae_core.latent.region import describe_region
from vae_core.train.config import TrainConfig

Buttons = dict[str, Callable[[], None]]
FOUND: Any = SimpleNamespace(needs_download=False, n_images=50, classes=(), factors=())
CHOSEN = Chosen("/x/some.zip", FOUND, "some")
SETTINGS = Settings(("--minutes", "1"), "Some", TrainConfig(minutes=1))
# More than there are looks into the session in any of these.
CUTS = range(8)


@pytest.fixture
def buttons(monkeypatch: pytest.MonkeyPatch) -> Buttons:
    """What the buttons drawn so far call, by their keys."""
    drawn: Buttons = {}

    def draw(*_: object, key: str, on_click: Callable[[], None], **__: object) -> None:
        drawn[key] = on_click

    monkeypatch.setattr(st, "button", draw)
    return drawn


def overtaken(session: Session, cut: int, part: Callable[[], object]) -> None:
    """Run a part, maybe cut short; then, as Streamlit does, run it again."""
    session.cut = cut
    with suppress(CutError):
        part()
    session.cut = -1
    part()


@pytest.mark.usefixtures("session")
def test_a_wish_stays_until_the_map_shows_it_and_a_later_one_beyond() -> None:
    state.go_to(row=3)
    first = state.goal()
    assert first is not None
    assert first == state.goal() == {"row": 3, "z": None}
    state.go_to(row=4)
    state.reached(first)
    later = state.goal()
    assert later is not None
    assert later == {"row": 4, "z": None}
    state.reached(later)
    assert state.goal() is None


# ---- starting runs -------------------------------------------------------------------------------
def test_start_pressed_twice_is_one_run_and_it_is_shown(
    session: Session, buttons: Buttons, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started = list[str]()

    def start(_: Path, name: str, **__: object) -> Any:
        started.append(name)
        return SimpleNamespace(folder=tmp_path / name)

    monkeypatch.setattr(train_start, "start_run", start)
    monkeypatch.setattr(train_start, "show_estimate", lambda _: None)
    monkeypatch.setattr(train_start, "_is_run", bool)
    assert train_start.shown_run() is None
    train_start.start(CHOSEN, SETTINGS)
    # The second click is on its way: any look into the session ends what the first began.
    session.cut = 0
    buttons["train_start"]()
    buttons["train_start"]()
    session.cut = -1
    assert started == ["some"]
    assert train_start.shown_run() == "some"


def test_a_sweep_pressed_twice_is_one_sweep(
    session: Session, buttons: Buttons, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = list[str]()

    def start(_: Path, name: str, **__: object) -> Any:
        started.append(name)
        return SimpleNamespace(name=f"{name}-sweep")

    monkeypatch.setattr(train_sweep, "start_sweep", start)
    monkeypatch.setattr(train_sweep, "_values", lambda _: (["vae"], [1.0], [2, 4]))
    train_sweep.plan(CHOSEN, SETTINGS)
    session.cut = 0
    buttons["sweep_start"]()
    buttons["sweep_start"]()
    assert started == ["some"]


class Job:
    """Stands for a measurement or a search: only whether it is still wanted."""

    made: list[Job]

    def __init__(self, arguments: Any, *, subject: object = None) -> None:
        self.arguments, self.subject, self.is_wanted = arguments, subject, True
        Job.made.append(self)

    def stop(self) -> None:
        self.is_wanted = False

    cancel = stop


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    Job.made = []
    monkeypatch.setattr(train_estimate, "EstimateJob", Job)
    monkeypatch.setattr(search_job, "SearchJob", Job)
    return Job.made


@pytest.mark.parametrize("cut", CUTS)
def test_no_measurement_is_left_at_work_unseen(session: Session, jobs: list[Job], cut: int) -> None:
    overtaken(session, cut, lambda: train_estimate.own_estimate().of(("--data", "faces")))
    last = train_estimate.own_estimate().of(("--data", "digits"))
    assert [job for job in jobs if job.is_wanted] == [last]


@pytest.mark.parametrize("cut", CUTS)
def test_no_search_is_left_at_work_unseen(session: Session, jobs: list[Job], cut: int) -> None:
    def search(*_: object) -> None:
        raise AssertionError

    overtaken(session, cut, lambda: search_job.start_job("job", search, subject="one"))
    search_job.start_job("job", search, subject="two")
    assert [job.subject for job in jobs if job.is_wanted] == ["two"]


# ---- dropped files -------------------------------------------------------------------------------
@pytest.mark.usefixtures("session")
def test_files_kept_when_a_rerun_comes_are_not_asked_for_again(
    buttons: Buttons, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept, turns = list[int](), list[int]()
    (tmp_path / "cats-0.zip").touch()

    def keep(files: list[Any], _: Path) -> Path:
        kept.append(len(files))
        return tmp_path / "cats-0.zip"

    @contextmanager
    def spinner(_: str) -> Iterator[None]:
        yield
        raise CutError

    def uploader(turn: int) -> list[Any]:
        turns.append(turn)
        return [SimpleNamespace(name="cats.zip", getvalue=bytes)] if turn == 0 else []

    monkeypatch.setattr(train_sources, "keep_upload", keep)
    monkeypatch.setattr(train_sources, "_uploader", uploader)
    monkeypatch.setattr(st, "spinner", spinner)
    with pytest.raises(CutError):
        train_sources._dropped()
    assert train_sources._dropped() == (str(tmp_path / "cats-0.zip"), "cats")
    assert kept == [1]
    buttons["train_other"]()
    assert train_sources._dropped() is None and turns == [0, 1]


# ---- names and places ----------------------------------------------------------------------------
@pytest.mark.parametrize("cut", CUTS)
def test_a_name_is_given_whole_or_not_at_all(
    session: Session, faces_checkpoint: Checkpoint, cut: int
) -> None:
    label_state.labelling(faces_checkpoint)
    session.cut = cut
    with suppress(CutError):
        label_state.name(faces_checkpoint, np.array([3]), "cat")
    session.cut = -1
    is_given = label_state.labelling(faces_checkpoint).given == {3: 0}
    assert label_state.can_undo(faces_checkpoint) == is_given
    assert label_state.version(faces_checkpoint) == int(is_given)
    # Nothing but the very first look can take it away.
    assert is_given or cut == 0


@pytest.mark.parametrize("cut", CUTS)
def test_a_region_just_drawn_opens_its_section(
    session: Session, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(
        st, "segmented_control", lambda *_, key, **__: session.data.get(key, "spot")
    )
    assert explore._choose_section(None) == "spot"
    overtaken(session, cut, lambda: explore._choose_section(np.array([1, 2])))
    assert session.data["explore_section"] == "region"


@pytest.mark.parametrize("cut", CUTS)
def test_a_member_chosen_in_the_table_leads_the_map_to_it(
    session: Session, faces_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    found = describe_region(faces_checkpoint.codes, np.arange(5, 12))
    monkeypatch.setattr(st, "dataframe", lambda *_, **__: {"selection": {"rows": [2]}})
    monkeypatch.setattr(st, "rerun", lambda **_: None)
    overtaken(session, cut, lambda: region_members.members(faces_checkpoint, found, picked=None))
    goal = state.goal()
    assert goal is not None and goal["row"] == 7


@pytest.mark.usefixtures("session")
def test_two_hundred_changes_can_be_undone_and_each_has_its_number(
    faces_checkpoint: Checkpoint,
) -> None:
    versions = set()
    for number in range(label_state.MAX_UNDO + 50):
        label_state.name(faces_checkpoint, np.array([0]), f"name {number}")
        versions.add(label_state.version(faces_checkpoint))
    assert len(versions) == label_state.MAX_UNDO + 50
    for _ in range(label_state.MAX_UNDO):
        assert label_state.can_undo(faces_checkpoint)
        label_state.undo(faces_checkpoint)
    assert label_state.labelling(faces_checkpoint).names[-1] == "name 49"
    assert not label_state.can_undo(faces_checkpoint)
