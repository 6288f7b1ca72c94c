"""The parts of the Label page: the map, the point or region to be named, and what comes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, label_results, label_state, payload, region_members, show
from pages.shared.components import MapState, latent_map
from pages.shared.label_next import name_field, next_points
from pages.shared.label_state import Follows
from pages.shared.payload import Colouring
from vae_core.checkpoint import Checkpoint
from vae_core.examine import nearest_codes

Rows = NDArray[np.int64]
_MAP, _TARGET = "label_map", "label_target"
_MAP_NAMES = {"umap": "UMAP", "pca": "PCA", "0,1": "latent plane"}
PREDICTED, GIVEN, UNCERTAIN = "Predicted class", "Given names", "Uncertainty"
MAX_MARKS = 60
N_SHOWN = 8
HOW = (
    "Click a point, or draw around a group with the lasso, and give it a name. From two classes "
    "on, all other points get one too, and the map shows how sure that is."
)


@st.fragment
def map_and_names(checkpoint: Checkpoint) -> None:
    """The map and everything below it. Reruns alone on each click and each name."""
    now = label_state.follows(checkpoint)
    if not now.labelling.given:
        st.info(HOW, icon=":material/label:")
    projection, colour = _controls(checkpoint, now)
    data = _message(checkpoint, now, projection=projection, colour=colour)
    rows = _target(checkpoint, latent_map(data=data, key=_MAP, height=560))
    if refused := label_state.problem(checkpoint):
        st.error(show.plain(refused))
    _naming(checkpoint, now, rows)
    next_points(checkpoint, now, map_key=_MAP, data=data)
    label_results.accuracy(checkpoint, now)
    label_results.files(checkpoint, now)


def _controls(checkpoint: Checkpoint, now: Follows) -> tuple[str, str]:
    left, middle, last = st.columns([2, 4, 2.8], vertical_alignment="bottom")
    buttons = last.container(horizontal=True, horizontal_alignment="right", gap="small")
    maps = [name for name in payload.projection_choices(checkpoint) if name != "dimensions"]
    projection = left.selectbox(
        "Map", maps, format_func=lambda name: _MAP_NAMES.get(name, name),
        key=f"label_map_{checkpoint.key}",
    )  # fmt: skip
    colour = middle.segmented_control(
        "Colour by", [PREDICTED, GIVEN, UNCERTAIN], default=PREDICTED, key="label_colour",
        required=True, disabled=now.found is None,
    )  # fmt: skip
    buttons.button(
        "Undo", icon=":material/undo:", key="label_undo",
        on_click=label_state.undo, args=(checkpoint,),
        disabled=not label_state.can_undo(checkpoint),
    )  # fmt: skip
    buttons.button(
        "Start over", icon=":material/restart_alt:", key="label_clear",
        on_click=label_state.unname, args=(checkpoint, now.labelling.rows),
        disabled=not now.labelling.given, help="Takes all names away; Undo brings them back.",
    )  # fmt: skip
    return projection, colour if now.found is not None and colour else GIVEN


def colouring(checkpoint: Checkpoint, now: Follows, colour: str) -> Colouring:
    """What the points are coloured by."""
    if colour == UNCERTAIN and now.found is not None:
        return Colouring("uncertainty, 1 = no idea", now.found.uncertainty)
    if colour == PREDICTED and now.found is not None:
        return Colouring("predicted class", now.found.predicted, now.labelling.names)
    kinds = now.labelling.kinds(len(checkpoint.codes))
    # One past the last name is drawn in grey: not named.
    kinds = np.where(kinds < 0, len(now.labelling.names), kinds)
    return Colouring("given name", kinds, now.labelling.names)


def _message(
    checkpoint: Checkpoint, now: Follows, *, projection: str, colour: str
) -> dict[str, Any]:
    """The map's message; the card at the pointer tells the prediction, never the true label."""
    usual = payload.colour_choices(checkpoint)[0]
    data = dict(cache.map_data(checkpoint, projection, usual))
    told = None
    if now.found is not None:
        told = payload.colouring_part(colouring(checkpoint, now, PREDICTED))
    data["hover"] = {**data["hover"], "labels": told}
    data["colour"] = payload.colouring_part(colouring(checkpoint, now, colour))
    data["marks"] = _marks(checkpoint, now, projection)
    target = _kept_target(checkpoint)
    data["select"] = {"row": int(target[0])}
    return data | {
        "trust": cache.trust_part(checkpoint),
        "atlas": cache.atlas_part(checkpoint),
    }


def _marks(checkpoint: Checkpoint, now: Follows, projection: str) -> list[dict[str, Any]]:
    """A star with its name at each named point, as long as they are few."""
    xy = payload.projection_of(checkpoint, projection).xy
    given = list(now.labelling.given.items())
    return [
        {"x": float(xy[row, 0]), "y": float(xy[row, 1]), "text": now.labelling.names[kind]}
        for row, kind in (given if len(given) <= MAX_MARKS else [])
    ]


# ---- what is to be named ------------------------------------------------------------------------
def _kept_target(checkpoint: Checkpoint) -> Rows:
    """What is to be named; at first the point whose picture the map shows at first."""
    key, _, rows = st.session_state.get(_TARGET, ("", None, (0,)))
    return np.array(rows if key == checkpoint.codes_key else (0,), np.int64)


def _target(checkpoint: Checkpoint, seen: MapState) -> Rows:
    """The rows that were chosen last: a clicked point, or the points of a drawn region."""
    pick = () if seen.pick is None else tuple(seen.pick.get(k) for k in ("row", "x", "y"))
    drawn = b"" if seen.region is None else seen.region.tobytes()
    key, before, _ = st.session_state.get(_TARGET, ("", None, ()))
    old_pick, old_drawn = before if key == checkpoint.codes_key and before else ((), b"")
    rows = _kept_target(checkpoint)
    if drawn != old_drawn and seen.region is not None:
        rows = seen.region
    elif seen.pick is not None and pick != old_pick:
        rows = np.array([_row_of(checkpoint, seen.pick)])
    elif not drawn:
        rows = rows[:1]
    st.session_state[_TARGET] = (checkpoint.codes_key, (pick, drawn), rows)
    return rows


def _row_of(checkpoint: Checkpoint, pick: dict[str, Any]) -> int:
    """The clicked point, or the one whose code is nearest to the clicked spot's."""
    if pick["kind"] == "point":
        return min(int(pick["row"]), len(checkpoint.codes) - 1)
    rows, _ = nearest_codes(checkpoint, np.array(pick["z"], np.float32))
    return int(rows[0])


def _naming(checkpoint: Checkpoint, now: Follows, rows: Rows) -> None:
    """The chosen point or region: its picture, what it is taken for, and a field for its name."""
    with st.container(border=True):
        widths = [1, 6] if len(rows) == 1 else [1, 2]
        left, right = st.columns(widths, vertical_alignment="center")
        with left:
            images, _ = region_members.pictures_of(checkpoint, rows[:N_SHOWN])
            show.pictures([(image, "") for image in images], width=96 if len(rows) == 1 else 52)
        with right:
            st.markdown(_words(checkpoint, now, rows))
            _name_form(checkpoint, now, rows)


def _words(checkpoint: Checkpoint, now: Follows, rows: Rows) -> str:
    if len(rows) > 1:
        n_named = sum(int(row) in now.labelling.given for row in rows)
        named = f", {n_named:,} of them named" if n_named else ""
        return f"**{len(rows):,} points of the region**{named}"
    row = int(rows[0])
    title = f"**Image {checkpoint.codes.ids[row]}**"
    kind = now.labelling.given.get(row)
    if kind is not None:
        return f"{title}, named **{show.plain(now.labelling.names[kind])}**"
    if now.found is None:
        return f"{title}, not named yet"
    name = now.labelling.names[int(now.found.predicted[row])]
    return f"{title}, taken for **{show.plain(name)}** ({now.found.confidence[row]:.0%} sure)"


def _name_form(checkpoint: Checkpoint, now: Follows, rows: Rows) -> None:
    widths = [3, 1.2, 1.6, 1.3]
    field, put, truth, away = st.columns(widths, vertical_alignment="bottom")
    with field:
        text = name_field("Class", now.labelling.names, key="label_class")
    put.button(
        "Name it", type="primary", key="label_name", width="stretch", disabled=not text,
        on_click=label_state.name, args=(checkpoint, rows, text or ""),
    )  # fmt: skip
    if checkpoint.codes.labels is not None:
        truth.button(
            "Reveal the true label" if len(rows) == 1 else "Reveal true labels",
            key="label_reveal", width="stretch", on_click=label_state.reveal,
            args=(checkpoint, rows), help="This data set knows: names it as the set does.",
        )  # fmt: skip
    if any(int(row) in now.labelling.given for row in rows):
        away.button(
            "Unname", key="label_away", width="stretch",
            on_click=label_state.unname, args=(checkpoint, rows),
        )  # fmt: skip
