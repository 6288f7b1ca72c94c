"""The model's own measures as a lens: which images does it find hardest, and why?"""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, colours, figures, regions, show, state
from vae_core.checkpoint import Checkpoint

SHOWN = 24
MEASURES = {
    "reconstruction error": "√ mean squared error on [0,1]",
    "KL": "nats the posterior costs",
    "lowest ELBO": "nats; what the model finds least likely",
}
UNCERTAINTY = "uncertainty of the prediction"


def ranking(checkpoint: Checkpoint) -> None:
    """The images that are worst by a measure, and one of them explained."""
    measures = list(MEASURES) if checkpoint.codes.kl_nats.any() else ["reconstruction error"]
    can_predict = colours.target_of(checkpoint) is not None
    measures += [UNCERTAINTY] if can_predict else []
    left, middle, right = st.columns([2, 2, 2], vertical_alignment="bottom")
    by = left.selectbox("Rank by", measures, key="rank_by", help="; ".join(MEASURES.values()))
    rows = middle.selectbox(
        "Among", ["held-out images", "all images", *checkpoint.codes.label_names], key="rank_among"
    )
    ends = right.segmented_control(
        "Show", ["worst", "best"], default="worst", key="rank_end", required=True
    )
    chosen = _among(checkpoint, rows)
    if not len(chosen):
        st.info(f"There is no image of '{show.plain(rows)}' on this map; choose another group.")
        return
    if by == UNCERTAINTY:
        st.caption(colours.words(checkpoint, colours.PREDICTION))
    values = measure_of(checkpoint, by)[chosen]
    order = _first(-values if ends == "worst" else values, SHOWN)
    worst = chosen[order]
    captions = [
        f"#{checkpoint.codes.ids[row]} · {_text(checkpoint, by, int(row), value)}"
        for row, value in zip(worst, values[order].tolist(), strict=True)
    ]
    kind = regions.gallery(checkpoint, worst, captions=captions, width=92)
    st.caption(f"{len(worst)} of {len(chosen):,} images, {kind}.")
    ids = [str(checkpoint.codes.ids[row]) for row in worst]
    picked = st.pills("Why? Choose one of them", ids, key=f"why_{by}_{rows}_{ends}")
    if picked is not None:
        row = int(worst[ids.index(picked)])
        _explain(checkpoint, row)
        if st.button("Show it on the map", icon=":material/my_location:", key="show_worst"):
            state.go_to(row=row)
            st.rerun(scope="fragment")


def _among(checkpoint: Checkpoint, name: str) -> NDArray[np.int64]:
    codes = checkpoint.codes
    if name == "held-out images":
        return codes.held_out
    if name == "all images" or codes.labels is None:
        return np.arange(len(codes))
    return np.flatnonzero(codes.labels == codes.label_names.index(name)).astype(np.int64)


def measure_of(checkpoint: Checkpoint, name: str) -> NDArray[np.float32]:
    """The measure of every code `[N]`, larger is worse."""
    codes = checkpoint.codes
    if name == UNCERTAINTY:
        both = colours.predictions_of(checkpoint)
        return np.zeros(len(codes), np.float32) if both is None else both[1].entropy_nats
    if name == "KL":
        return codes.kl_per_image
    return -codes.elbo if name == "lowest ELBO" else np.sqrt(codes.squared_error)


def _first(values: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """Places of the n smallest values, rising; equal ones in their order."""
    if len(values) > n:
        limit = np.partition(values, n - 1)[n - 1]
        few = np.flatnonzero(values <= limit)
        return few[np.argsort(values[few], kind="stable")[:n]]
    return np.argsort(values, kind="stable")


def _text(checkpoint: Checkpoint, by: str, row: int, value: float) -> str:
    both = colours.predictions_of(checkpoint) if by == UNCERTAINTY else None
    if both is not None:
        target, found = both
        mark = "" if found.is_right[row] or not found.is_known[row] else " (wrong)"
        return f"{target.names[found.kind[row]]} {found.confidence[row]:.0%}{mark}"
    return f"{value:.3f}" if by == "reconstruction error" else f"{abs(value):,.1f} nats"


def _explain(checkpoint: Checkpoint, row: int) -> None:
    """Original, reconstruction, where they differ, and which dimensions pay for it."""
    codes, found = checkpoint.codes, cache.originals_of(checkpoint, (row,))
    rebuilt = cache.decoded(checkpoint, codes.mean[row : row + 1])[0]
    images = [(rebuilt, "reconstruction")]
    if found is not None:
        gap = np.abs(rebuilt - found[0] / np.float32(255)).mean(0)
        images = [(found[0], "original"), *images, (show.heat(gap), "difference")]
    left, right = st.columns([2, 3])
    with left:
        show.pictures(images, width=130)
        if found is None:
            st.caption("The original is not on this machine, so its difference cannot be shown.")
    with right:
        if codes.kl_nats.any():
            figure = figures.kl_figure(
                codes.kl_nats[row], codes.kl_per_dimension, codes.dimension_order
            )
            st.plotly_chart(figure, key="why_kl", config={"displayModeBar": False})
