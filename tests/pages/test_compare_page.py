"""The Compare page without a browser: two models of different shapes, and all its sections."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.shared import compare_choice
from tests.pages.conftest import OpenApp
from vae_core.apply.compare import common_images
from vae_core.checkpoint import Checkpoint
from vae_core.library import rename_model


def words(app: AppTest) -> str:
    shown = [*app.error, *app.warning, *app.info, *app.caption, *app.markdown]
    return "\n".join(element.value for element in shown)


def html(app: AppTest) -> str:
    return "".join(str(element.proto.body) for element in app.get("html"))


def to(app: AppTest, section: str) -> AppTest:
    app.button_group(key="compare_section").set_value(section).run()
    assert not app.exception
    return app


@pytest.fixture(scope="module")
def twins(tiny_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two tiny models and a second digits model of the same name."""
    folder = tmp_path_factory.mktemp("twins")
    for name in ("digits-2d", "faces-tiny"):
        shutil.copytree(tiny_checkpoints / name, folder / name)
    shutil.copytree(tiny_checkpoints / "digits-2d", folder / "digits-copy")
    return folder


@pytest.fixture
def page(open_app: OpenApp, twins: Path) -> AppTest:
    return open_app("compare", folder=twins, models="digits-2d,digits-copy")


def test_models_of_a_link_are_rebuilt_beside_pca(page: AppTest) -> None:
    assert not page.exception
    assert page.multiselect(key="compare_models").value == ["digits-2d", "digits-copy"]
    assert page.query_params["models"] == "digits-2d,digits-copy"
    assert "(digits-copy)" in html(page)
    assert "PCA, 2 dimensions" in html(page)
    assert "that no compared model of these data was trained on" in words(page)


def test_equal_models_agree_entirely(page: AppTest) -> None:
    to(page, "Neighbours")
    assert "**100%** are also among" in words(page)
    page.button_group(key="compare_likeness").set_value("Alignment (CKA)").run()
    assert "aligned to **1.00**" in words(page)


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ("Between and drawn", "Half-way between two images"),
        ("Same code", "the very same numbers"),
        ("Same code", "own directions"),
        ("Maps", "the same images light up"),
        ("Numbers", "the best of the row"),
    ],
)
def test_every_section_shows(page: AppTest, section: str, sentence: str) -> None:
    assert sentence in words(to(page, section))


def test_a_model_of_other_images_gets_them_converted(open_app: OpenApp, twins: Path) -> None:
    app = open_app("compare", folder=twins, models="digits-2d,faces-tiny")
    assert "gets them as RGB 64×64" in words(app)
    assert "PCA, 8 dimensions" in html(app)
    assert "A code fits only decoders with as many numbers" in words(to(app, "Same code"))
    for section in ("Maps", "Neighbours", "Numbers"):
        to(app, section)


def test_a_new_title_reaches_what_was_drawn_before(
    open_app: OpenApp, twins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(twins, tmp_path / "models")
    sent: list[dict[str, Any]] = []
    for name in ("latent_same", "linked_maps"):
        monkeypatch.setattr(f"pages.shared.components.{name}", lambda data, **_: sent.append(data))
    app = open_app("compare", folder=tmp_path / "models", models="digits-2d,faces-tiny")
    for section, part in (("Same code", "models"), ("Maps", "panels")):
        to(app, section)
        title = f"For {section}"
        rename_model(tmp_path / "models" / "digits-2d", title)
        app.run()
        assert sent[-1][part][0]["name"] == title


def test_one_model_is_no_comparison(page: AppTest) -> None:
    page.multiselect(key="compare_models").set_value(["digits-2d"]).run()
    assert "Choose 2 to 4 models" in page.info[0].value


def test_a_link_to_an_unknown_model_is_told(open_app: OpenApp, twins: Path) -> None:
    app = open_app("compare", folder=twins, models="nothing,digits-2d")
    assert "There is no model 'nothing' here" in app.warning[0].value
    assert not app.exception


def test_without_originals_reconstructions_stand_in(
    open_app: OpenApp, twins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pages.shared.cache.find_originals", lambda _: None)
    # Other tests of this process may have opened the same models with their originals.
    st.cache_resource.clear()
    st.cache_data.clear()
    app = open_app("compare", folder=twins, models="faces-tiny,digits-2d")
    assert not app.exception
    assert "originals are not on this machine" in words(app)


def test_too_few_images_are_told(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.shared.compare_choice.LEAST_IMAGES", 10**6)
    assert "put a model of more images first" in page.run().error[0].value


def test_other_images_can_be_asked_for(page: AppTest) -> None:
    before = html(page)
    page.button(key="compare_other").click().run()
    assert not page.exception
    assert html(page) != before


def test_pca_is_never_fitted_to_what_it_is_tested_on(digits_checkpoint: Checkpoint) -> None:
    common = common_images([digits_checkpoint, digits_checkpoint])
    rows = common.rows[0]
    assert rows is not None
    tested = rows[compare_choice.places_apart(digits_checkpoint, common)]
    fitted = compare_choice.fitted_rows(digits_checkpoint)
    assert len(tested) >= len(rows) // 2 - 1
    assert not set(tested.tolist()) & set(fitted.tolist())
