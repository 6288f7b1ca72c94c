"""What the visitor chose: kept in the session and in the URL, so that a link reopens it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import show
from vae_core.checkpoint import Listed
from vae_core.errors import DataError
from vae_core.export import read_permalink

DEFAULT_MODEL = "faces"
# A place on the map is written as a code of two numbers.
_MODEL = "model_name"
_ASKED = "url_at_start"
_GOAL = "map_goal"
_CARRIED = "carried_code"
_TO_OPEN = "model_to_open"
_IN_URL = "told_to_url"


def url_at_start() -> Mapping[str, str]:
    """The query parameters this session was opened with; emptied of what was used up."""
    if _ASKED not in st.session_state:
        st.session_state[_ASKED] = dict(st.query_params.to_dict())
    asked: dict[str, str] = st.session_state[_ASKED]
    return asked


def use_up(*names: str) -> None:
    """Forget query parameters of the first visit once the visitor moved on."""
    for name in names:
        st.session_state.setdefault(_ASKED, {}).pop(name, None)


def put_in_url(**values: str | None) -> None:
    """Set query parameters; None removes one. Untouched when nothing changes."""
    told: dict[str, str | None] = st.session_state.setdefault(_IN_URL, {})
    for name, value in values.items():
        # What a rerun brings from the browser may be older than what the browser was told since:
        # a value taken back to it is told again, or the one between would stay in the link.
        if st.query_params.get(name) == value == told.get(name, value):
            continue
        if value is not None:
            st.query_params[name] = value
        elif name in st.query_params:
            del st.query_params[name]
        else:
            # Any assignment tells the whole link.
            st.query_params.update()
        told[name] = value


def model_picker(listed: Sequence[Listed]) -> None:
    """The sidebar's choice of model; broken checkpoints are named with their reason."""
    good = {item.path.name: item for item in listed if item.card is not None}
    with st.sidebar:
        if good:
            _choose(good)
        for item in listed:
            if item.card is None:
                name, why = show.plain(item.path.name), show.plain(str(item.problem))
                st.warning(f"**{name}** was left out: {why}")


def _choose(good: Mapping[str, Listed]) -> None:
    names = list(good)
    to_open = st.session_state.get(_TO_OPEN)
    if to_open in good:
        st.session_state["model_widget"] = to_open
    wanted = st.session_state.get(_MODEL) or _linked(good) or DEFAULT_MODEL
    if wanted not in good:
        if wanted != DEFAULT_MODEL:
            named = show.plain(wanted)
            st.warning(f"There is no model '{named}' here; the first one is shown instead.")
        wanted = DEFAULT_MODEL if DEFAULT_MODEL in good else names[0]
    chosen = st.selectbox(
        "Model",
        names,
        index=names.index(wanted),
        format_func=lambda name: str((good[name].card or {}).get("title") or name),
        help="Checkpoints in the folders checkpoints/ and runs/, and those named at the start.",
        key="model_widget",
    )
    if st.session_state.get(_MODEL) not in (None, chosen):
        use_up("point", "at", "z", "code", "map", "colour")
        put_in_url(point=None, at=None, z=None, code=None)
        st.session_state.pop(_CARRIED, None)
    st.session_state[_MODEL] = chosen
    st.session_state.pop(_TO_OPEN, None)
    put_in_url(model=chosen)
    card = good[chosen].card or {}
    metrics = card.get("metrics", {})
    st.caption(
        f"{card['model']['n_latent']} latent dimensions, {metrics.get('active_units', '?')} in "
        f"use · trained on {show.plain(show.source_name(card))} · {card['n_codes']:,} of "
        f"{card['n_images']:,} images on the map"
    )


def open_model(name: str) -> None:
    """Choose another model, from a callback: when the list of models is drawn again.

    Not at once: a message of the browser that was under way at the click still brings the old
    choice along, and would undo it.
    """
    st.session_state[_TO_OPEN] = name


def forget_model(name: str) -> None:
    """A model is gone, from a callback: choose as at the start if it was the chosen one."""
    if st.session_state.get(_MODEL) == name:
        for key in ("model_widget", _MODEL):
            st.session_state.pop(key, None)
        use_up("model")


def _linked(good: Mapping[str, Listed]) -> str | None:
    """The model of the first visit's link: the one its code was made for, whatever it is called."""
    asked = url_at_start()
    named = asked.get("model")
    try:
        key = read_permalink(asked.get("code", ""))[0]
    except DataError:
        # What is wrong with a link is said where its code is used.
        return named
    found = [name for name, item in good.items() if item.key == key]
    return named if named in found or not found else found[0]


def model_name() -> str | None:
    """The folder name of the chosen model, or None when there is none."""
    name: str | None = st.session_state.get(_MODEL)
    return name


@dataclass(frozen=True)
class Carried:
    """A code on its way to the Walk page; each has its own number, so the same one counts twice."""

    z: NDArray[np.float32]
    source: str
    number: str


def keep_code(z: NDArray[np.float32], *, source: str) -> None:
    """Carry a code to the next page; `source` says in words where it comes from."""
    # In one piece: a rerun can cut in between any two assignments.
    st.session_state[_CARRIED] = Carried(np.asarray(z, np.float32), source, uuid4().hex)


def kept_code(n_latent: int) -> Carried | None:
    """What `keep_code` carried last, if it is a code of so many numbers."""
    carried: Carried | None = st.session_state.get(_CARRIED)
    return carried if carried is not None and len(carried.z) == n_latent else None


def go_to(*, row: int | None = None, z: NDArray[np.float32] | None = None) -> None:
    """Ask the map to pick this row or this code in its next run."""
    st.session_state[_GOAL] = {"row": row, "z": z}


def goal() -> Mapping[str, Any] | None:
    """What `go_to` asked for, until it is reached: a rerun may come before."""
    asked: Mapping[str, Any] | None = st.session_state.get(_GOAL)
    return asked


def reached(asked: Mapping[str, Any]) -> None:
    """The map shows what was asked for; a later wish stays."""
    if st.session_state.get(_GOAL) is asked:
        st.session_state.pop(_GOAL, None)
