"""The button "Share this view" on Explore and Walk: gathers what is shown, writes it on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, explore, payload, walk, walk_code
from pages.shared.explore_view import View as Shown
from pages.shared.share import Choice, View, file_name, shared_view
from pages.shared.walk_payload import Kind
from vae_core.checkpoint import Checkpoint
from vae_core.errors import ExplorerError

_SAYS: Final = (
    "One HTML file with the map, the sliders, the decoder and the model's card. It opens in a "
    "browser without this app and without a network, and draws the same pictures. It holds the "
    "codes and labels of the images on the map and the decoder's weights, no original pictures."
)


def on_explore(checkpoint: Checkpoint, view: Shown) -> None:
    """The button beside the map's controls; the sliders begin at what is picked."""

    def gather() -> View:
        shown, z = explore.message(checkpoint, view)
        return View(shown, _walk(checkpoint, z), "Map", **_choices(checkpoint))

    _button(checkpoint, gather)


def on_walk(checkpoint: Checkpoint) -> None:
    """The button on Walk: opens at the sliders, at the code they are at."""

    def gather() -> View:
        first = Shown(
            payload.projection_choices(checkpoint)[0], payload.colour_choices(checkpoint)[0]
        )
        shown, _ = explore.message(checkpoint, first)
        z = walk_code.told(checkpoint)
        return View(shown, _walk(checkpoint, z), "Sliders", **_choices(checkpoint))

    _button(checkpoint, gather)


@st.fragment
def _button(checkpoint: Checkpoint, gather: Callable[[], View]) -> None:
    """Nothing is gathered or written before the button is pressed."""
    panel = st.popover(
        "Share this view",
        icon=":material/ios_share:",
        width="stretch",
        key="share_view",
        on_change="rerun",
    )
    if not panel.open:
        return
    with panel:
        st.markdown(_SAYS)
        try:
            with st.spinner("Writing the file…"):
                page = shared_view(checkpoint, gather())
        except ExplorerError as error:
            st.error(str(error))
            return
        st.download_button(
            f"Download {file_name(checkpoint)} ({len(page) / 1e6:.1f} MB)",
            page,
            file_name=file_name(checkpoint),
            mime="text/html",
            icon=":material/download:",
            type="primary",
            on_click="ignore",
            key="share_download",
        )


def _walk(checkpoint: Checkpoint, z: NDArray[np.float32]) -> dict[str, Any]:
    """The sliders' message, along what the visitor last chose."""
    kind: Kind = st.session_state.get("walk_kind") or "Dimensions"
    part = walk.rows(checkpoint, kind)
    if not part["rows"]:
        part = walk.rows(checkpoint, "Dimensions")
    return cache.walk_data(checkpoint) | part | {"z": z.tolist(), "start": z.tolist()}


def _choices(checkpoint: Checkpoint) -> dict[str, list[Choice]]:
    """Maps, colourings and slider sets that the reader may switch to."""
    colours = payload.colour_choices(checkpoint)
    stored = [name for name in payload.projection_choices(checkpoint) if name != "dimensions"]
    messages = {name: cache.map_data(checkpoint, name, colours[0]) for name in stored}
    parts = {kind: walk.rows(checkpoint, kind) for kind in get_args(Kind)}
    return {
        "maps": [
            Choice(data["projection"]["label"], _only(data, "projection", "backdrop"))
            for data in messages.values()
        ],
        "colours": [
            Choice(name.replace("_", " "), {"colour": payload.colour_part(checkpoint, name)})
            for name in colours
        ],
        "sliders": [Choice(kind, part) for kind, part in parts.items() if part["rows"]],
    }


def _only(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: data[name] for name in names}
