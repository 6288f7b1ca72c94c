"""Folders and zips of pictures: labels from folders, nothing fatal, nothing extracted."""

from __future__ import annotations

import os
import stat
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fixtures import write_tree, write_zip
from vae_core.data import folder as folder_module
from vae_core.data import packed as packed_module
from vae_core.data.folder import LoadingCancelledError, load_folder, read_images
from vae_core.data.listing import list_images
from vae_core.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_CACHE_DIR", str(tmp_path / "cache"))


def png(level: int, size: tuple[int, int] = (20, 20), mode: str = "RGB") -> bytes:
    colour = (level, 255 - level, 90) if mode == "RGB" else level
    stream = BytesIO()
    Image.new(mode, size, colour).save(stream, "PNG")
    return stream.getvalue()


CATS_AND_DOGS = {
    "pets/dog/2.png": png(2),
    "pets/cat/0.png": png(0),
    "pets/cat/1.png": png(1),
    "pets/dog/3.png": png(3),
}


@pytest.mark.parametrize("zipped", [True, False])
def test_class_folders_become_labels_in_sorted_order(tmp_path: Path, zipped: bool) -> None:
    if zipped:
        path = write_zip(tmp_path / "mine.zip", CATS_AND_DOGS)
    else:
        path = write_tree(tmp_path / "mine", CATS_AND_DOGS)
    found = load_folder(path)
    assert found.name == "mine" and found.label_names == ("cat", "dog")
    assert found.labels is not None and found.labels.tolist() == [0, 0, 1, 1]
    assert found.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3] and found.ids.tolist() == [0, 1, 2, 3]


def test_nested_folders_keep_their_path_and_one_folder_gives_no_labels(tmp_path: Path) -> None:
    nested = write_tree(tmp_path / "a", {"x/A/1.png": png(1), "x/B/c/2.png": png(2)})
    assert load_folder(nested).label_names == ("A", "B/c")
    flat = write_tree(tmp_path / "b", {"deep/er/1.png": png(1), "deep/er/2.png": png(2)})
    assert load_folder(flat).labels is None and load_folder(flat).label_names == ()


def test_split_folders_become_splits_not_classes(tmp_path: Path) -> None:
    names = ["train/a/1", "train/b/2", "Test/a/3", "val/b/4"]
    root = write_tree(tmp_path / "a", {f"{name}.png": png(9) for name in names})
    found = load_folder(root)
    assert found.label_names == ("a", "b") and found.split.tolist() == [2, 0, 0, 1]


def test_unreadable_files_are_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    bad = {"empty.png": b"", "text.jpg": b"no", "cut.png": png(5)[:50], "new.heic": b"?"}
    junk = {"__MACOSX/a.png": b"", ".DS_Store": b"", "._a.png": b"", "Thumbs.db": b"", "n.txt": b""}
    root = write_tree(tmp_path / "a", {"good.png": png(7), **bad, **junk})
    found = load_folder(root)
    assert len(found) == 1 and {item.path for item in found.skipped} == set(bad)
    assert all(item.reason.endswith(".") for item in found.skipped)


def test_links_and_pipes_do_not_stop_it(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "a", {"good.png": png(7)})
    (root / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (root / "loop").symlink_to(root, target_is_directory=True)
    os.mkfifo(root / "pipe.png")
    found = load_folder(root)
    assert len(found) == 1 and [item.path for item in found.skipped] == ["broken.png", "pipe.png"]


def test_empty_and_hopeless_folders_are_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no images"):
        load_folder(write_tree(tmp_path / "a", {"readme.txt": b"hello"}))
    with pytest.raises(DataError, match="None of the 2 image files"):
        load_folder(write_tree(tmp_path / "b", {"1.png": b"", "2.png": b"x"}))


@pytest.mark.parametrize("content", [b"", b"no zip", write_zip.__name__.encode() * 90])
def test_damaged_zip_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="cannot be opened"):
        load_folder(tmp_path / "a.zip")


def test_zip_members_that_lead_outside_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    evil = ["../up.png", "/etc/abs.png", "a/../../b.png", "C:/x.png", "..\\win.png"]
    (tmp_path / "in").mkdir()
    path = write_zip(tmp_path / "in" / "a.zip", {"ok.png": png(1), **dict.fromkeys(evil, png(2))})
    found = load_folder(path)
    assert len(found) == 1 and {item.path for item in found.skipped} == set(evil)
    assert sorted(p.name for p in tmp_path.rglob("*.png")) == []


def test_a_zip_with_backslashes_keeps_its_classes_and_its_originals(tmp_path: Path) -> None:
    files = {name.replace("/", "\\"): content for name, content in CATS_AND_DOGS.items()}
    path = write_zip(tmp_path / "windows.zip", files)
    found = load_folder(path)
    assert found.label_names == ("cat", "dog")
    assert found.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert read_images(path, np.array([2]), spec=found.spec)[0, 0, 0, 0] == 2


def test_a_refused_member_is_not_read_by_way_of_its_namesake(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a/b.png": png(1), "a\\b.png": bytes(60_000_000)})
    found = load_folder(path)
    assert len(found) == 1 and found.images[0, 0, 0, 0] == 1


def test_zip_links_and_bombs_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"ok.png": png(1), "bomb.png": bytes(60_000_000)})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    found = load_folder(path)
    reasons = {item.path: item.reason for item in found.skipped}
    assert "times its packed size" in reasons["bomb.png"] and "link" in reasons["link.png"]


def test_zip_member_that_lies_about_its_size_is_skipped(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"ok.png": png(1), "lie.png": bytes(5_000_000)})
    content = path.read_bytes().replace((5_000_000).to_bytes(4, "little"), b"\x64\0\0\0")
    path.write_bytes(content)
    found = load_folder(path)
    assert len(found) == 1 and found.skipped[0].path == "lie.png"


def test_zip_that_unpacks_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vae_core.data.listing.MAX_TOTAL_BYTES", 100)
    with pytest.raises(DataError, match="unpacks to"):
        load_folder(write_zip(tmp_path / "a.zip", CATS_AND_DOGS))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(20, 24)], (24, 20)),
        ([(128, 128)], (128, 128)),
        ([(200, 200)], (64, 64)),
        ([(40, 50), (45, 90)], (32, 32)),
        ([(20, 50), (10, 90)], (28, 28)),
    ],
)
def test_size_is_chosen_from_the_pictures(
    tmp_path: Path, sizes: list[tuple[int, int]], expected: tuple[int, int]
) -> None:
    root = write_tree(tmp_path / "a", {f"{i}.png": png(i, s) for i, s in enumerate(sizes)})
    assert load_folder(root).images.shape[2:] == expected


def test_channels_are_chosen_by_colour_not_by_mode(tmp_path: Path) -> None:
    stream = BytesIO()
    Image.new("RGB", (20, 20), (70, 70, 70)).save(stream, "PNG")
    root = write_tree(tmp_path / "a", {"1.png": png(9, mode="L"), "2.png": stream.getvalue()})
    assert load_folder(root).images.shape[1] == 1
    write_tree(root, {"3.png": png(9)})
    assert load_folder(root).images.shape[1] == 3
    assert load_folder(root, channels=1, size=8).images.shape == (3, 1, 8, 8)


@pytest.mark.parametrize("option", [{"size": 0}, {"size": 5000}, {"channels": 2}, {"n_images": 0}])
def test_senseless_options_are_a_sentence(tmp_path: Path, option: dict[str, int]) -> None:
    root = write_tree(tmp_path / "a", CATS_AND_DOGS)
    with pytest.raises(DataError, match="asked for"):
        load_folder(root, **option)  # type: ignore[arg-type]


def test_a_random_part_keeps_the_ids_of_the_whole(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "a", {f"{i:02}.png": png(i) for i in range(30)})
    part = load_folder(root, n_images=10, seed=1)
    assert (part.images[:, 0, 0, 0] == part.ids).all() and len(part) == 10
    assert (load_folder(root, n_images=10, seed=1).ids == part.ids).all()
    assert (load_folder(root, n_images=10, seed=2).ids != part.ids).any()


def test_read_images_gives_single_pictures_by_id(tmp_path: Path) -> None:
    files = {f"{i:02}.png": png(i) for i in range(9)} | {"04.png": b""}
    root = write_tree(tmp_path / "a", files)
    found = load_folder(root)
    rows = np.array([7, 0, 4])
    again = read_images(root, found.ids[rows], spec=found.spec)
    assert (again == found.images[rows]).all() and found.ids[4] == 5
    with pytest.raises(DataError, match="empty"):
        read_images(root, np.array([4]), spec=found.spec)
    with pytest.raises(DataError, match="changed"):
        read_images(root, np.array([9]), spec=found.spec)


def test_progress_ends_at_the_total_and_cancelling_stops(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "a", {f"{i:03}.png": png(i) for i in range(200)})
    seen: list[tuple[int, int]] = []
    load_folder(root, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(128, 200), (200, 200)]
    with pytest.raises(LoadingCancelledError, match="stopped after 16 of 200"):
        load_folder(root, cancelled=lambda: True)


def test_a_changed_folder_has_another_fingerprint_a_copy_has_not(tmp_path: Path) -> None:
    one = write_tree(tmp_path / "a", CATS_AND_DOGS)
    two = write_tree(tmp_path / "b", CATS_AND_DOGS)
    assert list_images(one).fingerprint == list_images(two).fingerprint
    write_tree(two, {"pets/cat/9.png": png(9)})
    assert list_images(one).fingerprint != list_images(two).fingerprint


@pytest.fixture
def packing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folder_module, "PACK_ABOVE", 5)
    files = {f"{i % 3}/{i:02}.png": png(i) for i in range(12)} | {"1/bad.png": b"x"}
    return write_tree(tmp_path / "many", files)


def entry_of(tmp_path: Path) -> Path:
    (entry,) = (tmp_path / "cache" / "packed").iterdir()
    return entry


def test_large_folder_is_packed_and_reopened_without_decoding(
    packing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_folder(packing)
    assert isinstance(first.images, np.memmap) and len(first) == 12 and len(first.skipped) == 1
    assert sorted(p.name for p in entry_of(tmp_path).iterdir()) == ["images.npy", "meta.json"]
    monkeypatch.setattr(folder_module, "prepare", None)
    again = load_folder(packing)
    assert (again.images == first.images).all() and (again.ids == first.ids).all()
    assert again.skipped == first.skipped and again.labels is not None
    assert (again.labels == first.labels).all()


def test_packed_and_unpacked_are_identical(packing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = load_folder(packing)
    monkeypatch.setattr(folder_module, "PACK_ABOVE", 500)
    plain = load_folder(packing)
    assert not isinstance(plain.images, np.memmap)
    assert (plain.images == packed.images).all() and (plain.ids == packed.ids).all()


def test_changing_the_array_does_not_change_the_cache(packing: Path) -> None:
    first = load_folder(packing)
    before = first.images.copy()
    first.images[:] = 0
    assert (load_folder(packing).images == before).all()


def test_cache_is_rebuilt_when_a_file_changes(packing: Path) -> None:
    load_folder(packing)
    (packing / "0" / "00.png").write_bytes(png(250))
    assert load_folder(packing).images[0, 0, 0, 0] == 250


@pytest.mark.parametrize("damage", ["meta", "cut", "flip", "header", "gone", "foreign"])
def test_damaged_cache_is_rebuilt(packing: Path, tmp_path: Path, damage: str) -> None:
    first = load_folder(packing).images.copy()
    images, meta = entry_of(tmp_path) / "images.npy", entry_of(tmp_path) / "meta.json"
    content = bytearray(images.read_bytes())
    content[1000] ^= 255
    match damage:
        case "meta":
            meta.write_text('{"version":')
        case "foreign":
            meta.write_text("[1, 2]")
        case "gone":
            images.unlink()
        case "cut":
            images.write_bytes(bytes(content[:-100]))
        case "flip":
            images.write_bytes(bytes(content))
        case "header":
            images.write_bytes(b"garbage!" + bytes(content[8:]))
    again = load_folder(packing).images
    assert (again == first).all() and isinstance(again, np.memmap)


def test_unwritable_cache_goes_on_in_memory(
    packing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VAE_CACHE_DIR", str(tmp_path / "file"))
    found = load_folder(packing)
    assert len(found) == 12 and not isinstance(found.images, np.memmap)


def test_full_disk_midway_goes_on_in_memory_and_leaves_nothing(
    packing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packed_module, "_write_meta", fail)
    found = load_folder(packing)
    assert len(found) == 12 and not isinstance(found.images, np.memmap)
    assert list((tmp_path / "cache").rglob("*.part")) == []


def test_cancelled_packing_leaves_no_rest(packing: Path, tmp_path: Path) -> None:
    for i in range(20):
        (packing / f"0/x{i}.png").write_bytes(png(i))
    with pytest.raises(LoadingCancelledError):
        load_folder(packing, cancelled=lambda: True)
    assert list((tmp_path / "cache").rglob("*.*")) == []
