"""Complete: hide a part of the picture, and see what the model thinks stood there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, frame, show, state
from pages.shared.components import latent_paint
from pages.shared.reconstruct import Item
from pages.shared.search_job import Search, SearchJob, show_job, start_job
from vae_core.apply.complete import Completions, complete
from vae_core.apply.search import Progress
from vae_core.checkpoint import Checkpoint

_JOB = "complete_job"
AGREED_DEVIATION = 0.1
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Asked:
    """What a search was asked: a picture of a model, the mask, how many and the seed."""

    subject: str
    hidden: NDArray[np.bool_]
    n: int
    seed: int


@st.fragment
def section(checkpoint: Checkpoint, item: Item, items: list[Item]) -> None:  # noqa: ARG001
    """The picture to paint on, and below it several completions, the best first."""
    subject = _subject(checkpoint, item)
    hidden = latent_paint(
        data={
            "picture": show.data_uri(item.pixels),
            "shape": item.pixels.shape[1:],
            "version": subject,
        },
        key="complete_paint",
    )
    n, seed = _controls()
    is_wanted = st.button(
        "Complete", type="primary", icon=":material/auto_fix_high:", key="complete_start",
        disabled=hidden is None, help="Fill in what is painted over; paint or hide a half first.",
    )  # fmt: skip
    if is_wanted and hidden is not None:
        asked = Asked(subject, hidden, n, seed)
        start_job(_JOB, _search(asked, checkpoint, item.pixels), subject=asked)
    job: SearchJob[Asked, Completions] | None = show_job(_JOB)
    if job is None or job.result is None or job.subject.subject != subject:
        return
    if hidden is None or not np.array_equal(job.subject.hidden, hidden):
        st.caption("The mask has changed since; press Complete for the new one.")
    _results(item, job.result, job.subject)


def _subject(checkpoint: Checkpoint, item: Item) -> str:
    return f"{checkpoint.key} {hashlib.sha256(item.pixels.tobytes()).hexdigest()[:16]}"


def _controls() -> tuple[int, int]:
    left, right, _ = st.columns([2, 1, 2], vertical_alignment="bottom")
    n = left.slider("Completions", 2, 10, 5, key="complete_n")
    seed = right.number_input("Seed", 0, 2**31, 0, key="complete_seed")
    return int(n), int(seed)


def _search(asked: Asked, checkpoint: Checkpoint, pixels: Pixels) -> Search[Completions]:
    anchors = cache.anchors(checkpoint)

    def search(progress: Progress, cancelled: Callable[[], bool]) -> Completions:
        return complete(
            checkpoint, pixels, asked.hidden, n=asked.n, seed=asked.seed, anchors=anchors,
            progress=progress, cancelled=cancelled,
        )  # fmt: skip

    return search


def _results(item: Item, found: Completions, asked: Asked) -> None:
    grey = np.where(asked.hidden, np.float32(0.5), item.pixels / np.float32(255))
    show.pictures(
        [
            (grey, "what the model saw"),
            (show.heat(found.spread / 1.5), "where the completions differ"),
            (item.pixels, "the picture itself"),
        ],
        width=150,
        testids=("complete-seen", "complete-spread"),
    )
    st.markdown("**Completions**, the most plausible first, with their share of the plausibility")
    captions = [f"{i} · {_share(weight)}" for i, weight in enumerate(found.weights, start=1)]
    show.pictures(
        list(zip(found.images, captions, strict=True)), width=150,
        testids=("completion",) * len(captions),
    )  # fmt: skip
    st.caption(_agreement_in_words(found, asked.hidden))
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    numbers = list(range(1, len(found.codes) + 1))
    chosen = left.segmented_control(
        "Completion", numbers, default=1, required=True, key="complete_chosen"
    )
    if right.button("Walk from here", icon=":material/tune:", key="complete_walk"):
        number = min(int(chosen or 1), len(found.codes))
        state.keep_code(found.codes[number - 1], source=f"completion {number} of {item.name}")
        frame.turn_to("pages/walk.py")


def _agreement_in_words(found: Completions, hidden: NDArray[np.bool_]) -> str:
    share = float((found.spread[hidden] < AGREED_DEVIATION).mean())
    return (
        f"The completions agree on {share:.0%} of the hidden pixels (deviation below "
        f"{AGREED_DEVIATION:g} of the range). Shares compare log p(visible | z) + log p(z) among "
        "these completions; they say nothing of answers the search did not find."
    )


def _share(weight: float) -> str:
    return "below 1%" if weight < 0.01 else f"{weight:.0%}"
