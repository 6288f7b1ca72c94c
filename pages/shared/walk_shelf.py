"""The shelf as a visitor sees it: keep the code, a row of pictures, new names."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.shared import cache, shelf, show, walk_code
from vae_core.checkpoint import Checkpoint

THUMB_PIXELS = 84


def keep_form(checkpoint: Checkpoint) -> None:
    """A name and a button that puts the current code on the shelf."""
    # Placed by the caller below what changes the code; the browser tells its last move first.
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    left.text_input(
        "Name for this code",
        key="walk_keep_name",
        max_chars=shelf.MAX_NAME,
        placeholder=f"code {len(shelf.kept(checkpoint.key)) + 1}",
    )
    right.button(
        "Keep this code",
        icon=":material/bookmark_add:",
        key="walk_keep",
        on_click=_keep_current,
        args=(checkpoint,),
        width="stretch",
    )


def _keep_current(checkpoint: Checkpoint) -> None:
    name = str(st.session_state.get("walk_keep_name", "")).strip()
    name = name or f"code {len(shelf.kept(checkpoint.key)) + 1}"
    # Callbacks run before the element is read again: take what the browser told last.
    shelf.keep(checkpoint.key, name, walk_code.told(checkpoint))
    st.session_state["walk_keep_name"] = ""


def codes_row(checkpoint: Checkpoint) -> None:
    """Kept codes as pictures with their names, and a way to rename or drop one."""
    kept = shelf.kept(checkpoint.key)
    if not kept:
        st.caption("Kept codes stand here, and in Paths, Arithmetic and Export.")
        return
    images = cache.decoded(checkpoint, np.stack([item.z for item in kept]))
    pairs = [(image, item.name) for image, item in zip(images, kept, strict=True)]
    show.pictures(pairs, width=THUMB_PIXELS, testids=("kept-code",) * len(pairs))
    _change(checkpoint)


def _change(checkpoint: Checkpoint) -> None:
    with st.popover("Change the shelf", icon=":material/edit:"):
        names = [item.name for item in shelf.kept(checkpoint.key)]
        name = st.selectbox("Kept code", names, key="walk_shelf_name")
        new_name = st.text_input("New name", max_chars=shelf.MAX_NAME, key="walk_shelf_new_name")
        left, middle, right = st.columns(3)
        key = checkpoint.key
        left.button("Rename", on_click=shelf.rename, args=(key, name, new_name), width="stretch")
        middle.button("Drop", on_click=shelf.drop, args=(key, name), width="stretch")
        right.button("Walk here", on_click=_walk_to, args=(checkpoint, name), width="stretch")


def vectors_change(checkpoint: Checkpoint) -> None:
    """A way to rename or drop a kept vector, where there is one."""
    kept = shelf.vectors(checkpoint.key)
    if not kept:
        return
    with st.popover("Change the vectors", icon=":material/edit:"):
        names = [item.name for item in kept]
        name = st.selectbox("Kept vector", names, key="walk_vector_name")
        new_name = st.text_input(
            "New name for the vector", max_chars=shelf.MAX_NAME, key="walk_vector_new_name"
        )
        left, right = st.columns(2)
        left.button(
            "Rename vector",
            on_click=shelf.rename_vector,
            args=(checkpoint.key, name, new_name),
            width="stretch",
        )
        right.button(
            "Drop vector",
            on_click=shelf.drop_vector,
            args=(checkpoint.key, name),
            width="stretch",
        )


def _walk_to(checkpoint: Checkpoint, name: str) -> None:
    found = next(item for item in shelf.kept(checkpoint.key) if item.name == name)
    walk_code.walk_from(checkpoint, found.z, source=f"kept code '{name}'")
