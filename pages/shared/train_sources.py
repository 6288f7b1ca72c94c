"""Where pictures come from: dropped files, a built-in set, a folder, or data dropped before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared import models, show, train_found
from pages.shared.acts import acts_of
from vae_core.data.catalogue import CATALOGUE
from vae_core.data.dropped import amount
from vae_core.data.incoming import (
    QUOTA_BYTES,
    Upload,
    delete_upload,
    keep_upload,
    list_uploads,
    slug,
)
from vae_core.data.inspection import preview
from vae_core.data.roots import allowed_path
from vae_core.errors import DataError, ExplorerError
from vae_core.runs.store import list_runs

# What --data gets, and a short name.
Asked = tuple[str, str] | None

DROP, BUILT_IN, FOLDER, BEFORE = (
    "Drop files",
    "A built-in set",
    "A folder on this computer",
    "Dropped before",
)
# Little below the server's own limit; 512 would be shown as a rounded gigabyte.
MAX_FILE_MB: Final = 500
_DEFAULT_SET: Final = "faces"
_WAY, _DROPPED, _SET = "train_way", "train_dropped", "train_set"
# The first thing a visitor is to use is also the largest.
_STYLE: Final = """<style>
.st-key-train_drop [data-testid=stFileUploaderDropzone] {min-height:9rem; justify-content:center;
  align-items:center; border:2px dashed #8888; border-radius:.75rem}
.st-key-train_drop [data-testid=stFileUploaderDropzoneInstructions] {flex:none}
.st-key-train_drop [data-testid=stFileUploaderDropzone] > span::before {
  content:"Drop here, or"; margin-right:.7rem; opacity:.8}
</style>"""


def choose_source() -> Asked:
    """The visitor's choice of a source, or None while there is none."""
    ways = [DROP, BUILT_IN, FOLDER, *([BEFORE] if list_uploads(uploads_folder()) else [])]
    if st.session_state.setdefault(_WAY, DROP) not in ways:
        st.session_state[_WAY] = DROP
    way = st.segmented_control(
        "Train on", ways, required=True, key=_WAY, label_visibility="collapsed", wrap=True,
        persist_state="session",
    )  # fmt: skip
    return _ASKS[str(way)]()


def uploads_folder() -> Path:
    """Where dropped data sets lie: beside the runs, hidden from lists of models."""
    return models.folder_for_runs() / ".data"


@dataclass
class _Dropped:
    """What was dropped last, or why it was not kept; `turn` counts the uploaders used up."""

    path: Path | None = None
    problem: str = ""
    turn: int = 0

    def forget(self) -> None:
        self.path = None


def _dropped() -> Asked:
    last: _Dropped = st.session_state.setdefault(_DROPPED, _Dropped())
    path = last.path
    if path is not None and path.exists():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Other files", key="train_other", icon=":material/upload:",
                      on_click=last.forget)  # fmt: skip
            st.caption(f":material/check_circle: **{_title(path)}** is here; it stays for later.")
        return _relative(path), _title(path)
    if last.problem:
        st.error(show.plain(last.problem))
    with st.container(key="train_drop"):
        files = _uploader(last.turn)
    if files:
        _take(files, last)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Nothing at hand?", width="content")
        st.button("Use a built-in set", key="train_use_set", icon=":material/photo_library:",
                  on_click=_choose_way, args=(BUILT_IN,))  # fmt: skip
    return None


def _uploader(turn: int) -> list[Any]:
    st.html(_STYLE)
    return st.file_uploader(
        "Drop a zip of pictures (with a folder for each kind, if there are kinds), the pictures "
        "themselves, or a NumPy or IDX file",
        accept_multiple_files=True,
        max_upload_size=MAX_FILE_MB,
        key=f"train_files_{turn}",
        help="PNG, JPEG, WebP, GIF, BMP, TIFF or PPM pictures; .npz or .npy with [N,H,W] or "
        "[N,H,W,3]; images and labels as in MNIST. Hundreds of pictures travel faster as one "
        "zip. What you drop stays on this computer until it is deleted "
        f"under '{BEFORE}'.",
    )


def _choose_way(way: str) -> None:
    st.session_state[_WAY] = way


def _take(files: list[Any], last: _Dropped) -> None:
    """Keep the files on disk and start a new round: an empty uploader, and memory given back."""
    with st.spinner("Keeping the files…"):
        # All of it within: at the spinner's end a newer rerun may take over.
        try:
            path = keep_upload([(f.name, f.getvalue()) for f in files], uploads_folder())
            last.path, last.problem = path, ""
        except DataError as error:
            last.path, last.problem = None, str(error)
        last.turn += 1
        _give_back(files)
    st.rerun()


def _give_back(files: list[Any]) -> None:
    """Streamlit would hold the bytes in memory until the tab is closed."""
    context = get_script_run_ctx()
    manager = None if context is None else context.uploaded_file_mgr
    if context is not None and isinstance(manager, MemoryUploadedFileManager):
        for file in files:
            manager.remove_file(context.session_id, file.file_id)


def _built_in() -> Asked:
    chosen = st.session_state.setdefault(_SET, _DEFAULT_SET)
    for start in range(0, len(CATALOGUE), 3):
        for column, name in zip(st.columns(3), list(CATALOGUE)[start : start + 3], strict=False):
            with column, st.container(border=True):
                _card(name, is_chosen=name == chosen)
    return chosen, chosen


def _card(name: str, *, is_chosen: bool) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute",
                      vertical_alignment="center", wrap=False):  # fmt: skip
        st.markdown(f"**{name}**")
        st.button(
            "Chosen" if is_chosen else "Choose", key=f"train_set_{name}", disabled=is_chosen,
            icon=":material/check:" if is_chosen else None, on_click=_choose_set, args=(name,),
        )  # fmt: skip
    images = _preview(name)
    if images is not None:
        st.html(train_found.small_row(images))
    later = "" if images is not None else " :material/download: to download at the first use"
    st.caption(CATALOGUE[name].description + later)


@lru_cache(maxsize=16)
def _preview(name: str) -> NDArray[np.uint8] | None:
    return preview(name, 9)


def _choose_set(name: str) -> None:
    st.session_state[_SET] = name


def _from_folder() -> Asked:
    roots = models.data_roots()
    near = _near(roots)
    st.text_input(
        "Path of a folder, zip, tar, NumPy or IDX file", key="train_path",
        placeholder=str(near[0]) if near else "pictures/cats", persist_state="session",
        help="Below " + ", ".join(f"`{root}`" for root in roots) + ". Whoever runs the app allows "
        "other folders with the setting VAE_DATA_ROOTS.",
    )  # fmt: skip
    if near:
        with st.container(horizontal=True):
            for index, path in enumerate(near):
                st.button(show.plain(path.name), key=f"train_near_{index}", type="tertiary",
                          icon=":material/folder:" if path.is_dir() else ":material/draft:",
                          on_click=_choose_path, args=(str(path),))  # fmt: skip
    text = st.session_state.get("train_path") or ""
    if not text.strip():
        return None
    try:
        path = allowed_path(text, roots)
    except DataError as error:
        st.error(show.plain(str(error)))
        return None
    return str(path), slug(path.stem, otherwise="folder")


def _near(roots: tuple[Path, ...], *, most: int = 12) -> list[Path]:
    """What lies directly in the allowed folders and may be data."""
    wanted = {".zip", ".npz", ".npy", ".tar"}
    found: list[Path] = []
    for root in roots:
        if root.is_dir():
            inside = sorted(root.iterdir())
            found += [p for p in inside if p.is_dir() or p.suffix.lower() in wanted]
    return [path for path in found if not path.name.startswith(".")][:most]


def _choose_path(text: str) -> None:
    st.session_state["train_path"] = text


def _before() -> Asked:
    uploads = list_uploads(uploads_folder())
    if not uploads:
        return None
    by_path = {item.path: item for item in uploads}
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    path = left.selectbox(
        "Data dropped before", list(by_path), key="train_before", persist_state="session",
        format_func=lambda p: f"{_title(p)} · {amount(by_path[p].n_bytes)}" if p in by_path else "",
    )  # fmt: skip
    if path not in by_path:
        path = uploads[0].path
    with right.popover("Delete", icon=":material/delete:", width="stretch"):
        _ask_to_delete(by_path[path])
    acts_of("uploads").tell()
    used = sum(item.n_bytes for item in uploads)
    st.caption(f"{amount(used)} of {amount(QUOTA_BYTES)} for dropped data are used.")
    return _relative(path), _title(path)


def _ask_to_delete(item: Upload) -> None:
    st.markdown(
        f"Delete **{item.name}** ({amount(item.n_bytes)}) for good? Models trained on it keep "
        "working, but can no longer show its pictures."
    )
    try:
        users = _users(item.path)
    except (ExplorerError, OSError) as error:
        st.error(show.plain(str(error)))
        return
    if users:
        st.warning(f"A run needs it that has not ended yet: {show.plain(', '.join(users))}.")
    delete = acts_of("uploads").once(item.path.name, lambda: _delete(item.path))
    st.button("Delete it", type="primary", key="train_delete", on_click=delete,
              disabled=bool(users))  # fmt: skip


def _users(path: Path) -> list[str]:
    """Names of the runs under way or waiting that read this data."""
    runs = list_runs(models.folder_for_runs())
    waiting = [run for run in runs if run.status in ("queued", "running")]
    return [run.folder.name for run in waiting if _relative(path) in run.arguments]


def _delete(path: Path) -> None:
    if users := _users(path):
        raise DataError(f"The run '{users[0]}' was started meanwhile and needs these data.")
    delete_upload(path, uploads_folder())


_ASKS: Final[dict[str, Callable[[], Asked]]] = {
    DROP: _dropped,
    BUILT_IN: _built_in,
    FOLDER: _from_folder,
    BEFORE: _before,
}


def _title(path: Path) -> str:
    """The name of dropped data without the hash that keeps it apart from others."""
    return path.name.rpartition("-")[0] or path.stem


def _relative(path: Path) -> str:
    """As one types it in the project's folder, if it lies there."""
    path = path.resolve()
    return str(path.relative_to(models.ROOT)) if path.is_relative_to(models.ROOT) else str(path)
