"""The Learn page: chapters of a short text with something to drag."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.shared import cache, learn_texts
from pages.shared.components import latent_lesson
from pages.shared.learn_payload import PLAIN, Lesson
from pages.shared.learn_texts import Chapter
from pages.shared.models import ROOT
from vae_core.errors import ExplorerError

CHAPTERS = learn_texts.CHAPTERS
FOLDER = ROOT / "checkpoints" / "learn"


def open_lesson() -> Lesson | None:
    """The page's models; shows a sentence and gives None where they are not all there."""
    try:
        return cache.lesson(FOLDER)
    except ExplorerError as error:
        st.info(f"Four chapters lack their models, two work without. {error}")
        return None


def opening() -> None:
    """What to expect, and the way to each chapter."""
    st.markdown(learn_texts.OPENING)
    st.markdown(" · ".join(f"[{chapter.title}](#{chapter.key})" for chapter in CHAPTERS))


def show(chapter: Chapter, lesson: Lesson | None) -> None:
    """One chapter: words and formula, the element, what to take home, sources."""
    st.divider()
    st.header(chapter.title, anchor=chapter.key)
    words, formula = st.columns([3, 2], gap="large")
    words.markdown(chapter.text)
    with formula:
        st.latex(chapter.formula)
        st.caption(chapter.reading)
    if lesson is not None or not chapter.needs_models:
        latent_lesson(data=chapter_data(chapter.key, lesson), key=f"learn_{chapter.key}")
    st.markdown(chapter.after)
    st.caption(f"Sources: {chapter.sources}")


def closing() -> None:
    """Where to go from here."""
    st.divider()
    st.markdown(learn_texts.CLOSING)


def chapter_data(key: str, lesson: Lesson | None) -> dict[str, Any]:
    """What a chapter's element takes; without a lesson only what needs no model."""
    data: dict[str, Any] = {"chapter": key, "version": key}
    if lesson is None or key in ("noise", "pixel"):
        return data
    data |= {"version": lesson.version, "digits": lesson.digits, "shape": lesson.shape}
    vae, plain = lesson.models["beta-1"], lesson.models[PLAIN]
    if key == "flow":
        return data | {"models": [vae]}
    if key == "plain":
        return data | {"models": [plain, vae], "hole": lesson.hole}
    data["models"] = lesson.by_beta()
    if key == "beta":
        more = {"floor": lesson.floor, "n_held_out": lesson.n_held_out}
        return data | more | {"words": list(learn_texts.BETA_WORDS)}
    height, width, channels = lesson.shape
    per_pixel = vae["distortion"] / (height * width * channels)
    return data | {"per": {"reconstruction": per_pixel, "kl": vae["rate"] / 2}}
