"""The visitor's labels of a model's points, with undo, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache
from vae_core.apply.labelling import (
    Labelling,
    Propagated,
    classify,
    give_name,
    propagate,
    suggest_next,
    take_names,
)
from vae_core.checkpoint import Checkpoint
from vae_core.errors import ExplorerError

Rows = NDArray[np.int64]
N_SUGGESTED = 6
MAX_UNDO = 200
_LABELS, _FOLLOWS = "few_labels", "few_labels_follows"


@dataclass(frozen=True)
class Follows:
    """What a labelling says of the rest (None below two classes), and what to name next."""

    labelling: Labelling
    found: Propagated | None
    suggested: Rows


@dataclass
class _History:
    """The labels after each change, the last `MAX_UNDO` of them; changed in place."""

    steps: list[Labelling] = field(default_factory=lambda: [Labelling()])
    n_changes: int = 0
    problem: str = ""


def _history(checkpoint: Checkpoint) -> _History:
    kept: dict[str, _History] = st.session_state.setdefault(_LABELS, {})
    return kept.setdefault(checkpoint.codes_key, _History())


def labelling(checkpoint: Checkpoint) -> Labelling:
    """The labels as they stand."""
    return _history(checkpoint).steps[-1]


def version(checkpoint: Checkpoint) -> int:
    """A number that differs after each change, for the keys of widgets that start anew then."""
    return _history(checkpoint).n_changes


def change(checkpoint: Checkpoint, make: Callable[[Labelling], Labelling]) -> None:
    """Take `make` of the labels in their place; a refusal's sentence is kept for `problem`."""
    # Only this looks into the session: a rerun that comes later takes nothing away.
    history = _history(checkpoint)
    try:
        history.steps.append(make(history.steps[-1]))
    except ExplorerError as error:
        history.problem = str(error)
        return
    history.n_changes += 1
    del history.steps[: -MAX_UNDO - 1]


def problem(checkpoint: Checkpoint) -> str:
    """Why the last change was refused, told once; empty when it was not."""
    history = _history(checkpoint)
    said, history.problem = history.problem, ""
    return said


def can_undo(checkpoint: Checkpoint) -> bool:
    """Whether a change can be taken back."""
    return len(_history(checkpoint).steps) > 1


def undo(checkpoint: Checkpoint) -> None:
    """Back to the labels before the last change."""
    history = _history(checkpoint)
    if len(history.steps) > 1:
        history.steps.pop()
        history.n_changes += 1


def name(checkpoint: Checkpoint, rows: Rows, text: str) -> None:
    """Call these rows `text`."""
    change(checkpoint, lambda now: give_name(now, text, rows=rows))


def unname(checkpoint: Checkpoint, rows: Rows) -> None:
    """Take the names of these rows away."""
    change(checkpoint, lambda now: take_names(now, rows=rows))


def true_name(checkpoint: Checkpoint, row: int) -> str | None:
    """What the data set itself calls this row; None where it does not say."""
    codes = checkpoint.codes
    kind = -1 if codes.labels is None else int(codes.labels[row])
    if kind < 0:
        return None
    return codes.label_names[kind] if kind < len(codes.label_names) else str(kind)


def reveal(checkpoint: Checkpoint, rows: Rows) -> None:
    """Call each of these rows what the data set calls it, in one step."""

    def told(now: Labelling) -> Labelling:
        for row in rows:
            text = true_name(checkpoint, int(row))
            if text is not None:
                now = give_name(now, text, rows=np.array([row]))
        return now

    change(checkpoint, told)


def follows(checkpoint: Checkpoint) -> Follows:
    """Predictions and suggestions of the labels as they stand; worked out once per change."""
    now, kept = labelling(checkpoint), st.session_state.get(_FOLLOWS)
    if kept is not None and kept[0] == checkpoint.codes_key and kept[1].labelling is now:
        known: Follows = kept[1]
        return known
    ground, codes = cache.label_ground(checkpoint), checkpoint.codes.mean
    found = None
    if len(set(now.given.values())) > 1:
        is_graph = ground.graph is not None
        found = propagate(ground.graph, now) if is_graph else classify(codes, now)
    rows = suggest_next(codes, now, n=N_SUGGESTED, propagated=found, typical=ground.typical)
    made = Follows(now, found, rows)
    st.session_state[_FOLLOWS] = (checkpoint.codes_key, made)
    return made
