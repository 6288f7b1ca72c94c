"""What was found in a visitor's data, as pictures, bars and sentences."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from html import escape
from io import BytesIO
from itertools import groupby
from typing import Any, Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import show
from vae_core.data.advice import count, times
from vae_core.data.inspection import Inspection
from vae_core.grid import to_picture

# With more classes a row for each would push everything else off the screen.
MAX_ROWS: Final = 12
N_LISTED: Final = 200
# Thumbnails of more pixels than this are no sharper to the eye, only heavier.
_THUMB: Final = 96
_SMALL_SIDE: Final = 40

_STYLE: Final = """<style>
.lxd-classes {display:grid; gap:.6rem 1.4rem;
  grid-template-columns:repeat(auto-fit,minmax(min(100%,15rem),1fr))}
.lxd-name {display:flex; gap:.5rem; align-items:baseline; font-size:.9rem; margin-bottom:.15rem}
.lxd-name span {overflow-wrap:anywhere}
.lxd-name small {opacity:.75; font-variant-numeric:tabular-nums; white-space:nowrap}
.lxd-bar {display:block; height:.25rem; margin-bottom:.3rem; border-radius:.15rem;
  background:#4c6ef5}
.lxd-row {display:flex; flex-wrap:wrap; gap:3px}
.lxd-row img {display:block; height:44px; width:auto; border-radius:3px; background:#8882}
.lxd-all .lxd-row img {height:56px}
.lxd-sharp img {image-rendering:pixelated}
.lxd-card .lxd-row img {height:34px}
.lxd-card .lxd-row {flex-wrap:nowrap; overflow:hidden}
.lxd-plan {margin:0; padding-left:1.1rem; line-height:1.45; font-size:.92rem}
.lxd-sizes {display:block; width:100%; max-width:15rem}
@media (max-width:640px) {.lxd-all .lxd-row img:nth-child(n+25) {display:none}
  .lxd-classes .lxd-row img:nth-child(n+8) {display:none}}
</style>"""


def drawn(found: Inspection) -> str:
    """The contact sheet as HTML: a row for each class, or all examples in one."""
    if len(found.sheet) == 0:
        return ""
    sharp = " lxd-sharp" if found.sheet.shape[-1] <= _SMALL_SIDE else ""
    if 1 < len(found.classes) <= MAX_ROWS:
        inner = f'<div class="lxd-classes">{"".join(_class_cells(found))}</div>'
    else:
        names = found.sheet_classes or [""] * len(found.sheet)
        inner = f'<div class="lxd-all">{_row(found.sheet, names)}</div>'
    return f'{_STYLE}<div class="lxd-sheet{sharp}" data-testid="contact-sheet">{inner}</div>'


def small_row(images: NDArray[np.uint8]) -> str:
    """A few examples as one short row."""
    sharp = " lxd-sharp" if images.shape[-1] <= _SMALL_SIDE else ""
    return f'{_STYLE}<div class="lxd-card{sharp}">{_row(images, [""] * len(images))}</div>'


def show_found(found: Inspection, sheet: str, *, options: Callable[[], None]) -> None:
    """Headline, warnings, examples, and what will happen; the details folded away.

    `options` draws what the visitor may change about the latter.
    """
    st.subheader(found.headline, anchor=False)
    if found.warnings:
        said = [show.plain(sentence) for sentence in found.warnings]
        text = said[0] if len(said) == 1 else "\n".join(f"- {sentence}" for sentence in said)
        st.warning(text, icon=":material/warning:")
    if sheet:
        st.caption("Examples, as the model will see them")
        st.html(sheet)
    if len(found.classes) > MAX_ROWS:
        st.caption(_many_classes(found.classes))
    st.caption("What will happen to them")
    st.html(f'{_STYLE}<ul class="lxd-plan">{"".join(map(_item, found.plan))}</ul>')
    if len(found.sizes) > 1:
        _show_sizes(found)
    options()
    _show_skipped(found)
    _show_copies(found)


def _item(sentence: str) -> str:
    return f"<li>{escape(sentence)}</li>"


def _class_cells(found: Inspection) -> list[str]:
    """Name, number as a bar, and examples of each class."""
    most = max(found.classes.values())
    pairs = zip(found.sheet_classes, found.sheet, strict=True)
    shown = {name: [image for _, image in group] for name, group in groupby(pairs, lambda p: p[0])}
    return [
        f'<div><div class="lxd-name"><span>{escape(name)}</span><small>{n:,}</small></div>'
        f'<i class="lxd-bar" style="width:{max(2, 100 * n / most):.0f}%"></i>'
        + _row(shown.get(name, []), [name] * len(shown.get(name, [])))
        + "</div>"
        for name, n in found.classes.items()
    ]


def _row(images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], names: Sequence[str]) -> str:
    parts = (
        f'<img src="{_thumbnail(image)}" alt="{escape(name)}" title="{escape(name)}">'
        for image, name in zip(images, names, strict=True)
    )
    return f'<div class="lxd-row">{"".join(parts)}</div>'


def _thumbnail(image: NDArray[np.uint8]) -> str:
    """Small pictures to the last pixel, larger ones as WebP of a tenth of the bytes."""
    picture, stream = to_picture(image), BytesIO()
    if max(picture.size) <= _SMALL_SIDE:
        picture.save(stream, "PNG")
        kind = "png"
    else:
        picture.thumbnail((_THUMB, _THUMB))
        picture.save(stream, "WEBP", quality=88)
        kind = "webp"
    return f"data:image/{kind};base64," + b64encode(stream.getvalue()).decode()


def _many_classes(classes: Mapping[str, int]) -> str:
    fewest, most = min(classes.values()), max(classes.values())
    each = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    return f"{len(classes):,} classes with {each} pictures each; the pointer shows their names."


# ---- sizes -------------------------------------------------------------------------------------
def _show_sizes(found: Inspection) -> None:
    width, height = found.spec.width, found.spec.height
    st.caption(f"Sizes as they come; the frame is the {times((width, height))} they are brought to")
    st.html(
        f'{_STYLE}<img class="lxd-sizes" src="{_size_chart(found)}" '
        f'alt="Width and height of {len(found.sizes):,} sizes">'
    )
    common = list(found.sizes.items())[:3]
    st.caption("Most common: " + ", ".join(f"{times(size)} ({n:,})" for size, n in common))


def _size_chart(found: Inspection) -> str:
    """Width to the right, height upwards, a dot for each size; SVG as a picture."""
    sizes = list(found.sizes.items())[:500]
    reach = 1.06 * max(max(size) for size, _ in sizes)
    most, scale = max(n for _, n in sizes), 200 / reach
    dots = "".join(
        f'<circle cx="{w * scale:.1f}" cy="{200 - h * scale:.1f}" '
        f'r="{2.5 + 5.5 * (n / most) ** 0.5:.1f}"/>'
        for (w, h), n in sizes
    )
    frame_w, frame_h = found.spec.width * scale, found.spec.height * scale
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-30 -4 240 226">'
        '<g stroke="#888" fill="none"><path d="M0 0V200H200"/>'
        '<path d="M0 200L200 0" stroke-dasharray="3 4" stroke-opacity=".6"/></g>'
        f'<g fill="#4c6ef5" fill-opacity=".5">{dots}</g>'
        f'<rect x="0" y="{200 - frame_h:.1f}" width="{frame_w:.1f}" height="{frame_h:.1f}" '
        'fill="#e8590c" fill-opacity=".12" stroke="#e8590c" stroke-width="2"/>'
        '<g fill="#888" font-family="sans-serif" font-size="12">'
        f'<text x="200" y="216" text-anchor="end">{reach / 1.06:,.0f} wide</text>'
        f'<text x="-4" y="8" text-anchor="start" transform="rotate(-90 -8 8) translate(-70 0)">'
        f"{reach / 1.06:,.0f} high</text></g></svg>"
    )
    return "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()


# ---- what is wrong -----------------------------------------------------------------------------
def _show_skipped(found: Inspection) -> None:
    if not found.skipped:
        return
    title = f"{count(len(found.skipped), 'file')} left out"
    with st.expander(title, icon=":material/block:", expanded=len(found.skipped) <= 3):
        rows = [{"file": item.path, "why": item.reason} for item in found.skipped[:N_LISTED]]
        _table(rows, len(found.skipped))


def _show_copies(found: Inspection) -> None:
    if not found.duplicates:
        return
    n = sum(len(group) - 1 for group in found.duplicates)
    title = f"{n:,} exact {'copy' if n == 1 else 'copies'}"
    with st.expander(title, icon=":material/content_copy:"):
        rows = [
            {"picture": group[0], "the same again": ", ".join(group[1:6])}
            for group in found.duplicates[:N_LISTED]
        ]
        _table(rows, len(found.duplicates))


def _table(rows: Sequence[Mapping[str, Any]], n_all: int) -> None:
    st.dataframe(list(rows), hide_index=True, width="stretch", height="content")
    if n_all > len(rows):
        st.caption(
            f"The first {len(rows):,} of {n_all:,}; `python -m vae_core inspect` lists them all "
            "with `--json`."
        )
