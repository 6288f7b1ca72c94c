"""A region of the map and the groups kept of it: what lies there, and what tells two apart."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, groups, region_members, shelf, show
from vae_core.checkpoint import Checkpoint
from vae_core.latent.directions import Direction, attribute_direction, step
from vae_core.latent.region import Region, axis_strip, describe_region

Rows = NDArray[np.int64]
N_GALLERY = 12
MOVES = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)


def region(checkpoint: Checkpoint, rows: Rows | None, *, picked: int | None = None) -> None:
    """Everything about the region drawn on the map; `picked` is the row of the picked point."""
    if rows is None:
        st.info(
            "No region is chosen. Take the lasso or the box above the map and draw around points.",
            icon=":material/lasso_select:",
        )
        return
    found = describe_region(checkpoint.codes, rows)
    st.subheader(f"{found.n:,} images, {found.share:.1%} of those on the map")
    left, right = st.columns([1, 2])
    with left:
        mean = cache.decoded(checkpoint, found.mean[None])[0]
        show.pictures([(mean, "the average code, decoded")], width=180)
        st.caption(_measures(found))
    with right:
        _mixes(found)
    _keep(checkpoint, found)
    _strips(checkpoint, found)
    _members(checkpoint, found)
    region_members.members(checkpoint, found, picked=picked)
    region_members.files(checkpoint, found)


def _measures(found: Region) -> str:
    here, everywhere = found.squared_error, found.squared_error_of_all
    text = f"Squared error {here:.4f} on average (all: {everywhere:.4f})"
    if found.kl_nats_of_all:
        text += f" · KL {found.kl_nats:.1f} nats (all: {found.kl_nats_of_all:.1f})"
    return text


def _mixes(found: Region) -> None:
    if found.labels:
        st.markdown("**Labels** (share here, how many times commoner than on the whole map)")
        show.shares([(part.name, part.share, f"× {part.lift:.1f}") for part in found.labels[:8]])
    told = []
    for factor in found.factors:
        name = factor.name.replace("_", " ")
        if factor.shift is not None and abs(factor.shift) >= 0.25:
            told.append((abs(factor.shift), f"{name} {factor.mean:.2f}, {factor.shift:+.1f} σ"))
        if factor.parts and (part := max(factor.parts, key=lambda p: p.lift)).lift >= 1.5:
            told.append((part.lift, f"{name} {part.name}: {part.share:.0%}, × {part.lift:.1f}"))
    if told:
        said = " · ".join(text for _, text in sorted(told)[::-1])
        st.markdown(f"**What sets it apart:** {show.plain(said)}")


def _strips(checkpoint: Checkpoint, found: Region) -> None:
    n_axes = min(region_members.N_AXES, len(found.principal.axes))
    if not n_axes:
        return
    st.markdown("**Along its own principal axes**, from −2σ to +2σ")
    for axis in range(n_axes):
        images = cache.decoded(checkpoint, axis_strip(found, axis, n_steps=region_members.N_STRIP))
        offsets = np.linspace(-2, 2, region_members.N_STRIP)
        captions = [f"{offset:+.1f}σ" for offset in offsets]
        st.caption(f"Axis {axis + 1}: {found.principal.explained[axis]:.0%} of its variance")
        show.pictures(list(zip(images, captions, strict=True)), width=72)


def gallery(checkpoint: Checkpoint, rows: Rows, *, captions: list[str], width: int = 76) -> str:
    """Pictures of these rows: the originals where they are, else decoded; says which."""
    images, kind = region_members.pictures_of(checkpoint, rows)
    show.pictures(list(zip(images, captions, strict=True)), width=width)
    return kind


def _members(checkpoint: Checkpoint, found: Region) -> None:
    ids = checkpoint.codes.ids
    for title, rows in (("Typical", found.typical_rows), ("Most unusual", found.unusual_rows)):
        if len(rows):
            st.markdown(f"**{title} members**")
            rows = rows[:N_GALLERY]
            gallery(checkpoint, rows, captions=[str(ids[row]) for row in rows])


def _keep(checkpoint: Checkpoint, found: Region) -> None:
    with st.form("keep_region", border=False):
        left, right = st.columns([3, 1], vertical_alignment="bottom")
        suggestion = found.labels[0].name if found.labels else "group"
        name = left.text_input("Name", suggestion, max_chars=shelf.MAX_NAME)
        if right.form_submit_button("Keep as a group", width="stretch"):
            group = groups.keep(checkpoint, name, found.rows)
            name = show.plain(group.name)
            st.toast(f"Kept '{name}', {found.n:,} images. Two groups make a vector.")
            st.rerun()  # all of the page: the colours above the map know the group now


def kept_groups(checkpoint: Checkpoint, z: NDArray[np.float32]) -> None:
    """The groups, and the vector between two of them tried on the code `z` `[D]`."""
    kept = groups.kept(checkpoint)
    if not kept:
        st.info("No groups yet. Draw around a region and keep it; two groups make a vector.")
        return
    for number, group in enumerate(kept):
        left, right = st.columns([5, 1], vertical_alignment="center")
        left.markdown(f"**{show.plain(group.name)}** · {len(group.rows):,} images")
        if right.button("Drop", key=f"drop_group_{number}", width="stretch"):
            groups.drop(checkpoint, group.name)
            st.rerun(scope="fragment")
    if len(kept) < 2:
        st.caption("Keep a second group to get the vector from one to the other.")
        return
    _vector(checkpoint, kept, z)


def _vector(checkpoint: Checkpoint, kept: list[groups.Group], z: NDArray[np.float32]) -> None:
    names = [group.name for group in kept]
    rows = {group.name: group.rows for group in kept}
    left, right = st.columns(2)
    start = left.selectbox("From", names, key="vector_from")
    end = right.selectbox("To", [name for name in names if name != start], key="vector_to")
    shared = np.intersect1d(rows[start], rows[end])
    if len(shared):
        st.warning(f"{len(shared):,} images are in both groups; they are left out of both.")
    a, b = (np.setdiff1d(rows[name], shared) for name in (end, start))
    if min(len(a), len(b)) < 2:
        st.error("One of the groups has fewer than 2 images of its own; choose larger groups.")
        return
    direction = attribute_direction(checkpoint.codes.mean, a, b, name=f"{start} → {end}")
    st.markdown(f"**{show.plain(direction.name)}**: {show.plain(direction.text)}")
    st.caption(
        "Cohen's d on halves that did not make the vector, beside the same for random groups of "
        "these sizes: a vector that means nothing scores no better than chance."
    )
    moved = np.stack([step(z, direction, amount=amount) for amount in MOVES])
    images = cache.decoded(checkpoint, moved)
    st.markdown("**Applied to the picked spot**, in standard deviations of the codes along it")
    captions = [f"{amount:+.0f}σ" if amount else "as it is" for amount in MOVES]
    show.pictures(list(zip(images, captions, strict=True)), width=88)
    _keep_vector(checkpoint, direction)


def _keep_vector(checkpoint: Checkpoint, direction: Direction) -> None:
    if st.button("Keep this vector", icon=":material/arrow_outward:", key="keep_vector"):
        shelf.keep_vector(
            checkpoint.key, direction.name, direction.vector, direction.scale, direction.text
        )
        st.toast("Kept. It is a slider on the Walk page now, and a map: choose it under Map above.")
        st.rerun()  # all of the page: the choice of maps knows the vector now
