"""The app run without a browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from pages.shared import state
from tests.fixtures import ROOT
from tests.pages.reruns import Session

OpenApp = Callable[..., AppTest]


def as_read(text: str) -> str:
    """Markdown as it is on the screen: a backslash keeps the sign after it from being obeyed."""
    return re.sub(r"\\(.)", r"\1", text)


class _FramedPages(PagesManager):
    """AppTest resets `uses_pages_directory` on this class and would then run a page bare.

    A server learns from the first `st.navigation` that pages/ holds no automatic pages;
    the reset must not make it forget, or `switch_page` leaves out app.py.
    """


@pytest.fixture
def open_app(monkeypatch: pytest.MonkeyPatch, tiny_checkpoints: Path) -> OpenApp:
    """open_app("explore", folder=…, **query) → the page after its first run, in its frame."""
    monkeypatch.setattr("streamlit.testing.v1.app_test.PagesManager", _FramedPages)
    monkeypatch.setattr(PagesManager, "uses_pages_directory", False)
    # Folders among pytest's own arguments are none of the app's.
    monkeypatch.setattr("sys.argv", ["app.py"])

    def open_page(page: str, *, folder: Path = tiny_checkpoints, **query: str) -> AppTest:
        monkeypatch.setenv("VAE_CHECKPOINTS", str(folder))
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        app.query_params.update(query)
        app.run()
        return app if page == "home" else app.switch_page(f"pages/{page}.py").run()

    return open_page


@pytest.fixture
def beside_good(tiny_checkpoints: Path, tmp_path: Path) -> Path:
    """A folder with the good `digits-2d` and a copy of `faces-tiny` to be damaged."""
    for name in ("digits-2d", "faces-tiny"):
        shutil.copytree(tiny_checkpoints / name, tmp_path / name)
    (tmp_path / "faces-tiny").rename(tmp_path / "hurt")
    return tmp_path


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """The session of a page whose parts are called by hand."""
    made = Session()
    monkeypatch.setattr(st, "session_state", made)
    monkeypatch.setattr(state, "url_at_start", dict)
    return made
