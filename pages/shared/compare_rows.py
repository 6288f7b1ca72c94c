"""Rows of pictures with a name before each: the same columns below one another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import streamlit as st
from numpy.typing import NDArray

from pages.shared import show

STYLE = """<style>
.lxc-rows {display:grid; gap:.55rem; max-width:1200px}
.lxc-row {display:grid; grid-template-columns:minmax(9rem,13rem) minmax(0,1fr); gap:.9rem;
  align-items:center}
.lxc-name {font-size:.9rem; line-height:1.25; border-left:4px solid var(--lxc-colour,transparent);
  padding-left:.6rem; overflow-wrap:anywhere}
.lxc-name b {font-weight:600; display:block}
.lxc-name small {display:block; opacity:.75; font-size:.8rem; font-variant-numeric:tabular-nums}
.lxc-name small.lxc-best {opacity:1; font-weight:600}
.lxc-images {display:flex; gap:4px}
.lxc-images img {flex:1 1 0; min-width:0; max-width:96px; width:0; border-radius:4px;
  background:#8882; aspect-ratio:var(--lxc-ratio,1)}
.lxc-sharp img {image-rendering:pixelated}
.lxc-images img.lxc-framed {outline:3px solid #2b8a3e; outline-offset:-1px}
.lxc-images img.lxc-asked {outline:3px solid #e8590c; outline-offset:-1px; margin-right:10px}
.lxc-top .lxc-images img {border-radius:4px}
@media (max-width:760px) {.lxc-row {grid-template-columns:minmax(0,1fr); gap:.25rem}
  .lxc-name {display:flex; flex-wrap:wrap; gap:0 .6rem; align-items:baseline}
  .lxc-images {gap:2px}}
</style>"""


@dataclass(frozen=True)
class PictureRow:
    """A name, notes below it (the best in bold), and pictures `[C,H,W]` with their titles."""

    name: str
    images: Sequence[NDArray[Any]]
    notes: Sequence[str] = ()
    best: Collection[int] = ()
    colour: str = "transparent"
    titles: Sequence[str] = ()
    framed: Collection[int] = field(default_factory=frozenset)
    asked: Collection[int] = field(default_factory=frozenset)


def show_rows(rows: Sequence[PictureRow], *, testid: str) -> None:
    """All rows below one another; every row has as many columns as the longest."""
    parts = "".join(_row(row) for row in rows)
    st.html(f'{STYLE}<div class="lxc-rows" data-testid="{escape(testid)}">{parts}</div>')


def _row(row: PictureRow) -> str:
    notes = "".join(
        f"<small{' class=lxc-best' if i in row.best else ''}>"
        f"{escape(note)}{' ★' if i in row.best else ''}</small>"
        for i, note in enumerate(row.notes)
    )
    height, width = row.images[0].shape[-2:] if len(row.images) else (1, 1)
    # Small pictures are enlarged with hard edges: smoothing would invent detail.
    sharp = " lxc-sharp" if width <= 40 else ""
    images = "".join(_image(row, i, image) for i, image in enumerate(row.images))
    return (
        f'<div class="lxc-row" style="--lxc-colour:{row.colour};--lxc-ratio:{width}/{height}">'
        f'<div class="lxc-name"><b>{escape(row.name)}</b>{notes}</div>'
        f'<div class="lxc-images{sharp}">{images}</div></div>'
    )


def _image(row: PictureRow, place: int, image: NDArray[Any]) -> str:
    title = row.titles[place] if place < len(row.titles) else ""
    marks = {"lxc-framed": place in row.framed, "lxc-asked": place in row.asked}
    classes = " ".join(name for name, is_on in marks.items() if is_on)
    return (
        f'<img class="{classes}" src="{show.data_uri(image)}" title="{escape(title)}" '
        f'alt="{escape(f"{row.name}: {title}" if title else row.name)}">'
    )
