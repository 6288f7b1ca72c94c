"""Choosing data to train on: one drop is enough, and whatever is wrong is said."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.shared import train_data, train_sources
from vae_core.data.incoming import keep_upload, list_uploads
from vae_core.errors import TrainingError

OPAQUE = "application/octet-stream"
# The section alone, and what it gives to the page around it.
PAGE = """
import streamlit as st
from pages.shared import train_data
chosen = train_data.choose_data()
st.session_state["given"] = chosen
"""


@pytest.fixture
def section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    (tmp_path / "runs").mkdir()
    (tmp_path / "roots" / "waves").mkdir(parents=True)
    for name, content in pictures(30).items():
        (tmp_path / "roots" / "waves" / name).write_bytes(content)
    monkeypatch.setattr("sys.argv", ["app.py"])
    monkeypatch.setenv("VAE_CHECKPOINTS", str(tmp_path / "runs"))
    monkeypatch.setenv("VAE_DATA_ROOTS", str(tmp_path / "roots"))
    return run(AppTest.from_string(PAGE, default_timeout=60))


def run(app: AppTest) -> AppTest:
    app.run()
    assert [element.value for element in app.exception] == []
    return app


def pictures(n: int, start: int = 0) -> dict[str, bytes]:
    found = {}
    for index in range(n):
        stream = io.BytesIO()
        values = np.random.default_rng(start + index).integers(0, 256, (12, 12), np.uint8)
        Image.fromarray(values).save(stream, "PNG")
        found[f"{index}.png"] = stream.getvalue()
    return found


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


CATS = zipped(
    **{f"cat/{name}": content for name, content in pictures(20).items()},
    **{f"dog/{name}": content for name, content in pictures(20, 50).items()},
    **{"dog/half.png": pictures(1)["0.png"][:60], "../evil.png": b"x"},
)


def drop(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    app.file_uploader[0].set_value([(name, data, OPAQUE) for name, data in files])
    return run(app)


def go(app: AppTest, way: str) -> AppTest:
    app.segmented_control(key="train_way").set_value(way)
    return run(app)


def given(app: AppTest) -> train_data.Chosen | None:
    found: train_data.Chosen | None = app.session_state["given"]
    return found


def test_one_drop_is_all_it_takes(section: AppTest, tmp_path: Path) -> None:
    assert given(section) is None
    chosen = given(drop(section, ("My cats.zip", CATS)))
    assert chosen is not None and chosen.name == "my-cats"
    (kept,) = list_uploads(tmp_path / "runs" / ".data")
    assert chosen.data == ("--data", str(kept.path))
    assert [e.value for e in section.subheader] == ["40 grey pictures, 12×12, 2 classes"]
    assert "very few" in section.warning[0].value
    (table,) = section.dataframe
    assert sorted(table.value["file"]) == ["../evil.png", "dog/half.png"]


def test_the_choice_outlives_a_look_at_another_way(section: AppTest) -> None:
    before = given(drop(section, ("cats.zip", CATS)))
    assert given(go(section, train_sources.BUILT_IN)) != before
    assert given(go(section, train_sources.DROP)) == before
    section.button(key="train_other").click()
    assert given(run(section)) is None and len(section.get("file_uploader")) == 1


def test_many_pictures_are_one_set(section: AppTest) -> None:
    chosen = given(drop(section, *pictures(25).items()))
    assert chosen is not None and chosen.name == "25-pictures"
    assert chosen.inspection.n_images == 25


@pytest.mark.parametrize("content", [b"MZ is no picture", CATS[:300], zipped()])
def test_what_is_no_data_is_told_and_another_can_be_dropped(
    section: AppTest, content: bytes
) -> None:
    drop(section, ("a*b*.zip", content))
    assert len(section.error) == 1 and "a\\*b\\*" in section.error[0].value
    assert given(section) is None
    assert given(drop(section, ("cats.zip", CATS))) is not None
    assert len(section.error) == 0


def test_built_in_sets_need_no_files(section: AppTest) -> None:
    chosen = given(go(section, train_sources.BUILT_IN))
    assert chosen is not None and chosen.data == ("--data", "faces", "--images", "3000")
    assert chosen.inspection.n_images == 3_000
    section.button(key="train_set_digits").click()
    chosen = given(run(section))
    assert chosen is not None and chosen.source == chosen.name == "digits"
    assert len(chosen.inspection.classes) == 10


def test_without_files_one_click_leads_to_a_set(section: AppTest) -> None:
    section.button(key="train_use_set").click()
    assert given(run(section)) is not None and len(section.warning) == 0
    section.selectbox(key="train_number_faces").set_value(1_000)
    chosen = given(run(section))
    assert chosen is not None and chosen.data[-1] == "1000"


def test_size_and_colour_reach_the_sheet_and_the_command(section: AppTest) -> None:
    drop(section, ("cats.zip", CATS))
    section.selectbox(key="train_size").set_value(16)
    section.selectbox(key="train_colour").set_value("Colour")
    chosen = given(run(section))
    assert chosen is not None and chosen.data[2:] == ("--size", "16", "--channels", "3")
    assert chosen.inspection.sheet.shape[1:] == (3, 16, 16)


def test_a_folder_is_taken_only_below_the_allowed_ones(section: AppTest, tmp_path: Path) -> None:
    go(section, train_sources.FOLDER)
    for text in ("/etc", "../runs", "waves/../../runs"):
        section.text_input(key="train_path").set_value(text)
        assert given(run(section)) is None
        assert "lies outside" in section.error[0].value
    section.text_input(key="train_path").set_value("waves")
    chosen = given(run(section))
    assert chosen is not None and chosen.source == str(tmp_path / "roots" / "waves")
    assert chosen.name == "waves" and chosen.inspection.n_images == 30


def test_what_lies_in_the_allowed_folders_is_one_click_away(section: AppTest) -> None:
    go(section, train_sources.FOLDER)
    section.button(key="train_near_0").click()
    chosen = given(run(section))
    assert chosen is not None and chosen.name == "waves"


def test_data_dropped_before_are_listed_and_deleted(section: AppTest, tmp_path: Path) -> None:
    assert train_sources.BEFORE not in section.segmented_control(key="train_way").options
    keep_upload([("old.zip", CATS)], tmp_path / "runs" / ".data")
    chosen = given(go(run(section), train_sources.BEFORE))
    assert chosen is not None and chosen.name == "old"
    section.button(key="train_delete").click()
    assert given(run(section)) is None
    assert list_uploads(tmp_path / "runs" / ".data") == ()


def test_data_that_a_waiting_run_needs_are_not_deleted(
    section: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep_upload([("old.zip", CATS)], tmp_path / "runs" / ".data")
    view = SimpleNamespace(
        folder=tmp_path / "runs" / "mine", status="queued", arguments=("--data", str(path))
    )
    monkeypatch.setattr("pages.shared.train_sources.list_runs", lambda _: [view])
    go(run(section), train_sources.BEFORE)
    assert section.button(key="train_delete").disabled
    assert any("mine" in element.value for element in section.warning)
    view.status = "done"
    assert not run(section).button(key="train_delete").disabled


def test_a_locked_queue_is_told_where_data_would_be_deleted(
    section: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise TrainingError("The queue is locked.")

    keep_upload([("old.zip", CATS)], tmp_path / "runs" / ".data")
    monkeypatch.setattr("pages.shared.train_sources.list_runs", refuse)
    assert given(go(run(section), train_sources.BEFORE)) is not None
    assert section.error[0].value == r"The queue is locked\."


def test_data_that_went_away_are_asked_for_again(section: AppTest, tmp_path: Path) -> None:
    drop(section, ("cats.zip", CATS))
    for item in list_uploads(tmp_path / "runs" / ".data"):
        item.path.unlink()
    assert given(run(section)) is None and len(section.get("file_uploader")) == 1


def test_a_cancelled_look_can_be_taken_up_again(section: AppTest) -> None:
    as_they_are = train_data.Wanted(None, None, None)
    section.session_state["train_stopped"] = ("digits", as_they_are, 0)
    section.session_state["train_set"] = "digits"
    assert given(go(section, train_sources.BUILT_IN)) is None
    assert "Stopped" in section.warning[0].value
    section.button(key="train_look").click()
    assert given(run(section)) is not None
