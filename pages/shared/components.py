"""The two elements that decode in the browser: the latent map and the latent walk.

Their sources are in web/. Streamlit sends an element's script with every rerun, so the script is a
small loader; the rest is one bundle, published once as a static file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from pages.shared.assets import plotly_url, publish

WEB_DIR = Path(__file__).parent / "web"
# In order of dependence: the sources are joined into one module.
SOURCES = (
    "kernel.wasm.js",
    "decoder.js",
    "common.js",
    "space.js",
    "chart.js",
    "overlay.js",
    "panel.js",
    "map.js",
    "walk.js",
)


def latent_map(*, data: Mapping[str, Any], key: str, height: int = 620) -> dict[str, Any] | None:
    """Show the map; returns the last pick for this model and these codes, or None.

    A pick is {"kind": "point" | "place", "row", "x", "y", "z", "ms", "projection"}. The format of
    `data` is described in web/README.md.
    """
    message = {**data, "height": height, "plotly": plotly_url()}
    result = _mount("map", message, key=key, event="pick")
    subject = f"{data['model']['key']} {data['points']['codes']}"
    memory = f"_{key}_pick"
    if result.get("pick"):
        st.session_state[memory] = (subject, result["pick"])
    held = st.session_state.get(memory)
    return held[1] if held and held[0] == subject else None


def latent_walk(*, data: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """Show the sliders; returns {"z": [...]}, the code they were last released at, or None."""
    result = _mount("walk", dict(data), key=key, event="z")
    return {"z": result["z"]} if result.get("z") else None


def warm_up() -> None:
    """Let the browser load and compile Plotly.js while the server still imports torch."""
    data = {"view": "warm", "bundle": bundle_url(), "plotly": plotly_url()}
    _renderer("warm")(key="warm_up", data=data)


@lru_cache(maxsize=1)
def _bundle() -> tuple[str, bytes]:
    """Name and content of the joined scripts and styles."""
    parts = [_without_modules((WEB_DIR / name).read_text("utf-8")) for name in SOURCES]
    style = json.dumps((WEB_DIR / "style.css").read_text("utf-8"))
    parts.append(
        f"const style = document.createElement('style'); style.textContent = {style};"
        "document.head.append(style);\n"
        "export const VIEWS = { map: mountMap, walk: mountWalk, warm: mountWarm };\n"
        "export { Decoder };\n"
    )
    script = "\n".join(parts).encode()
    return f"lx-{hashlib.sha256(script).hexdigest()[:16]}.js", script


def bundle_url() -> str:
    """URL path of the joined scripts and styles; writes the file again if it was cleaned away."""
    return publish(*_bundle())


def _without_modules(source: str) -> str:
    source = re.sub(r"^import .*\n", "", source, flags=re.MULTILINE)
    return re.sub(r"^export (?=const|class|function|async)", "", source, flags=re.MULTILINE)


@lru_cache(maxsize=3)
def _renderer(view: str) -> ComponentRenderer:
    """Registered once per process; not isolated, since Plotly.js puts its styles in the head."""
    script = (WEB_DIR / "loader.js").read_text("utf-8")
    return st.components.v2.component(f"latent_{view}", js=script, isolate_styles=False)


def _mount(view: str, message: dict[str, Any], *, key: str, event: str) -> Mapping[str, Any]:
    message |= {"view": view, "bundle": bundle_url()}
    callbacks: dict[str, Any] = {f"on_{event}_change": _nothing}
    result: Mapping[str, Any] = _renderer(view)(key=key, data=message, **callbacks)
    return result


def _nothing() -> None:
    """Streamlit reports only the events that have a callback."""
