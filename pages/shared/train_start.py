"""From settings to a run: the Start button with what is to be expected, and the run it makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from pages.shared import models, show, state
from pages.shared.acts import acts_of
from pages.shared.train_data import Chosen
from pages.shared.train_estimate import own_estimate, show_estimate
from pages.shared.train_settings import Settings, command_line
from vae_core.runs.record import RUN
from vae_core.runs.store import slug, start_run

_RUN = "train_run"


@dataclass
class _Watched:
    """The name of the run the visitor looks at, "" for none."""

    name: str

    def leave(self) -> None:
        self.name = ""


def first_words() -> None:
    """What will happen, while there are no pictures yet."""
    st.markdown(
        "1. **Give pictures.** A few hundred of one kind are enough: faces, stamps, cells.\n"
        "2. **Press Start.** The defaults suit most pictures; a minute makes a first map.\n"
        "3. **Watch it learn,** then explore the map. It trains on although you close this page."
    )


def start(chosen: Chosen, settings: Settings) -> None:
    """Start with the estimate below it, and the command line that does the same."""
    acts, watched, estimate = acts_of("start"), _watched(), own_estimate()

    def begin() -> None:
        # First of all: the run needs the processor more.
        estimate.stop()
        watched.name = _started(chosen, settings)

    st.button(
        "Start training", type="primary", icon=":material/play_arrow:", width="stretch",
        key="train_start", on_click=acts.once("train_start", begin),
    )  # fmt: skip
    if chosen.inspection.needs_download:
        st.caption(":material/download: The pictures are fetched first; then it is measured.")
    else:
        show_estimate((*chosen.data, *settings.arguments))
    acts.tell()
    with st.expander("The same on the command line", icon=":material/terminal:"):
        out = _short(models.folder_for_runs() / slug(chosen.name))
        st.code(command_line(chosen.data, settings, out=out), language="bash", wrap_lines=True)


def _started(chosen: Chosen, settings: Settings) -> str:
    """Start the run; the name of its folder."""
    view = start_run(
        models.folder_for_runs(), chosen.name,
        arguments=(*chosen.data, *settings.arguments),
        title=settings.title, device=settings.device,
        # Of two models of one name the app shows the first folder's alone.
        taken=[item.path.name for item in models.listed_checkpoints()],
    )  # fmt: skip
    return view.folder.name


def shown_run() -> str | None:
    """The run the visitor looks at: the one just started, or the one of the link; else None."""
    watched = _watched()
    if watched.name and not _is_run(watched.name):
        # Deleted meanwhile, here or in another tab.
        watched.leave()
    state.put_in_url(run=watched.name or None)
    return watched.name or None


def _watched() -> _Watched:
    found: _Watched | None = st.session_state.get(_RUN)
    if found is None:
        asked = state.url_at_start().get("run", "")
        is_run = _is_run(asked)
        if asked and not is_run:
            st.warning(
                f"There is no run '{show.plain(asked)}' here; choose one below or start another."
            )
        found = st.session_state[_RUN] = _Watched(asked if is_run else "")
        state.use_up("run")
    return found


def _is_run(name: str) -> bool:
    """A name from a link is a folder beside the others, never a path."""
    if not name or Path(name).name != name or name[:1] == "." or "\0" in name:
        return False
    return (models.folder_for_runs() / name / RUN).is_file()


def back_row() -> None:
    """The way from a run back to the settings of the next one."""
    st.button(
        "Train another model", icon=":material/arrow_back:", key="train_another",
        on_click=_watched().leave,
    )  # fmt: skip


def _short(path: Path) -> str:
    """A path as it is typed in the project's folder."""
    path = path.resolve()
    return str(path.relative_to(models.ROOT)) if path.is_relative_to(models.ROOT) else str(path)
