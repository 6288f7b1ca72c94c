"""The members of a region as a table linked with the map, and as files to take away."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, show, state
from vae_core.checkpoint import Checkpoint
from vae_core.export.contact import Band, contact_sheet, strip_notes
from vae_core.latent.region import Region, axis_strip, region_table, table_bytes

Rows = NDArray[np.int64]
N_STRIP: Final = 9
N_AXES: Final = 3
MAX_SHOWN: Final = 500
N_ON_SHEET: Final = 12
FILES: Final = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "npz": "application/zip",
}
_HELD: Final = "region_members"


@dataclass
class _Held:
    """A table of a region as first shown, with `base` selected, and the rows since acted upon."""

    region: int
    base: int | None
    chosen: int | None


def members(checkpoint: Checkpoint, found: Region, *, picked: int | None) -> None:
    """The table: choosing a row goes to its point, a picked point of the region is chosen in it."""
    st.markdown("**Members.** Choose a row to see it on the map.")
    picked = picked if picked in found.rows else None
    rows = _shown_rows(found.rows, picked)
    held = _held(found, picked)
    first = rows.tolist().index(held.base) if held.base is not None else None
    seen: Any = st.dataframe(
        region_table(checkpoint.codes, rows),
        height=min(260, 38 + 35 * len(rows)),
        hide_index=True,
        key=f"members_{held.region}_{held.base}",
        on_select="rerun",
        selection_mode="single-row",
        selection_default=None if first is None else {"selection": {"rows": [first]}},
    )
    if len(rows) < found.n:
        st.caption(f"{len(rows)} of {found.n:,} rows; the files below hold all.")
    chosen = [int(rows[i]) for i in seen["selection"]["rows"] if i < len(rows)]
    if chosen and chosen[0] not in (picked, held.chosen):
        state.go_to(row=chosen[0])
        # Only now: a rerun may come before the map was asked.
        held.chosen = chosen[0]
        st.rerun(scope="fragment")
    if not chosen:
        held.chosen = None


def _shown_rows(rows: Rows, picked: int | None) -> Rows:
    """The first rows, and the picked one in any case."""
    shown = rows[:MAX_SHOWN]
    return shown if picked is None or picked in shown else np.append(shown[:-1], picked)


def _held(found: Region, picked: int | None) -> _Held:
    """The table as it stands; a point picked elsewhere makes a new one with it selected.

    A pick that came from the table itself leaves it alone, or it would lose its place.
    """
    name = hash(found.rows.tobytes())
    held: _Held | None = st.session_state.get(_HELD)
    if held is None or held.region != name or picked not in (held.base, held.chosen):
        held = _Held(name, picked, picked)
        st.session_state[_HELD] = held
    return held


def files(checkpoint: Checkpoint, found: Region) -> None:
    """Buttons for the table in three formats and the picture of the region."""
    table = region_table(checkpoint.codes, found.rows)
    columns = st.columns(len(FILES) + 1)
    columns[0].download_button(
        "PNG sheet",
        lambda: sheet(checkpoint, found),
        file_name=f"{checkpoint.name}-region.png",
        mime="image/png",
        key="region_png",
        on_click="ignore",
        icon=":material/image:",
        width="stretch",
        help="Average, strips along its axes, typical and unusual members on one page.",
    )
    for column, (kind, mime) in zip(columns[1:], FILES.items(), strict=True):
        column.download_button(
            f"{kind.upper()} of {found.n:,}",
            partial(table_bytes, table, kind),
            file_name=f"{checkpoint.name}-region.{kind}",
            mime=mime,
            on_click="ignore",
            width="stretch",
        )


def sheet(checkpoint: Checkpoint, found: Region) -> bytes:
    """The region on one page as a PNG."""
    ids = checkpoint.codes.ids
    bands = [Band("The average code, decoded", cache.decoded(checkpoint, found.mean[None]))]
    for axis in range(min(N_AXES, len(found.principal.axes))):
        images = cache.decoded(checkpoint, axis_strip(found, axis, n_steps=N_STRIP))
        share = f"{found.principal.explained[axis]:.0%} of its variance"
        notes = strip_notes(N_STRIP, reach=2)
        bands.append(Band(f"Its own principal axis {axis + 1}: {share}", images, notes))
    for title, rows in (("Typical", found.typical_rows), ("Most unusual", found.unusual_rows)):
        rows = rows[:N_ON_SHEET]
        if len(rows):
            images, kind = pictures_of(checkpoint, rows)
            notes = [f"#{ids[row]}" for row in rows]
            bands.append(Band(f"{title} members ({kind})", images, notes))
    return contact_sheet(bands, title=_title(checkpoint, found), lines=_lines(checkpoint, found))


def _title(checkpoint: Checkpoint, found: Region) -> str:
    return f"{found.n:,} of {found.n_all:,} images · {checkpoint.card['title']}"


def _lines(checkpoint: Checkpoint, found: Region) -> list[str]:
    # The sheet's font has no multiplication sign.
    mix = ", ".join(f"{p.name} {p.share:.0%} (x {p.lift:.1f})" for p in found.labels[:6])
    source = show.source_name(checkpoint.card)
    lines = [f"Model {checkpoint.key}, data {source}, squared error {found.squared_error:.4f}"]
    return [*lines, f"Labels: {mix}"] if mix else lines


def pictures_of(checkpoint: Checkpoint, rows: Rows) -> tuple[NDArray[Any], str]:
    """Originals of these rows `[n,C,H,W]` where they are at hand, else decoded; and which."""
    originals = cache.originals_of(checkpoint, tuple(int(row) for row in rows))
    if originals is not None:
        return originals, "originals"
    return cache.decoded(checkpoint, checkpoint.codes.mean[rows]), "decoded from their codes"
