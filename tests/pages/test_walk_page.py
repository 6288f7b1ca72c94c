"""The Walk page without a browser: what is kept, what is offered, what is missing is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.groups import Group
from pages.shared.shelf import Kept, KeptVector
from tests.pages.conftest import OpenApp
from tests.pages.test_pages import assert_whole, words
from vae_core.checkpoint import Checkpoint

VECTOR = np.eye(8, dtype=np.float32)[0]


@pytest.fixture
def walk(open_app: OpenApp) -> AppTest:
    """The faces' walk at its sliders."""
    return open_app("walk", model="faces-tiny")


def turn_to(app: AppTest, key: str, value: str) -> None:
    app.session_state[key] = value
    app.run()
    assert_whole(app)


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert_whole(app)


def downloads(app: AppTest) -> dict[str, Any]:
    return {item.proto.label: item.proto for item in app.get("download_button")}


def test_a_kept_code_is_renamed_and_dropped(walk: AppTest, faces_checkpoint: Checkpoint) -> None:
    key = faces_checkpoint.key
    walk.text_input(key="walk_keep_name").input("mine")
    press(walk, "Keep this code")
    press(walk, "Keep this code")
    walk.selectbox(key="walk_shelf_name").set_value("mine")
    walk.text_input(key="walk_shelf_new_name").input("yours").run()
    press(walk, "Rename")
    kept: list[Kept] = walk.session_state["shelf_codes"][key]
    assert [item.name for item in kept] == ["yours", "code 2"]
    walk.selectbox(key="walk_shelf_name").set_value("yours").run()
    press(walk, "Drop")
    assert [item.name for item in walk.session_state["shelf_codes"][key]] == ["code 2"]


def test_a_kept_vector_is_renamed_and_dropped(walk: AppTest, faces_checkpoint: Checkpoint) -> None:
    key = faces_checkpoint.key
    walk.session_state["shelf_vectors"] = {key: [KeptVector("v", VECTOR, 1.0, "by hand")]}
    turn_to(walk, "walk_kind", "Saved vectors")
    walk.text_input(key="walk_vector_new_name").input("smile").run()
    press(walk, "Rename vector")
    assert [item.name for item in walk.session_state["shelf_vectors"][key]] == ["smile"]
    press(walk, "Drop vector")
    assert walk.session_state["shelf_vectors"][key] == []
    assert "No vector is kept yet" in words(walk)


def test_the_average_of_a_group_is_on_offer(walk: AppTest, faces_checkpoint: Checkpoint) -> None:
    rows = np.array([0, 3, 5])
    walk.session_state["groups"] = {faces_checkpoint.codes_key: [Group("old", rows)]}
    turn_to(walk, "walk_section", "Arithmetic")
    turn_to(walk, "sum_form", "Average")
    walk.multiselect(key="sum_average").set_value(["average of old"]).run()
    walk.button(key="sum_walk").click().run()
    assert_whole(walk)
    at = [float(part) for part in walk.query_params["z"].split(",")]
    assert at == pytest.approx(faces_checkpoint.codes.mean[rows].mean(0).tolist(), abs=6e-4)


def test_the_point_picked_on_the_map_is_on_offer(
    walk: AppTest, faces_checkpoint: Checkpoint
) -> None:
    pick = {"kind": "point", "row": 4, "z": faces_checkpoint.codes.mean[4].tolist()}
    walk.session_state["explore_pick"] = (faces_checkpoint.codes_key, pick)
    turn_to(walk, "walk_section", "Arithmetic")
    turn_to(walk, "sum_form", "Average")
    assert "picked on the map" in walk.multiselect(key="sum_average").options


def test_without_the_video_library_the_other_files_still_come(
    walk: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.shared.walk_export.find_spec", lambda _: None)
    turn_to(walk, "walk_section", "Export")
    assert "MP4 needs the package 'av'" in words(walk)
    found = downloads(walk)
    assert found["MP4"].disabled
    assert not any(found[label].disabled for label in ("GIF", "PNG", "npz"))


def test_with_the_video_library_mp4_is_on_offer(
    walk: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.shared.walk_export.find_spec", lambda name: name)
    turn_to(walk, "walk_section", "Export")
    assert "MP4 needs the package" not in words(walk)
    assert not downloads(walk)["MP4"].disabled
