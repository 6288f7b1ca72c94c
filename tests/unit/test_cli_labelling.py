"""The verbs that put a model to work, on good and on bad input."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures import Answer, Refused, save_small, write_pictures
from vae_core.checkpoint import Checkpoint, load_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small(tmp_path_factory.mktemp("checkpoint") / "small")


@pytest.fixture
def checkpoint(folder: Path) -> Checkpoint:
    return load_checkpoint(folder)


def write_few(path: Path, checkpoint: Checkpoint, n: int = 12) -> Path:
    codes = checkpoint.codes
    assert codes.labels is not None
    lines = [f"{codes.ids[row]},{codes.label_names[codes.labels[row]]}" for row in range(n)]
    path.write_text("\n".join(["id,label", *lines]), encoding="utf-8")
    return path


@pytest.mark.parametrize("method", ["graph", "linear"])
def test_few_labels_become_a_label_for_every_image(
    folder: Path, checkpoint: Checkpoint, tmp_path: Path, answer: Answer, method: str
) -> None:
    few, out = write_few(tmp_path / "few.csv", checkpoint), tmp_path / "new" / "labels.csv"
    told = answer("label", folder, "--labels", few, "--method", method, "--suggest", 5,
                  "--out", out)  # fmt: skip
    with out.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [int(row["id"]) for row in rows] == checkpoint.codes.ids.tolist()
    assert all(row["label"] == row["predicted"] for row in rows[:12])
    assert {row["label"] for row in rows[12:]} == {""}
    assert {row["predicted"] for row in rows} == set(told["classes"]) == {"flat", "steep"}
    truth = checkpoint.codes.labels
    assert truth is not None
    names = checkpoint.codes.label_names
    right = [row["predicted"] == names[truth[i]] for i, row in enumerate(rows) if not row["label"]]
    assert told["accuracy_of_unlabelled"] == pytest.approx(np.mean(right))
    assert (told["n_images"], told["n_labels"]) == (40, 12)
    assert len(set(told["suggested_ids"]) - set(checkpoint.codes.ids[:12].tolist())) == 5


def test_written_labels_are_taken_again_and_own_images_too(
    folder: Path, tmp_path: Path, answer: Answer
) -> None:
    pictures = write_pictures(tmp_path / "pictures", 30, side=8)
    few = tmp_path / "few.csv"
    few.write_text("id,label\n0,a\n1,b\n2,a\n", encoding="utf-8")
    for labels, out in ((few, "first.csv"), (tmp_path / "first.csv", "second.csv")):
        told = answer("label", folder, "--labels", labels, "--data", pictures, "--compare",
                      "--out", tmp_path / out)  # fmt: skip
        assert (told["n_images"], told["n_labels"]) == (30, 3)
        assert "accuracy_of_unlabelled" not in told
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()


BAD: dict[str, tuple[str, list[object], str]] = {
    "one class": ("id,label\n{0},flat\n{1},flat\n", [], "labels of one class ('flat')"),
    "no table": ("hello\n", [], "expected id and label"),
    "unknown id": ("id,label\n999,flat\n", [], "not among the 40 here"),
    "no file": ("", ["--labels", "nowhere.csv"], "'nowhere.csv' is no file"),
    "no originals": ("id,label\n{0},a\n{1},b\n", ["--compare"], "are not at hand"),
    "too many": ("id,label\n{0},a\n{1},b\n", ["--suggest", 9999], "--suggest 9999 came"),
}


@pytest.mark.parametrize(("text", "flags", "told"), BAD.values(), ids=BAD.keys())
def test_labels_that_cannot_be_spread_are_refused_and_leave_no_file(
    folder: Path, checkpoint: Checkpoint, tmp_path: Path, refused: Refused,
    monkeypatch: pytest.MonkeyPatch, text: str, flags: list[object], told: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    few = tmp_path / "few.csv"
    few.write_text(text.format(*checkpoint.codes.ids[:2]), encoding="utf-8")
    assert told in refused("label", folder, "--labels", few, "--out", "labels.csv", *flags)
    assert [path.name for path in tmp_path.iterdir()] == ["few.csv"]
