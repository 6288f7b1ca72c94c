"""What a shared view's file holds, and what it leaves out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pages.shared import assets, payload, share, walk_payload
from pages.shared.share import Choice, View, file_name, shared_view, without_folders
from tests.fixtures import save_small
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.errors import ExplorerError


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """An untrained model; what it publishes goes to a folder of its own."""
    monkeypatch.setattr(assets, "STATIC_DIR", tmp_path / "static")
    share._packed.cache_clear()
    return load_checkpoint(save_small(tmp_path / "some model"))


def view_of(checkpoint: Checkpoint, **more: Any) -> View:
    walk = walk_payload.walk_data(checkpoint) | {"rows": [], "n_live": 0, "folded": ""}
    shown = payload.map_data(checkpoint, "umap", "label") | more
    return View(shown, walk | {"z": [0.0], "start": [0.0]})


def message_of(page: bytes) -> Any:
    found = re.search(r'id="lx-view">(.*?)</script>', page.decode())
    assert found is not None
    return json.loads(found[1])


def carried(page: bytes) -> list[str]:
    return re.findall(r'data-path="([^"]+)"', page.decode())


def test_it_carries_each_file_it_names_once(small: Checkpoint) -> None:
    page, view = shared_view(small, view_of(small)), view_of(small)
    paths = carried(page)
    assert len(set(paths)) == len(paths)
    assert {view.map["points"]["codes"], view.map["model"]["decoder_bin"]} <= set(paths)


def test_parts_nobody_released_stay_behind(small: Checkpoint) -> None:
    secret = payload._publish("originals", b"pictures of people", "bin")
    page = shared_view(small, view_of(small, atlas={"url": secret}))
    assert "atlas" not in message_of(page)["map"]
    assert secret not in carried(page)


@pytest.mark.parametrize("name", ["app/static/../../etc/passwd", "/etc/passwd", "app/static/x.bin"])
def test_only_published_files_are_read(small: Checkpoint, name: str) -> None:
    page = shared_view(small, view_of(small, marks=[{"x": 0, "y": 0, "text": name}]))
    assert message_of(page)["map"]["marks"][0]["text"] == name
    assert name not in carried(page)


def test_same_view_same_bytes(small: Checkpoint) -> None:
    assert shared_view(small, view_of(small)) == shared_view(small, view_of(small))


def test_no_block_ends_before_its_end(small: Checkpoint) -> None:
    marks = [{"x": 0, "y": 0, "text": "</SCRIPT><!--<script>"}]
    text = shared_view(small, view_of(small, marks=marks)).decode()
    assert (
        text.lower().count("<script")
        == text.lower().count("</script")
        == 2 + len(carried(text.encode()))
    )
    assert message_of(text.encode())["map"]["marks"] == marks


def test_extras_beyond_the_room_are_left_out(
    small: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = view_of(small)
    other = payload.map_data(small, "pca", "label")
    maps = [
        Choice(name, {"projection": data["projection"], "backdrop": data["backdrop"]})
        for name, data in (("pca", other), ("umap", view.map))
    ]
    full = View(view.map, view.walk, maps=maps)
    found = message_of(shared_view(small, full))["maps"]
    assert [item["name"] for item in found["items"]] == ["pca", "umap"]
    assert found["now"] == 1
    monkeypatch.setattr(share, "EXTRAS_BYTES", 10)
    found = message_of(shared_view(small, full))["maps"]
    assert [item["name"] for item in found["items"]] == ["umap"]


def test_a_file_that_is_gone_is_told_in_a_sentence(small: Checkpoint) -> None:
    view = view_of(small)
    for path in assets.STATIC_DIR.iterdir():
        path.unlink()
    with pytest.raises(ExplorerError, match="start the app again"):
        shared_view(small, view)


def test_the_card_is_told_in_words(small: Checkpoint) -> None:
    facts = dict(message_of(shared_view(small, view_of(small)))["facts"])
    assert facts["Model"] == f"Stripes (some model), weights {small.key}"
    assert "3 latent dimensions" in facts["What it is"]
    assert file_name(small) == "some-model-view.html"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("train --data mnist --out runs/a", "train --data mnist --out runs/a"),
        ("train --data /home/ann/faces --out=/tmp/x", "train --data faces --out=x"),
        ("train --data ../../ann/faces", "train --data faces"),
        (r"train --data 'C:\Users\ann\faces'", "train --data faces"),
        ("train --title 'My faces'", "train --title 'My faces'"),
        ("train --title 'half", ""),
    ],
)
def test_commands_name_no_folders(command: str, told: str) -> None:
    assert without_folders(command) == told
