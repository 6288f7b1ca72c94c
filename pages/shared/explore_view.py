"""The controls above the map, and the map's message that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.shared import cache, colours, payload, search, shelf, solid, state
from vae_core.checkpoint import Checkpoint
from vae_core.latent.directions import Direction, direction_plane
from vae_core.latent.projection import Projection

_MAP_NAMES = {
    "umap": "UMAP",
    "pca": "PCA",
    solid.NAME: "three dimensions",
    "0,1": "latent plane",
    "dimensions": "two dimensions",
}


@dataclass(frozen=True)
class View:
    """Which map, coloured by what; a `vector` makes it the map along a saved vector."""

    projection: str
    colour: str
    vector: shelf.KeptVector | None = None


def choose_view(checkpoint: Checkpoint) -> View:
    """The controls above the map; what they say goes into the URL."""
    asked, choices = state.url_at_start(), payload.projection_choices(checkpoint)
    vectors = {f"vector {v.name}": v for v in shelf.vectors(checkpoint.key)}
    choices += [*vectors, solid.NAME]
    wanted = asked.get("map", "")
    pair = payload.parse_plane(wanted) if payload.is_projection(checkpoint, wanted) else None
    start = "dimensions" if pair and wanted not in choices else wanted
    columns = st.columns([2, 2, 1.8, 2.2], vertical_alignment="bottom")
    colour_key = f"colour_{checkpoint.key}"
    search.field(checkpoint, columns[2], colour_key=colour_key, colour=colours.FOUND)
    known = colours.choices(checkpoint)
    projection = columns[0].selectbox(
        "Map",
        choices,
        index=choices.index(start) if start in choices else 0,
        format_func=lambda name: _MAP_NAMES.get(name, name),
        key=f"map_{checkpoint.key}",
        help="UMAP keeps neighbours together; PCA is the flattest view; any two dimensions; or, "
        "once there are two groups, the vector from one to the other.",
    )
    colour = columns[1].selectbox(
        "Colour by",
        known,
        index=known.index(asked["colour"]) if asked.get("colour") in known else 0,
        format_func=lambda name: name.replace("_", " "),
        key=colour_key,
    )
    if projection == solid.NAME:
        state.put_in_url(map=projection, colour=colour)
        return View(projection, colour)
    if projection in vectors:
        return View(projection, colour, vectors[projection])
    if projection == "dimensions":
        projection = _choose_plane(checkpoint, pair, columns[3])
    state.put_in_url(map=projection, colour=colour)
    return View(projection, colour)


def projection_of(checkpoint: Checkpoint, view: View) -> Projection:
    """Where the points of a view lie."""
    if view.vector is None:
        return payload.projection_of(checkpoint, view.projection)
    kept = view.vector
    along = Direction(kept.name, "attribute", kept.vector, kept.scale, None, kept.text)
    return direction_plane(checkpoint.codes.mean, along)


def map_data(checkpoint: Checkpoint, view: View) -> dict[str, Any]:
    """The map's message: the cached part, and what only this visitor has."""
    stored = payload.colour_choices(checkpoint)
    colour = view.colour if view.colour in stored else stored[0]
    known = view.projection if view.vector is None else next(iter(checkpoint.maps))
    data = dict(cache.map_data(checkpoint, known, colour))
    if view.vector is not None:
        data["backdrop"] = None
        data["projection"] = payload.projection_message(
            projection_of(checkpoint, view),
            name=view.projection,
            label=view.vector.name,
            axes=[view.vector.name, "first axis orthogonal to it"],
        )
    if colour != view.colour:
        data["colour"] = payload.colouring_part(colours.colouring(checkpoint, view.colour))
    return data | {
        "trust": cache.trust_part(checkpoint),
        "atlas": cache.atlas_part(checkpoint),
    }


def _choose_plane(checkpoint: Checkpoint, pair: tuple[int, int] | None, column: Any) -> str:
    order = [int(dim) for dim in checkpoint.codes.dimension_order]
    if len(order) < 2:
        return "pca"
    first, second = pair or (order[0], order[1])
    with column:
        left, right = st.columns(2)
    x = left.selectbox("x", order, order.index(first), format_func="z{}".format, key="plane_x")
    rest = [dim for dim in order if dim != x]
    at = rest.index(second) if second in rest else 0
    y = right.selectbox("y", rest, at, format_func="z{}".format, key=f"plane_y_{x}")
    return f"{x},{y}"
