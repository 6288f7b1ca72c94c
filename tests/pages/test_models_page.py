"""The page of all models: found, sorted, opened, noted, packed, brought, deleted."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import cache, models, models_list
from tests.fixtures import save_small
from tests.pages.conftest import OpenApp, as_read
from vae_core.checkpoint import CARD, Listed, read_card
from vae_core.files import write_json
from vae_core.library import packed_model


@pytest.fixture(scope="module")
def _small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small(tmp_path_factory.mktemp("small") / "stripes")


@pytest.fixture
def two(_small: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder with `a` and `b`, the same small model under two titles."""
    for name, title, made in (("a", "Zebra", "2026-01-02"), ("b", "Apple pie", "2026-03-04")):
        shutil.copytree(_small, tmp_path / name)
        edit(tmp_path / name, title=title, created=f"{made}T00:00:00Z")
    yield tmp_path
    cache.map_jobs.clear()


def edit(folder: Path, **fields: object) -> None:
    write_json(folder / CARD, read_card(folder) | fields)


def html(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def titles(app: AppTest) -> list[str]:
    """The titles of the cards from the first to the last."""
    found = [part.split("</div>")[0] for part in html(app).split("<div class='lxlib-title'>")[1:]]
    assert [element.value for element in app.exception] == []
    return found


def said(app: AppTest) -> str:
    return "\n".join(e.value for e in [*app.success, *app.error, *app.warning, *app.caption])


def keys(app: AppTest) -> set[str | None]:
    return {button.key for button in app.button}


# ---- the list ------------------------------------------------------------------------------------
def test_every_model_has_its_card_with_pictures_and_figures(open_app: OpenApp, two: Path) -> None:
    edit(two / "a", metrics={"psnr_db": 21.25, "active_units": 2})
    app = open_app("models", folder=two)
    assert titles(app) == ["Apple pie", "Zebra"]
    shown = html(app)
    assert shown.count("<img class='lxlib-strip lxlib-sharp' src='data:image/png") == 2
    assert "3 dimensions, 2 in use" in shown
    assert "stripes, 40 images, grey 8×8" in shown
    assert "21.2 dB (PSNR)" in shown
    assert "<b>2</b> models" in shown


def test_models_are_sorted_as_asked(open_app: OpenApp, two: Path) -> None:
    edit(two / "a", metrics={"psnr_db": 21.2}, notes="x" * 5_000)
    app, firsts = open_app("models", folder=two), []
    for order in ("newest first", "title", "best reconstruction", "largest on disk"):
        app.selectbox(key="models_order").set_value(order).run()
        firsts.append(titles(app)[0])
    assert firsts == ["Apple pie", "Apple pie", "Zebra", "Zebra"]


def test_models_are_found_by_words_of_their_notes(open_app: OpenApp, two: Path) -> None:
    edit(two / "a", notes="A striped Animal")
    app = open_app("models", folder=two)
    app.text_input(key="models_find").set_value("animal zebra").run()
    assert titles(app) == ["Zebra"]
    app.text_input(key="models_find").set_value("horse").run()
    assert titles(app) == []
    assert "None of the 2 models" in said(app)


def test_many_models_come_a_dozen_at_a_time(
    open_app: OpenApp, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_list, "N_AT_ONCE", 1)
    app = open_app("models", folder=two)
    assert titles(app) == ["Apple pie"]
    next(b for b in app.button if b.label == "Show 1 more").click().run()
    assert titles(app) == ["Apple pie", "Zebra"]


def test_a_model_is_opened_in_explore(open_app: OpenApp, two: Path) -> None:
    app = open_app("models", folder=two, model="a")
    app.button(key="models_explore_0").click().run()
    assert app.query_params["model"] == "b"
    assert "Apple pie" in app.sidebar.selectbox[0].options


def test_foreign_titles_are_shown_as_they_are(open_app: OpenApp, two: Path) -> None:
    edit(two / "a", title="<img src=x onerror=alert(1)> **bold**")
    app = open_app("models", folder=two)
    assert "&lt;img src=x" in html(app)
    assert "<img src=x" not in html(app)
    app = open_app("models", folder=two, details="a")
    assert "### \\<img src\\=x" in app.main.markdown[0].value


# ---- one model -----------------------------------------------------------------------------------
def test_details_show_the_card_the_command_and_the_raw_text(open_app: OpenApp, two: Path) -> None:
    edit(two / "a", command="python -m vae_core train --data stripes")
    app = open_app("models", folder=two)
    app.button(key="models_details_1").click().run()
    assert app.query_params["details"] == "a"
    assert "<td>latent dimensions</td><td>3</td>" in html(app)
    assert app.code[0].value == "python -m vae_core train --data stripes"
    app.segmented_control(key="models_section").set_value("Raw").run()
    assert json.loads(app.json[0].value)["title"] == "Zebra"
    app.button(key="models_back").click().run()
    assert len(titles(app)) == 2


def test_renaming_reaches_the_card_and_the_list(open_app: OpenApp, two: Path) -> None:
    app = open_app("models", folder=two, details="a", model="a")
    app.text_input(key="models_title_a").set_value("Horse with lines")
    press(app, "Rename")
    assert "Renamed." in said(app)
    assert read_card(two / "a")["title"] == "Horse with lines"
    assert "Horse with lines" in app.sidebar.selectbox[0].options
    app.text_input(key="models_title_a").set_value(" ")
    press(app, "Rename")
    assert "expected 1 to 200" in said(app)


def test_notes_are_kept(open_app: OpenApp, two: Path) -> None:
    app = open_app("models", folder=two, details="a")
    app.text_area(key="models_notes_a").set_value("for the lecture")
    press(app, "Save notes")
    assert read_card(two / "a")["notes"] == "for the lecture"
    assert open_app("models", folder=two, details="a").text_area[0].value == "for the lecture"


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == label).click().run()
    assert [element.value for element in app.exception] == []


def test_a_deleted_model_is_gone_and_another_is_chosen(open_app: OpenApp, two: Path) -> None:
    app = open_app("models", folder=two, details="a", model="a")
    app.button(key="models_delete").click().run()
    assert not (two / "a").exists()
    assert "a is deleted." in said(app)
    assert app.query_params["model"] == "b"
    assert "details" not in app.query_params
    assert titles(app) == ["Apple pie"]


def test_a_broken_model_is_named_and_can_be_deleted(open_app: OpenApp, two: Path) -> None:
    (two / "a" / CARD).write_text("{}")
    app = open_app("models", folder=two)
    assert titles(app) == ["Apple pie"]
    app.button(key="models_mend_0").click().run()
    assert "not a card of this project" in said(app)
    app.button(key="models_delete").click().run()
    assert not (two / "a").exists()


def test_models_that_came_with_the_app_are_not_deleted(
    open_app: OpenApp, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (two / "checkpoints").mkdir()
    shutil.move(two / "a", two / "checkpoints" / "a")
    monkeypatch.setattr(models, "ROOT", two)
    app = open_app("models", folder=two / "checkpoints", details="a")
    assert "models_delete" not in keys(app)
    assert "can be opened, not lost" in said(app)


@pytest.mark.parametrize("name", ["../a", "nowhere"])
def test_only_listed_names_have_details(open_app: OpenApp, two: Path, name: str) -> None:
    app = open_app("models", folder=two, details=name)
    assert len(titles(app)) == 2


# ---- zips ----------------------------------------------------------------------------------------
def test_a_zip_is_taken_and_its_model_opened(open_app: OpenApp, two: Path) -> None:
    packed = packed_model(two / "a")
    app = open_app("models", folder=two)
    app.file_uploader(key="models_zip").upload("mine.zip", packed, "application/zip").run()
    app.button(key="models_import").click().run()
    assert [element.value for element in app.exception] == []
    assert app.query_params["details"] == "a-2"
    assert read_card(two / "a-2")["files"] == read_card(two / "a")["files"]
    assert "The same" not in said(app)


def test_a_strange_zip_is_refused_in_a_sentence(open_app: OpenApp, two: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../evil.py", "print()")
    app = open_app("models", folder=two)
    app.file_uploader(key="models_zip").upload("x.zip", buffer.getvalue(), "application/zip").run()
    app.button(key="models_import").click().run()
    assert "none of the files of a model" in app.error[0].value.replace("\\", "")
    assert sorted(path.name for path in two.iterdir()) == ["a", "b"]


# ---- cards changed by hand -----------------------------------------------------------------------
CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "title a list": lambda card: card.update(title=[1]),
    "title half a letter": lambda card: card.update(title="\ud800"),
    "metrics a number": lambda card: card.update(metrics=3),
    "metrics null": lambda card: card["metrics"].update(psnr_db=None),
    "data a list": lambda card: card.update(data=[]),
    "source a table": lambda card: card["data"].update(source={}),
    "objective text": lambda card: card.update(objective="vae"),
    "files a list": lambda card: card.update(files=["model.safetensors"]),
    "n_codes text": lambda card: card.update(n_codes="many"),
}


def test_cards_changed_by_hand_are_one_sentence_each_and_break_no_other(
    open_app: OpenApp, two: Path
) -> None:
    for name, change in CHANGES.items():
        folder = Path(shutil.copytree(two / "a", two / name.replace(" ", "-")))
        card = read_card(folder)
        change(card)
        (folder / CARD).write_text(json.dumps(card))
    app = open_app("models", folder=two)
    assert titles(app) == ["Apple pie", "Zebra"]
    told = [as_read(warning.value) for warning in app.sidebar.warning]
    assert [text.split("**")[1] for text in told] == sorted(n.replace(" ", "-") for n in CHANGES)
    assert [e.value for e in open_app("home", folder=two).exception] == []


def test_sums_of_bytes_in_words() -> None:
    sizes = (0, 999, 1_000, 1_234_567, 99_940_000, 99_960_000, 10**12)
    assert [models_list.size_in_words(n) for n in sizes] == [
        "0 bytes", "999 bytes", "1.0 kB", "1.2 MB", "99.9 MB", "100 MB", "1.0 TB",
    ]  # fmt: skip


def test_a_card_without_a_day_gets_the_folders(two: Path) -> None:
    item = Listed(two / "a", read_card(two / "a") | {"created": "<b>yesterday</b>"})
    assert models_list.all_models([item])[0].made[:2] == "20"


def test_without_any_model_the_page_says_how_to_get_one(open_app: OpenApp, tmp_path: Path) -> None:
    app = open_app("models", folder=tmp_path / "nowhere")
    assert titles(app) == []
    assert "There is no model yet" in said(app)
    assert "models_import" in keys(app)
