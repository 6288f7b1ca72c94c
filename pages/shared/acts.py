"""What a visitor has done by a button, such that no rerun comes between: whole, and once.

Streamlit stops a run, a callback too, at any of its own calls and at any look into the session as
soon as a newer rerun is asked for; whatever was to follow is lost. And a button that was pressed
twice before its answer was drawn calls twice. So a callback gets all it changes when its button is
drawn: from the click on it asks nothing of Streamlit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from pages.shared import show
from vae_core.errors import ExplorerError


@dataclass
class Acts:
    """What was done by the buttons of one part of a page, and what came of it last.

    `told` is the sentence of the last act, or why it failed where `is_problem`; "" for none.
    """

    told: str = ""
    is_problem: bool = False
    _n_done: Counter[str] = field(default_factory=Counter)

    def once(
        self, key: str, act: Callable[[], object], *, then: Callable[[], None] | None = None
    ) -> Callable[[], None]:
        """A callback that does `act` at one click of the button `key` as it is drawn now.

        A sentence that `act` gives is told. What it needs of the session it takes before it does
        anything; what it leaves there is for `then`, which follows where nothing went wrong.
        """
        drawn = self._n_done[key]

        def do() -> None:
            if self._n_done[key] == drawn:
                self._do(key, act)
                if then is not None and not self.is_problem:
                    then()

        return do

    def _do(self, key: str, act: Callable[[], object]) -> None:
        try:
            found = act()
            self.told, self.is_problem = found if isinstance(found, str) else "", False
        except ExplorerError as error:
            self.told, self.is_problem = show.plain(str(error)), True
        except OSError as error:
            why = show.plain(error.strerror or "no reason given")
            self.told = f"A file could not be written ({why}); check the folder's rights and space."
            self.is_problem = True
        self._n_done[key] += 1

    def tell(self) -> None:
        """Show the sentence of the last act; it stays until the next one, or until `forget`."""
        if self.told:
            (st.error if self.is_problem else st.success)(self.told)

    def forget(self) -> None:
        """What was told is old."""
        self.told = ""


def presses(label: str, *, key: str, icon: str) -> int:
    """How often the visitor has pressed this button by now: the seed of what is drawn next."""
    count = f"{key}_presses"
    st.button(label, icon=icon, key=key, width="stretch", on_click=_count, args=(count,))
    return int(st.session_state.get(count, 0))


def _count(name: str) -> None:
    st.session_state[name] = st.session_state.get(name, 0) + 1


def acts_of(part: str) -> Acts:
    """The visitor's acts in a part of the pages."""
    found: Acts = st.session_state.setdefault(f"acts_{part}", Acts())
    return found
