"""The points worth a name next, with their pictures, one click each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from pages.shared import label_state, region_members, show
from pages.shared.components import put_pick
from pages.shared.label_state import Follows
from vae_core.checkpoint import Checkpoint

# More names than this make a list of the buttons.
MAX_BUTTONS = 12
# Two side by side on a phone, six on a laptop.
CARD_PIXELS = 160


def name_field(label: str, names: Sequence[str], *, key: str) -> str | None:
    """A field to choose one of the names in, or to type a new one."""
    return st.selectbox(
        label, sorted(names), index=None, key=key, accept_new_options=True,
        placeholder="Choose or type a name",
    )  # fmt: skip


def next_points(
    checkpoint: Checkpoint, now: Follows, *, map_key: str, data: Mapping[str, Any]
) -> None:
    """A strip of suggested points; a click on a name gives it."""
    if not len(now.suggested):
        return
    left, right = st.columns([4, 1.4], vertical_alignment="bottom")
    left.markdown(
        "**Worth a name next**" + (
            ": points the labels say little about, typical of many others, each of another kind"
            if now.found is not None else ": typical points of different parts of the map"
        )
    )  # fmt: skip
    if checkpoint.codes.labels is not None:
        right.button(
            f"Reveal all {len(now.suggested)}", key="label_reveal_all", width="stretch",
            icon=":material/visibility:", on_click=label_state.reveal,
            args=(checkpoint, now.suggested),
            help="Names these points as the data set does.",
        )  # fmt: skip
    images, kind = region_members.pictures_of(checkpoint, now.suggested)
    strip = st.container(horizontal=True, gap="small")
    for place, row in enumerate(now.suggested.tolist()):
        with strip.container(border=True, width=CARD_PIXELS):
            show.pictures([(images[place], _caption(checkpoint, now, row))], width=96)
            _one(checkpoint, now, row, place, map_key=map_key, data=data)
    st.caption(f"Pictures: {kind}. The pin takes a point to the field above, for a new name.")


def _caption(checkpoint: Checkpoint, now: Follows, row: int) -> str:
    if now.found is None:
        return f"#{checkpoint.codes.ids[row]}"
    name = now.labelling.names[int(now.found.predicted[row])]
    return f"{name}? {now.found.confidence[row]:.0%}"


def _one(
    checkpoint: Checkpoint, now: Follows, row: int, place: int, *, map_key: str,
    data: Mapping[str, Any],
) -> None:  # fmt: skip
    key = f"next_{checkpoint.codes_key}_{label_state.version(checkpoint)}_{place}"
    rows = np.array([row])

    def named() -> None:
        label_state.name(checkpoint, rows, str(st.session_state[key] or ""))

    names = sorted(now.labelling.names)
    if 0 < len(names) <= MAX_BUTTONS:
        st.pills(
            "Name", names, key=key, on_change=named, label_visibility="collapsed",
            format_func=show.plain,
        )  # fmt: skip
    else:
        st.selectbox(
            "Name", names, index=None, key=key, on_change=named, accept_new_options=True,
            placeholder="Name", label_visibility="collapsed",
        )  # fmt: skip

    def pinned() -> None:
        z = checkpoint.codes.mean[row].tolist()
        put_pick(data=data, key=map_key, pick={"kind": "point", "row": row, "x": 0, "y": 0, "z": z})

    with st.container(horizontal=True, gap="small"):
        st.button(
            "Choose", icon=":material/location_on:", key=f"{key}_pin", on_click=pinned,
            help="Choose it on the map", type="tertiary",
        )  # fmt: skip
        if label_state.true_name(checkpoint, row) is not None:
            st.button(
                "Reveal", icon=":material/visibility:", key=f"{key}_true", type="tertiary",
                on_click=label_state.reveal, args=(checkpoint, rows), help="Reveal the true label",
            )  # fmt: skip
