"""The code the Walk page stands at, kept while the visitor goes from section to section."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import state
from vae_core.checkpoint import Checkpoint
from vae_core.errors import ExplorerError
from vae_core.examine import snap
from vae_core.export import read_permalink, read_plain, write_plain

Floats = NDArray[np.float32]
SECTION = "walk_section"
_WALK, _COUNT = "walk_stand", "walk_count"


@dataclass(frozen=True)
class Stand:
    """Where a walk began, in words too, and the code it is at now; a new start is a new version.

    `carried` is the number of the code that was carried here last, which is used up; "" for none.
    """

    checkpoint_key: str
    start: Floats
    source: str
    code: Floats
    version: str
    carried: str


def begin(checkpoint: Checkpoint) -> Stand:
    """The walk left here, else the code carried here, in the link, or a central one."""
    held: Stand | None = st.session_state.get(_WALK)
    carried = state.kept_code(checkpoint.model.n_latent)
    is_new = carried is not None and (held is None or carried.number != held.carried)
    if held is not None and held.checkpoint_key == checkpoint.key and not is_new:
        return held
    if carried is not None:
        return start_from(checkpoint, carried.z, source=carried.source)
    linked = _linked(checkpoint)
    if linked is not None:
        return start_from(checkpoint, linked, source="the code in the link")
    row = _central_row(checkpoint)
    source = f"image {checkpoint.codes.ids[row]}, a held-out one near the average"
    return start_from(checkpoint, checkpoint.codes.mean[row], source=source)


def _central_row(checkpoint: Checkpoint) -> int:
    """The held-out code nearest to the average, which itself may be like no real picture."""
    codes = checkpoint.codes
    spread = np.maximum(codes.mean.std(0), 1e-6)
    away = (codes.mean[codes.held_out] - codes.mean.mean(0)) / spread * codes.is_active
    return int(codes.held_out[np.square(away).sum(1).argmin()])


def start_from(checkpoint: Checkpoint, z: Floats, *, source: str) -> Stand:
    """Begin anew at `z` `[D]`; what came before can still be undone in the browser."""
    count = st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
    code, carried = snap(z), state.kept_code(checkpoint.model.n_latent)
    made = Stand(
        checkpoint.key, code, source, code, f"{checkpoint.key}-{count}",
        carried.number if carried else "",
    )  # fmt: skip
    st.session_state[_WALK] = made
    return made


def current(checkpoint: Checkpoint) -> Stand:
    """The stand as the last move left it."""
    held: Stand = st.session_state[_WALK]
    return held if held.checkpoint_key == checkpoint.key else begin(checkpoint)


def move_to(checkpoint: Checkpoint, z: Floats) -> None:
    """The visitor moved the sliders to `z` `[D]`."""
    # One assignment: a rerun that cut in between two used to take the last move back.
    st.session_state[_WALK] = replace(current(checkpoint), code=snap(z))


def told(checkpoint: Checkpoint) -> Floats:
    """What the sliders told last: a callback runs before the page reads their element again."""
    stand = current(checkpoint)
    element = st.session_state.get(f"walk_{stand.version}")
    z = element.get("z") if element is not None else None
    return snap(np.array(z, np.float32)) if z else stand.code


def hear(checkpoint: Checkpoint) -> None:
    """Take over what the sliders told last; for every section.

    A move and the choice of another section can come in one rerun, which then shows no sliders.
    """
    z = told(checkpoint)
    if not np.array_equal(z, current(checkpoint).code):
        move_to(checkpoint, z)
        state.put_in_url(z=write_plain(z), code=None)


def walk_from(checkpoint: Checkpoint, z: Floats, *, source: str) -> None:
    """As `start_from`, and turn to the sliders; for callbacks."""
    start_from(checkpoint, z, source=source)
    st.session_state[SECTION] = "Sliders"


def _linked(checkpoint: Checkpoint) -> Floats | None:
    """The code that `?code=` or `?z=` names; what is wrong with a permalink is said."""
    asked, n_latent = state.url_at_start(), checkpoint.model.n_latent
    if asked.get("code"):
        try:
            return read_permalink(asked["code"], model_key=checkpoint.key, n_latent=n_latent)[1]
        except ExplorerError as error:
            st.warning(str(error))
    return read_plain(asked.get("z", ""), n_latent=n_latent)
