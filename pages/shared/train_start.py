"""From settings to a run: the Start button with what is to be expected, and the run it makes."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from pages.shared import models, show, state
from pages.shared.train_data import Chosen
from pages.shared.train_estimate import show_estimate, stop_estimate
from pages.shared.train_settings import Settings, command_line
from vae_core.errors import ExplorerError
from vae_core.runs.store import read_run, slug, start_run

_RUN, _PROBLEM = "train_run", "train_problem"


def first_words() -> None:
    """What will happen, while there are no pictures yet."""
    st.markdown(
        "1. **Give pictures.** A few hundred of one kind are enough: faces, stamps, cells.\n"
        "2. **Press Start.** The defaults suit most pictures; a minute makes a first map.\n"
        "3. **Watch it learn,** then explore the map. It trains on although you close this page."
    )


def start(chosen: Chosen, settings: Settings) -> None:
    """Start with the estimate below it, and the command line that does the same."""
    st.button(
        "Start training", type="primary", icon=":material/play_arrow:", width="stretch",
        key="train_start", on_click=_start, args=(chosen, settings),
    )  # fmt: skip
    if chosen.inspection.needs_download:
        st.caption(":material/download: The pictures are fetched first; then it is measured.")
    else:
        show_estimate((*chosen.data, *settings.arguments))
    if problem := st.session_state.pop(_PROBLEM, ""):
        st.error(problem)
    with st.expander("The same on the command line", icon=":material/terminal:"):
        out = _short(models.folder_for_runs() / slug(chosen.name))
        st.code(command_line(chosen.data, settings, out=out), language="bash", wrap_lines=True)


def _start(chosen: Chosen, settings: Settings) -> None:
    stop_estimate()
    try:
        view = start_run(
            models.folder_for_runs(), chosen.name,
            arguments=(*chosen.data, *settings.arguments),
            title=settings.title, device=settings.device,
            # Of two models of one name the app shows the first folder's alone.
            taken=[item.path.name for item in models.listed_checkpoints()],
        )  # fmt: skip
    except ExplorerError as error:
        st.session_state[_PROBLEM] = str(error)
        return
    show_run(view.folder.name)


def show_run(name: str) -> None:
    """Look at this run from the page's next turn on."""
    st.session_state[_RUN] = name
    state.use_up("run")


def shown_run() -> str | None:
    """The run the visitor looks at: the one just started, or the one of the link; else None."""
    if _RUN not in st.session_state:
        asked = state.url_at_start().get("run", "")
        if asked and not _is_run(asked):
            st.warning(
                f"There is no run '{show.plain(asked)}' here; choose one below or start another."
            )
        st.session_state[_RUN] = asked if _is_run(asked) else ""
        state.use_up("run")
    name: str = st.session_state[_RUN]
    if name and not _is_run(name):
        # Deleted meanwhile, here or in another tab.
        name = st.session_state[_RUN] = ""
    state.put_in_url(run=name or None)
    return name or None


def _is_run(name: str) -> bool:
    """A name from a link is a folder beside the others, never a path."""
    if not name or Path(name).name != name or name[:1] == "." or "\0" in name:
        return False
    try:
        read_run(models.folder_for_runs() / name)
    except (ExplorerError, OSError):
        return False
    return True


def back_row() -> None:
    """The way from a run back to the settings of the next one."""
    st.button(
        "Train another model", icon=":material/arrow_back:", key="train_another",
        on_click=show_run, args=("",),
    )  # fmt: skip


def _short(path: Path) -> str:
    """A path as it is typed in the project's folder."""
    path = path.resolve()
    return str(path.relative_to(models.ROOT)) if path.is_relative_to(models.ROOT) else str(path)
