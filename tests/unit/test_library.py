"""Models as things one keeps: renamed, deleted, packed, and taken from zips of strangers."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures import Answer, Refused, quick_maps, save_small
from vae_core.checkpoint import CARD, list_checkpoints, load_checkpoint, read_card
from vae_core.errors import CheckpointError
from vae_core.files import sha256_of, write_json
from vae_core.library import (
    delete_model,
    disk_used,
    import_model,
    packed_model,
    rename_model,
    set_notes,
    slug,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small(tmp_path_factory.mktemp("made") / "Stripes of mine")


@pytest.fixture(scope="module")
def packed(made: Path) -> bytes:
    return packed_model(made)


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Path:
    """A copy of the model in a folder `runs`."""
    return Path(shutil.copytree(made, tmp_path / "runs" / "mine"))


def take(data: bytes, into: Path, *, name: str = "") -> Path:
    return import_model(io.BytesIO(data), into=into, name=name, may_read=lambda _: False)


def sentence(refused: pytest.ExceptionInfo[CheckpointError]) -> str:
    text = str(refused.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: sha256_of(p) for p in folder.iterdir() if p.name != CARD}


# ---- names and notes -----------------------------------------------------------------------------
def test_a_new_title_and_notes_leave_all_else_as_it_was(own: Path) -> None:
    before, files = read_card(own), hashes(own)
    rename_model(own, "  My\n own\x07 stripes ")
    set_notes(own, "first line\nsecond: ζ\ud800")
    after = read_card(own)
    assert after.pop("notes") == "first line\nsecond: ζ?"
    assert after.pop("title") == "My own stripes"
    assert after.pop("renamed") is True
    del before["title"]
    assert after == before
    assert hashes(own) == files
    assert load_checkpoint(own).maps


def test_empty_notes_leave_no_trace(own: Path) -> None:
    before = read_card(own)
    set_notes(own, "x")
    set_notes(own, " \n")
    assert read_card(own) == before


def test_a_run_that_goes_on_keeps_the_words_written_meanwhile(
    answer: Answer, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = ["train", "--data", "digits", "--images", "60", "--latent", "2", "--out", out]
    with quick_maps():
        answer(*command, "--epochs", 1)
        rename_model(out, "Mine")
        set_notes(out, "Keep me.")
        answer(*command, "--epochs", 2, "--resume")
        card = read_card(out)
        assert (card["title"], card["notes"], card["training"]["epoch"]) == ("Mine", "Keep me.", 2)
        answer(*command, "--epochs", 1, "--overwrite")
    assert "notes" not in read_card(out)
    assert read_card(out)["title"] != "Mine"


@pytest.mark.parametrize("title", ["", " \n\t", "x" * 201])
def test_a_title_must_be_readable(own: Path, title: str) -> None:
    with pytest.raises(CheckpointError) as refused:
        rename_model(own, title)
    assert "expected 1 to 200" in sentence(refused)
    assert read_card(own)["title"] == "Stripes"


# ---- disk and deleting ---------------------------------------------------------------------------
def test_disk_used_counts_what_lies_below_and_follows_no_link(own: Path, tmp_path: Path) -> None:
    before = disk_used(own)
    assert before == sum(p.stat().st_size for p in own.iterdir())
    (own / "training").mkdir()
    (own / "training" / "state.json").write_bytes(b"x" * 100)
    (tmp_path / "big").write_bytes(b"y" * 10_000)
    (own / "link").symlink_to(tmp_path / "big")
    assert disk_used(own) == before + 100
    assert disk_used(own / "nowhere") == 0


def test_a_file_that_vanishes_while_it_is_counted_counts_nothing(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = disk_used(own)
    (own / ".state.tmp").write_bytes(b"x" * 100)
    look = Path.lstat

    def gone(path: Path) -> os.stat_result:
        if path.name == ".state.tmp":
            raise FileNotFoundError(path)
        return look(path)

    monkeypatch.setattr(Path, "lstat", gone)
    assert disk_used(own) == before


def test_a_deleted_model_is_gone_with_all_it_held(own: Path) -> None:
    (own / "training").mkdir()
    (own / "training" / "state.json").write_text("{}")
    delete_model(own, within=own.parent)
    assert list(own.parent.iterdir()) == []


def test_a_model_that_cannot_be_opened_can_be_deleted(own: Path) -> None:
    (own / CARD).write_text("[]")
    delete_model(own, within=own.parent)
    assert not own.exists()


def _outside(runs: Path, mine: Path) -> Path:
    return Path(shutil.move(mine, runs.parent / "other"))


def _link(runs: Path, mine: Path) -> Path:
    target = Path(shutil.move(mine, runs.parent / "real"))
    (runs / "link").symlink_to(target)
    return runs / "link"


def _deeper(runs: Path, mine: Path) -> Path:
    (runs / "deep").mkdir()
    return Path(shutil.move(mine, runs / "deep" / "mine"))


def _hidden(runs: Path, mine: Path) -> Path:
    return mine.rename(runs / ".mine")


ODD_FOLDERS: dict[str, Callable[[Path, Path], Path]] = {
    "the folder of models itself": lambda runs, _: runs,
    "by dots": lambda _, mine: mine / "..",
    "through dots": lambda runs, mine: runs / "x" / ".." / ".." / _outside(runs, mine).name,
    "outside": _outside,
    "a link": _link,
    "deeper": _deeper,
    "hidden": _hidden,
    "a file": lambda _, mine: mine / CARD,
    "nothing": lambda runs, _: runs / "nothing",
}


@pytest.mark.parametrize("odd", ODD_FOLDERS.values(), ids=ODD_FOLDERS)
def test_only_models_of_ones_own_are_deleted(own: Path, odd: Callable[[Path, Path], Path]) -> None:
    runs = own.parent
    folder = odd(runs, own)
    before = sorted(runs.parent.rglob("*"))
    with pytest.raises(CheckpointError) as refused:
        delete_model(folder, within=runs)
    sentence(refused)
    assert sorted(runs.parent.rglob("*")) == before


def test_a_folder_without_a_model_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mine.txt").write_text("keep")
    with pytest.raises(CheckpointError, match="holds no model"):
        delete_model(tmp_path / "letters", within=tmp_path)
    assert (tmp_path / "letters" / "mine.txt").exists()


def test_a_model_at_work_is_not_deleted(own: Path) -> None:
    with pytest.raises(CheckpointError, match="A run is writing to 'mine'"):
        delete_model(own, within=own.parent, is_busy=lambda folder: folder.name == "mine")
    assert load_checkpoint(own)


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_does_is_not(own: Path) -> None:
    runs = own.parent
    dead = runs / f".library-{2**22 + 1}-{'0' * 32}"
    alive = runs / f".library-{os.getppid()}-{'0' * 32}"
    for folder in (dead, alive, runs / ".library-mine"):
        shutil.copytree(own, folder)
    assert [item.path.name for item in list_checkpoints(runs)] == ["mine"]
    delete_model(own, within=runs)
    assert sorted(path.name for path in runs.iterdir()) == sorted([alive.name, ".library-mine"])


# ---- packing and unpacking -----------------------------------------------------------------------
def test_a_packed_model_comes_back_as_it_was(made: Path, packed: bytes, tmp_path: Path) -> None:
    folder = take(packed, tmp_path)
    assert folder == tmp_path / "stripes-of-mine"
    assert hashes(folder) == hashes(made)
    assert [p.name for p in tmp_path.iterdir()] == ["stripes-of-mine"]
    assert np.array_equal(load_checkpoint(folder).codes.mean, load_checkpoint(made).codes.mean)


def test_a_zip_holds_the_cards_files_and_the_report_and_is_always_the_same(own: Path) -> None:
    (own / "training").mkdir()
    (own / "metrics.jsonl").write_text("{}\n")
    (own / "report.json").write_text("{}")
    first = packed_model(own)
    os.utime(own / CARD, (1, 1))
    assert packed_model(own) == first
    names = zipfile.ZipFile(io.BytesIO(first)).namelist()
    wanted = ["card.json", "codes.npz", "map.npz", "model.safetensors", "report.json"]
    assert sorted(names) == [f"mine/{name}" for name in wanted]


def test_damage_is_not_packed(own: Path) -> None:
    (own / "codes.npz").write_bytes(b"no codes")
    with pytest.raises(CheckpointError, match=r"codes.npz' is damaged"):
        packed_model(own)


def test_a_taken_name_gets_a_number(packed: bytes, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    names = [take(packed, tmp_path, name="Mine").name for _ in range(3)]
    assert names == ["mine-2", "mine-3", "mine-4"]
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_name_taken_in_another_folder_gets_a_number_too(packed: bytes, tmp_path: Path) -> None:
    folder = import_model(
        io.BytesIO(packed), into=tmp_path, may_read=lambda _: False, taken=["stripes-of-mine"]
    )
    assert folder.name == "stripes-of-mine-2"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("Größe 3.1", "grosse-3.1"), ("../../etc", "etc"), ("…", "model"), (".ssh", "ssh"),
     ("a" * 99, "a" * 60), ("x/y\\z", "x-y-z"), ("con\x00", "con")],
)  # fmt: skip
def test_names_become_names_of_folders(name: str, wanted: str) -> None:
    assert slug(name.replace("ß", "ss")) == wanted


# ---- cards edited by hand ------------------------------------------------------------------------
VALUES: tuple[object, ...] = (
    None, True, -1, 10**15, 10**400, 1.5, "", "x" * 30_000, "\ud800", [], [1], {}, {"a": [[]]},
)  # fmt: skip


def places(table: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [(*above, name) for name in table]
    for name, value in table.items():
        if isinstance(value, dict):
            found += places(value, (*above, name))
    return found


def test_whatever_stands_in_a_card_it_opens_or_there_is_a_sentence(own: Path) -> None:
    good = read_card(own)
    good["metrics"] = {"psnr_db": 20.5, "active_units": 2}
    refused = 0
    for number, place in enumerate(places(good) * 4):
        card = json.loads(json.dumps(good))
        table = card
        for name in place[:-1]:
            table = table[name]
        table[place[-1]] = VALUES[(7 * number) % len(VALUES)]
        (own / CARD).write_text(json.dumps(card))
        item = list_checkpoints(own.parent)[0]
        try:
            checkpoint = load_checkpoint(own)
            assert checkpoint.maps
        except CheckpointError as error:
            refused += 1
            assert str(error).endswith(".")
            assert len(str(error)) < 500
        else:
            assert item.card is not None, place
    assert refused > 100


def test_a_card_with_a_number_json_does_not_know_is_refused(own: Path) -> None:
    text = (own / CARD).read_text().replace('"metrics": {}', '"metrics": {"psnr_db": NaN}')
    (own / CARD).write_text(text)
    with pytest.raises(CheckpointError, match="NaN is no number"):
        read_card(own)


# ---- the command line ----------------------------------------------------------------------------
def test_a_model_goes_from_one_folder_to_another(answer: Answer, own: Path, tmp_path: Path) -> None:
    write_json(own / CARD, read_card(own) | {"data": {"source": "/mine/pictures"}})
    out = tmp_path / "there" / "x.zip"
    saved = answer("export-model", own, "--out", out)
    assert saved == {"out": str(out), "bytes": out.stat().st_size}
    taken = answer("import-model", out, "--into", tmp_path / "b")
    assert taken == {"checkpoint": str(tmp_path / "b" / "mine")}
    assert read_card(tmp_path / "b" / "mine") == read_card(own)


def test_what_cannot_be_packed_or_taken_is_said(refused: Refused, tmp_path: Path) -> None:
    given = tmp_path / "x.zip"
    given.write_bytes(b"no zip")
    assert "no zip at all" in refused("import-model", given, "--into", tmp_path)
    assert "is not a folder" in refused("export-model", tmp_path / "x", "--out", tmp_path / "y.zip")
    assert "z.zip" in refused("import-model", tmp_path / "z.zip", "--into", tmp_path)
    assert list(tmp_path.iterdir()) == [given]
