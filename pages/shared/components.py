"""The elements with a script of their own: map, walk, path player, grid; drawing and pasting.

Their sources are in web/. Streamlit sends an element's script with every rerun, so the script is a
small loader; the rest is one bundle, published once as a static file.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.components.v2.types import ComponentRenderer

from pages.shared.assets import publish

WEB_DIR = Path(__file__).parent / "web"
# In order of dependence: the sources are joined into one module.
SOURCES = (
    "kernel.wasm.js",
    "decoder.js",
    "common.js",
    "space.js",
    "trust.js",
    "names.js",
    "gestures.js",
    "lasso.js",
    "atlas.js",
    "pictures.js",
    "tools.js",
    "raster.js",
    "colouring.js",
    "contours.js",
    "chart.js",
    "overlay.js",
    "panel.js",
    "map.js",
    "walk_history.js",
    "walk_rows.js",
    "walk_trust.js",
    "walk_pad.js",
    "walk.js",
    "path_chart.js",
    "path.js",
    "grid.js",
    "paint.js",
    "draw.js",
    "training.js",
    "linked.js",
    "same.js",
)
STYLES = ("style.css", "walk.css", "paint.css", "training.css", "compare.css")
# Only the Learn page loads these: no other page and no shared view should carry them.
LEARN = (
    "learn_kit.js",
    "learn_flow.js",
    "learn_noise.js",
    "learn_beta.js",
    "learn_plain.js",
    "learn_loss.js",
    "learn.js",
    "learn.css",
)


@dataclass(frozen=True)
class MapState:
    """What the visitor last did on a map: the spot picked, and the rows of the region chosen."""

    pick: dict[str, Any] | None = None
    region: NDArray[np.int64] | None = None


def latent_map(*, data: Mapping[str, Any], key: str, height: int = 620) -> MapState:
    """Show the map; returns the last pick and region for this model and these codes.

    A pick is {"kind": "point" | "place", "row", "x", "y", "z", "ms", "projection"}. The format of
    `data` is described in web/README.md.
    """
    message, subject = {**data, "height": height}, _subject(data)
    # Taken first: what the element tells is told once, and a rerun may come before each look.
    kept = _kept(key)
    result = _mount("map", message, key=key, events=("pick", "region"))
    for event in ("pick", "region"):
        if result.get(event):
            kept[event] = (subject, result[event])
    pick, region = (
        kept[event][1] if event in kept and kept[event][0] == subject else None
        for event in ("pick", "region")
    )
    return MapState(pick, _rows_of(region, n=data["points"]["n"]))


def put_pick(*, data: Mapping[str, Any], key: str, pick: Mapping[str, Any]) -> None:
    """Let the map called `key` return this pick from now on, as if it had been clicked."""
    _kept(key)["pick"] = (_subject(data), dict(pick))


def put_region(*, data: Mapping[str, Any], key: str, rows: NDArray[np.int64]) -> None:
    """Let the map called `key` return these rows as its region from now on, as if drawn."""
    inside = np.zeros(data["points"]["n"], np.bool_)
    inside[rows] = True
    bits = b64encode(np.packbits(inside, bitorder="little").tobytes()).decode()
    _kept(key)["region"] = (_subject(data), {"n": len(rows), "bits": bits})


def _kept(key: str) -> dict[str, Any]:
    """What the element called `key` told last, by the name of the event."""
    found: dict[str, Any] = st.session_state.setdefault(f"_{key}_told", {})
    return found


def _subject(data: Mapping[str, Any]) -> str:
    return f"{data['model']['key']} {data['points']['codes']}"


def _rows_of(region: Mapping[str, Any] | None, *, n: int) -> NDArray[np.int64] | None:
    """The rows a region's bits name, or None for an empty or damaged one."""
    if not region or not region.get("bits"):
        return None
    bits = np.unpackbits(np.frombuffer(b64decode(region["bits"]), np.uint8), bitorder="little")
    rows = np.flatnonzero(bits[:n]).astype(np.int64)
    return rows if len(rows) else None


@dataclass(frozen=True)
class WalkState:
    """The code the sliders were last released at, and a name {"id", "name"} just given to one."""

    z: list[float] | None = None
    rename: Mapping[str, Any] | None = None


def latent_walk(*, data: Mapping[str, Any], key: str) -> WalkState:
    """Show the sliders; the format of `data` is described in web/README.md."""
    result = _mount("walk", dict(data), key=key, events=("z", "rename"))
    return WalkState(result.get("z") or None, result.get("rename") or None)


def latent_path(*, data: Mapping[str, Any], key: str) -> None:
    """Show the player of a path; the format of `data` is described in web/README.md."""
    _mount("path", dict(data), key=key, events=())


def latent_lesson(*, data: Mapping[str, Any], key: str) -> None:
    """Show a chapter of the Learn page; the format of `data` is described in web/README.md."""
    _renderer("learn")(key=key, data={**data, "view": "learn", "bundle": bundle_url(*LEARN)})


def latent_grid(*, data: Mapping[str, Any], key: str, on_pick: Callable[[int], None]) -> None:
    """Show a grid of codes; `on_pick` is called with a cell's number, before the next run.

    The format of `data` is described in web/README.md.
    """

    def picked() -> None:
        cell = st.session_state[key]["pick"]["cell"]
        if cell in range(len(data["codes"])):
            on_pick(int(cell))

    message = {**data, "view": "grid", "bundle": bundle_url()}
    _renderer("grid")(key=key, data=message, on_pick_change=picked)


def latent_paint(*, data: Mapping[str, Any], key: str) -> NDArray[np.bool_] | None:
    """Show a picture to paint on; the painted pixels bool `[H,W]`, None while there are none.

    The format of `data` is described in web/README.md. The mask is kept for its `version`.
    """
    kept = _kept(key)
    held = kept.get("mask", {})
    known = held if held.get("version") == data["version"] else {}
    told = _mount("paint", {**data, "bits": known.get("bits", "")}, key=key, events=("mask",))
    if told.get("mask") and told["mask"].get("version") == data["version"]:
        known = kept["mask"] = dict(told["mask"])
    height, width = data["shape"]
    rows = _rows_of(known, n=height * width)
    if rows is None:
        return None
    mask = np.zeros(height * width, np.bool_)
    mask[rows] = True
    return mask.reshape(height, width)


def linked_maps(*, data: Mapping[str, Any], key: str) -> NDArray[np.int64] | None:
    """Show maps of the same images; the rows chosen on any of them, None for none.

    The format of `data` is described in web/README.md. A choice is kept for its `version`.
    """
    told = _mount("linked", dict(data), key=key, events=("chosen",)).get("chosen")
    if not told or told.get("version") != data["version"]:
        return None
    return _rows_of(told, n=data["n"])


def latent_same(*, data: Mapping[str, Any], key: str) -> None:
    """Show sliders that move one code in several decoders; `data` as in web/README.md."""
    _mount("same", dict(data), key=key, events=())


@dataclass(frozen=True)
class Drawing:
    """What was drawn, as the network sees it: uint8 `[1,H,W]`; whether it was centred."""

    pixels: NDArray[np.uint8]
    is_centred: bool


def drawing(*, height: int, width: int, ground: int, key: str) -> Drawing | None:
    """A sheet to draw on; the drawing, or None for an empty sheet.

    `ground` 0 to 255 is the brightness around the model's own pictures: the sheet has the same.
    """
    sheet = {"height": height, "width": width, "ground": ground}
    found = _mount("draw", sheet, key=key, events=("drawing",)).get("drawing")
    if not found or (found.get("height"), found.get("width")) != (height, width):
        return None
    values = _sent_bytes(found.get("pixels"), most=height * width)
    if values is None or len(values) != height * width:
        return None
    pixels = np.frombuffer(values, np.uint8).reshape(1, height, width).copy()
    return Drawing(pixels, bool(found.get("centred")))


MAX_PASTED_BYTES = 8 * 2**20


def pasted(*, key: str) -> bytes | None:
    """A place to paste; the PNG just pasted, at most 1,024 pixels a side and 8 MB, else None."""
    found = _mount("paste", {}, key=key, events=("picture",)).get("picture")
    return _sent_bytes(found.get("png"), most=MAX_PASTED_BYTES) if found else None


def _sent_bytes(text: object, *, most: int) -> bytes | None:
    """Bytes a browser sent as base64, or None for what is no such text or too much of it."""
    if not isinstance(text, str) or len(text) > 4 * (most // 3 + 1):
        return None
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None


def training_view(*, data: Mapping[str, Any], key: str) -> None:
    """Show a run as it learns; the format of `data` is described in web/README.md."""
    _mount("training", dict(data), key=key, events=())


@lru_cache(maxsize=2)
def _bundle(*more: str) -> tuple[str, bytes]:
    """Name and content of the joined scripts and styles."""
    script = joined_sources(*more).encode()
    return f"lx-{hashlib.sha256(script).hexdigest()[:16]}.js", script


def joined_sources(*more: str) -> str:
    """All scripts as one module that sets all styles; `more` names further files of web/."""
    named = (*SOURCES, *more)
    scripts, styles = ([n for n in named if n.endswith(end)] for end in (".js", ".css"))
    parts = [_without_modules((WEB_DIR / name).read_text("utf-8")) for name in scripts]
    style = json.dumps("".join((WEB_DIR / name).read_text("utf-8") for name in (*STYLES, *styles)))
    parts.append(
        f"const style = document.createElement('style'); style.textContent = {style};"
        "document.head.append(style);\n"
        "export const VIEWS ="
        " { map: mountMap, walk: mountWalk, path: mountPath, grid: mountGrid,"
        " paint: mountPaint, draw: mountDraw, paste: mountPaste, training: mountTraining,"
        " linked: mountLinked, same: mountSame };\n"
        "export { Decoder };\n"
    )
    if "learn.js" in more:
        parts.append("VIEWS.learn = mountLearn;\n")
    return "\n".join(parts)


def bundle_url(*more: str) -> str:
    """URL path of the joined scripts and styles; writes the file again if it was cleaned away."""
    return publish(*_bundle(*more))


def _without_modules(source: str) -> str:
    source = re.sub(r"^import .*\n", "", source, flags=re.MULTILINE)
    return re.sub(r"^export (?=const|class|function|async)", "", source, flags=re.MULTILINE)


@lru_cache(maxsize=8)
def _renderer(view: str) -> ComponentRenderer:
    """Registered once per process; not isolated: the styles stand in the head, once for all."""
    script = (WEB_DIR / "loader.js").read_text("utf-8")
    return st.components.v2.component(f"latent_{view}", js=script, isolate_styles=False)


def _mount(
    view: str, message: dict[str, Any], *, key: str, events: Sequence[str]
) -> Mapping[str, Any]:
    message |= {"view": view, "bundle": bundle_url()}
    callbacks: dict[str, Any] = {f"on_{event}_change": _nothing for event in events}
    result: Mapping[str, Any] = _renderer(view)(key=key, data=message, **callbacks)
    return result


def _nothing() -> None:
    """Streamlit reports only the events that have a callback."""
