"""The navigation, shared by `app.py` and by a page that was opened without it.

Streamlit takes a folder called pages/ for its older kind of app until `st.navigation` has
run once. On a fresh server a deep link therefore runs the page's script alone; `require`
notices, announces the real navigation and starts over, this time through `app.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import streamlit as st
from streamlit.navigation.page import Page
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared import sign_in

_FOLDER = Path(__file__).resolve().parents[1]
_HERE, _SHOWN = "frame_is_here", "frame_page_shown"
_PAGES = (
    ("home", "Home", ":material/home:"),
    ("learn", "Learn", ":material/school:"),
    ("explore", "Explore", ":material/map:"),
    ("walk", "Walk", ":material/tune:"),
    ("reconstruct", "Reconstruct", ":material/compare:"),
    ("label", "Label", ":material/label:"),
    ("compare", "Compare", ":material/balance:"),
    ("train", "Train", ":material/model_training:"),
    ("models", "Models", ":material/inventory_2:"),
)


def navigation() -> Page:
    """The page the visitor asked for, with the menu at the top."""
    pages = [
        st.Page(
            _FOLDER / f"{name}.py",
            title=title,
            icon=icon,
            url_path=name,
            default=name == "home",
        )
        for name, title, icon in _PAGES
    ]
    st.session_state[_HERE] = True
    page = st.navigation(pages, position="top" if sign_in.is_signed_in() else "hidden")
    if st.session_state.get(_SHOWN) != page.url_path:
        _hear_no_more()
        st.session_state[_SHOWN] = page.url_path
    return page


def turn_to(page: str) -> NoReturn:
    """Go to another page, given as "pages/walk.py"; nothing of this one is heard any more."""
    _hear_no_more()
    st.switch_page(page)


def _hear_no_more() -> None:
    """Drop what the fragments of the page that is left still tell, such as a look at a run.

    Streamlit would answer with a run of the old page after that of the new one, and its browser
    side then takes the new page's content away. It drops by itself what a fragment tells that it
    does not know, and has no public way to forget one before the new page is done.
    """
    with suppress(AttributeError):
        get_script_run_ctx().fragment_storage.clear()  # type: ignore[union-attr]


def require() -> None:
    """Start over through `app.py` when this page was run without it; see who may be here."""
    if _HERE not in st.session_state:
        navigation()
        st.rerun()
    sign_in.require()


def choose_section(names: Sequence[str], *, key: str) -> str:
    """A row of names, the first chosen at first, for what is shown below; kept for the visit."""
    chosen = st.segmented_control(
        "Section", names, default=names[0], required=True, key=key, persist_state="session",
        label_visibility="collapsed",
    )  # fmt: skip
    return str(chosen)


_STYLE = """<style>
.stMainBlockContainer {padding-top: 4.5rem; padding-bottom: 3rem; max-width: 1500px}
@media (min-width: 900px) {.stMainBlockContainer {padding-left: 2.5rem; padding-right: 2.5rem}}
</style>"""


def tighten() -> None:
    """Less empty space around the pages than Streamlit leaves by itself."""
    st.html(_STYLE)
