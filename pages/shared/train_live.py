"""Runs as they stand: how far each is, what it learns, and what can be done with it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared import components, frame, show, state, train_moments
from pages.shared.acts import acts_of
from pages.shared.map_job import duration
from vae_core.errors import ExplorerError
from vae_core.runs.store import RunView, ask, list_runs, resume_run
from vae_core.train.control import YOUNG_SECONDS

_OPEN, _SHELF = "runs_open", "runs_shelf"
# A tick takes longer on a busy machine; what is shown meanwhile is true all the same.
# A bar that glides would have the browser paint without pause, beside the training.
_CALM = (
    "<style>.st-key-runs_board [data-stale=true] {opacity: 1 !important}"
    ".st-key-runs_board [data-testid=stProgress] * {transition: none !important}</style>"
)
_OLD_SECONDS = 200.0
_EARLY = ("", "Reading images", "Training")
_STATUS = {
    "queued": (":material/hourglass_top:", "Waiting"),
    "running": (":material/model_training:", "Training"),
    "done": (":material/check_circle:", "Ready"),
    "stopped": (":material/pause_circle:", "Paused"),
    "failed": (":material/error:", "Failed"),
}


def show_runs(folder_of_runs: Path, *, only: str | None = None) -> None:
    """All runs with what can be done with them, or the one called `only` with its live view.

    Refreshes itself every one to ten seconds while a run is alive, and the page when that changes.
    """
    pace = _pace(_shown(folder_of_runs, only))
    st.fragment(_board, run_every=pace)(folder_of_runs, only, pace)


def _pace(runs: list[RunView]) -> str | None:
    """How often to look; None when nothing goes on. Each look takes from the training's time."""
    gaps = [_gap(run) for run in runs if run.status == "running"]
    if not gaps:
        return "1s" if any(run.is_alive for run in runs) else None
    return f"{min(gaps)}s"


def _gap(run: RunView) -> int:
    """Seconds until there is something new to see: moments come ever more seldom."""
    if run.phase != "Training" or run.asked:
        return 1
    if run.seconds < YOUNG_SECONDS:
        return 2
    return 5 if run.seconds < _OLD_SECONDS else 10


def _shown(folder: Path, only: str | None) -> list[RunView]:
    try:
        return [run for run in list_runs(folder) if only in (None, run.folder.name)]
    except (ExplorerError, OSError) as error:
        st.error(f"The runs in '{folder.name}' cannot be listed: {show.plain(str(error))}")
        return []


def _board(folder: Path, only: str | None, pace: str | None) -> None:
    runs = _shown(folder, only)
    # Until the next click: with a run at work this is drawn anew every few seconds.
    acts_of("runs").tell()
    if not runs and only is not None:
        st.info(f"The run '{show.plain(only)}' is not there any more; start another one.")
    elif runs and only is None:
        st.subheader("Runs")
    with st.container(key="runs_board"):
        st.html(_CALM)
        for run in runs:
            # A container each: what one shows more or less of does not shift the others.
            with st.container(border=True, key=f"run_{run.folder.name}"):
                _card(run, is_only=only is not None)
    if pace != _pace(runs):
        # The ticking begins or ends, and the rest of the page has something new to show. Only now:
        # a button that was pressed meanwhile is heard where it is drawn.
        st.rerun()


def _card(run: RunView, *, is_only: bool) -> None:
    icon, word = _STATUS[run.status]
    with st.container(horizontal=True, vertical_alignment="center", wrap=True):
        st.markdown(f"{icon} **{show.plain(run.title)}** · {word}", width="stretch")
        _buttons(run, is_only=is_only)
    _progress(run)
    is_open = is_only or st.session_state.get(_OPEN) == run.folder.name
    for sentence in run.warnings if is_open or run.is_alive else ():
        st.warning(sentence, icon=":material/lightbulb:")
    if run.problem:
        (st.error if run.status == "failed" else st.info)(show.plain(run.problem))
    if is_open:
        _live(run)


def _progress(run: RunView) -> None:
    if run.status == "queued":
        st.caption(f"{run.text}; it starts by itself, also when this page is closed.")
    elif run.status == "running":
        left = "" if run.seconds_left is None else f" · {duration(run.seconds_left)} left"
        wish = {"pause": " · pausing", "finish": " · finishing"}.get(run.asked, "")
        st.progress(run.share, text=f"{run.text}{left}{wish}")
    elif run.text:
        st.caption(run.text)


def _buttons(run: RunView, *, is_only: bool) -> None:
    name = run.folder.name
    if not is_only:
        is_open = st.session_state.get(_OPEN) == name
        st.button("Hide" if is_open else "Watch", key=f"watch_{name}", icon=":material/visibility:",
                  on_click=_toggle, args=(name,))  # fmt: skip
    # After the training there is nothing left to stop: the map takes seconds.
    if run.status == "queued" or (run.status == "running" and run.phase in _EARLY):
        _button(run, "Pause", ":material/pause:", lambda: ask(run.folder, "pause"),
                help="Saves where it stands; you can resume at any time.")  # fmt: skip
    if run.status == "running" and run.phase == "Training":
        _button(run, "Finish now", ":material/sports_score:", lambda: ask(run.folder, "finish"),
                help="Ends the training, keeps the best weights and builds the map.")  # fmt: skip
    if run.status in ("stopped", "failed"):
        word = "Resume" if run.status == "stopped" else "Try again"
        _button(run, word, ":material/play_arrow:", lambda: resume_run(run.folder))
    if run.is_explorable:
        _explore(run, is_only=is_only)
    if run.status == "done":
        _continue(run)
    if not run.is_alive:
        _delete(run)


def _toggle(name: str) -> None:
    st.session_state[_OPEN] = None if st.session_state.get(_OPEN) == name else name


def _button(
    run: RunView, word: str, icon: str, act: Callable[[], Any], *, help: str | None = None
) -> None:
    key = f"{word}_{run.folder.name}"
    st.button(
        word, icon=icon, key=key, help=help, disabled=bool(run.asked),
        on_click=acts_of("runs").once(key, act),
    )  # fmt: skip


def _continue(run: RunView) -> None:
    with st.popover("Continue longer", icon=":material/more_time:"):
        key = f"minutes_{run.folder.name}"
        st.number_input("Minutes more", 0.5, 600.0, 5.0, 0.5, key=key)
        # Asked at the click: a number just typed arrives together with it.
        _button(run, "Continue", ":material/play_arrow:",
                lambda: resume_run(run.folder, minutes=float(st.session_state[key])))  # fmt: skip


def _explore(run: RunView, *, is_only: bool) -> None:
    if st.button("Explore", icon=":material/map:", key=f"explore_{run.folder.name}",
                 type="primary" if is_only and run.status == "done" else "secondary",
                 on_click=state.open_model, args=(run.folder.name,)):  # fmt: skip
        frame.turn_to("pages/explore.py")


def _delete(run: RunView) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        what = "The run and its model are" if run.is_explorable else "The run is"
        st.write(f"{what} deleted for good.")
        key = f"delete_{run.folder.name}"
        delete = acts_of("runs").once(
            key, lambda: train_moments.delete(run.folder),
            then=lambda: state.forget_model(run.folder.name),
        )  # fmt: skip
        st.button("Delete for good", key=key, type="primary", on_click=delete)


def _live(run: RunView) -> None:
    shelf: dict[str, Any] = st.session_state.setdefault(_SHELF, {})
    data = train_moments.message(run, shelf=shelf)
    if data is not None:
        components.training_view(data=data, key=f"live_{run.folder.name}")
    elif run.status == "running":
        st.caption("The first pictures come as soon as the training begins.")
    if run.arguments:
        st.caption("The same run from a terminal:")
        st.code(shlex.join(["python", "-m", "vae_core", *run.arguments]), language="bash",
                wrap_lines=True)  # fmt: skip
