"""What is found in a source, and what is said of it, before anything is trained on it."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fixtures import Answer, Refused, write_pictures, write_tree, write_zip
from vae_core.data import census
from vae_core.data.fetch import REMOTES
from vae_core.data.folder import LoadingCancelledError, load_folder
from vae_core.data.inspection import N_SHEET, Inspection, inspect_source, preview
from vae_core.data.pixels import MAX_BYTES
from vae_core.errors import DataError

Picture = Callable[[int], Image.Image]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("VAE_DATA_DIR", raising=False)


def noise(seed: int, *, size: tuple[int, int] = (24, 24), mode: str = "RGB") -> Image.Image:
    depth = () if mode == "L" else (3,)
    values = np.random.default_rng(seed).integers(0, 256, (*size[::-1], *depth), np.uint8)
    return Image.fromarray(values)


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def some(n: int, name: str = "{}.png", picture: Picture = noise) -> dict[str, bytes]:
    return {name.format(f"{index:03}"): encoded(picture(index)) for index in range(n)}


def said(found: Inspection) -> str:
    return "\n".join((*found.plan, *found.warnings))


def test_a_good_folder_is_counted_shown_and_not_warned_of(tmp_path: Path) -> None:
    found = inspect_source(write_pictures(tmp_path / "waves", 300))
    assert found.headline == "300 grey pictures, 16×16"
    assert found.sizes == {(16, 16): 300} and found.modes == {"grey": 300}
    assert found.classes == {} and found.skipped == () and found.duplicates == ()
    assert found.warnings == ()
    assert "240 teach the model, 30 check on it" in said(found)


@pytest.mark.parametrize("as_zip", [True, False])
def test_it_says_what_loading_then_does(tmp_path: Path, as_zip: bool) -> None:
    files = some(30, "a/{}.png") | some(12, "b/{}.png", lambda i: noise(i + 90, size=(40, 30)))
    files |= {"b/cut.png": encoded(noise(7))[:200], "b/no.jpg": b"text", "b/raw.heic": b"?"}
    path = write_zip(tmp_path / "a.zip", files) if as_zip else write_tree(tmp_path / "a", files)
    found, loaded = inspect_source(path), load_folder(path)
    assert found.n_images == len(loaded) == 42 and found.spec == loaded.spec
    assert {item.path for item in found.skipped} == {item.path for item in loaded.skipped}
    assert found.classes == {"a": 30, "b": 12}
    assert found.sizes == {(24, 24): 30, (40, 30): 12}
    assert [np.bincount(loaded.split).tolist()] == [[34, 4, 4]] and "34 teach" in said(found)


def test_an_unreadable_file_does_not_move_the_sample_that_decides(tmp_path: Path) -> None:
    # 32 of the 64 are asked for colour; the second is none of them, with the first or without.
    files = some(64, picture=lambda i: noise(i, mode="RGB" if i == 1 else "L"))
    path = write_tree(tmp_path / "a", files | {"000.png": b"no"})
    assert inspect_source(path).spec == load_folder(path).spec


def test_pictures_that_all_turn_out_cut_short_are_told(tmp_path: Path) -> None:
    files = {name: content[:400] for name, content in some(5).items()}
    path = write_tree(tmp_path / "a", files)
    with pytest.raises(DataError, match="None of the 5 pictures looked at can be read"):
        inspect_source(path)


def test_a_part_that_cannot_be_decoded_leaves_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "MAX_DECODED", 3)
    files = {name: content[:400] for name, content in some(9).items()}
    found = inspect_source(write_tree(tmp_path / "a", files))
    assert found.n_images == 6 and len(found.skipped) == 3 and len(found.sheet) == 0


def test_files_that_cannot_be_read_are_no_copies(tmp_path: Path) -> None:
    pages = {f"{i}.jpg": b"<html>404</html>" for i in range(9)}
    found = inspect_source(write_tree(tmp_path / "a", some(10) | pages))
    assert found.duplicates == () and len(found.skipped) == 9
    assert "exact copies" not in said(found)


def test_a_file_too_large_to_read_is_left_out_however_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "MAX_DECODED", 1)
    path = write_tree(tmp_path / "a", some(3))
    for name in ("000.png", "001.png", "002.png"):
        os.truncate(path / name, MAX_BYTES + 1)
    with pytest.raises(DataError, match="at most 64 MB"):
        inspect_source(path)


def test_the_sheet_shows_every_class_as_the_model_would_see_it(tmp_path: Path) -> None:
    files = some(100, "many/{}.png") | some(3, "rare/{}.png", lambda i: noise(i + 500))
    path = write_tree(tmp_path / "a", files)
    found, loaded = inspect_source(path), load_folder(path)
    assert found.sheet.shape == (N_SHEET, 3, 24, 24)
    assert found.sheet_classes == ("many",) * 45 + ("rare",) * 3
    known = {image.tobytes() for image in loaded.images}
    assert {image.tobytes() for image in found.sheet} <= known


def test_exact_copies_are_grouped_by_name(tmp_path: Path) -> None:
    files = some(10) | {"copy.png": encoded(noise(3)), "twin.png": encoded(noise(3))}
    for path in (write_tree(tmp_path / "a", files), write_zip(tmp_path / "a.zip", files)):
        found = inspect_source(path)
        assert found.duplicates == (("003.png", "copy.png", "twin.png"),)
        assert "2 of 12 pictures are exact copies" in said(found)


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (lambda i: noise(i, size=(90 + i % 2, 24)), "takes away more than a third of 60 of 60"),
        (lambda i: Image.new("RGB", (24, 24), (i, i, 99)), "60 of 60 pictures looked at show one"),
        (lambda i: noise(1).point(lambda v: v // 2 + i % 2), "hardly differ (by 0."),
        (lambda i: noise(i, size=(80 + i % 2, 60)), "cut to its centre and made 32×32"),
        (lambda i: noise(i).convert("RGBA"), "All pictures are placed on white"),
        (lambda i: noise(i, size=(130, 130)), "Every picture is 130×130 pixels and is scaled to"),
        (lambda i: noise(i, size=(12 + i % 2, 13)), "All pictures are smaller than that"),
        (lambda i: noise(i, mode="L" if i % 3 else "RGB"), "40 pictures are grey and repeated"),
        (lambda i: noise(i, size=(100, 100)), "have 2.4 times the pixels"),
        (lambda i: Image.fromarray(np.full((9, 9), i * 999, "u2")), "from 16 to 8 bits"),
    ],
)  # fmt: skip
def test_what_is_special_is_told(tmp_path: Path, picture: Picture, sentence: str) -> None:
    def with_alpha(index: int) -> Image.Image:
        made = picture(index)
        if made.mode == "RGBA":
            made.putpixel((0, 0), (0, 0, 0, 0))
        return made

    assert sentence in said(
        inspect_source(write_tree(tmp_path / "a", some(60, picture=with_alpha)))
    )


@pytest.mark.parametrize(("n", "word"), [(20, "very few"), (60, "rather few")])
def test_few_pictures_are_warned_of(tmp_path: Path, n: int, word: str) -> None:
    assert word in inspect_source(write_tree(tmp_path / "a", some(n))).warnings[0]


def test_rare_classes_are_named(tmp_path: Path) -> None:
    files = some(60, "cat/{}.png") | some(60, "dog/{}.png", lambda i: noise(i + 99))
    path = write_tree(tmp_path / "a", files | some(2, "emu/{}.png", lambda i: noise(i + 999)))
    assert "Few pictures for 'emu' (2), where a class usually has 60" in said(inspect_source(path))
    singles = write_tree(tmp_path / "b", {f"{i}/a.png": encoded(noise(i)) for i in range(9)})
    assert "9 of 9 classes hold a single picture" in said(inspect_source(singles))


def test_own_split_folders_are_told_as_they_are(tmp_path: Path) -> None:
    files = some(20, "train/{}.png") | some(10, "test/{}.png", lambda i: noise(i + 99))
    text = said(inspect_source(write_tree(tmp_path / "a", files)))
    assert "own parts are kept: 20 train, 10 test; a tenth of the training" in text


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("{}.png",), "2 pictures came, training and its check need at least 3"),
        (("val/{}.png", "test/{}.png"), "leave 0 pictures to train on and 2 to check on"),
        (("train/{}.png", "training/{}.png"), "leave 4 pictures to train on and 0 to check on"),
    ],
)
def test_what_training_would_refuse_is_warned_of(
    tmp_path: Path, names: tuple[str, ...], sentence: str
) -> None:
    files: dict[str, bytes] = {}
    for name in names:
        files |= some(2, name)
    found = inspect_source(write_tree(tmp_path / "a", files))
    assert sentence in found.warnings[0]
    assert "used for training" not in said(found) and "a tenth" not in said(found)


def test_very_many_files_are_sampled_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "MAX_HEADERS", 30)
    monkeypatch.setattr(census, "MAX_DECODED", 20)
    monkeypatch.setattr(census, "MAX_HASHED", 10)
    same = {f"same/{i}.bmp": encoded(noise(i), "BMP") for i in range(60)}
    found = inspect_source(write_tree(tmp_path / "a", same))
    assert found.n_images == 60 and sum(found.sizes.values()) == 30
    for words in ("sizes were read of 30", "20 were decoded", "copies were looked for among 10"):
        assert words in said(found)


def test_large_pictures_are_decoded_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "MAX_DECODED_PIXELS", 30 * 24 * 24)
    assert "30 were decoded" in said(inspect_source(write_tree(tmp_path / "a", some(50))))


def test_size_and_colour_as_asked(tmp_path: Path) -> None:
    found = inspect_source(write_tree(tmp_path / "a", some(20)), size=16, channels=1)
    assert found.spec.shape == (1, 16, 16) and found.sheet.shape[1:] == (1, 16, 16)
    assert "All pictures are turned from colour to grey" in said(found)
    with pytest.raises(DataError, match="A size of 5000 pixels"):
        inspect_source("digits", size=5_000)


def test_progress_ends_whole_and_cancel_stops(tmp_path: Path) -> None:
    path, told = write_tree(tmp_path / "a", some(150)), list[tuple[int, int]]()
    inspect_source(path, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 150
    assert told == sorted(told, key=lambda pair: pair[0])
    with pytest.raises(LoadingCancelledError, match="as asked"):
        inspect_source(path, cancelled=lambda: True)


def test_arrays_are_inspected_like_pictures(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (400, 12, 10), np.uint8)
    images[7] = images[3]
    labels = np.repeat(["up", "down"], 200)
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    told: list[tuple[int, int]] = []
    found = inspect_source(
        tmp_path / "a.npz", channels=3, progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (400, 400)
    assert found.headline == "400 colour pictures, 10×12, 2 classes"
    assert found.duplicates == (("image 3", "image 7"),)
    assert found.modes == {"grey": 400} and found.classes == {"down": 200, "up": 200}
    assert "All pictures are grey and repeated" in said(found) and found.warnings == ()


def test_shards_are_inspected_with_their_labels(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for index in range(12):
            label = str(index % 2).encode()
            for name, content in (("png", encoded(noise(index // 2))), ("cls", label)):
                info = tarfile.TarInfo(f"{index}.{name}")
                info.size = len(content)
                archive.addfile(info, BytesIO(content))
    found = inspect_source(tmp_path / "a.tar")
    assert found.n_images == 12 and found.classes == {"0": 6, "1": 6}
    assert len(found.duplicates) == 6 and found.duplicates[0] == ("a.tar/0.png", "a.tar/1.png")


def test_built_in_sets_are_known_without_a_download() -> None:
    digits = inspect_source("digits")
    assert digits.n_images == 1_797 and len(digits.classes) == 10 and len(digits.sheet) == N_SHEET
    faces = inspect_source("faces")
    assert (
        faces.n_images == 20_000
        and faces.sheet.std() > 20
        and "nothing is downloaded" in said(faces)
    )
    kana = inspect_source("kmnist")
    assert kana.needs_download and kana.n_images == 70_000 and len(kana.sheet) == 0
    assert "not on this machine yet" in said(kana) and not digits.needs_download


def test_a_damaged_built_in_set_has_no_preview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_DATA_DIR", str(tmp_path))
    for name in REMOTES["mnist"].sha256:
        write_tree(tmp_path / "mnist", {name: b"no"})
    assert preview("mnist", 9) is None


def test_what_cannot_be_loaded_cannot_be_inspected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'faces'"):
        inspect_source("facs")
    with pytest.raises(DataError, match="None of the 2 pictures"):
        inspect_source(write_tree(tmp_path / "a", {"1.png": b"", "2.png": b"x"}))


def test_the_verb_prints_words_json_and_a_sheet(
    tmp_path: Path, answer: Answer, refused: Refused
) -> None:
    path = write_tree(tmp_path / "a", some(12) | {"bad.png": b"no"})
    told = answer("inspect", path, "--sheet", tmp_path / "out" / "sheet.png", "--size", 16)
    assert told["n_images"] == 12 and told["spec"] == [3, 16, 16]
    assert told["skipped"][0][0] == "bad.png" and told["warnings"]
    with Image.open(told["sheet"]) as sheet:
        assert sheet.size == (4 * 17 + 1, 3 * 17 + 1)
    assert "let its name end in .png" in refused("inspect", path, "--sheet", tmp_path / "a.txt")
    assert "before it is downloaded" in refused("inspect", "kmnist", "--sheet", tmp_path / "s.png")
