"""Every page runs, whatever checkpoints lie there and whatever the link says."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import OpenApp, as_read

PAGES = ("home", "explore", "walk", "reconstruct", "label")


def words(app: AppTest) -> str:
    """All sentences of the page that tell of a state."""
    shown = [*app.error, *app.warning, *app.info, *app.caption, *app.markdown, *app.subheader]
    return "\n".join(element.value for element in shown)


def assert_whole(app: AppTest) -> None:
    assert [element.value for element in app.exception] == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("model", ["digits-2d", "faces-tiny"])
def test_page_runs(open_app: OpenApp, page: str, model: str) -> None:
    app = open_app(page, model=model)
    assert_whole(app)
    assert [element.value for element in app.error] == []
    assert app.query_params["model"] == model


@pytest.mark.parametrize("page", ["compare", "train", "models"])
def test_other_pages_run(open_app: OpenApp, page: str) -> None:
    app = open_app(page, model="digits-2d")
    assert_whole(app)
    assert [element.value for element in app.error] == []


@pytest.mark.parametrize("page", PAGES)
def test_page_without_checkpoints_says_how_to_get_one(
    open_app: OpenApp, page: str, tmp_path: Path
) -> None:
    app = open_app(page, folder=tmp_path)
    assert_whole(app)
    assert "python -m vae_core train" in app.info[0].value


def test_missing_checkpoint_folder_is_like_an_empty_one(open_app: OpenApp, tmp_path: Path) -> None:
    app = open_app("explore", folder=tmp_path / "nowhere")
    assert_whole(app)
    assert "no model to explore" in app.info[0].value


def test_home_shows_every_model(open_app: OpenApp) -> None:
    shown = words(open_app("home"))
    assert "digits" in shown
    assert "faces" in shown


# ---- damaged checkpoints -------------------------------------------------------------------------
def _flip(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 0xFF
        (folder / name).write_bytes(data)

    return damage


def _drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps({"weights": [1.0]}))


def _card(text: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / "card.json").write_text(text, encoding="utf-8")

    return damage


def _card_without(*names: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        card = json.loads((folder / "card.json").read_text("utf-8"))
        for name in names:
            del card[name]
        (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")

    return damage


DAMAGES = {
    "weights flipped": _flip("model.safetensors"),
    "codes flipped": _flip("codes.npz"),
    "map flipped": _flip("map.npz"),
    "no weights": _drop("model.safetensors"),
    "no map": _drop("map.npz"),
    "no card": _drop("card.json"),
    "pickle": _pickled,
    "card is text": _card("not json"),
    "card is a list": _card("[]"),
    "card of another format": _card('{"format": "other/9", "files": {}, "model": {}}'),
    "card says too little": _card_without("model", "data", "metrics"),
    "card without data": _card_without("data"),
    "card without metrics": _card_without("metrics"),
    "card without title": _card_without("title"),
    "card without counts": _card_without("n_codes", "n_images"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_checkpoint_is_named_and_the_good_one_works(
    open_app: OpenApp, beside_good: Path, damage: Callable[[Path], None]
) -> None:
    damage(beside_good / "hurt")
    home = open_app("home", folder=beside_good, model="digits-2d")
    assert_whole(home)
    told = [element.value for element in (*home.error, *home.warning)]
    assert len(told) == 1
    assert "hurt" in told[0]
    for page in PAGES[1:]:
        app = open_app(page, folder=beside_good, model="digits-2d")
        assert_whole(app)
        assert not [box for box in app.info if "no model" in box.value]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_link_to_a_damaged_checkpoint_gets_a_sentence(
    open_app: OpenApp, beside_good: Path, damage: Callable[[Path], None]
) -> None:
    damage(beside_good / "hurt")
    app = open_app("explore", folder=beside_good, model="hurt")
    assert_whole(app)
    assert any("hurt" in element.value for element in (*app.error, *app.warning))


def test_pickle_is_never_loaded(open_app: OpenApp, beside_good: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (mark,))

    (beside_good / "hurt" / "model.safetensors").write_bytes(pickle.dumps(Trap()))
    app = open_app("explore", folder=beside_good, model="hurt")
    assert "pickle" in app.error[0].value
    assert not mark.exists()


def test_only_a_damaged_checkpoint_leaves_a_sentence(open_app: OpenApp, beside_good: Path) -> None:
    (beside_good / "digits-2d").rename(beside_good.parent / f"{beside_good.name}-away")
    _pickled(beside_good / "hurt")
    for page in PAGES:
        app = open_app(page, folder=beside_good)
        assert_whole(app)
        assert "hurt" in app.error[0].value


# ---- links ---------------------------------------------------------------------------------------
NONSENSE = [
    {"model": "no-such-model"},
    {"model": ""},
    {"model": "../../etc"},
    {"map": "no-such-map", "colour": "no-such-colour"},
    {"map": "3,3"},
    {"map": "0,99"},
    {"map": "²,1"},
    {"map": "-1,0"},
    {"point": "-1"},
    {"point": "999999999"},
    {"point": "²"},
    {"point": "9" * 5000},
    {"point": "1.5"},
    {"at": "nan,nan"},
    {"at": "1"},
    {"at": "1,2,3"},
    {"at": "inf,0"},
    {"at": "1e30,-1e30"},
    {"at": "1e38,1e38"},
    {"at": "1e60,0"},
    {"at": "", "point": ""},
    {"z": "nan"},
    {"z": ",".join(["nan"] * 8)},
    {"z": ",".join(["inf"] * 8)},
    {"z": ",".join(["1e30"] * 8)},
    {"z": ",".join(["1e60"] * 8)},
    {"z": ",".join(["0"] * 999)},
    {"z": "0;0"},
    {"z": "<script>alert(1)</script>"},
    {"unknown": "x"},
]


@pytest.mark.parametrize("query", NONSENSE, ids=lambda query: str(query)[:40])
@pytest.mark.parametrize("page", ["explore", "walk"])
def test_nonsense_in_a_link_never_crashes(
    open_app: OpenApp, page: str, query: dict[str, str]
) -> None:
    app = open_app(page, **{"model": "faces-tiny", **query})
    assert_whole(app)
    assert not app.error


def test_unknown_model_is_said(open_app: OpenApp) -> None:
    app = open_app("home", model="no-such-model")
    assert "no-such-model" in as_read(words(app))
    assert app.query_params["model"] in ("digits-2d", "faces-tiny")


def test_link_to_a_point_shows_it(open_app: OpenApp) -> None:
    app = open_app("explore", model="digits-2d", map="pca", colour="KL", point="3")
    assert app.subheader[0].value.startswith("Image ")
    assert "8 nearest images" in words(app)
    assert app.query_params == {"model": "digits-2d", "map": "pca", "colour": "KL", "point": "3"}


def test_link_to_an_empty_spot_shows_it(open_app: OpenApp) -> None:
    app = open_app("explore", model="faces-tiny", map="0,1", at="0.5,-0.25")
    assert app.subheader[0].value == "An empty spot"
    assert app.query_params["at"] == "0.5,-0.25"
    assert app.query_params["map"] == "0,1"


def test_link_to_a_code_starts_the_walk_there(open_app: OpenApp) -> None:
    code = "0.5,-1.25,0,0,1,0,0,2"
    app = open_app("walk", model="faces-tiny", z=code)
    assert "the code in the link" in words(app)
    assert app.query_params["z"] == code


def test_walk_from_here_carries_the_code(open_app: OpenApp) -> None:
    app = open_app("explore", model="faces-tiny", point="5")
    app.button(key="walk_from_here").click().run()
    assert_whole(app)
    assert "Started from point" in words(app)


def test_another_model_forgets_the_selection(open_app: OpenApp) -> None:
    app = open_app("explore", model="faces-tiny", point="5", map="pca")
    app.sidebar.selectbox[0].set_value("digits-2d").run()
    assert_whole(app)
    assert app.query_params["model"] == "digits-2d"
    assert "point" not in app.query_params


@pytest.mark.parametrize("colour", ["label", "reconstruction error", "ELBO", "split"])
def test_three_dimensions_show_every_code(open_app: OpenApp, colour: str) -> None:
    app = open_app("explore", model="faces-tiny", map="3-d", colour=colour)
    assert_whole(app)
    assert "All 120 codes; the three axes hold" in words(app)
