"""Models that a run wrote, and cards that name images of this machine."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.fixtures import save_small
from tests.pages.conftest import OpenApp
from vae_core.checkpoint import CARD, read_card
from vae_core.files import write_json
from vae_core.library import packed_model
from vae_core.runs import store
from vae_core.runs.queue import QUEUES
from vae_core.runs.record import RUN, Record, write_record


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of runs with the finished run `a`."""
    write_record(save_small(tmp_path / "runs" / "a"), Record(("train",), "Zebra", "cpu"))
    (tmp_path / "runs" / QUEUES).mkdir()
    return tmp_path / "runs"


def said(app: AppTest) -> str:
    assert [element.value for element in app.exception] == []
    return "\n".join(e.value for e in [*app.success, *app.error]).replace("\\", "")


def test_a_run_at_work_is_not_deleted_and_one_at_rest_is(
    open_app: OpenApp, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app("models", folder=runs, details="a")
    with monkeypatch.context() as patch:
        patch.setattr(store, "nobody_starts", lambda _: contextlib.nullcontext({"a": 0}))
        app.button(key="models_delete").click().run()
    assert "is at work or waiting" in said(app)
    assert (runs / "a" / RUN).exists()
    app.button(key="models_delete").click().run()
    assert "a is deleted." in said(app)
    assert not (runs / "a").exists()


@pytest.mark.parametrize("is_below", [True, False])
def test_an_imported_card_keeps_a_place_that_visitors_may_name(
    open_app: OpenApp, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_below: bool
) -> None:
    place = tmp_path / ("roots/pictures" if is_below else "other")
    place.mkdir(parents=True)
    monkeypatch.setenv("VAE_DATA_ROOTS", str(tmp_path / "roots"))
    write_json(runs / "a" / CARD, read_card(runs / "a") | {"data": {"source": str(place)}})
    app = open_app("models", folder=runs)
    app.file_uploader(key="models_zip").upload("m.zip", packed_model(runs / "a"), "application/zip")
    app.run()
    app.button(key="models_import").click().run()
    assert "Imported as" in said(app)
    kept = read_card(runs / "a-2")["data"]["source"]
    assert kept == (str(place) if is_below else "other (elsewhere)")
