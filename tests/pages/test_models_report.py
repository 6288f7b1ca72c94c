"""The report of a model on its page: made in the background, shown, or said why not."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import cache, models_details
from tests.fixtures import save_small
from tests.pages.conftest import OpenApp
from vae_core.cli import main
from vae_core.files import write_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a small model `a` whose data are nowhere."""
    save_small(tmp_path / "a")
    return tmp_path


def html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def said(app: AppTest) -> str:
    return "\n".join(e.value for e in [*app.error, *app.warning, *app.caption])


def keys(app: AppTest) -> set[str | None]:
    return {button.key for button in app.button}


@pytest.fixture
def digits(tiny_checkpoints: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(tiny_checkpoints / "digits-2d", tmp_path / "digits")
    yield tmp_path
    cache.map_jobs.clear()


def open_report(open_app: OpenApp, folder: Path, name: str) -> AppTest:
    app = open_app("models", folder=folder, details=name)
    app.segmented_control(key="models_section").set_value("Report").run()
    assert [element.value for element in app.exception] == []
    return app


def until(true: Callable[[], bool], *, seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_a_report_is_made_in_the_background_and_shown(
    open_app: OpenApp, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The verb itself runs here and not in the process of the job: loading torch takes seconds.
    few = ["--limit", "60", "--importance-samples", "2", "--report", "--progress-lines"]
    made, model = tmp_path / "made", digits / "digits"
    assert main(["evaluate", str(model), "--data", "digits", "--out", str(made), *few]) == 0
    app = open_report(open_app, digits, "digits")
    assert "There is no report yet" in said(app)
    commands = _stand_in(monkeypatch, made / "report.json", model / "report.json")
    app.button(key="models_report").click().run()
    assert "models_report_cancel" in keys(app)
    assert commands[0][3:] == [
        "evaluate", str(model), "--data", "digits", "--report", "--progress-lines"
    ]  # fmt: skip
    job = cache.map_jobs().get(model / "report.json")
    assert job is not None
    assert models_details.is_busy(model)
    (tmp_path / "go").touch()
    until(lambda: job.state != "running")
    assert (job.problem, job.share) == ("", 1.0)
    app.run()
    assert [e.label for e in app.expander][:2] == ["Likelihood", "Latent space"]
    # The browser is not shown drawings in HTML, only pictures of them.
    assert "<svg" not in html(app)
    drawn = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]+)"', html(app))
    assert "KL, nats against dimension, by falling KL" in [alt for _, alt in drawn]
    for picture, _ in drawn:
        assert ElementTree.fromstring(b64decode(picture)).tag.endswith("}svg")
    assert "Measured on 60 held-out images" in said(app)


def _stand_in(monkeypatch: pytest.MonkeyPatch, made: Path, wanted: Path) -> list[list[str]]:
    """A process that waits for the file `go`, then puts a finished report into its place."""
    real, commands = subprocess.Popen, list[list[str]]()
    script = (
        "import pathlib, shutil, time\n"
        f"while not pathlib.Path({str(made.parents[1] / 'go')!r}).exists(): time.sleep(.05)\n"
        f"shutil.copy({str(made)!r}, {str(wanted)!r})"
    )

    def start(command: list[str], **options: Any) -> subprocess.Popen[str]:
        commands.append(command)
        return real([sys.executable, "-c", script], **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    return commands


def test_the_verb_tells_programs_how_far_a_report_is(
    digits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--limit", "20", "--importance-samples", "1", "--report", "--progress-lines"]
    assert main(["evaluate", str(digits / "digits"), "--data", "digits", *few]) == 0
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line[:1] == "{"]
    assert [line["stage"] for line in told][:2] == ["reading", "measuring bounds"]
    shares = [line["share"] for line in told]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] < 1
    assert all(line["seconds_left"] > 0 for line in told)


def test_without_the_data_the_command_is_given(open_app: OpenApp, folder: Path) -> None:
    app = open_report(open_app, folder, "a")
    assert "models_report" not in keys(app)
    assert "--data stripes --report" in app.code[0].value


@pytest.mark.parametrize(
    "text", ["{", '{"about": 3}', "[" * 99_999],
)  # fmt: skip
def test_a_report_that_is_none_is_as_if_there_were_none(
    open_app: OpenApp, folder: Path, text: str
) -> None:
    (folder / "a" / "report.json").write_text(text)
    assert "There is no report yet" in said(open_report(open_app, folder, "a"))


def test_a_report_changed_by_hand_says_so_where_it_was_changed(
    open_app: OpenApp, folder: Path
) -> None:
    names = ("bounds", "latent", "pictures", "samples", "rates", "labels", "factors", "foreign")
    found = {"about": {"key": 7}, "left_out": [1], **{name: {"psnr": []} for name in names}}
    write_json(folder / "a" / "report.json", found)
    app = open_report(open_app, folder, "a")
    assert html(app).count("was changed or is damaged") == len(names)
    assert "made for other weights" in said(app)
