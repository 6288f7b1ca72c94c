"""The verbs that put a model to work on pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fixtures import Answer, Refused, save_small, small_model, write_pictures
from vae_core.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small(tmp_path_factory.mktemp("checkpoint") / "small")


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    return sorted(write_pictures(tmp_path / "pictures", 3).iterdir())


def test_many_pictures_go_into_one_file_and_come_back(
    folder: Path, images: list[Path], tmp_path: Path, answer: Answer
) -> None:
    told = answer("compress", folder, *images, "--bits", 6, "--out", tmp_path / "all.lxc")
    (file,) = told["results"]
    assert file["n_pictures"] == 3
    assert file["bytes"] == (tmp_path / "all.lxc").stat().st_size
    assert file["bits_per_pixel"] == pytest.approx(8 * file["bytes"] / (3 * 64))
    back = answer("decompress", folder, tmp_path / "all.lxc", "--out", tmp_path / "back")
    assert back["results"][0]["is_identical"]
    names = [Path(name).name for name in back["results"][0]["out"]]
    assert names == ["all-0.png", "all-1.png", "all-2.png"]


def test_one_file_each_gives_the_same_pictures(
    folder: Path, images: list[Path], tmp_path: Path, answer: Answer
) -> None:
    answer("compress", folder, *images, "--out", tmp_path / "all.lxc")
    told = answer("compress", folder, *images, "--out", tmp_path / "each")
    files = [r["out"] for r in told["results"]]
    assert [Path(name).name for name in files] == ["000.lxc", "001.lxc", "002.lxc"]
    answer("decompress", folder, *files, tmp_path / "all.lxc", "--out", tmp_path / "back")
    for index in range(3):
        with (
            Image.open(tmp_path / "back" / f"00{index}.png") as alone,
            Image.open(tmp_path / "back" / f"all-{index}.png") as together,
        ):
            assert np.array_equal(np.asarray(alone), np.asarray(together))


def test_a_bad_picture_is_said_and_the_others_go_on(
    folder: Path, images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images[0].write_text("no picture")
    out = tmp_path / "two.lxc"
    assert main([*map(str, ("compress", folder, *images, "--out", out))]) == 2
    assert "000.png" in capsys.readouterr().err
    assert out.is_file()


def test_a_file_of_another_model_is_refused(
    folder: Path, images: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = save_small(tmp_path / "other", model=small_model(seed=4))
    out = tmp_path / "one.lxc"
    assert main([*map(str, ("compress", other, images[0], "--out", out))]) == 0
    assert main([*map(str, ("decompress", folder, out, "--out", tmp_path / "back"))]) == 2
    assert "open the model it was written with" in capsys.readouterr().err


def test_odd_bits_are_refused(
    folder: Path, images: list[Path], tmp_path: Path, refused: Refused
) -> None:
    said = refused("compress", folder, *images, "--bits", 17, "--out", tmp_path / "a.lxc")
    assert "17 bits" in said
