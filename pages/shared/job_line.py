"""A job in the background as a page shows it: how far it is, a way to end it, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from pages.shared import cache
from pages.shared.map_job import MapJob


def follow(target: Path, rest: Callable[[MapJob | None], None], *, key: str) -> None:
    """The progress of the job that writes `target`, each second; while none runs, `rest`.

    `rest` gets the last job that ended, if one did. The page runs anew when that happens.
    """
    job = cache.map_jobs().get(target)
    is_running = job is not None and job.state == "running"
    st.fragment(_line, run_every="1s" if is_running else None)(target, rest, key, is_running)


def _line(target: Path, rest: Callable[[MapJob | None], None], key: str, was_running: bool) -> None:
    job = cache.map_jobs().get(target)
    if job is not None and job.state == "running":
        st.progress(min(1.0, job.share), text=f"{job.text}; you can go on exploring.")
        st.button("Cancel", icon=":material/close:", key=key, on_click=job.cancel,
                  disabled=job.text == "Stopping")  # fmt: skip
        return
    if was_running:
        # The rest of the page has something new to show.
        st.rerun()
    rest(job)
