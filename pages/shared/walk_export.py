"""Files and links: the path or a sweep as GIF, MP4, PNG or npz, variations, a permalink."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, get_args

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, shelf, show, state, walk_code, walk_paths, walk_payload
from pages.shared.walk_payload import Kind
from vae_core.checkpoint import Checkpoint
from vae_core.examine import decode, snap
from vae_core.export import (
    Plan,
    Sources,
    augmentation_zip,
    gif_bytes,
    mp4_bytes,
    npz_bytes,
    sheet_bytes,
    write_permalink,
)
from vae_core.export.augment import about_model
from vae_core.latent.directions import Direction, step

Floats = NDArray[np.float32]
N_SWEEP: Final = 30
SHEET_COLUMNS: Final = 10
Files = dict[str, tuple[str, Callable[[], bytes]]]
SIDES: Final = (128, 192, 256, 512)
LEAST_STD: Final = 1e-6
MAX_VARIATIONS: Final = 200


@dataclass(frozen=True)
class Film:
    """Codes `[n,D]` to be written as pictures, and whether they should play back again."""

    title: str
    codes: Floats
    bounce: bool


def export(checkpoint: Checkpoint) -> None:
    """The whole section; nothing is decoded or written before a button asks for it."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("#### A walk as a file")
        film = _choose_film(checkpoint)
        _downloads(checkpoint, film)
    with right:
        st.markdown("#### Variations of this code")
        _variations(checkpoint)
        st.markdown("#### A link to this code")
        _permalink(checkpoint)


def _choose_film(checkpoint: Checkpoint) -> Film:
    path = walk_paths.last_path(checkpoint)
    choices = ["Sweep of a slider"] if path is None else ["The path", "Sweep of a slider"]
    chosen = st.segmented_control(
        "What", choices, default=choices[0], required=True, key="export_what"
    )
    if path is not None and chosen == "The path":
        st.caption(f"{show.plain(path.title)}, {len(path.codes)} frames.")
        return Film(path.title, path.codes, bounce=False)
    if path is None:
        st.caption("A path that was shown under Paths can be written here too.")
    return _sweep(checkpoint)


def _sweep(checkpoint: Checkpoint) -> Film:
    """Through the current code along one direction, from end to end of its slider."""
    kind: Kind = st.selectbox("Along", get_args(Kind), key="export_kind")
    found = _directions(checkpoint, kind)
    if not found:
        st.info("There is nothing of that kind for this model; here are the dimensions.")
        found = _directions(checkpoint, "Dimensions")
    named = dict(zip(walk_payload.titles(checkpoint, found), found, strict=True))
    name = st.selectbox("Direction", list(named), key="export_direction")
    z, item = walk_code.current(checkpoint).code, named[name]
    at = float((z - checkpoint.codes.mean.mean(0)) @ item.vector) / max(item.scale, LEAST_STD)
    reach = np.linspace(-walk_payload.REACH, walk_payload.REACH, N_SWEEP)
    codes = np.stack([step(z, item, amount=float(value) - at) for value in reach])
    return Film(f"sweep of {name}", snap(codes), bounce=True)


def _directions(checkpoint: Checkpoint, kind: Kind) -> tuple[Direction, ...]:
    if kind != "Saved vectors":
        return cache.directions(checkpoint, kind)
    return walk_payload.kept_directions(shelf.vectors(checkpoint.key))


def _downloads(checkpoint: Checkpoint, film: Film) -> None:
    left, right = st.columns(2)
    fps = left.slider("Frames per second", 4, 30, 12, key="export_fps")
    side: int = right.select_slider(
        "Pixels", SIDES, value=192, key="export_side", help="Of GIF and MP4: larger takes longer."
    )
    spec = checkpoint.model.spec
    scale = max(1, round(side / max(spec.height, spec.width)))
    name, codes = f"{checkpoint.name}-walk", film.codes

    def pictures() -> Floats:
        return decode(checkpoint, codes)

    about = {"model": checkpoint.name, "key": checkpoint.key, "walk": film.title}
    pace = 1000 / fps
    files: Files = {
        "GIF": ("image/gif", lambda: gif_bytes(
            pictures(), milliseconds_per_frame=pace, scale=scale, bounce=film.bounce)),
        "MP4": ("video/mp4", lambda: mp4_bytes(
            pictures(), frames_per_second=fps, scale=scale, bounce=film.bounce)),
        "PNG": ("image/png", lambda: sheet_bytes(pictures(), n_columns=SHEET_COLUMNS)),
        "npz": ("application/octet-stream", lambda: npz_bytes(codes, pictures(), about)),
    }  # fmt: skip
    has_video = find_spec("av") is not None
    _buttons(files, name=name, key="export", without="" if has_video else "MP4")
    if not has_video:
        st.caption("MP4 needs the package 'av': run `pip install av`, or take the GIF.")
    st.caption("GIF and MP4 play; PNG is a sheet of all frames; npz holds codes and frames.")


def sheet_and_arrays(
    checkpoint: Checkpoint, codes: Floats, *, title: str, n_columns: int, key: str
) -> None:
    """Buttons that write codes `[n,D]` as a PNG sheet of `n_columns` or as npz, when pressed."""

    def pictures() -> Floats:
        return decode(checkpoint, codes)

    about = {"model": checkpoint.name, "key": checkpoint.key, "walk": title, "columns": n_columns}
    files: Files = {
        "PNG sheet": ("image/png", lambda: sheet_bytes(pictures(), n_columns=n_columns)),
        "npz": ("application/octet-stream", lambda: npz_bytes(codes, pictures(), about)),
    }
    _buttons(files, name=f"{checkpoint.name}-{key}", key=key)


def _buttons(files: Files, *, name: str, key: str, without: str = "") -> None:
    """One download for each kind of file; nothing is written before it is pressed."""
    columns = st.columns(len(files))
    for column, (label, (mime, write)) in zip(columns, files.items(), strict=True):
        column.download_button(
            label,
            write,
            f"{name}.{label.split()[0].lower()}",
            mime,
            key=f"{key}_{label}",
            on_click="ignore",
            icon=":material/download:",
            disabled=label == without,
            width="stretch",
        )


def _variations(checkpoint: Checkpoint) -> None:
    left, middle, right = st.columns(3)
    n = int(left.number_input("How many", 1, MAX_VARIATIONS, 16, key="variations_n"))
    spread = float(middle.number_input("Spread", 0.0, 3.0, 0.3, 0.1, key="variations_spread",
        help="In standard deviations of the real codes."))  # fmt: skip
    seed = int(right.number_input("Seed", 0, 2**31 - 1, 0, key="variations_seed"))
    z = walk_code.current(checkpoint).code
    width = np.log(np.maximum(checkpoint.codes.mean.std(0), LEAST_STD)).astype(np.float32)
    sources = Sources(np.zeros(1, np.int64), z[None], np.tile(width, (1, 1)))
    plan, about = Plan(n, spread, seed), about_model(checkpoint, command="Walk page, variations")

    def pictures(codes: Floats, _ids: NDArray[np.int64]) -> Floats:
        return decode(checkpoint, codes)

    def write() -> bytes:
        buffer = io.BytesIO()
        augmentation_zip(buffer, pictures, sources, plan=plan, about=about)
        return buffer.getvalue()

    st.download_button(
        f"{n} variations as a zip",
        write,
        f"{checkpoint.name}-variations.zip",
        "application/zip",
        key="export_variations",
        on_click="ignore",
        icon=":material/download:",
    )
    st.caption("A PNG each, a manifest with the exact code of every file, and how it was made.")


def _permalink(checkpoint: Checkpoint) -> None:
    link = write_permalink(checkpoint.key, walk_code.current(checkpoint).code)
    st.code(f"{_address()}?model={state.model_name()}&code={link}", language=None, wrap_lines=True)
    st.caption("Whoever opens it with the same model gets these pixels, to the last bit.")


def _address() -> str:
    """This page's address without its query, as the browser knows it."""
    return str(st.context.url or "/walk").partition("?")[0]
