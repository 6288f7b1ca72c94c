"""The list of models follows what lies in the folders, although it is remembered."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from pages.shared import models
from vae_core.checkpoint import CARD


@pytest.fixture
def folder(tiny_checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two checkpoints that may be changed."""
    own = tmp_path / "models"
    shutil.copytree(tiny_checkpoints, own)
    monkeypatch.setenv("VAE_CHECKPOINTS", str(own))
    assert len(titles()) >= 2
    return own


def titles() -> dict[str, str | None]:
    """Folder → title, None for one without a good card."""
    listed = models.listed_checkpoints()
    return {i.path.name: None if i.card is None else str(i.card["title"]) for i in listed}


def retitle(card: Path, title: str) -> None:
    """As the app writes a card: whole, under another name, then moved."""
    said = json.loads(card.read_text("utf-8"))
    said["title"] = title
    new = card.with_name("card.new")
    new.write_text(json.dumps(said), "utf-8")
    new.replace(card)


def test_an_unchanged_folder_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = titles()
    read = list[Path]()

    def count(path: Path) -> list[models.Listed]:
        read.append(path)
        return []

    monkeypatch.setattr(models, "list_checkpoints", count)
    assert titles() == known
    assert read == []
    (folder / next(iter(known)) / CARD).touch()
    titles()
    assert read == [folder]


def test_a_new_title_shows_at_once(folder: Path) -> None:
    name = next(iter(titles()))
    retitle(folder / name / CARD, "Another")
    assert titles()[name] == "Another"


def test_a_title_of_the_same_length_with_the_old_time_shows_too(folder: Path) -> None:
    name, title = next((n, t) for n, t in titles().items() if t)
    card = folder / name / CARD
    before = card.stat()
    retitle(card, title[::-1] if title[::-1] != title else "x" * len(title))
    os.utime(card, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert titles()[name] not in {None, title}


def test_models_come_and_go(folder: Path) -> None:
    name, *rest = titles()
    shutil.copytree(folder / name, folder / "copied")
    assert set(titles()) == {name, *rest, "copied"}
    shutil.rmtree(folder / "copied")
    assert set(titles()) == {name, *rest}


def test_a_card_broken_by_hand_and_mended(folder: Path) -> None:
    name, title = next(iter(titles().items()))
    card = folder / name / CARD
    good = card.read_text("utf-8")
    card.write_text("{", "utf-8")
    assert titles()[name] is None
    card.write_text(good, "utf-8")
    assert titles()[name] == title
