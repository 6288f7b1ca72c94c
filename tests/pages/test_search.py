"""What the field above the map finds, and what it answers where it finds nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pages.shared.search import Found, find
from tests.pages.conftest import OpenApp
from vae_core.checkpoint import Checkpoint
from vae_core.data.imageset import Factor
from vae_core.latent.codes import Codes


@pytest.fixture
def codes(faces_checkpoint: Checkpoint) -> Codes:
    """The faces' codes with the first twelve ids told apart from the labels' names."""
    found = faces_checkpoint.codes
    digits = Factor((np.arange(len(found)) % 3).astype(np.float32), ("7", "8", "round hat"))
    ids = np.arange(len(found), dtype=np.int64) + 100
    return replace(found, ids=ids, factors={**found.factors, "digit": digits})


def rows_of(codes: Codes, text: str) -> list[int]:
    found = find(codes, text)
    assert isinstance(found, Found), found
    return [int(row) for row in found.rows]


@pytest.mark.parametrize("text", ["105", "#105", " 105 "])
def test_a_number_is_an_image(codes: Codes, text: str) -> None:
    assert rows_of(codes, text) == [5]


def test_a_number_that_is_no_image_names_the_kind_of_that_name(codes: Codes) -> None:
    assert find(codes, "7") == (
        f"No image '7' is on this map; it shows {len(codes)}; write 'digit:7' for that kind."
    )


@pytest.mark.parametrize("text", ["digit:7", "Digit : 7", "digit=7"])
def test_a_kind_finds_all_of_it_and_the_most_typical(codes: Codes, text: str) -> None:
    found = find(codes, text)
    assert isinstance(found, Found)
    assert list(found.rows) == list(range(0, len(codes), 3))
    inside = codes.mean[found.rows]
    distance = np.linalg.norm(inside - inside.mean(0), axis=1)
    assert found.typical == found.rows[distance.argmin()]


def test_a_bare_name_or_its_beginning_is_enough(codes: Codes) -> None:
    assert codes.labels is not None
    curly = np.flatnonzero(codes.labels == codes.label_names.index("curly")).tolist()
    assert rows_of(codes, "Curly") == curly
    assert rows_of(codes, "sungl") == rows_of(codes, "glasses:sunglasses")


def test_a_beginning_of_several_names_lists_them(codes: Codes) -> None:
    said = find(codes, "round")
    assert isinstance(said, Found)  # exactly one is called so
    assert said.title == "glasses:round"
    answer = find(codes, "b")
    assert isinstance(answer, str)
    assert "label:bald, label:bun" in answer


def test_a_bound_finds_what_lies_beyond_it(codes: Codes) -> None:
    smile = codes.factors["smile"].values
    assert rows_of(codes, "smile > 0.25") == np.flatnonzero(smile > 0.25).tolist()
    assert rows_of(codes, "Smile<=-.25") == np.flatnonzero(smile <= -0.25).tolist()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("smile", "give a bound, as in 'smile > "),
        ("smile > 99", "No image has smile > 99; the values run from "),
        ("glasses > 1", "needs a factor with numbers"),
        ("smile > 1.2.3", "needs a factor with numbers"),
        ("no such", "No image 'no such' is on this map"),
        (">", "No image '>' is on this map"),
    ],
)
def test_what_is_not_found_gets_a_sentence(codes: Codes, text: str, answer: str) -> None:
    said = find(codes, text)
    assert isinstance(said, str)
    assert answer in said


def test_a_found_kind_is_the_region_and_the_colour(open_app: OpenApp) -> None:
    app = open_app("explore", model="faces-tiny")
    app.text_input(key="find").set_value("curly").run()
    assert not app.exception
    assert app.selectbox[1].value == "found" or app.selectbox[2].value == "found"
    assert any("of those on the map" in heading.value for heading in app.subheader)
    app.text_input(key="find").set_value("").run()
    assert not app.exception
    assert "found" not in [box.value for box in app.selectbox]


@pytest.mark.parametrize("colour", ["prediction", "wrong predictions"])
def test_predictions_say_how_good_they_are(open_app: OpenApp, colour: str) -> None:
    app = open_app("explore", model="faces-tiny", colour=colour)
    assert not app.exception
    assert any("linear classifier on the codes" in text.value for text in app.caption)


def test_images_are_ranked_by_how_uncertain_their_prediction_is(open_app: OpenApp) -> None:
    app = open_app("explore", model="faces-tiny")
    app.button_group(key="explore_section").set_value("ranking").run()
    app.selectbox(key="rank_by").set_value("uncertainty of the prediction").run()
    assert not app.exception
    assert any("24 of" in text.value for text in app.caption)


def test_the_table_chooses_the_row_of_the_picked_point(
    open_app: OpenApp, faces_checkpoint: Checkpoint
) -> None:
    app = open_app("explore", model="faces-tiny")
    app.text_input(key="find").set_value("curly").run()
    found = find(faces_checkpoint.codes, "curly")
    assert isinstance(found, Found)
    at = found.rows.tolist().index(found.typical)
    assert f'"rows": [{at}]' in app.dataframe[0].proto.selection_default
