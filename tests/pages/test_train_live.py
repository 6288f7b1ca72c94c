"""The cards of runs: what each says and offers, and what its live view is sent."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import assets, train_live, train_moments
from tests.runs import finished_run
from vae_core.errors import TrainingError
from vae_core.runs.queue import join_queue
from vae_core.runs.record import End, write_end
from vae_core.runs.store import RunView, read_run
from vae_core.train.control import read_ask, write_progress
from vae_core.train.snapshots import list_snapshots

_SHOW = """
from pathlib import Path
from pages.shared import train_live
train_live.show_runs(Path({folder!r}), only={only!r})
"""


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.mktemp("made"), "digits", title="Digits *small*")


@pytest.fixture
def run(_made: Path, tmp_path: Path) -> Iterator[Path]:
    """The folder of a finished run, alone in a folder of runs."""
    shutil.copytree(_made.parent, tmp_path / "runs")
    yield tmp_path / "runs" / _made.name
    train_moments.forget(tmp_path / "runs" / _made.name)


def show(run: Path, *, only: bool = False) -> AppTest:
    name = run.name if only else None
    app = AppTest.from_string(_SHOW.format(folder=str(run.parent), only=name), default_timeout=60)
    app.run()
    assert not app.exception
    return app


def button(app: AppTest, label: str) -> Any:
    return next(one for one in app.button if one.label == label)


def labels(app: AppTest) -> list[str]:
    return [one.label for one in app.button]


def words(app: AppTest) -> str:
    return " ".join(str(one.value) for one in (*app.markdown, *app.caption))


def test_a_finished_run_can_be_explored_continued_and_deleted(run: Path) -> None:
    app = show(run)
    assert "Ready" in words(app) and r"Digits \*small\*" in words(app)
    assert labels(app)[:4] == ["Watch", "Explore", "Continue", "Delete for good"]
    assert "--watch" in show(run, only=True).code[0].value
    button(app, "Watch").click().run()
    assert "--data digits" in app.code[0].value
    button(app, "Delete for good").click().run()
    assert not run.exists() and not list(assets.STATIC_DIR.glob(f"{prefix(run)}-*"))


def test_a_model_that_is_deleted_is_no_longer_the_one_in_use(run: Path) -> None:
    app = show(run)
    app.session_state["model_name"] = run.name
    button(app, "Delete for good").click().run()
    assert not run.exists() and "model_name" not in app.session_state


def prefix(run: Path) -> str:
    return str(train_moments._prefix(run))


def test_a_failed_run_says_why_and_can_be_tried_again(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> RunView:
        raise TrainingError("It cannot be.")

    write_end(run, End(2, "The folder 'pictures' is not there; bring it back."))
    app = show(run)
    assert "bring it back" in app.error[0].value
    monkeypatch.setattr("pages.shared.train_live.resume_run", refuse)
    button(app, "Try again").click().run()
    # With another run at work the list is drawn again within a second: it is still told.
    app.run()
    assert r"It cannot be\." in [one.value for one in app.error]


def test_minutes_just_typed_count(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(
        "pages.shared.train_live.resume_run", lambda _, *, minutes: asked.append(minutes)
    )
    app = show(run)
    # Both in one run, as a click right after typing sends them.
    app.number_input[0].set_value(7.5)
    button(app, "Continue").click().run()
    assert asked == [7.5]


def test_a_run_at_work_shows_how_far_it_is_and_hears_a_pause(run: Path) -> None:
    ticket = join_queue(run.parent, run.name, device="cpu")
    said = {"phase": "Training", "text": "Epoch 3, 1,234 images/s", "share": 0.25}
    write_progress(run, said | {"seconds_left": 120.0, "warnings": ["Posterior collapse: lower."]})
    app = show(run)
    assert "Posterior collapse" in app.warning[0].value and "Training" in words(app)
    assert labels(app)[:3] == ["Watch", "Pause", "Finish now"]
    button(app, "Pause").click().run()
    assert read_ask(run) == "pause" and button(app, "Finish now").disabled
    ticket.leave()


def test_looks_become_rarer_as_a_run_grows_old(run: Path) -> None:
    still = read_run(run)
    training = replace(still, status="running", phase="Training")
    waiting = replace(still, status="queued")
    ages = [replace(training, seconds=seconds) for seconds in (0.0, 60.0, 3_600.0)]
    assert [train_live._pace([waiting, aged, still]) for aged in ages] == ["2s", "5s", "10s"]
    # What changes soon is looked at soon: what was asked, what comes after, a place in the queue.
    assert train_live._pace([replace(ages[2], asked="pause")]) == "1s"
    assert train_live._pace([replace(ages[2], phase="Arranging the map")]) == "1s"
    assert train_live._pace([waiting]) == "1s"
    assert train_live._pace([still]) is None


def test_a_waiting_run_says_how_many_are_before_it(run: Path) -> None:
    before, ticket = (join_queue(run.parent, name, device="cpu") for name in ("other", run.name))
    assert "Waiting, 1 run before it" in words(show(run))
    before.leave()
    ticket.leave()


def test_the_live_view_gets_moments_terms_and_kinds(run: Path) -> None:
    shelf: dict[str, Any] = {}
    data = train_moments.message(read_run(run), shelf=shelf)
    assert data is not None
    steps = [moment["step"] for moment in data["moments"]]
    assert steps[0] == 0 and steps == sorted(steps) and len(steps) >= 2
    assert all(assets.STATIC_DIR.joinpath(Path(m["url"]).name).is_file() for m in data["moments"])
    titles = [chart["title"] for chart in data["charts"]]
    assert titles[:2] == ["Loss", "ELBO"] and {"KL", "Reconstruction"} <= set(titles)
    assert len(data["labels"]) >= 10 and "7" in data["label_names"]
    assert len(data["moments"][-1]["kl"]) == 2


def test_a_damaged_moment_is_left_out(run: Path) -> None:
    whole = train_moments.message(read_run(run), shelf={})
    list_snapshots(run)[0].path.write_bytes(b"nothing")
    hurt = train_moments.message(read_run(run), shelf={})
    assert whole is not None and hurt is not None
    assert len(hurt["moments"]) == len(whole["moments"]) - 1


def test_a_run_that_is_gone_is_said_to_be(run: Path) -> None:
    shutil.rmtree(run)
    assert "not there any more" in show(run, only=True).info[0].value
