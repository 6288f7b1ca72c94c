"""Who may see the app: nothing of it is drawn before, on no page and by no way in."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

from pages.shared import frame, sign_in
from tests.fixtures import ROOT
from tests.pages.conftest import OpenApp

PAGES = tuple(name for name, _, _ in frame._PAGES)
PASSWORD = "correct horse ζ"


@pytest.fixture(autouse=True)
def _fresh_counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (sign_in.PASSWORD, sign_in.HEADER):
        monkeypatch.delenv(name, raising=False)
    # Without a browser each run would come from another, made-up address.
    monkeypatch.setattr(type(st.context), "ip_address", None)
    sign_in._failures.cache_clear()
    yield
    sign_in._failures.cache_clear()


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sign_in.PASSWORD, PASSWORD)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the count of wrong passwords goes by; change its one number."""
    now = [100.0]
    monkeypatch.setattr(sign_in, "monotonic", lambda: now[0])
    return now


def drawn(app: AppTest) -> list[str]:
    """Kinds of all elements anywhere on the page; boxes around them count for nothing."""
    return sorted(element.type for element in app._tree if not isinstance(element, Block))


def is_locked(app: AppTest) -> bool:
    """The question for the password, and not one element more."""
    assert [element.value for element in app.exception] == []
    asked = [field.label for field in app.text_input] == ["Password"]
    asked &= [element.value for element in app.markdown] == ["### Latent Explorer"]
    rest = ["error"] * len(app.error) + ["html"] * len(app.get("html"))
    return asked and drawn(app) == sorted(["markdown", "text_input", "button", *rest])


def give(app: AppTest, password: str) -> AppTest:
    app.text_input[0].set_value(password)
    return app.button[0].click().run()


# ---- nothing leaks -------------------------------------------------------------------------------
@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("page", PAGES)
def test_no_page_shows_anything_before_the_password(open_app: OpenApp, page: str) -> None:
    app = open_app(page, model="faces-tiny", point="3")
    assert is_locked(app)
    assert "faces" not in str(app._tree)
    assert all("lx" not in element.proto.body for element in app.get("html"))


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("page", ["explore", "models"])
def test_a_page_run_without_the_frame_shows_nothing_either(
    monkeypatch: pytest.MonkeyPatch, tiny_checkpoints: Path, page: str
) -> None:
    # As Streamlit does with a deep link on a server that has shown no page yet.
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)
    monkeypatch.setattr("sys.argv", ["app.py"])
    monkeypatch.setenv("VAE_CHECKPOINTS", str(tiny_checkpoints))
    monkeypatch.setattr(frame, "navigation", lambda: None)
    app = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=60)
    app.session_state[frame._HERE] = True
    app.run()
    assert is_locked(app)


def test_every_page_asks_the_frame_first() -> None:
    for name in PAGES:
        lines = (ROOT / "pages" / f"{name}.py").read_text("utf-8").splitlines()
        calls = [
            line for line in lines if line and not line.startswith((" ", '"', "import", "from"))
        ]
        assert calls[0] == "frame.require()", name


@pytest.mark.usefixtures("locked")
def test_the_right_password_opens_the_page_that_was_asked_for(open_app: OpenApp) -> None:
    app = give(open_app("explore", model="faces-tiny"), PASSWORD)
    assert [element.value for element in app.exception] == []
    assert app.sidebar.selectbox[0].label == "Model"
    assert app.query_params["model"] == "faces-tiny"
    assert not [field for field in app.text_input if field.label == "Password"]
    assert not is_locked(app.switch_page("pages/walk.py").run())


def test_without_a_setting_everyone_is_let_in(open_app: OpenApp) -> None:
    assert open_app("home").sidebar.selectbox[0].label == "Model"


@pytest.mark.usefixtures("locked")
def test_a_session_signed_in_with_another_password_is_asked_again(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = give(open_app("home"), PASSWORD)
    assert not is_locked(app)
    monkeypatch.setenv(sign_in.PASSWORD, "changed")
    assert is_locked(app.run())


# ---- wrong passwords -----------------------------------------------------------------------------
@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize("wrong", ["", PASSWORD + " "])
def test_a_wrong_password_opens_nothing(open_app: OpenApp, wrong: str) -> None:
    app = give(open_app("home"), wrong)
    assert is_locked(app)
    assert app.error[0].value == "This is not the password; try again in 1 s."


def test_half_a_letter_is_a_wrong_password_like_any_other() -> None:
    assert sign_in._digest("\ud800") != sign_in._digest(PASSWORD)


@pytest.mark.usefixtures("locked")
def test_each_wrong_password_makes_the_wait_longer_in_every_session(
    open_app: OpenApp, clock: list[float]
) -> None:
    waits = []
    for _ in range(3):
        app = give(open_app("home"), "wrong")
        waits.append(app.error[0].value.split(" in ")[1])
        clock[0] += 61
    assert waits == ["1 s.", "2 s.", "4 s."]


def test_the_wait_doubles_up_to_a_minute() -> None:
    assert [sign_in._pause(n) for n in (0, 1, 2, 6, 7, 10**9)] == [0, 1, 2, 32, 60, 60]


@pytest.mark.usefixtures("locked")
def test_during_the_wait_even_the_right_password_waits(
    open_app: OpenApp, clock: list[float]
) -> None:
    app = give(give(open_app("home"), "wrong"), PASSWORD)
    assert "has to wait" in app.error[0].value
    assert is_locked(app)
    clock[0] += 1.01
    assert not is_locked(give(app, PASSWORD))
    assert sign_in._failures().wait_seconds("here") == 0


def test_many_sessions_at_once_get_one_try_together() -> None:
    failures, waits = sign_in.Failures(), list[float]()
    threads = [
        threading.Thread(target=lambda: waits.append(failures.claim("10.0.0.1"))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waits.count(0) == 1
    assert failures.claim("10.0.0.2") == 0


def test_old_failures_are_forgotten(clock: list[float]) -> None:
    failures = sign_in.Failures()
    failures.claim("a")
    clock[0] += 4_000
    failures.claim("b")
    assert set(failures._known) == {"b"}


@pytest.mark.parametrize(
    ("address", "key"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3::9", "2001:db8:1:2::/64"), (None, "here"),
     ("odd", "odd")],
)  # fmt: skip
def test_visitors_are_told_apart_by_address(
    monkeypatch: pytest.MonkeyPatch, address: str | None, key: str
) -> None:
    monkeypatch.setattr(type(st.context), "ip_address", address)
    assert sign_in._visitor() == key


# ---- settings that cannot be meant ---------------------------------------------------------------
def assert_shut(app: AppTest, words: str) -> None:
    assert [element.value for element in app.exception] == []
    assert drawn(app) == ["error", "html"]
    assert words in app.error[0].value


@pytest.mark.parametrize("name", [sign_in.PASSWORD, sign_in.HEADER])
def test_an_empty_setting_shuts_the_app(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "")
    assert_shut(open_app("explore"), name)


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A secrets file to be written that the app reads, and no other."""
    path = tmp_path / "secrets.toml"
    monkeypatch.setattr(sign_in.st, "secrets", type(st.secrets)())
    before = st.get_option("secrets.files")
    st.config.set_option("secrets.files", [str(path)])
    yield path
    st.config.set_option("secrets.files", before)


def test_the_password_may_stand_in_the_secrets(open_app: OpenApp, secrets: Path) -> None:
    secrets.write_text(f'password = "{PASSWORD}"\n', encoding="utf-8")
    app = open_app("explore")
    assert is_locked(app)
    assert not is_locked(give(app, PASSWORD))


@pytest.mark.parametrize("text", ["password = ", 'password = ""', "\x00"])
def test_secrets_that_cannot_be_read_shut_the_app(
    open_app: OpenApp, secrets: Path, text: str
) -> None:
    secrets.write_text(text)
    assert_shut(open_app("explore"), "secrets.toml cannot be read")


def test_secrets_of_other_things_ask_nothing(open_app: OpenApp, secrets: Path) -> None:
    secrets.write_text('key = "x"\n')
    assert open_app("home").sidebar.selectbox[0].label == "Model"


# ---- behind a proxy ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("headers", "is_let_in"),
    [({"X-Other": "me"}, False), ({"X-Forwarded-User": " "}, False),
     ({"x-forwarded-user": "me"}, True)],
)  # fmt: skip
def test_only_requests_with_the_proxys_header_are_let_in(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], is_let_in: bool
) -> None:
    from streamlit.runtime.context import StreamlitHeaders

    found = StreamlitHeaders(list(headers.items()))
    monkeypatch.setattr(type(st.context), "headers", found)
    monkeypatch.setenv(sign_in.HEADER, "X-Forwarded-User")
    app = open_app("home")
    if is_let_in:
        assert app.sidebar.selectbox[0].label == "Model"
    else:
        assert_shut(app, "its proxy has signed in")


# ---- the server ----------------------------------------------------------------------------------
def test_by_default_only_this_machine_reaches_the_server() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    assert config["server"]["address"] == "127.0.0.1"
    assert "secrets.toml" in (ROOT / ".gitignore").read_text("utf-8")
    for name in ("enableCORS", "enableXsrfProtection"):
        assert config["server"].get(name, True) is True
