"""The Label page without a browser: names given, taken back, kept as a file, and refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import show
from tests.pages.conftest import OpenApp
from vae_core.apply.label_file import labels_csv
from vae_core.apply.labelling import Labelling
from vae_core.checkpoint import Checkpoint


def words(app: AppTest) -> str:
    shown = [*app.error, *app.info, *app.caption, *app.markdown]
    return "\n".join(element.value for element in shown)


@pytest.fixture
def page(open_app: OpenApp) -> AppTest:
    return open_app("label", model="digits-2d")


def test_an_empty_page_says_what_to_do_and_shows_points_to_begin_with(page: AppTest) -> None:
    assert "give it a name" in page.info[0].value
    assert page.button(key="label_undo").disabled
    assert page.button(key="label_clear").disabled
    assert "Worth a name next" in words(page)


def test_revealed_points_name_all_others_and_undo_takes_them_back(page: AppTest) -> None:
    page.button(key="label_reveal_all").click().run()
    assert not page.exception
    assert "get the data set's own label from 6 named ones" in words(page)
    page.button(key="label_undo").click().run()
    assert "give it a name" in page.info[0].value
    assert "named ones" not in words(page)


def of_first_suggestion(widgets: Iterable[Any], ending: str) -> Any:
    return next(w for w in widgets if str(w.key).startswith("next_") and w.key.endswith(ending))


def test_one_class_asks_for_another(page: AppTest) -> None:
    of_first_suggestion(page.button, "_0_true").click().run()
    assert "One class has a name so far" in words(page)
    assert not page.exception


def test_a_known_name_is_given_by_one_click(page: AppTest) -> None:
    of_first_suggestion(page.button, "_0_true").click().run()
    pills = of_first_suggestion(page.button_group, "_0")
    assert len(pills.options) == 1
    pills.set_value(pills.options[0]).run()
    assert not page.exception
    assert "The 2 named points" in page.get("download_button")[0].label


def test_digits_are_compared_with_pca_and_pixels_on_demand(page: AppTest) -> None:
    page.button(key="label_reveal_all").click().run()
    page.toggle(key="label_compare").set_value(True).run()
    assert not page.exception
    shown = "".join(str(element.proto.body) for element in page.get("html"))
    assert "raw pixels" in shown and "PCA" in shown and "codes of this model" in shown


def test_labels_come_from_a_file_and_what_is_none_is_told(
    page: AppTest, digits_checkpoint: Checkpoint
) -> None:
    few = Labelling(("even", "odd"), {0: 0, 5: 1})
    text = labels_csv(digits_checkpoint.codes.ids, few).encode()
    page.get("file_uploader")[0].set_value(("few.csv", text, "text/csv")).run()
    assert "The names are your own" in words(page)
    page.get("file_uploader")[0].set_value(("few.csv", b"hello", "text/csv")).run()
    assert "expected id and label" in page.error[0].value
    assert "The names are your own" in words(page)


def test_names_are_told_as_they_were_written() -> None:
    assert show.plain("a_b *c* [d](e) :red[f] $x$") == (r"a\_b \*c\* \[d\]\(e\) \:red\[f\] \$x\$")
    assert show.plain("Käse 3") == "Käse 3"
