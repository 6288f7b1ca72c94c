"""The parts of the Explore page: what to show, the map, and what was picked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import (
    attribute,
    cache,
    colours,
    figures,
    frame,
    lenses,
    payload,
    prior,
    regions,
    search,
    show,
    solid,
    state,
)
from pages.shared.components import latent_map, put_pick, put_region
from pages.shared.explore_view import View, map_data, projection_of
from vae_core.checkpoint import Checkpoint
from vae_core.examine import nearest_codes, snap
from vae_core.export import read_plain

_MAP = "explore_map"
_PICKED, _SECTION, _DRAWN = "explore_pick", "explore_section", "explore_drawn"
SECTIONS = {
    "spot": ":material/location_on: Picked spot",
    "region": ":material/lasso_select: Region",
    "groups": ":material/arrow_outward: Groups and vectors",
    "ranking": ":material/sort: Worst and best",
    "prior": ":material/ssid_chart: Prior and posterior",
}


def message(checkpoint: Checkpoint, view: View) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """The map's message with what is picked by now, and that spot's code `[D]`."""
    if view.projection == solid.NAME:
        view = View(payload.projection_choices(checkpoint)[0], view.colour)
    chosen = _last_selection(checkpoint, view) or _asked_selection(checkpoint) or {"row": 0}
    z = snap(np.array(_pick_from_link(checkpoint, view, chosen)["z"], np.float32))
    return map_data(checkpoint, view) | {"select": chosen}, z


@st.fragment
def map_and_details(checkpoint: Checkpoint, view: View) -> None:
    """The map and, below it, what the chosen section says. Reruns alone on each click."""
    if view.projection == solid.NAME:
        solid.cloud(checkpoint, colours.colouring(checkpoint, view.colour))
        return
    data = map_data(checkpoint, view)
    found = search.take_new(checkpoint)
    if found is not None:
        put_region(data=data, key=_MAP, rows=found.rows)
    goal = state.goal()
    if goal is not None:
        wanted = _pick_of_goal(checkpoint, view, goal)
        put_pick(data=data, key=_MAP, pick=wanted)
        _remember(checkpoint, wanted)
        state.reached(goal)
    chosen = _last_selection(checkpoint, view) or _asked_selection(checkpoint)
    # With nothing picked the first point's picture is shown: an empty panel explains less.
    data["select"] = chosen or {"row": 0}
    seen = latent_map(data=data, key=_MAP)
    pick = seen.pick
    if pick is not None:
        _remember(checkpoint, pick)
    elif chosen is not None:
        pick = _pick_from_link(checkpoint, view, chosen)
    if told := colours.words(checkpoint, view.colour):
        st.caption(told)
    section = _choose_section(seen.region)
    if section == "spot":
        _spot(checkpoint, pick)
    elif section == "region":
        regions.region(checkpoint, seen.region, picked=_row_of(pick))
    elif section == "groups":
        z = _code_of(checkpoint, pick)
        regions.kept_groups(checkpoint, z)
        attribute.slider(checkpoint, z)
    elif section == "ranking":
        lenses.ranking(checkpoint)
    else:
        prior.against_posterior(checkpoint)


def _choose_section(region: NDArray[np.int64] | None) -> str:
    """Which section is open; a new region opens its own."""
    drawn = None if region is None else region.tobytes()
    if drawn != st.session_state.get(_DRAWN):
        if drawn is not None:
            st.session_state[_SECTION] = "region"
        # Last: a rerun that comes before it only opens the section again.
        st.session_state[_DRAWN] = drawn
    chosen = st.segmented_control(
        "Below the map",
        list(SECTIONS),
        default="spot" if _SECTION not in st.session_state else None,
        format_func=SECTIONS.__getitem__,
        key=_SECTION,
        label_visibility="collapsed",
        required=True,
    )
    return chosen or "spot"


def _code_of(checkpoint: Checkpoint, pick: dict[str, Any] | None) -> NDArray[np.float32]:
    """The picked code `[D]`, else the first one."""
    return checkpoint.codes.mean[0] if pick is None else snap(np.array(pick["z"], np.float32))


def _row_of(pick: Mapping[str, Any] | None) -> int | None:
    return int(pick["row"]) if pick is not None and pick["kind"] == "point" else None


def _spot(checkpoint: Checkpoint, pick: dict[str, Any] | None) -> None:
    if pick is None:
        # No details unasked: their chart would make the first map come a second later.
        st.caption("Click a point to see its original, its posterior and its neighbours.")
        return
    _details(checkpoint, pick)


def _asked_selection(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """The point or place a link names, if it exists here."""
    asked = state.url_at_start()
    row = payload.whole_number(asked.get("point", ""))
    if row is not None and row < len(checkpoint.codes):
        return {"row": row}
    place = read_plain(asked.get("at", ""), n_latent=2)
    return None if place is None else {"x": float(place[0]), "y": float(place[1])}


def _pick_from_link(
    checkpoint: Checkpoint, view: View, selection: dict[str, Any]
) -> dict[str, Any]:
    """What the map would report had the link's spot been clicked."""
    if "row" in selection:
        z = checkpoint.codes.mean[selection["row"]]
        return {"kind": "point", "row": selection["row"], "z": z.tolist()}
    place = np.array([[selection["x"], selection["y"]]], np.float32)
    z = projection_of(checkpoint, view).inverse(place)[0]
    return {"kind": "place", **selection, "z": z.tolist()}


def _pick_of_goal(checkpoint: Checkpoint, view: View, goal: Mapping[str, Any]) -> dict[str, Any]:
    """What the map would report had the row or the code been clicked."""
    if goal["row"] is not None:
        return _pick_from_link(checkpoint, view, {"row": goal["row"]})
    z = snap(goal["z"])
    x, y = projection_of(checkpoint, view).transform(z[None])[0]
    place = {"x": float(x), "y": float(y), "projection": view.projection}
    return {"kind": "place", "row": None, "z": z.tolist(), **place}


def _last_selection(checkpoint: Checkpoint, view: View) -> dict[str, Any] | None:
    """What was picked before on this model, placed on the map that is shown now."""
    key, pick = st.session_state.get(_PICKED, ("", None))
    if key != checkpoint.codes_key or pick is None:
        return None
    if pick["kind"] == "point":
        return {"row": int(pick["row"])}
    if pick.get("projection") == view.projection:
        return {"x": pick["x"], "y": pick["y"]}
    z = np.array([pick["z"]], np.float32)
    x, y = projection_of(checkpoint, view).transform(z)[0]
    return {"x": float(x), "y": float(y)}


def _remember(checkpoint: Checkpoint, pick: dict[str, Any]) -> None:
    st.session_state[_PICKED] = (checkpoint.codes_key, pick)
    if pick["kind"] == "point":
        state.put_in_url(point=str(pick["row"]), at=None)
    else:
        state.put_in_url(point=None, at=f"{pick['x']:.4f},{pick['y']:.4f}")


def _details(checkpoint: Checkpoint, pick: dict[str, Any]) -> None:
    z = snap(np.array(pick["z"], np.float32))
    if pick["kind"] == "point":
        row = min(int(pick["row"]), len(checkpoint.codes) - 1)
        source = f"point {checkpoint.codes.ids[row]}"
        _point(checkpoint, row)
    else:
        row, source = None, "a spot on the map"
        st.subheader("An empty spot")
        st.caption("No image lies here; the picture is decoded from the code of this place.")
    st.markdown(f":material/verified: {cache.trust_words(checkpoint, z)}")
    if st.button("Walk from here", icon=":material/tune:", key="walk_from_here"):
        state.keep_code(z, source=source)
        frame.turn_to("pages/walk.py")
    _neighbours(checkpoint, z, row)


def _point(checkpoint: Checkpoint, row: int) -> None:
    codes = checkpoint.codes
    st.subheader(f"Image {codes.ids[row]}")
    st.caption(show.plain(_facts(checkpoint, row)))
    found = cache.originals_of(checkpoint, (row,))
    rebuilt = cache.decoded(checkpoint, codes.mean[row : row + 1])[0]
    left, right = st.columns([2, 3])
    with left:
        if found is None:
            show.pictures([(rebuilt, "reconstruction")], width=150)
            data = show.plain(show.source_name(checkpoint.card))
            st.caption(
                f"The original is not shown: the data set '{data}' is not on this machine (or "
                "has changed). Set VAE_DATA_DIR to where it lies."
            )
        else:
            show.pictures([(found[0], "original"), (rebuilt, "reconstruction")], width=150)
        error, kl = codes.squared_error[row], float(codes.kl_nats[row].sum())
        more_error = float((codes.squared_error[codes.held_out] < error).mean())
        more_kl = float((codes.kl_per_image[codes.held_out] < kl).mean())
        st.caption(
            f"Squared error {error:.4f}, {show.share_in_words(more_error)} · "
            f"KL {kl:.1f} nats, {show.share_in_words(more_kl)}"
        )
    with right:
        figure = figures.posterior_figure(
            codes.mean[row], np.exp(codes.log_std[row]), codes.dimension_order
        )
        st.plotly_chart(figure, key="posterior", config={"displayModeBar": False})


def _facts(checkpoint: Checkpoint, row: int) -> str:
    codes = checkpoint.codes
    facts = []
    if codes.labels is not None:
        label = int(codes.labels[row])
        name = codes.label_names[label] if label < len(codes.label_names) else str(label)
        facts.append(f"label {name}")
    for name, factor in codes.factors.items():
        value = factor.values[row]
        text = factor.categories[int(value)] if factor.categories else f"{value:.2f}"
        facts.append(f"{name.replace('_', ' ')} {text}")
    facts.append(("training image", "validation image", "test image")[int(codes.split[row])])
    return " · ".join(facts)


def _neighbours(checkpoint: Checkpoint, z: NDArray[np.float32], row: int | None) -> None:
    rows, distances = nearest_codes(checkpoint, z, without_row=row)
    found = cache.originals_of(checkpoint, tuple(int(r) for r in rows))
    images = cache.decoded(checkpoint, checkpoint.codes.mean[rows]) if found is None else found
    kind = "decoded from their codes" if found is None else "originals"
    st.markdown(
        f"**The {len(rows)} nearest images in the {len(z)}-d latent space** "
        f"({kind}; number and distance below)"
    )
    captions = [
        f"{checkpoint.codes.ids[r]} · {distance:.2f}"
        for r, distance in zip(rows, distances, strict=True)
    ]
    show.pictures(list(zip(images, captions, strict=True)), width=88)
