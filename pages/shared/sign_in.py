"""Who may see the app: everyone, those with a password, or those a proxy has let through.

Off by default. VAE_PASSWORD (or `password` in .streamlit/secrets.toml) asks each session for a
password; VAE_AUTH_HEADER names a header that a signing-in proxy sets, and turns away requests
without it. What cannot be read or is set to nothing locks the app: it never opens by mistake.
docs/sharing.md says what this protects and what it does not.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import os
import threading
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from time import monotonic
from typing import Final

import streamlit as st

PASSWORD, HEADER = "VAE_PASSWORD", "VAE_AUTH_HEADER"
_SIGNED: Final = "signed_in_with"
_PROBLEM: Final = "sign_in_problem"
MAX_WAIT_SECONDS: Final = 60.0
_FORGET_SECONDS: Final = 3_600.0


def require() -> None:
    """Draw the question for the password, or why nothing is shown, and stop; else do nothing."""
    why = _turned_away()
    if why:
        st.error(why)
        st.stop()
    if not is_signed_in():
        _ask()
        st.stop()


def is_signed_in() -> bool:
    """Whether this session may see the pages."""
    password = _password()
    known = password is None or (
        password != "" and st.session_state.get(_SIGNED) == _digest(password)
    )
    return known and not _turned_away()


def _password() -> str | None:
    """The password wanted, None for none, "" where it was meant but cannot be used."""
    if PASSWORD in os.environ:
        return os.environ[PASSWORD]
    if not any(Path(path).exists() for path in st.get_option("secrets.files")):
        return None
    # A file that cannot be read may hold a password.
    if not st.secrets.load_if_toml_exists():
        return ""
    found = st.secrets.get("password")
    return None if found is None else str(found)


def _turned_away() -> str:
    """Why nobody or not this request may enter; "" when nothing stands against it."""
    if HEADER in os.environ:
        name = os.environ[HEADER].strip()
        if not name:
            return f"{HEADER} is set to nothing, expected a header's name; set or unset it."
        if not (st.context.headers.get(name) or "").strip():
            return (
                "This server shows its pages only to people whom its proxy has signed in; open "
                "it by the address you were given."
            )
    if _password() == "":
        return (
            f"The password of this server is empty or its secrets.toml cannot be read; set "
            f"{PASSWORD} to a password, or unset it for none."
        )
    return ""


def _ask() -> None:
    st.markdown("### Latent Explorer")
    with st.form("sign_in", clear_on_submit=True, width=420):
        given = st.text_input("Password", type="password", autocomplete="current-password")
        if st.form_submit_button("Sign in", type="primary", icon=":material/lock_open:"):
            _try(given)
    if _PROBLEM in st.session_state:
        st.error(st.session_state.pop(_PROBLEM), width=420)


def _try(given: str) -> None:
    password, visitor = str(_password()), _visitor()
    wait = _failures().claim(visitor)
    if wait > 0:
        st.session_state[_PROBLEM] = (
            f"After wrong passwords the next try has to wait; try again in {math.ceil(wait)} s."
        )
    elif hmac.compare_digest(_digest(given), _digest(password)):
        _failures().forget(visitor)
        st.session_state[_SIGNED] = _digest(password)
        st.rerun()
    else:
        seconds = math.ceil(_failures().wait_seconds(visitor))
        st.session_state[_PROBLEM] = f"This is not the password; try again in {seconds} s."


def _digest(text: str) -> str:
    # Of one length whatever was typed: comparing tells nothing of the password's length.
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _visitor() -> str:
    """The visitor's address; of IPv6 its network, since each household has many addresses."""
    address = st.context.ip_address or "here"
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(ip_network(f"{found}/64", strict=False)) if found.version == 6 else address


class Failures:
    """Wrong passwords by address: each doubles the time until the next is looked at.

    By address and not by session, since a new session is one reload away.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, float]] = {}

    def wait_seconds(self, visitor: str) -> float:
        """How long the visitor still has to wait."""
        with self._lock:
            return self._wait(visitor, monotonic())

    def claim(self, visitor: str) -> float:
        """Take the right to one try: 0, and it counts as wrong until `forget`; or the wait.

        One step, so that many sessions at once do not get a try each.
        """
        now = monotonic()
        with self._lock:
            wait = self._wait(visitor, now)
            if wait == 0:
                fresh = {w: k for w, k in self._known.items() if now - k[1] < _FORGET_SECONDS}
                self._known = {**fresh, visitor: (fresh.get(visitor, (0, 0.0))[0] + 1, now)}
            return wait

    def _wait(self, visitor: str, now: float) -> float:
        n, since = self._known.get(visitor, (0, 0.0))
        return max(0.0, since + _pause(n) - now)

    def forget(self, visitor: str) -> None:
        """Once the password was right."""
        with self._lock:
            self._known.pop(visitor, None)


def _pause(n: int) -> float:
    return min(MAX_WAIT_SECONDS, 2.0 ** (min(n, 10) - 1)) if n else 0.0


@lru_cache(maxsize=1)
def _failures() -> Failures:
    """Shared by all visitors of this server."""
    return Failures()
