"""Finding images by number, label, category or a factor's value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import payload, show, state
from vae_core.checkpoint import Checkpoint
from vae_core.latent.codes import Codes

Rows = NDArray[np.int64]
FIELD: Final = "find"
_FOUND, _NEW = "search_found", "search_new"
_COMPARISON = re.compile(r"(.+?)\s*(>=|<=|>|<)\s*([-+]?[\d.]+)")
HELP = (
    "A number is an image's own. A label or category finds all images of that kind: `label:7`, "
    "`glasses:round` or just `round`. A factor takes a bound: `smile > 0.5`."
)


@dataclass(frozen=True)
class Found:
    """Images that were asked for: `rows` rise, `typical` is the one nearest their mean code."""

    title: str
    rows: Rows
    typical: int


def find(codes: Codes, text: str) -> Found | str:
    """What `text` asks for, or one sentence why nothing is found; see `HELP`."""
    asked = " ".join(text.split())
    number = payload.whole_number(asked.lstrip("#"))
    if number is not None:
        rows = np.flatnonzero(codes.ids == number)
        kinds = [title for title, name, _ in _kinds(codes) if name == str(number)]
        hint = f"; write '{kinds[0]}' for that kind" if kinds else ""
        missing = f"No image '{asked}' is on this map; it shows {len(codes):,}{hint}."
        return _found(codes, f"#{number}", rows) if len(rows) else missing
    comparison = _COMPARISON.fullmatch(asked)
    if comparison is not None:
        return _compare(codes, *comparison.groups())
    return _find_kind(codes, asked)


def _found(codes: Codes, title: str, rows: Rows) -> Found:
    inside = codes.mean[rows]
    nearest = np.linalg.norm(inside - inside.mean(0), axis=1).argmin()
    return Found(title, rows, int(rows[nearest]))


def _kinds(codes: Codes) -> Iterator[tuple[str, str, Rows]]:
    """All kinds there are: full title "label:7", name "7", rows that are of it."""
    if codes.labels is not None:
        for number, name in enumerate(codes.label_names):
            yield f"label:{name}", name, np.flatnonzero(codes.labels == number)
    for factor_name, factor in codes.factors.items():
        for number, name in enumerate(factor.categories):
            title = f"{factor_name.replace('_', ' ')}:{name}"
            yield title, name, np.flatnonzero(factor.values == number)


def _plain(text: str) -> str:
    return text.replace("_", " ").replace(" :", ":").replace(": ", ":").strip().lower()


def _find_kind(codes: Codes, asked: str) -> Found | str:
    """By full title, by name, by the start of a name; labels go before categories."""
    wanted = _plain(asked.replace("=", ":"))
    kinds = [(title, _plain(name), rows) for title, name, rows in _kinds(codes) if len(rows)]
    by_title = [kind for kind in kinds if _plain(kind[0]) == wanted]
    by_name = [kind for kind in kinds if kind[1] == wanted]
    by_start = [kind for kind in kinds if kind[1].startswith(wanted)]
    for title, _, rows in (*by_title, *by_name, *by_start[: 1 if len(by_start) == 1 else 0]):
        return _found(codes, title, rows)
    return _nothing(codes, asked, [title for title, _, _ in by_start])


def _nothing(codes: Codes, asked: str, close: list[str]) -> str:
    factor = codes.factors.get(_factor_name(codes, asked) or "")
    if factor is not None and not factor.categories:
        low, high = np.nanmin(factor.values), np.nanmax(factor.values)
        return (
            f"'{asked}' runs from {low:.2g} to {high:.2g}; give a bound, as in "
            f"'{asked} > {(low + high) / 2:.2g}'."
        )
    names = close or [title for title, _, rows in _kinds(codes) if len(rows)]
    hint = f" Known are {', '.join(names[:4])}{' and more' if len(names) > 4 else ''}."
    return f"No image '{asked}' is on this map; it shows {len(codes):,}.{hint if names else ''}"


def _factor_name(codes: Codes, asked: str) -> str | None:
    return next((name for name in codes.factors if _plain(name) == _plain(asked)), None)


def _compare(codes: Codes, asked: str, sign: str, bound: str) -> Found | str:
    name = _factor_name(codes, asked)
    limit = _number(bound)
    if name is None or codes.factors[name].categories or limit is None:
        known = [n.replace("_", " ") for n, f in codes.factors.items() if not f.categories]
        hint = f"factors with numbers are {', '.join(known)}" if known else "there is none here"
        return f"'{asked}' {sign} {bound} needs a factor with numbers and a number; {hint}."
    values = codes.factors[name].values
    with np.errstate(invalid="ignore"):
        inside = {
            ">": values > limit, ">=": values >= limit, "<": values < limit, "<=": values <= limit,
        }[sign]  # fmt: skip
    rows, title = np.flatnonzero(inside), f"{name.replace('_', ' ')} {sign} {bound}"
    if not len(rows):
        return f"No image has {title}; the values run from {np.nanmin(values):.2g} to " + (
            f"{np.nanmax(values):.2g}."
        )
    return _found(codes, title, rows)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# ---- the page's side ----------------------------------------------------------------------------
def field(checkpoint: Checkpoint, column: Any, *, colour_key: str, colour: str) -> None:
    """The field; a kind that was found becomes the region and, as `colour`, the colouring."""

    def look() -> None:
        text = str(st.session_state[FIELD]).strip()
        st.session_state.pop(_FOUND, None)
        if not text:
            if st.session_state.get(colour_key) == colour:
                st.session_state.pop(colour_key)
            return
        found = find(checkpoint.codes, text)
        if isinstance(found, str):
            st.toast(show.plain(found))
            return
        state.go_to(row=found.typical)
        if found.title.startswith("#"):
            return
        st.session_state[_FOUND] = (checkpoint.codes_key, found)
        st.session_state[_NEW] = True
        st.session_state[colour_key] = colour
        share = len(found.rows) / len(checkpoint.codes)
        st.toast(f"{len(found.rows):,} images ({share:.1%}) are {show.plain(found.title)}.")

    column.text_input(
        "Find image", key=FIELD, placeholder="number or label", on_change=look, help=HELP
    )


def kept(checkpoint: Checkpoint) -> Found | None:
    """What was last found on this model, until something else is looked for."""
    key, found = st.session_state.get(_FOUND, ("", None))
    return found if key == checkpoint.codes_key else None


def take_new(checkpoint: Checkpoint) -> Found | None:
    """What was found since the last call, once."""
    return kept(checkpoint) if st.session_state.pop(_NEW, False) else None
