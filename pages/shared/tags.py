"""Stable `data-testid`s on Streamlit's own widgets, which offer no way to set one."""

from __future__ import annotations

from functools import lru_cache

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_SCRIPT = """
export default function ({ data, parentElement }) {
  const mark = () => {
    const found = document.querySelector(data.selector);
    if (found && found.dataset.testid !== data.testid) found.dataset.testid = data.testid;
  };
  mark();
  const watcher = new MutationObserver(mark);
  watcher.observe(document.body, { childList: true, subtree: true });
  return () => watcher.disconnect();
}
"""


@lru_cache(maxsize=1)
def _tagger() -> ComponentRenderer:
    return st.components.v2.component("tagger", js=_SCRIPT)


def tag(*, selector: str, testid: str) -> None:
    """Give the first element that matches `selector` the attribute data-testid=`testid`."""
    _tagger()(key=f"tag_{testid}", data={"selector": selector, "testid": testid})
