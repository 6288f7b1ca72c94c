"""Groups of points and vectors between them: named, kept in the session, per model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import shelf
from vae_core.checkpoint import Checkpoint

Rows = NDArray[np.int64]
_GROUPS = "groups"


@dataclass(frozen=True)
class Group:
    """Some of a model's codes under a name."""

    name: str
    rows: Rows


def kept(checkpoint: Checkpoint) -> list[Group]:
    """The visitor's groups for this model, oldest first."""
    found: list[Group] = st.session_state.setdefault(_GROUPS, {}).setdefault(
        checkpoint.codes_key, []
    )
    return found


def keep(checkpoint: Checkpoint, name: str, rows: Rows) -> Group:
    """Keep a group under a name of its own; a taken name gets a number."""
    taken = {group.name for group in kept(checkpoint)}
    group = Group(shelf.free_name(name or "group", taken), rows)
    kept(checkpoint).append(group)
    return group


def drop(checkpoint: Checkpoint, name: str) -> None:
    """Forget the group of this name, if there is one."""
    st.session_state[_GROUPS][checkpoint.codes_key] = [
        g for g in kept(checkpoint) if g.name != name
    ]


def membership(groups: Sequence[Group], n: int) -> NDArray[np.uint8]:
    """Number of each code's group `[n]`; the later group wins, `len(groups)` means none."""
    member = np.full(n, len(groups), np.uint8)
    for number, group in enumerate(groups):
        member[group.rows] = number
    return member
