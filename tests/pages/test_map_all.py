"""From a map of some images to a map of all: offered, made in the background, opened, stopped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import cache
from pages.shared.map_job import MapJob, MapJobs, duration
from tests.pages.conftest import OpenApp
from vae_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from vae_core.latent.projection import fit_pca

ENDLESS = ["-c", "import time; time.sleep(60)"]


@pytest.fixture
def some(digits_checkpoint: Checkpoint, tmp_path: Path) -> Iterator[Path]:
    """A folder with `some`, the digits with 200 of their 1,797 codes and PCA alone."""
    codes = digits_checkpoint.codes.take(np.arange(0, 1_797, 9)[:200])
    save_checkpoint(
        tmp_path / "some", digits_checkpoint.model, card=digits_checkpoint.card,
        codes=codes, maps={"pca": fit_pca(codes.mean)}, prior=digits_checkpoint.prior,
    )  # fmt: skip
    yield tmp_path
    cache.map_jobs.clear()


def until(true: Callable[[], bool], *, seconds: float = 90) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.1)


def button(app: AppTest, key: str) -> bool:
    return any(item.key == key for item in app.button)


def said(app: AppTest) -> str:
    return "\n".join(item.value for item in [*app.caption, *app.error])


def job_of(folder: Path) -> MapJob:
    job = cache.map_jobs().get(folder / "some-all")
    assert job is not None
    return job


def test_all_images_are_mapped_in_the_background_and_opened(open_app: OpenApp, some: Path) -> None:
    app = open_app("explore", folder=some, model="some")
    assert "200 of 1,797 images on the map" in said(app)
    assert app.button(key="map_all").label == "Map all 1,797"
    app.button(key="map_all").click().run()
    assert app.button(key="map_all_cancel").label == "Cancel"
    assert not button(app, "map_all")
    until(lambda: job_of(some).state != "running")
    assert job_of(some).problem == ""
    app.run()
    app.button(key="map_all_open").click().run()
    assert app.query_params["model"] == "some-all"
    assert "The map shows" not in said(app)
    made = load_checkpoint(some / "some-all")
    assert (len(made.codes), list(made.maps)) == (1_797, ["pca"])
    assert [item.value for item in app.exception] == []


def test_a_second_visitor_sees_the_same_run_and_may_cancel_it(
    open_app: OpenApp, some: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_app("explore", folder=some, model="some")
    monkeypatch.setattr("pages.shared.more._command", lambda *_: ["map", "--help"])
    job = _slow_job(some / "some-all", monkeypatch)
    monkeypatch.setattr(cache.map_jobs(), "_jobs", {some / "some-all": job})
    second = open_app("explore", folder=some, model="some")
    assert not button(first.run(), "map_all")
    second.button(key="map_all_cancel").click().run()
    until(lambda: job.state == "cancelled")
    assert button(second.run(), "map_all")


def test_what_went_wrong_is_said_in_a_sentence(open_app: OpenApp, some: Path) -> None:
    (some / "some-all").mkdir()
    (some / "some-all" / "mine.txt").write_text("keep")
    app = open_app("explore", folder=some, model="some")
    app.button(key="map_all").click().run()
    until(lambda: job_of(some).state == "failed")
    app.run()
    assert "already holds something" in said(app)
    assert button(app, "map_all")


def test_without_the_data_the_command_is_given(
    open_app: OpenApp, some: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.shared.cache.find_originals", lambda _: None)
    cache.originals.clear()
    app = open_app("explore", folder=some, model="some")
    cache.originals.clear()
    assert not button(app, "map_all")
    assert "python -m vae_core map" in said(app)
    assert "--data digits" in said(app)


def test_a_whole_map_offers_nothing(open_app: OpenApp) -> None:
    app = open_app("explore", model="digits-2d")
    assert "The map shows" not in said(app)


def _slow_job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> MapJob:
    """A job that would take a minute and heeds nothing but a kill or a terminate."""
    import subprocess

    real = subprocess.Popen
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", lambda _, **kw: real([sys.executable, *ENDLESS], **kw))
        return MapJob(["map"], folder=folder)


def test_only_one_run_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = MapJobs()
    made: list[list[str]] = []

    def make(command: list[str], *, folder: Path) -> MapJob:
        made.append(command)
        return _slow_job(folder, monkeypatch)

    monkeypatch.setattr("pages.shared.map_job.MapJob", make)
    jobs.start(["a"], folder=tmp_path / "a")
    jobs.start(["a"], folder=tmp_path / "a")
    jobs.start(["b"], folder=tmp_path / "b")
    assert made == [["a"]]
    job = jobs.get(tmp_path / "a")
    assert job is not None
    jobs.forget(tmp_path / "a")
    assert jobs.get(tmp_path / "a") is job
    job.cancel()
    until(lambda: not jobs.is_busy)


def test_times_are_said_roughly() -> None:
    assert [duration(s) for s in (1, 33, 62, 500)] == [
        "about 5 seconds", "about 35 seconds", "about 1 minute", "about 8 minutes",
    ]  # fmt: skip
