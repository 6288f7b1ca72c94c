"""A button's act: done once, told, and nothing lost when a newer rerun overtakes it."""

from __future__ import annotations

import pytest
import streamlit as st

from pages.shared.acts import Acts
from tests.pages.reruns import CutError
from vae_core.errors import DataError


def test_a_button_that_was_pressed_twice_acts_once() -> None:
    acts, done = Acts(), list[int]()
    click = acts.once("start", lambda: done.append(1))
    click()
    click()
    assert done == [1]
    acts.once("other", lambda: done.append(2))()
    acts.once("start", lambda: done.append(3))()
    assert done == [1, 2, 3]


def test_a_click_that_was_overtaken_before_it_acted_is_made_good_by_the_second() -> None:
    acts, looks = Acts(), iter([True, False])

    def act() -> str:
        if next(looks):
            raise CutError
        return "Done."

    click = acts.once("rename", act)
    with pytest.raises(CutError):
        click()
    click()
    assert acts.told == "Done."


@pytest.mark.parametrize(
    ("error", "said"),
    [(DataError("It is *gone*"), r"It is \*gone\*"), (OSError(28, "No space"), "No space")],
)
def test_what_went_wrong_is_told_and_nothing_follows(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts, shown, followed = Acts(), list[str](), list[int]()
    monkeypatch.setattr(st, "error", shown.append)

    def act() -> None:
        raise error

    acts.once("import", act, then=lambda: followed.append(1))()
    acts.tell()
    assert said in shown[0] and followed == []
    acts.once("import", lambda: None, then=lambda: followed.append(1))()
    acts.tell()
    assert len(shown) == 1 and followed == [1]


def test_what_was_done_is_told_although_what_follows_is_overtaken() -> None:
    acts = Acts()

    def then() -> None:
        raise CutError

    with pytest.raises(CutError):
        acts.once("delete", lambda: "It is deleted.", then=then)()
    assert (acts.told, acts.is_problem) == ("It is deleted.", False)
