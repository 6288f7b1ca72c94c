"""Zips of models that anyone may have made: taken whole, or refused and nothing left behind."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures import save_small
from vae_core.checkpoint import CARD, read_card
from vae_core.errors import CheckpointError
from vae_core.library import import_model, packed_model


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return packed_model(save_small(tmp_path_factory.mktemp("made") / "stripes"))


def take(data: bytes, into: Path, *, may_read: bool = False) -> Path:
    return import_model(io.BytesIO(data), into=into, may_read=lambda _: may_read)


def sentence(refused: pytest.ExceptionInfo[CheckpointError]) -> str:
    text = str(refused.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


Files = dict[str, bytes]


def rezip(packed: bytes, change: Callable[[Files], object]) -> bytes:
    """The zip with its files by bare name changed; `change` may edit or replace the table."""
    archive = zipfile.ZipFile(io.BytesIO(packed))
    files = {Path(name).name: archive.read(name) for name in archive.namelist()}
    change(files)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return buffer.getvalue()


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Files], None]:
    """A change of the card."""

    def on_files(files: Files) -> None:
        card = json.loads(files[CARD])
        change(card)
        files[CARD] = json.dumps(card).encode()

    return on_files


def swap(name: str, data: bytes) -> Callable[[Files], None]:
    """Another file under a name, with the hash that fits it."""

    def on_files(files: Files) -> None:
        files[name] = data
        edit(lambda c: c["files"].update({name: hashlib.sha256(data).hexdigest()}))(files)

    return on_files


def _npz_bomb() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, ids=np.zeros(20_000_000))
    return buffer.getvalue()


def _huge_array() -> bytes:
    """An array whose header claims a petabyte."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**14,)}
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("ids.npy", header.getvalue())
    return buffer.getvalue()


STRANGE: dict[str, tuple[Callable[[Files], object], str]] = {
    "leaves its folder": (lambda f: f.update({"../../evil.txt": b"x"}), "'../../evil.txt' in it"),
    "absolute": (lambda f: f.update({"/tmp/evil.txt": b"x"}), "none of the files of a model"),
    "a known name outside": (lambda f: f.update({"../card.json": b"{}"}), "'../card.json' in it"),
    "a known name deep": (lambda f: f.update({"a/b/card.json": b"{}"}), "'a/b/card.json' in it"),
    "backslashes": (lambda f: f.update({"..\\card.json": b"{}"}), "none of the files of a model"),
    "a program": (lambda f: f.update({"run.py": b"print()"}), "'run.py' in it"),
    "two folders": (lambda f: f.update({"other/report.json": b"{}"}), "several folders"),
    "two cards": (lambda f: f.update({"other/card.json": f[CARD]}), "card.json twice"),
    "no weights": (lambda f: f.pop("model.safetensors"), "lacks model.safetensors"),
    "no card": (lambda f: f.pop(CARD), "lacks card.json"),
    "many files": (lambda f: f.update({f"{i}/x": b"" for i in range(300)}), "304 files"),
    "a bomb": (lambda f: f.update({"report.json": b" " * 49_000_000, "prior.npz": b"\0" * 10**8}),
               "would unpack to"),
    "a report too large": (lambda f: f.update({"report.json": b" " * 50_000_001}), "too many"),
    "a bomb in an npz": (swap("codes.npz", _npz_bomb()), "codes.npz would unpack to 160"),
    "an array of petabytes": (swap("codes.npz", _huge_array()), "codes.npz"),
    "pickle for weights": (swap("model.safetensors", pickle.dumps({"a": 1})), "is a pickle"),
    "pickle in codes": (swap("codes.npz", pickle.dumps({"a": 1})), "codes.npz in it is damaged"),
    "another's hash": (edit(lambda c: c["files"].update({"codes.npz": "0" * 64})), "sha256"),
    "damaged codes": (lambda f: f.update({"codes.npz": f["codes.npz"][:-9] + b"x" * 9}), "sha256"),
    "card is no card": (lambda f: f.update({CARD: b"[1, 2]"}), "not a card of this project"),
    "card nested": (lambda f: f.update({CARD: b"[" * 100_000}), "not a card of this project"),
    "foreign format": (edit(lambda c: c.update(format="other/1")), "format 'other/1'"),
    "metrics a list": (edit(lambda c: c.update(metrics=[])), "'metrics' is a list"),
    "metrics of text": (edit(lambda c: c["metrics"].update(psnr_db="9")), "'metrics.psnr_db' is"),
    "label_names no list": (edit(lambda c: c.update(label_names="ab")), "'label_names' is text"),
    "labels unnamed": (edit(lambda c: c.update(label_names=["a"])), "label_names"),
    "n_codes wrong": (edit(lambda c: c.update(n_codes=7)), "40 codes of 40 images"),
    "files more": (edit(lambda c: c["files"].update({"x.py": "0" * 64})), "lists 'x.py'"),
    "a net too large": (edit(lambda c: c["model"]["spec"].update(height=4096, width=4096)),
                        "too large"),
    "another net": (edit(lambda c: c["model"].update(n_latent=9)), "do not fit the model"),
    "report no JSON": (lambda f: f.update({"report.json": b"<html>"}), "report.json in it"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), STRANGE.values(), ids=STRANGE)
def test_a_strange_zip_is_refused_and_leaves_nothing(
    packed: bytes, tmp_path: Path, change: Callable[[Files], object], words: str
) -> None:
    into = tmp_path / "a" / "runs"
    with pytest.raises(CheckpointError) as refused:
        take(rezip(packed, change), into)
    text = sentence(refused)
    assert words in text
    assert len(text) < 400
    assert str(tmp_path) not in text
    assert list(into.iterdir()) == []
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "runs"]


def test_damaged_zips_are_refused_wherever_they_are_damaged(packed: bytes, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for n in range(60):
        data = bytearray(packed)
        if n % 3:
            end = len(data) - n
            for place in random.integers(0, end, 40) if n % 2 else range(end - 60, end):
                data[place] ^= int(random.integers(1, 256))
        else:
            del data[int(random.integers(0, len(data) - 1)) :]
        with pytest.raises(CheckpointError) as refused:
            take(bytes(data), tmp_path)
        sentence(refused)
    assert list(tmp_path.iterdir()) == []


def test_damage_in_bzip2_is_not_taken_for_a_full_disk(packed: bytes, tmp_path: Path) -> None:
    archive, buffer = zipfile.ZipFile(io.BytesIO(packed)), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as target:
        for name in archive.namelist():
            target.writestr(Path(name).name, archive.read(name))
    data = bytearray(buffer.getvalue())
    place = data.index(b"BZh9") + 4
    data[place : place + 6] = b"damage"
    with pytest.raises(CheckpointError, match="The zip is damaged"):
        take(bytes(data), tmp_path)


def test_a_zip_of_the_folder_made_by_hand_is_taken(packed: bytes, tmp_path: Path) -> None:
    extra = {"metrics.jsonl": b"{}", "__MACOSX/._card.json": b"x", "report.html": b"<script>"}
    folder = take(rezip(packed, lambda f: f.update(extra)), tmp_path)
    names = {"card.json", "codes.npz", "map.npz", "model.safetensors"}
    assert {p.name for p in folder.iterdir()} == names


@pytest.mark.parametrize("source", ["/home/someone/faces", "C:\\pictures\\faces", "../faces", "x"])
def test_a_strangers_card_opens_no_folder_of_this_machine(
    packed: bytes, tmp_path: Path, source: str
) -> None:
    data = rezip(packed, edit(lambda c: c["data"].update(source=source, fingerprint="f")))
    record = read_card(take(data, tmp_path))["data"]
    assert record["source"] in ("faces (elsewhere)", "x (elsewhere)")
    assert record["fingerprint"] is None
    kept = read_card(take(data, tmp_path, may_read=True))["data"]
    assert (kept["source"], kept["fingerprint"]) == (source, "f")


def test_a_built_in_set_stays_known(packed: bytes, tmp_path: Path) -> None:
    data = rezip(packed, edit(lambda c: c["data"].update(source="digits")))
    assert read_card(take(data, tmp_path))["data"]["source"] == "digits"
