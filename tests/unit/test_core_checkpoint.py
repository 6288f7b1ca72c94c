"""A checkpoint comes back as it went, and its card says all there is to say."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from tests.fixtures import pixels, save_small, small_model, stripes
from vae_core.checkpoint import (
    CARD,
    FILES,
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    verify_checkpoint,
)
from vae_core.errors import CheckpointError
from vae_core.files import sha256_of, write_json
from vae_core.latent import encode_set, fit_pca
from vae_core.latent.codes import held_out_first

MODEL = small_model(likelihood="gaussian")
CODES = encode_set(MODEL, stripes(40))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_small(tmp_path / "stripes")


def test_the_model_comes_back_bit_equal(saved: Path) -> None:
    model, x = load_checkpoint(saved).model, pixels(3)
    assert not model.training
    with torch.no_grad():
        assert model.encode(x).mean.equal(MODEL.encode(x).mean)
        assert model.decode(torch.ones(2, 3)).equal(MODEL.decode(torch.ones(2, 3)))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_who_may_read_the_card_may_read_the_weights(saved: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in saved.iterdir()}
    assert modes == {stat.S_IMODE((saved / CARD).stat().st_mode)}


def test_codes_come_back_with_labels_and_factors(saved: Path) -> None:
    found = load_checkpoint(saved).codes
    for name in ("ids", "split", "mean", "squared_error", "reconstruction_nats", "labels"):
        assert np.array_equal(getattr(found, name), getattr(CODES, name)), name
    np.testing.assert_allclose(found.log_std, CODES.log_std, atol=2e-3)
    np.testing.assert_allclose(found.kl_nats, CODES.kl_nats, rtol=2e-3, atol=1e-6)
    assert (found.label_names, found.n_total) == (("flat", "steep"), 40)
    assert np.array_equal(found.factors["phase"].values, CODES.factors["phase"].values)


def test_maps_come_back_and_still_place_and_invert(saved: Path) -> None:
    maps, pca = load_checkpoint(saved).maps, fit_pca(CODES.mean)
    assert list(maps) == ["umap", "pca"]
    assert np.array_equal(maps["pca"].xy, pca.xy)
    assert np.array_equal(maps["pca"].inverse(pca.xy), pca.inverse(pca.xy))
    np.testing.assert_allclose(maps["umap"].transform(CODES.mean), 2 * pca.xy, atol=1e-4)


def test_sets_without_labels_and_factors_come_back_too(tmp_path: Path) -> None:
    bare = replace(CODES, labels=None, label_names=(), factors={})
    found = load_checkpoint(save_small(tmp_path / "bare", codes=bare)).codes
    assert found.labels is None
    assert found.factors == {}


def test_huge_divergences_stay_finite_in_the_file(tmp_path: Path) -> None:
    wild = replace(CODES, kl_nats=CODES.kl_nats + np.float32(1e6))
    assert np.isfinite(
        load_checkpoint(save_small(tmp_path / "wild", codes=wild)).codes.kl_nats
    ).all()


def test_the_card_lists_every_file_with_its_hash(saved: Path) -> None:
    card = verify_checkpoint(saved)
    assert card["files"] == {name: sha256_of(saved / name) for name in FILES}
    assert load_checkpoint(saved).key == card["files"]["model.safetensors"][:16]


def test_a_trained_card_says_how_to_do_it_again(digits_checkpoint: Checkpoint) -> None:
    card, out = digits_checkpoint.card, digits_checkpoint.path
    command = f"python -m vae_core train --data digits --latent 2 --epochs 3 --out {out}"
    assert card["command"] == f"{command} --device cpu"
    assert card["versions"]["torch"] == torch.__version__
    assert set(card["versions"]) >= {"python", "torch", "numpy"}
    assert card["objective"] == {"name": "vae"}
    assert card["training"]["epochs"] == card["training"]["epoch"] == 3
    assert card["data"]["source"] == "digits"
    assert card["split"]["seed"] == 0
    assert card["metrics"]["psnr_db"] > 10


def test_a_trained_checkpoint_is_small_and_complete(tiny_checkpoints: Path) -> None:
    for name in ("digits-2d", "faces-tiny"):
        folder = tiny_checkpoints / name
        verify_checkpoint(folder)
        assert sum((folder / file).stat().st_size for file in (*FILES, CARD)) < 8e6
        assert set(load_checkpoint(folder).maps) == {"pca", "umap"}


def test_factors_of_faces_travel_with_their_names(faces_checkpoint: Checkpoint) -> None:
    glasses = faces_checkpoint.codes.factors["glasses"]
    assert "round" in glasses.categories
    assert len(glasses.values) == len(faces_checkpoint.codes) == 120


def test_weights_that_are_not_finite_are_never_written(tmp_path: Path) -> None:
    model = small_model()
    model.mean_head.bias.data[0] = torch.nan
    with pytest.raises(CheckpointError, match="not finite and were not written"):
        save_small(tmp_path / "bad", model=model, codes=CODES)
    assert not (tmp_path / "bad" / CARD).exists()


@pytest.mark.parametrize(
    ("where", "error"),
    [("safetensors.torch.save_file", SafetensorError), ("numpy.savez_compressed", OSError)],
)
def test_a_full_disk_leaves_the_checkpoint_that_was_there(
    saved: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: type[Exception]
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise error("No space left on device")

    before = sorted(saved.iterdir()), verify_checkpoint(saved)
    monkeypatch.setattr(where, full_disk)
    with pytest.raises(OSError, match="No space"):
        save_small(saved, model=small_model(seed=1, likelihood="gaussian"))
    assert (sorted(saved.iterdir()), verify_checkpoint(saved)) == before


def test_a_save_cut_off_among_old_and_new_files_leaves_no_card(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = Path.replace

    def cut_off(path: Path, target: Path) -> Path:
        if target == saved / "map.npz":
            raise KeyboardInterrupt
        return move(path, target)

    monkeypatch.setattr(Path, "replace", cut_off)
    with pytest.raises(KeyboardInterrupt):
        save_small(saved, model=small_model(seed=1, likelihood="gaussian"))
    with pytest.raises(CheckpointError, match="did not finish"):
        load_checkpoint(saved)


def test_the_list_names_good_and_broken_folders(tmp_path: Path) -> None:
    save_small(tmp_path / "good")
    shutil.copytree(tmp_path / "good", tmp_path / "newer")
    write_json(tmp_path / "newer" / CARD, {"format": "latent-explorer/2", "model": {}, "files": {}})
    shutil.copytree(tmp_path / "good", tmp_path / "unfinished")
    (tmp_path / "unfinished" / CARD).unlink()
    (tmp_path / "photos").mkdir()
    (tmp_path / ".hidden").mkdir()
    found = {item.path.name: item for item in list_checkpoints(tmp_path)}
    assert list(found) == ["good", "newer", "unfinished"]
    assert found["good"].card is not None and not found["good"].problem
    assert "latent-explorer/2" in found["newer"].problem
    assert "did not finish" in found["unfinished"].problem


def test_a_folder_that_is_not_there_lists_nothing(tmp_path: Path) -> None:
    assert list_checkpoints(tmp_path / "none") == []


def test_loading_on_a_device_that_is_not_there_says_so(saved: Path) -> None:
    from vae_core.errors import ConfigError

    with pytest.raises(ConfigError, match="Device 'tpu' is unknown"):
        load_checkpoint(saved, device="tpu")


def test_a_half_written_file_never_takes_a_name(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert sha256_of(tmp_path / "a.json") == hashlib.sha256(b'{\n  "x": 1\n}\n').hexdigest()


def test_dimensions_are_ordered_by_kl_and_dead_ones_known() -> None:
    kl = np.tile(np.array([0.1, 3.0, 0.0], np.float32), (40, 1))
    mean = CODES.mean * np.array([1, 1, 0], np.float32)
    codes = replace(CODES, kl_nats=kl, mean=mean / CODES.mean.std(0))
    assert codes.dimension_order.tolist() == [1, 0, 2]
    # What a dimension was trained to stand for comes before what it carries.
    assert replace(codes, attributes=("smile",)).dimension_order.tolist() == [0, 1, 2]
    assert replace(codes, attributes=tuple("abcde")).dimension_order.tolist() == [0, 1, 2]
    assert codes.is_active.tolist() == [True, True, False]


def test_codes_of_held_out_images_come_first() -> None:
    images = stripes(200)
    few, all_of_them = held_out_first(images, limit=30), held_out_first(images)
    assert (few.split == 2).sum() == 20
    assert (few.split == 1).sum() == 10
    assert np.array_equal(all_of_them.ids, images.ids)
    assert np.array_equal(few.images, images.images[few.ids])
