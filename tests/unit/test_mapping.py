"""A checkpoint mapped anew: the same model, other codes, nothing half-written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.fixtures import Answer, Refused, quick_maps, save_small, small_model, stripes
from vae_core.checkpoint import Checkpoint, load_checkpoint, verify_checkpoint
from vae_core.cli import main
from vae_core.data.imageset import ImageSet
from vae_core.errors import ConfigError, DataError
from vae_core.latent.codes import encode_set, held_out_first
from vae_core.mapping import MapProgress, remap_checkpoint
from vae_core.train.loop import Interrupted

OWN = {"source": "stripes"}


@pytest.fixture
def images() -> ImageSet:
    return stripes(90)


@pytest.fixture
def few(tmp_path: Path, images: ImageSet) -> Checkpoint:
    """A checkpoint that stores 12 of 90 images."""
    model = small_model(likelihood="gaussian")
    codes = encode_set(model, held_out_first(images, limit=12), n_total=90)
    return load_checkpoint(save_small(tmp_path / "few", model=model, codes=codes))


def remap(few: Checkpoint, images: ImageSet, *, limit: int | None = None) -> Checkpoint:
    folder = few.path.parent / "all"
    with quick_maps():
        remap_checkpoint(few, images, folder, record=OWN, command="again", limit=limit)
    return load_checkpoint(folder)


def test_the_new_folder_holds_all_images_and_the_same_model(
    few: Checkpoint, images: ImageSet
) -> None:
    made = remap(few, images)
    verify_checkpoint(made.path)
    assert (made.key, made.codes_key != few.codes_key) == (few.key, True)
    assert (len(made.codes), made.codes.n_total) == (90, 90)
    assert {name: len(m.xy) for name, m in made.maps.items()} == {"umap": 90, "pca": 90}
    assert made.card["title"] == "Stripes · all 90 images"
    assert made.card["metrics"] == few.card["metrics"]
    assert made.card["data"] == few.card["data"]


def test_known_images_keep_their_code_and_their_split(few: Checkpoint, images: ImageSet) -> None:
    made = remap(few, images)
    _, old, new = np.intersect1d(few.codes.ids, made.codes.ids, return_indices=True)
    assert len(old) == 12
    np.testing.assert_allclose(made.codes.mean[new], few.codes.mean[old], atol=1e-5)
    assert np.array_equal(made.codes.split[new], few.codes.split[old])
    assert np.array_equal(made.codes.held_out, np.flatnonzero(images.split == 2))


def test_a_limit_takes_held_out_images_first_and_says_so(few: Checkpoint, images: ImageSet) -> None:
    made = remap(few, images, limit=20)
    assert (len(made.codes), made.codes.n_total) == (20, 90)
    assert (made.codes.split == 2).sum() == (images.split == 2).sum()
    assert made.card["title"] == "Stripes · 20 of 90 images"


def test_a_map_of_a_map_is_named_once(few: Checkpoint, images: ImageSet) -> None:
    part = remap(few, images, limit=20)
    with quick_maps():
        remap_checkpoint(part, images, few.path.parent / "more", record=OWN, command="")
    assert load_checkpoint(few.path.parent / "more").card["title"] == "Stripes · all 90 images"


def test_half_precision_halves_the_weights_and_the_codes_are_of_what_is_kept(
    few: Checkpoint, images: ImageSet
) -> None:
    folder = few.path.parent / "half"
    with quick_maps():
        remap_checkpoint(few, images, folder, record=OWN, command="half", half_precision=True)
    made = load_checkpoint(folder)
    file, before = (path / "model.safetensors" for path in (folder, few.path))
    stored = load_file(file)
    assert all(weights.dtype == torch.float16 for weights in stored.values())
    assert 1.7 < before.stat().st_size / file.stat().st_size < 2
    for name, weights in made.model.state_dict().items():
        assert weights.dtype == torch.float32
        assert torch.equal(weights, stored[name].float())
        torch.testing.assert_close(weights, few.model.state_dict()[name], atol=1e-3, rtol=1e-3)
    fresh = encode_set(made.model, images, n_total=90)
    assert np.array_equal(made.codes.mean, fresh.mean)
    pictures = (checkpoint.model.decode(torch.from_numpy(fresh.mean)) for checkpoint in (few, made))
    torch.testing.assert_close(*pictures, atol=1 / 255, rtol=0)


def test_weights_beyond_16_bits_are_refused_and_nothing_is_left(
    few: Checkpoint, images: ImageSet
) -> None:
    with torch.no_grad():
        next(few.model.parameters()).view(-1)[0] = 1e5
    with pytest.raises(ConfigError, match="leave --half-precision out"):
        remap_checkpoint(
            few, images, few.path.parent / "half", record={"source": "other"}, command="",
            half_precision=True,
        )  # fmt: skip
    assert [path.name for path in few.path.parent.iterdir()] == ["few"]


def test_images_that_changed_are_refused(few: Checkpoint, images: ImageSet) -> None:
    other = replace(images, images=255 - images.images)
    with pytest.raises(DataError, match="other codes"):
        remap(few, other)
    with pytest.raises(DataError, match="other codes"):
        remap(few, replace(images, split=(images.split + 1) % 3))
    assert [path.name for path in few.path.parent.iterdir()] == ["few"]


def test_images_of_another_source_count_as_unseen(few: Checkpoint) -> None:
    folder = few.path.parent / "other"
    with quick_maps():
        remap_checkpoint(few, stripes(50, seed=9), folder, record={"source": "x"}, command="")
    made = load_checkpoint(folder)
    assert set(made.codes.split) == {2}
    assert made.card["data"]["source"] == "x"


@pytest.mark.parametrize("stage", ["encoding", "arranging the map", "finding neighbours"])
def test_stopping_leaves_nothing_behind(few: Checkpoint, images: ImageSet, stage: str) -> None:
    seen: list[MapProgress] = []

    def wanted() -> bool:
        return bool(seen) and seen[-1].stage == stage

    folder = few.path.parent / "all"
    with pytest.raises(Interrupted, match="nothing was written"):
        remap_checkpoint(
            few, images, folder, record=OWN, command="", report=seen.append, cancelled=wanted
        )
    assert [path.name for path in few.path.parent.iterdir()] == ["few"]
    assert all(p.seconds_left >= 0 and 0 <= p.share <= 1 for p in seen)


def test_a_taken_folder_is_left_alone_unless_asked(few: Checkpoint, images: ImageSet) -> None:
    remap(few, images, limit=20)
    with pytest.raises(ConfigError, match="--overwrite"):
        remap(few, images)
    with pytest.raises(ConfigError, match="another folder"):
        remap_checkpoint(few, images, few.path, record=OWN, command="", overwrite=True)
    with quick_maps():
        remap_checkpoint(
            few, images, few.path.parent / "all", record=OWN, command="", overwrite=True
        )
    assert len(load_checkpoint(few.path.parent / "all").codes) == 90
    assert {path.name for path in few.path.parent.iterdir()} == {"all", "few"}


def test_the_verb_maps_a_named_set(tiny_checkpoints: Path, tmp_path: Path, answer: Answer) -> None:
    out = tmp_path / "digits-all"
    told = answer(
        "map", tiny_checkpoints / "digits-2d", "--data", "digits", "--out", out,
        "--no-umap", "--device", "cpu",
    )  # fmt: skip
    made, before = load_checkpoint(out), load_checkpoint(tiny_checkpoints / "digits-2d")
    assert (told["n_codes"], told["n_images"], told["maps"]) == (1797, 1797, "pca")
    assert made.key == before.key
    assert np.array_equal(np.sort(before.codes.ids), made.codes.ids)
    assert main(["verify", str(out), "--json"]) == 0


def test_the_verb_says_what_is_wrong(
    tiny_checkpoints: Path, tmp_path: Path, refused: Refused
) -> None:
    digits = tiny_checkpoints / "digits-2d"
    assert "--limit 0 came" in refused(
        "map", digits, "--data", "digits", "--out", tmp_path / "a", "--limit", 0
    )
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "note.txt").write_text("mine")
    said = refused("map", digits, "--data", "digits", "--out", tmp_path / "taken", "--overwrite")
    assert "already holds something" in said
    assert (tmp_path / "taken" / "note.txt").read_text() == "mine"
