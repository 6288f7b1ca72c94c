"""The maps of the models beside one another: what is chosen on one lights up on all."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, components, payload, show
from pages.shared.compare_basis import Basis, basis_of, places_on
from pages.shared.compare_choice import Comparison, colour_of, pca_of
from pages.shared.compare_payload import array_url
from pages.shared.compare_rows import PictureRow, show_rows
from vae_core.apply.compare import Coder, agreement_per_image
from vae_core.evaluate.compare import relative_spread

SHOWN: Final = 12
PLAIN: Final = "one colour"
AGREEMENT: Final = "Agreement: "


@st.fragment
def section(comparison: Comparison) -> None:
    """Maps of the same images, the chosen ones as pictures below."""
    basis = basis_of(comparison)
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    kind = left.segmented_control(
        "Maps by", ["UMAP", "PCA"], default="UMAP", required=True, key="compare_map",
        help="UMAP keeps neighbours together; PCA of the codes shows the largest spread. A code "
        "of two numbers is its own map.",
    )  # fmt: skip
    choices = _colourings(comparison, basis)
    colour = right.selectbox("Colour", choices, key="compare_colour")
    data = cache.kept(
        lambda: _data(comparison, basis, str(kind).lower(), str(colour)),
        "maps", list(basis.codes), kind, colour, basis.places, *comparison.checkpoints,
    )  # fmt: skip
    st.markdown(
        "**Draw around points on any map, or click one:** the same images light up on the others. "
        "An empty spot or Esc lets them go."
    )
    rows = components.linked_maps(data=data, key="compare_linked")
    if str(colour).startswith(AGREEMENT):
        st.caption(_about_agreement(comparison, basis, str(colour)))
    if rows is None:
        source = show.plain(show.source_name(comparison.first.card))
        st.caption(f"{len(basis.places):,} images of '{source}'; the axes mean nothing by "
                   "themselves, only who is near whom.")  # fmt: skip
        return
    _chosen(comparison, basis, rows)


def _colourings(comparison: Comparison, basis: Basis) -> list[str]:
    codes, names = comparison.first.codes, list(basis.codes)
    own = [payload.LABEL] if codes.labels is not None else []
    known = [*own, *codes.factors] if comparison.common.rows[0] is not None else []
    return [*(known or [PLAIN]), *(f"{AGREEMENT}{names[0]} ↔ {name}" for name in names[1:])]


def _agreement(basis: Basis, colour: str) -> tuple[NDArray[np.float64], str, float]:
    """Agreement of the first model with the one named, per image; its name, and chance."""
    other = colour.partition(" ↔ ")[2]
    names = list(basis.codes)
    found = agreement_per_image(basis.codes[names[0]], basis.codes[other])
    return found.per_image, other, found.chance


def _about_agreement(comparison: Comparison, basis: Basis, colour: str) -> str:
    values, other, chance = _agreement(basis, colour)
    return (
        f"Bright: **{show.plain(comparison.coders[0].name)}** and **{show.plain(other)}** put the "
        f"same images around this one; on average they share {values.mean():.0%} of its ten "
        f"nearest, by chance it would be {chance:.1%}."
    )


def _data(comparison: Comparison, basis: Basis, kind: str, colour: str) -> dict[str, Any]:
    panels = [
        {"name": name, "colour": colour_of(comparison, i),
         "xy": array_url(places_on(comparison, basis, i, kind=kind), "<f4")}
        for i, name in enumerate(basis.codes)
    ]  # fmt: skip
    keys = "|".join(checkpoint.key for checkpoint in comparison.checkpoints)
    return {
        "panels": panels,
        "n": len(basis.places),
        "colour": _colour_part(comparison, basis, colour),
        "version": f"{keys} {len(basis.places)}",
    }


def _colour_part(comparison: Comparison, basis: Basis, colour: str) -> dict[str, Any] | None:
    if colour.startswith(AGREEMENT):
        values = _agreement(basis, colour)[0]
        return _continuous("share of ten neighbours in common", values, 0.0, 1.0)
    rows = comparison.common.rows[0]
    found = payload.colouring_of(comparison.first, colour)
    if found is None or rows is None:
        return None
    values = found.values[rows[basis.places]]
    if found.names is None:
        return _continuous(found.label, values, float(values.min()), float(values.max()))
    return {"kind": "categories", "label": found.label, "names": list(found.names),
            "values": array_url(values, "|u1")}  # fmt: skip


def _continuous(label: str, values: NDArray[Any], low: float, high: float) -> dict[str, Any]:
    return {"kind": "continuous", "label": label, "low": low, "high": high,
            "values": array_url(values, "<f4")}  # fmt: skip


def _chosen(comparison: Comparison, basis: Basis, rows: NDArray[np.int64]) -> None:
    """The chosen images, what each model makes of them, and how near it keeps them."""
    shown = rows[:SHOWN]
    word = "originals" if basis.is_original else f"as {comparison.coders[0].name} rebuilds them"
    more = f", {len(shown)} of {len(rows)}" if len(rows) > SHOWN else ""
    out = [PictureRow(f"Chosen: {len(rows)}", list(basis.images[shown]), [word + more])]
    coders: list[Coder] = [*comparison.coders, pca_of(comparison)[0]]
    spreads = [relative_spread(codes, rows) for codes in basis.codes.values()]
    for place, (name, codes) in enumerate(basis.codes.items()):
        coder = coders[place]
        notes = [f"spread {spreads[place]:.2f} of all"] if len(rows) > 1 else []
        out.append(PictureRow(name, list(coder.decode(codes[shown])), notes,
                              colour=colour_of(comparison, place)))  # fmt: skip
    show_rows(out, testid="compare-chosen")
    if len(rows) > 1:
        tight = int(np.nanargmin(spreads)) if np.isfinite(spreads).any() else 0
        st.caption(
            f"**{show.plain(list(basis.codes)[tight])}** keeps these images closest together: "
            "spread is their distance from their own centre in the code, as a share of what all "
            "images have (0 is one place, 1 is as scattered as everything)."
        )
