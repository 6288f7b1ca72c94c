"""A page that was left is not heard any more."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def _turn() -> None:
    import streamlit as st
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    from pages.shared import frame

    context = get_script_run_ctx()
    assert context is not None
    st.fragment(lambda: st.write("a look at a run"))()
    name = next(iter(context.shared.new_fragment_ids.snapshot()))
    st.session_state["before"] = context.fragment_storage.contains(name)
    frame._hear_no_more()
    st.session_state["after"] = context.fragment_storage.contains(name)


def test_what_fragments_of_the_page_left_tell_is_dropped() -> None:
    app = AppTest.from_function(_turn).run()
    assert not app.exception
    assert app.session_state["before"] and not app.session_state["after"]
