"""The Train page without a browser: what Start and a sweep ask for, and links to runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock
from streamlit.testing.v1 import AppTest

from pages.shared import train_sweep
from tests.pages.conftest import OpenApp
from tests.pages.test_pages import assert_whole
from vae_core.errors import TrainingError
from vae_core.runs.queue import QUEUES
from vae_core.runs.record import Record, write_record
from vae_core.sweep import Dot


class Starter:
    """Stands for the queue: keeps what it was asked to start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[tuple[str, tuple[str, ...], str, str]] = []
        self.is_full = False

    def __call__(self, runs: Path, name: str, **asked: Any) -> Any:
        if self.is_full:
            raise TrainingError("The disk is full; make room.")
        assert runs == self.folder
        assert name not in asked["taken"]
        self.started.append((name, tuple(asked["arguments"]), asked["title"], asked["device"]))
        return SimpleNamespace(folder=runs / name)


@pytest.fixture
def starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Starter:
    found = Starter(tmp_path)
    monkeypatch.setattr("pages.shared.train_start.start_run", found)
    monkeypatch.setattr("vae_core.sweep.start_run", found)
    # A measurement is a process of its own; what it says is tested beside the settings.
    monkeypatch.setattr("pages.shared.train_start.show_estimate", lambda _: None)
    return found


@pytest.fixture
def digits(open_app: OpenApp, starter: Starter) -> AppTest:
    """The page with the built-in digits chosen."""
    app = open_app("train", folder=starter.folder)
    app.session_state["train_way"] = "A built-in set"
    app.session_state["train_set"] = "digits"
    app.run()
    assert_whole(app)
    return app


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()


def test_start_asks_for_exactly_what_was_chosen(digits: AppTest, starter: Starter) -> None:
    press(digits, "train_start")
    assert starter.started == [
        ("digits", ("--data", "digits", "--latent", "16", "--minutes", "1"),
         "digits · good reconstructions", "auto")
    ]  # fmt: skip


def test_what_keeps_a_run_from_starting_is_told(digits: AppTest, starter: Starter) -> None:
    starter.is_full = True
    press(digits, "train_start")
    assert [item.value for item in digits.error] == [r"The disk is full; make room\."]
    # Until the next try: the measurement that ends some seconds later runs the page again.
    assert len(digits.run().error) == 1
    starter.is_full = False
    press(digits, "train_start")
    assert len(starter.started) == 1 and len(digits.error) == 0


def test_a_sweep_queues_every_combination(digits: AppTest, starter: Starter) -> None:
    digits.multiselect(key="sweep_betas").set_value([1.0, 4.0])
    digits.multiselect(key="sweep_latents_16").set_value([2, 16]).run()
    assert any("**4 runs**" in item.value for item in digits.markdown)
    press(digits, "sweep_start")
    names = [name for name, *_ in starter.started]
    assert names[:2] == ["digits-beta-vae-b1-2d", "digits-beta-vae-b4-2d"]
    noted = json.loads((starter.folder / "digits-sweep.sweep.json").read_text("utf-8"))
    assert noted["runs"] == names


def test_a_sweep_with_a_run_that_cannot_train_is_refused_before_it_queues(digits: AppTest) -> None:
    digits.multiselect(key="sweep_objectives").set_value(["vae", "attribute-vae"])
    digits.multiselect(key="sweep_latents_16").set_value([2, 16]).run()
    assert_whole(digits)
    (refusal,) = (item.value for item in digits.warning if "dimensions" in item.value)
    assert "10" in refusal and "2" in refusal
    assert not [item for item in digits.button if item.key == "sweep_start"]


@pytest.mark.parametrize("name", ["missing", "../../etc", "/etc", "..", ".data", "a\x00b"])
def test_a_link_to_no_run_says_so_and_shows_the_page(
    open_app: OpenApp, starter: Starter, name: str
) -> None:
    app = open_app("train", folder=starter.folder, run=name)
    assert_whole(app)
    assert "There is no run" in app.warning[0].value
    assert app.title[0].value == "Train a model on your pictures"


def test_a_link_to_a_run_holds_while_the_queue_is_locked(
    open_app: OpenApp, starter: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    (starter.folder / "mine").mkdir()
    write_record(starter.folder / "mine", Record(("train",), "Mine", "cpu"))
    (starter.folder / QUEUES).mkdir()
    monkeypatch.setattr("vae_core.runs.queue.PATIENCE_SECONDS", 0.01)
    with FileLock(starter.folder / QUEUES / "queue.lock"):
        app = open_app("train", folder=starter.folder, run="mine")
    assert_whole(app)
    assert app.query_params["run"] == "mine"
    assert "has been locked" in app.error[0].value


def test_a_sweep_is_drawn_with_a_dot_per_finished_run(
    open_app: OpenApp, starter: Starter, tiny_checkpoints: Path
) -> None:
    shutil.copytree(tiny_checkpoints / "digits-2d", starter.folder / "digits-2d")
    note = {"title": "Digits", "runs": ["digits-2d", "gone"]}
    (starter.folder / "x.sweep.json").write_text(json.dumps(note))
    app = open_app("train", folder=starter.folder)
    assert_whole(app)
    assert len(app.get("plotly_chart")) == 1
    press(app, "sweep_clear")
    assert not (starter.folder / "x.sweep.json").exists()
    assert (starter.folder / "digits-2d" / "card.json").is_file()


def test_trade_offs_are_drawn_along_the_rate() -> None:
    dots = [
        Dot("a", "beta-vae", 1.0, 8, 20.0, 0.01, 20.0, 8),
        Dot("b", "beta-vae", 4.0, 8, 10.0, 0.02, 17.0, 3),
        Dot("c", "vae", None, 2, 5.0, 0.05, 13.0, 2),
    ]
    first, second = train_sweep.trade_off_figure(dots).data
    assert list(first.x) == [10.0, 20.0]
    assert [row[0] for row in first.customdata] == ["b", "a"]
    assert first.marker.color != second.marker.color
    assert first.marker.symbol != second.marker.symbol
    assert first.marker.size[1] > first.marker.size[0]
