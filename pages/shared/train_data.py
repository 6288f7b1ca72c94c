"""Choosing what to train on, and seeing what was found in it before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import streamlit as st

from pages.shared import models, show, train_found, train_sources
from vae_core.data.catalogue import CATALOGUE
from vae_core.data.inspection import Inspection, inspect_source
from vae_core.errors import DataError

SIZES: Final = (16, 28, 32, 48, 64, 96, 128)
_COLOURS: Final = {"As the pictures are": None, "Grey": 1, "Colour": 3}
# How many are drawn of generated sets, the default first: a face takes some milliseconds.
_NUMBERS: Final = {"faces": (3_000, 1_000, 10_000, 20_000), "sprites": (20_000, 5_000, 100_000)}
_FOUND, _STOPPED, _AGAIN = "train_found", "train_stopped", "train_again"
# Inspections remembered per session: going back and forth between sources is instant.
_N_FOUND: Final = 6


class Wanted(NamedTuple):
    """How the visitor wants the pictures; None where they decide themselves."""

    size: int | None
    channels: int | None
    n_images: int | None


@dataclass(frozen=True)
class Chosen:
    """What to train on: `source` for --data, what was found in it, a short name for the run."""

    source: str
    inspection: Inspection
    name: str
    size: int | None = None
    channels: int | None = None
    n_images: int | None = None

    @property
    def data(self) -> tuple[str, ...]:
        """Arguments of `train` that give it exactly what was inspected."""
        asked = {"--size": self.size, "--channels": self.channels, "--images": self.n_images}
        given = ((flag, str(n)) for flag, n in asked.items() if n is not None)
        return ("--data", self.source, *(part for pair in given for part in pair))


def choose_data() -> Chosen | None:
    """The visitor's choice with what was found in it; None while there is none."""
    asked = train_sources.choose_source()
    if asked is None:
        return None
    source, name = asked
    wanted = _wanted(source)
    found = _inspected(source, wanted)
    return None if found is None else Chosen(source, found, name, *wanted)


# ---- looking -----------------------------------------------------------------------------------
def _wanted(source: str) -> Wanted:
    """What the widgets say that are drawn below, beside what they change."""
    numbers = _NUMBERS.get(source)
    return Wanted(
        st.session_state.get("train_size"),
        _COLOURS.get(st.session_state.get("train_colour", "")),
        st.session_state.get(f"train_number_{source}", numbers[0]) if numbers else None,
    )


def _options(source: str) -> None:
    """Size and channels as wished; the pictures decide unless the visitor does."""
    numbers = _NUMBERS.get(source, ())
    title = "Size, colour and number" if numbers else "Size and colour"
    with st.expander(title, icon=":material/aspect_ratio:"):
        if numbers:
            st.selectbox(
                "Number of pictures", sorted(numbers), index=sorted(numbers).index(numbers[0]),
                key=f"train_number_{source}", persist_state="session",
                format_func=lambda n: f"{n:,}",
                help="More pictures give a better model in a long run, but drawing them comes "
                "first: a thousand faces take about five seconds.",
            )  # fmt: skip
        left, right = st.columns(2)
        left.selectbox(
            "Size", [None, *SIZES], key="train_size", persist_state="session",
            format_func=lambda n: "As the pictures suggest" if n is None else f"{n}×{n}",
            help="Smaller trains faster; 64×64 shows faces and things well.",
        )  # fmt: skip
        right.selectbox(
            "Colour", list(_COLOURS), key="train_colour", persist_state="session",
            help="Grey trains a little faster and shows shapes rather than colours.",
        )  # fmt: skip


def _inspected(source: str, wanted: Wanted) -> Inspection | None:
    """What is in the source, shown; looked at once per session unless asked again."""
    key = (source, wanted, st.session_state.get(_AGAIN, 0))
    kept: dict[Any, tuple[Inspection, str]] = st.session_state.setdefault(_FOUND, {})
    if key not in kept:
        if st.session_state.get(_STOPPED) == key:
            st.warning("Stopped looking at the pictures.")
            st.button("Look again", key="train_look", on_click=_stop, args=(None,))
            return None
        found = _look(source, wanted, key)
        if found is None:
            return None
        kept[key] = (found, train_found.drawn(found))
        while len(kept) > _N_FOUND:
            del kept[next(iter(kept))]
    found, sheet = kept[key]
    train_found.show_found(found, sheet, options=partial(_options, source))
    return found


def _look(source: str, wanted: Wanted, key: Any) -> Inspection | None:
    """Inspect with a bar; pressing Cancel ends this run of the page at the bar's next step."""
    place = st.empty()
    with place.container():
        bar = st.progress(0.0, text="Looking at the pictures")
        st.button("Cancel", key="train_look_cancel", icon=":material/close:", on_click=_stop,
                  args=(key,))  # fmt: skip

    def report(done: int, total: int) -> None:
        bar.progress(min(1.0, done / max(total, 1)), text=f"Looking at the pictures · {done:,}")

    try:
        return inspect_source(
            _named(source), size=wanted.size, channels=wanted.channels, n_images=wanted.n_images,
            progress=report,
        )  # fmt: skip
    except DataError as error:
        st.error(show.plain(str(error)))
        st.button("Look again", key="train_look_again", icon=":material/refresh:", on_click=_again)
        return None
    finally:
        place.empty()


def _named(source: str) -> str | Path:
    """A path is never taken for a set's name, even when a folder is called 'digits'."""
    if source in CATALOGUE:
        return source
    return Path(source) if Path(source).is_absolute() else models.ROOT / source


def _stop(key: Any) -> None:
    st.session_state[_STOPPED] = key


def _again() -> None:
    st.session_state[_AGAIN] = st.session_state.get(_AGAIN, 0) + 1
