"""The same images rebuilt by every model, with PCA among them."""

from __future__ import annotations

from typing import Final

import numpy as np
import streamlit as st

from pages.shared import show
from pages.shared.compare_choice import Comparison, colour_of, safe, seen_by_models
from pages.shared.compare_rows import PictureRow, show_rows
from vae_core.apply.compare import Linear, Seen
from vae_core.evaluate.compare import best_of

SHOWN: Final = 10
# With fewer images PCA is held back: measured 1.2 dB between 200 and 800 pictures of faces.
ENOUGH: Final = 1_000


def section(comparison: Comparison) -> None:
    """Rows are models, columns images; the original stands on top."""
    said = st.empty()
    differences = st.toggle(
        "Show where they differ from the original", key="compare_differences",
        help="Black is no difference, then red, yellow, white.",
    )  # fmt: skip
    place = st.empty()
    if comparison.is_large and _is_new(comparison):
        # Fitting PCA to large pictures takes seconds: the models are on screen meanwhile.
        models = seen_by_models(comparison)
        said.markdown(_verdict(comparison, models))
        with place.container():
            _show(comparison, models, differences=differences)
    found = safe(comparison)
    if found is not None:
        said.markdown(_verdict(comparison, found))
        with place.container():
            _show(comparison, found, differences=differences)


def _is_new(comparison: Comparison) -> bool:
    """Whether this visitor has not seen these models before."""
    keys = tuple(checkpoint.key for checkpoint in comparison.checkpoints)
    is_new = st.session_state.get(_KNOWN) != keys
    st.session_state[_KNOWN] = keys
    return is_new


def _show(comparison: Comparison, found: list[Seen], *, differences: bool) -> None:
    decibels = best_of([s.quality.report().psnr for s in found], "higher", digits=3)
    likeness = best_of([s.quality.report().ssim for s in found], "higher", digits=3)
    rows = [PictureRow("Original", list(comparison.images[:SHOWN]), colour=_TRANSPARENT)]
    for place, seen in enumerate(found):
        best = [0] * (place in decibels) + [1] * (place in likeness)
        rows.append(_row(seen, colour_of(comparison, place), best, differences=differences))
    show_rows(rows, testid="compare-rebuilt")
    n = len(comparison.images)
    st.caption(
        f"PSNR and SSIM are averages over {n} image{'s' * (n != 1)} (± their spread), of which "
        f"{min(n, SHOWN)} are shown; ★ marks the best, higher is better. "
        f"{_about_sizes(comparison)}{_about_pca(found)}"
    )


_TRANSPARENT: Final = "transparent"
_KNOWN: Final = "compare_known"


def _row(seen: Seen, colour: str, best: list[int], *, differences: bool) -> PictureRow:
    report, n = seen.quality.report(), min(SHOWN, len(seen.images))
    shown = [show.heat(gap) for gap in seen.difference[:n]] if differences else seen.rebuilt[:n]
    notes = [
        f"{report.psnr:.1f} ± {report.psnr_std:.1f} dB",
        f"SSIM {report.ssim:.3f}".replace("-", "−"),
    ]
    if not isinstance(seen.coder, Linear):
        notes.append(f"{seen.coder.n_latent} numbers per image")
    titles = [f"{value:.1f} dB" for value in seen.quality.psnr[:n]]
    return PictureRow(seen.coder.name, list(shown), notes, best, colour, titles)


def _verdict(comparison: Comparison, found: list[Seen]) -> str:
    """One sentence: who comes closest, and how far PCA is behind or ahead."""
    values = np.array([seen.quality.report().psnr for seen in found])
    n_models = len(comparison.coders)
    best = int(values[:n_models].argmax())
    size = found[best].coder.n_latent
    said = (
        f"**{show.plain(found[best].coder.name)}** comes closest to the originals "
        f"({values[best]:.1f} dB)"
    )
    equal = [i for i in range(n_models, len(found)) if found[i].coder.n_latent == size]
    if not equal:
        return said + "."
    gap = values[best] - values[equal[0]]
    if abs(gap) < 0.05:
        return f"{said}, no closer than PCA with the same {size} numbers per image."
    word = "behind" if gap > 0 else "ahead"
    return f"{said}; PCA with the same {size} numbers per image is {abs(gap):.1f} dB {word}."


def _about_sizes(comparison: Comparison) -> str:
    shapes = {coder.spec for coder in comparison.coders}
    if len(shapes) < 2:
        return ""
    return "Each is measured against the images in its own size: fewer pixels are easier. "


def _about_pca(found: list[Seen]) -> str:
    linear = next((s.coder for s in found if isinstance(s.coder, Linear)), None)
    if linear is None:
        return ""
    gain = "a little better" if linear.n_fitted >= ENOUGH else "up to a few dB better"
    return (
        f"PCA, the best a linear model can do, was fitted to {linear.n_fitted:,} other images; "
        f"fitted to as many as the models saw it would be {gain}."
    )
