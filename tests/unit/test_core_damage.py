"""A damaged, foreign or malicious checkpoint is refused in one sentence and never executed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.fixtures import save_small, small_model
from vae_core.checkpoint import CARD, FILES, load_checkpoint, verify_checkpoint
from vae_core.errors import CheckpointError
from vae_core.files import sha256_of, write_json


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_small(tmp_path / "stripes")


def edit_card(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    card = json.loads((folder / CARD).read_text())
    change(card)
    write_json(folder / CARD, card)


def open_all(folder: Path) -> None:
    checkpoint = load_checkpoint(folder)
    assert checkpoint.maps
    assert len(checkpoint.codes)


def refusal(folder: Path, opened: Callable[[Path], object] = open_all) -> str:
    """The sentence with which the folder is refused; fails if it is not one line."""
    with pytest.raises(CheckpointError) as caught:
        opened(folder)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_a_flipped_byte_is_noticed(saved: Path, name: str, place: float) -> None:
    data = bytearray((saved / name).read_bytes())
    data[int(place * len(data)) if place >= 0 else -1] ^= 1
    (saved / name).write_bytes(data)
    assert "is damaged: its sha256 is not the one in the card" in refusal(saved)
    refusal(saved, verify_checkpoint)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("left", [0, 100])
def test_a_truncated_file_is_noticed(saved: Path, name: str, left: int) -> None:
    (saved / name).write_bytes((saved / name).read_bytes()[:left])
    assert f"{name}' is damaged" in refusal(saved)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    assert f"lacks {name}, which its card lists" in refusal(saved)


def test_no_folder_no_card_and_a_foreign_folder_are_told_apart(tmp_path: Path) -> None:
    assert "is not a folder" in refusal(tmp_path / "none")
    (tmp_path / "readme.txt").write_text("hello")
    assert "is not a folder" in refusal(tmp_path / "readme.txt")
    assert "has no card.json" in refusal(tmp_path)
    (tmp_path / CARD).write_text('{"name": "another tool"}')
    assert "damaged or not a card of this project" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"x"', "\x00\x01", '{"format": 1}'])
def test_a_card_that_is_no_card_is_refused(saved: Path, text: str) -> None:
    (saved / CARD).write_text(text)
    refusal(saved)


def test_a_card_that_is_not_even_text_is_refused(saved: Path) -> None:
    (saved / CARD).write_bytes(b"\xff\xfe\x80")
    refusal(saved)


def test_another_format_version_is_named_with_ours(saved: Path) -> None:
    edit_card(saved, lambda card: card.update(format="latent-explorer/99"))
    assert "written in format 'latent-explorer/99', this version reads" in refusal(saved)


def change_architecture(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda card: card["model"]["architecture"].update(fields)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card["model"].update(n_latent=4),
        lambda card: card["model"].update(n_latent=-1),
        lambda card: card["model"].update(n_latent=10**15),
        lambda card: card["model"].update(likelihood="bernoulli"),
        lambda card: card["model"].update(likelihood="poisson"),
        lambda card: card["model"]["spec"].update(height=64),
        lambda card: card["model"]["spec"].update(height=0),
        lambda card: card["model"].pop("spec"),
        lambda card: card.update(model=[]),
        lambda card: card["files"].pop("model.safetensors"),
        lambda card: card["files"].update({"model.safetensors": None}),
        lambda card: card.pop("n_images"),
        lambda card: card.update(n_images="many"),
        lambda card: card.update(factor_categories=3),
        lambda card: card.update(label_names=3),
        lambda card: card.update(attributes=[3]),
        change_architecture(kind="transformer"),
        change_architecture(patch=0),
        change_architecture(patch=-1),
        change_architecture(widths=[]),
        change_architecture(blocks=[]),
        change_architecture(widths=[32, 65]),
        change_architecture(depth=2),
    ],
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_changed_card_is_refused(saved: Path, change: Callable[[dict[str, Any]], object]) -> None:
    edit_card(saved, change)
    refusal(saved)


class Bomb:
    """A pickle that would create a file when opened."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("listed", [True, False], ids=["hash fits", "hash does not fit"])
def test_a_pickle_under_another_name_is_never_opened(
    saved: Path, tmp_path: Path, name: str, protocol: int, listed: bool
) -> None:
    mark = tmp_path / "executed"
    (saved / name).write_bytes(pickle.dumps(Bomb(mark), protocol=protocol))
    if listed:
        edit_card(saved, lambda card: card["files"].update({name: sha256_of(saved / name)}))
    refusal(saved)
    assert not mark.exists()
    pickle.loads((saved / name).read_bytes())
    assert mark.exists(), "the bomb of this test is a dud"


def test_a_torch_file_renamed_is_called_a_pickle(saved: Path) -> None:
    torch.save(small_model().state_dict(), saved / "model.safetensors")
    assert "is a pickle or a zip under another name" in refusal(saved)


def test_an_array_of_pickled_objects_is_never_opened(saved: Path, tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    bomb = np.array([Bomb(mark)], dtype=object)
    np.savez(saved / "codes.npz", ids=bomb)
    edit_card(saved, lambda c: c["files"].update({"codes.npz": sha256_of(saved / "codes.npz")}))
    refusal(saved)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["codes.npz", "map.npz"])
def test_foreign_arrays_with_a_right_hash_are_refused(saved: Path, name: str) -> None:
    np.savez(saved / name, **{"pca.axes": np.zeros(3), "x.xy": np.zeros((2, 2))})
    edit_card(saved, lambda card: card["files"].update({name: sha256_of(saved / name)}))
    refusal(saved)


@pytest.mark.parametrize("length", [0x0280, 0x0380, 0x0480, 0x0580])
def test_real_weights_are_not_mistaken_for_a_pickle(saved: Path, length: int) -> None:
    # The file starts with the length of its header, which can look like a pickle's start.
    target = saved / "model.safetensors"
    data = target.read_bytes()
    n_header = int.from_bytes(data[:8], "little")
    n_padded = n_header + (length - n_header) % 2**16
    header = data[8 : 8 + n_header].ljust(n_padded)
    target.write_bytes(n_padded.to_bytes(8, "little") + header + data[8 + n_header :])
    edit_card(saved, lambda card: card["files"].update({target.name: sha256_of(target)}))
    assert target.read_bytes()[0] == 0x80
    open_all(saved)
