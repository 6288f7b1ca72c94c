"""The verbs `walk` and `augment`, on good and on bad input."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.fixtures import Answer, Refused, save_small, small_model, stripes
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.cli import main
from vae_core.data.folder import load_folder
from vae_core.examine import decode, snap
from vae_core.export import read_permalink, write_permalink
from vae_core.latent.codes import encode_set


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small(tmp_path_factory.mktemp("checkpoint") / "small")


@pytest.fixture
def checkpoint(folder: Path) -> Checkpoint:
    return load_checkpoint(folder)


def walked(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


@pytest.mark.parametrize("kind", ["straight", "spherical", "along-data"])
def test_a_walk_goes_from_the_first_image_to_the_last(
    folder: Path, checkpoint: Checkpoint, tmp_path: Path, answer: Answer, kind: str
) -> None:
    out = tmp_path / "new" / "walk.npz"
    told = answer("walk", folder, "--from", 3, "--to", 17, "--frames", 9, "--kind", kind,
                  "--out", out)  # fmt: skip
    found, ends = walked(out), snap(checkpoint.codes.mean[[3, 17]])
    assert told["n_frames"] == len(found["codes"]) == 9
    assert np.array_equal(found["codes"][[0, -1]], ends)
    np.testing.assert_allclose(found["frames"], decode(checkpoint, found["codes"]), atol=1e-6)


def test_the_answer_links_to_both_ends(
    folder: Path, checkpoint: Checkpoint, tmp_path: Path, answer: Answer
) -> None:
    told = answer("walk", folder, "--from", 3, "--to", 17, "--out", tmp_path / "walk.npz")
    codes = walked(tmp_path / "walk.npz")["codes"]
    for name, code in (("from", codes[0]), ("to", codes[-1])):
        key, z = read_permalink(told[name])
        assert key == checkpoint.key
        assert np.array_equal(z, code)


def test_a_walk_passes_its_stops_in_their_order(
    folder: Path, checkpoint: Checkpoint, tmp_path: Path, answer: Answer
) -> None:
    out = tmp_path / "walk.npz"
    answer("walk", folder, "--from", 3, "--through", 8, 5, "--to", 17, "--frames", 10, "--out", out)
    codes, stops = walked(out)["codes"], snap(checkpoint.codes.mean[[3, 8, 5, 17]])
    places = [int(np.abs(codes - stop).sum(1).argmin()) for stop in stops]
    assert places == [0, 3, 6, 9]
    assert np.array_equal(codes[places], stops)


def test_a_walk_may_start_from_a_link(
    folder: Path, checkpoint: Checkpoint, tmp_path: Path, answer: Answer
) -> None:
    z, out = np.array([0.5, -1.25, 2], np.float32), tmp_path / "walk.npz"
    link = write_permalink(checkpoint.key, z)
    answer("walk", folder, "--from", link, "--to", 17, "--out", out)
    assert np.array_equal(walked(out)["codes"][0], z)
    assert json.loads(str(walked(out)["about"]))["stops"] == [link, "17"]


def test_a_walk_as_a_gif_shows_every_frame(folder: Path, tmp_path: Path, answer: Answer) -> None:
    out = tmp_path / "walk.GIF"
    answer("walk", folder, "--from", 3, "--to", 3, "--frames", 5, "--scale", 2, "--bounce",
           "--frames-per-second", 10, "--out", out)  # fmt: skip
    with Image.open(out) as gif:
        assert (gif.n_frames, gif.size) == (8, (16, 16))  # type: ignore[attr-defined]
        assert gif.info["duration"] == 100


def test_a_walk_as_an_mp4_opens(folder: Path, tmp_path: Path, answer: Answer) -> None:
    av = pytest.importorskip("av")
    answer("walk", folder, "--from", 3, "--to", 4, "--frames", 6, "--out", tmp_path / "walk.mp4")
    with av.open(tmp_path / "walk.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == 6


def test_a_walk_as_a_sheet_has_the_columns_asked(
    folder: Path, tmp_path: Path, answer: Answer
) -> None:
    out = tmp_path / "walk.png"
    answer("walk", folder, "--from", 3, "--to", 4, "--frames", 7, "--columns", 3, "--scale", 1,
           "--out", out)  # fmt: skip
    with Image.open(out) as sheet:
        assert sheet.size == (3 * 8, 3 * 8)


BAD_WALKS: dict[str, tuple[dict[str, object], str]] = {
    "unknown image": ({"--from": 999}, "Image 999 came, which is not among the 40 images"),
    "no link": ({"--to": "abc"}, "'abc' came, expected a link"),
    "foreign link": (
        {"--to": write_permalink("0" * 16, np.zeros(3, np.float32))},
        "a code of model 0000000000000000 came",
    ),
    "unknown format": ({"--out": "walk.avi"}, "expected a name that ends in .gif, .mp4"),
    "one frame": ({"--frames": 1}, "--frames 1 came, expected 2 to 2000"),
    "no speed": ({"--frames-per-second": 0}, "--frames-per-second 0 came"),
    "too fast": ({"--frames-per-second": 100}, "10 milliseconds per frame"),
    "no size": ({"--scale": 0}, "Scale 0 came"),
}


@pytest.mark.parametrize(("wrong", "text"), BAD_WALKS.values(), ids=BAD_WALKS.keys())
def test_walks_that_cannot_be_are_refused_and_leave_no_file(
    folder: Path, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, object], text: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    flags = {"--from": 3, "--to": 4, "--frames": 4, "--out": "walk.gif"} | wrong
    assert text in refused("walk", folder, *(part for pair in flags.items() for part in pair))
    assert list(tmp_path.iterdir()) == []


def test_images_of_a_class_are_augmented_and_read_back(
    folder: Path, checkpoint: Checkpoint, tmp_path: Path, answer: Answer
) -> None:
    out = tmp_path / "new" / "set.zip"
    told = answer("augment", folder, "--label", "steep", "--n", 2, "--spread", 0.5, "--seed", 3,
                  "--out", out)  # fmt: skip
    n = int((checkpoint.codes.labels == 1).sum())
    assert told["n_images"] == 2 * n == len(load_folder(out))
    assert (told["n_sources"], told["noise"]) == (n, "posterior")
    with zipfile.ZipFile(out) as archive:
        card = json.loads(archive.read("card.json"))
    assert card["command"].endswith("--json")
    assert card["model_key"] == checkpoint.key


def test_chosen_images_keep_their_own_labels(folder: Path, tmp_path: Path, answer: Answer) -> None:
    out, labels = tmp_path / "set.zip", stripes(40).labels
    answer("augment", folder, "--ids", *range(10), "--n", 3, "--out", out)
    found = load_folder(out)
    assert labels is not None and found.labels is not None
    assert sorted(found.labels.tolist()) == sorted(labels[:10].repeat(3).tolist())


def test_the_seed_decides_the_bytes(folder: Path, tmp_path: Path, answer: Answer) -> None:
    pictures = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        answer("augment", folder, "--ids", 1, 2, "--seed", seed, "--out", tmp_path / f"{name}.zip")
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as archive:
            pictures.append([archive.read(n) for n in archive.namelist() if n.endswith("g")])
    assert pictures[0] == pictures[1] != pictures[2]


def test_test_images_among_the_sources_are_spoken_of(
    folder: Path, checkpoint: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, warned in ((2, True), (0, False)):
        image = str(checkpoint.codes.ids[checkpoint.codes.split == split][0])
        capsys.readouterr()
        assert main(["augment", str(folder), "--ids", image, "--out", str(tmp_path / "a.zip")]) == 0
        assert ("1 of 1 sources are test images" in capsys.readouterr().err) == warned


def test_a_model_without_a_posterior_takes_the_std_of_the_set(
    tmp_path: Path, answer: Answer, refused: Refused
) -> None:
    point = save_small(tmp_path / "ae", model=small_model(posterior="point"))
    out = tmp_path / "set.zip"
    assert answer("augment", point, "--ids", 1, "--out", out)["noise"] == "set"
    with zipfile.ZipFile(out) as archive:
        found = {archive.read(name) for name in archive.namelist() if name.endswith(".png")}
    assert len(found) > 1
    assert "codes have no width" in refused(
        "augment", point, "--ids", 1, "--noise", "posterior", "--out", out
    )


def test_a_model_that_takes_labels_decodes_with_them(tmp_path: Path, answer: Answer) -> None:
    model = small_model(n_classes=2)
    codes = encode_set(model, stripes(40))
    labelled, out = save_small(tmp_path / "m2", model=model, codes=codes), tmp_path / "set.zip"
    answer("augment", labelled, "--ids", 4, "--n", 1, "--spread", 0, "--out", out)
    with zipfile.ZipFile(out) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".png"))
        found = np.asarray(Image.open(io.BytesIO(archive.read(name)))) / 255
    bare = decode(load_checkpoint(labelled), codes.mean[4:5])[0, 0]
    assert np.abs(found - bare).max() > 1 / 255


BAD_AUGMENTS: dict[str, tuple[list[object], str]] = {
    "unknown image": (["--ids", 1, 999], "Image 999 came"),
    "image twice": (["--ids", 1, 1], "name every image once"),
    "unknown label": (["--label", "cat"], "know flat, steep; give one of them"),
    "label without images": (["--label", "7"], "--label 7 came"),
    "no variation": (["--ids", 1, "--n", 0], "0 variations came, expected 1 to"),
    "negative spread": (["--ids", 1, "--spread", -1], "-1.0 times the std as the spread came"),
    "negative seed": (["--ids", 1, "--seed", -1], "-1 as the seed came"),
    "no zip": (["--ids", 1, "--out", "set.tar"], "expected a name that ends in .zip"),
}


@pytest.mark.parametrize(("flags", "text"), BAD_AUGMENTS.values(), ids=BAD_AUGMENTS.keys())
def test_sets_that_cannot_be_are_refused_and_leave_no_file(
    folder: Path, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch,
    flags: list[object], text: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert text in refused("augment", folder, "--out", "set.zip", *flags)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flags", [[], ["--ids", "1", "--label", "flat"]], ids=["none", "both"])
def test_either_images_or_a_class_has_to_be_named(folder: Path, flags: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["augment", str(folder), "--out", "set.zip", *flags])
