"""The report of a model on its page: made in the background, shown, or said why not."""

from __future__ import annotations

import re
import shutil
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import cache, models_details, models_report
from tests.fixtures import save_small
from tests.pages.conftest import OpenApp
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
    open_app: OpenApp, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = models_report._command
    few = ["--limit", "60", "--importance-samples", "2"]
    monkeypatch.setattr(models_report, "_command", lambda *a: [*real(*a), *few])
    app = open_report(open_app, digits, "digits")
    assert "There is no report yet" in said(app)
    app.button(key="models_report").click().run()
    assert "models_report_cancel" in keys(app)
    job = cache.map_jobs().get(digits / "digits" / "report.json")
    assert job is not None
    assert models_details.is_busy(digits / "digits")
    until(lambda: job.state != "running")
    assert job.problem == ""
    app.run()
    assert [e.label for e in app.expander][:2] == ["Likelihood", "Latent space"]
    # The browser is not shown drawings in HTML, only pictures of them.
    assert "<svg" not in html(app)
    drawn = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]+)"', html(app))
    assert "KL, nats against dimension, by falling KL" in [alt for _, alt in drawn]
    for picture, _ in drawn:
        assert ElementTree.fromstring(b64decode(picture)).tag.endswith("}svg")
    assert "Measured on 60 held-out images" in said(app)


def test_without_the_data_the_command_is_given(open_app: OpenApp, folder: Path) -> None:
    app = open_report(open_app, folder, "a")
    assert "models_report" not in keys(app)
    assert "--data stripes --report" in app.code[0].value


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"about": 3}', "[" * 99_999],
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
