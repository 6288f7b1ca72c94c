"""The shelf keeps codes and vectors apart by model, each under a name of its own."""

from __future__ import annotations

import numpy as np
import pytest
import streamlit as st

from pages.shared import shelf

Z = np.array([1.0, -2.0], np.float32)


@pytest.fixture(autouse=True)
def _empty_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st, "session_state", {})


def test_what_is_kept_comes_back_and_stays_with_its_model() -> None:
    shelf.keep("model", "smile", Z)
    (found,) = shelf.kept("model")
    assert found.name == "smile"
    assert np.array_equal(found.z, Z)
    assert shelf.kept("another") == []


def test_a_later_change_of_the_array_does_not_reach_the_shelf() -> None:
    z = Z.copy()
    shelf.keep("model", "a", z)
    z[0] = 9
    assert shelf.kept("model")[0].z[0] == 1


def test_no_two_codes_share_a_name() -> None:
    for _ in range(3):
        shelf.keep("model", " a  b ", Z)
    shelf.keep("model", "c", Z)
    shelf.rename("model", "c", "a b")
    assert [item.name for item in shelf.kept("model")] == ["a b", "a b 2", "a b 3", "a b 4"]


@pytest.mark.parametrize("name", ["", "   ", "\n"])
def test_an_empty_name_is_never_shown(name: str) -> None:
    assert shelf.keep("model", name, Z).name
    shelf.keep("model", "good", Z)
    shelf.rename("model", "good", name)
    assert shelf.kept("model")[1].name == "good"


def test_a_name_is_cut_and_a_dropped_code_is_gone() -> None:
    made = shelf.keep("model", "x" * 500, Z)
    assert len(made.name) == shelf.MAX_NAME
    shelf.drop("model", "not there")
    assert len(shelf.kept("model")) == 1
    shelf.drop("model", made.name)
    assert shelf.kept("model") == []


def test_a_vector_is_kept_with_length_one() -> None:
    made = shelf.keep_vector("model", "v", np.array([3.0, 4.0], np.float32), 0.5, "from a − b")
    assert made.vector.tolist() == pytest.approx([0.6, 0.8])
    shelf.rename_vector("model", "v", "w")
    assert [item.name for item in shelf.vectors("model")] == ["w"]
    assert shelf.kept("model") == []
    shelf.drop_vector("model", "w")
    assert shelf.vectors("model") == []
