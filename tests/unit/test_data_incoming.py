"""What a visitor drops becomes a data set on disk, whole or not at all."""

from __future__ import annotations

import errno
import gzip
import os
import re
import shutil
import time
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vae_core.data.catalogue import load_images
from vae_core.data.incoming import delete_upload, keep_upload, list_uploads
from vae_core.data.inspection import inspect_source
from vae_core.errors import DataError

File = tuple[str, bytes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / ".data"


def picture(level: int, kind: str = "PNG") -> bytes:
    stream = BytesIO()
    Image.new("L", (9, 9), level).save(stream, kind)
    return stream.getvalue()


def packed(**members: bytes) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/") + ".png", content)
    return stream.getvalue()


def arrays(**columns: Any) -> bytes:
    stream = BytesIO()
    np.savez(stream, **columns)
    return stream.getvalue()


def idx(values: np.ndarray[Any, Any]) -> bytes:
    head = bytes([0, 0, 8, values.ndim])
    return head + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()


IMAGES = np.arange(6 * 5 * 4, dtype=np.uint8).reshape(6, 5, 4)
CATS = packed(cat__1=picture(1), cat__2=picture(2), dog__3=picture(3))


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def test_a_zip_is_kept_as_it_came_and_can_be_trained_on(folder: Path) -> None:
    path = keep_upload([("My Cats & Dogs.zip", CATS)], folder)
    assert path.parent == folder and path.name.startswith("my-cats-dogs-")
    assert path.read_bytes() == CATS
    assert load_images(path).label_names == ("cat", "dog")
    assert left_over(folder) == [path.name]


def test_the_same_upload_twice_is_one_and_is_not_written_again(folder: Path) -> None:
    path = keep_upload([("cats.zip", CATS)], folder)
    os.utime(path, (1, 1))
    inode = path.stat().st_ino
    assert keep_upload([("cats.zip", CATS)], folder) == path
    assert path.stat().st_ino == inode and path.stat().st_mtime > 1
    assert keep_upload([("other.zip", CATS)], folder) != path


def test_pictures_become_one_zip_under_safe_names_whatever_their_order(folder: Path) -> None:
    files = [
        ("../../etc/a.png", picture(1)), ("C:\\x\\a.png", picture(2)), ("a<b>:?.jpeg", picture(3)),
        ("no-ending", picture(4, "BMP")), ("Фото.png", picture(5)), ("half.png", picture(6)[:30]),
        ("phone.heic", b"?"), ("notes.txt", b"hello"),
    ]  # fmt: skip
    path = keep_upload(files, folder)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert names == [
        "a.png", "a (2).png", "a_b___.png", "no-ending.bmp", "Фото.png", "half.png", "phone.heic",
    ]  # fmt: skip
    assert keep_upload(files[::-1], folder) == path
    found = inspect_source(path)
    assert found.n_images == 5
    assert {item.path for item in found.skipped} == {"half.png", "phone.heic"}


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_arrays_are_kept_under_the_ending_of_their_content(folder: Path, suffix: str) -> None:
    stream = BytesIO()
    np.save(stream, IMAGES)
    content = arrays(images=IMAGES) if suffix == ".npz" else stream.getvalue()
    path = keep_upload([("digits.dat", content)], folder)
    assert path.suffix == suffix and len(load_images(path)) == 6


def test_idx_files_find_each_other_whatever_they_are_called(folder: Path) -> None:
    labels = np.array([0, 1, 0, 1, 0, 1], np.uint8)
    files = [("pics.bin", idx(IMAGES)), ("answers", gzip.compress(idx(labels)))]
    files += [("test pics.gz", gzip.compress(idx(IMAGES[:2]))), ("t10k-y", idx(labels[:2]))]
    path = keep_upload(files, folder)
    found = load_images(path)
    assert len(found) == 8 and (found.split == 2).sum() == 2
    assert found.labels is not None and found.labels.tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    alone = keep_upload([("t10k-images-idx3-ubyte", idx(IMAGES))], folder)
    assert len(load_images(alone)) == 6


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "empty upload"),
        ([("a.png", b"")], "empty upload"),
        ([("a.exe", b"MZ...")], "no data set by its content"),
        ([("a.zip", CATS[:90])], "'a.zip' cannot be opened"),
        ([("a.zip", packed())], "'a.zip' holds no images"),
        ([("a.zip", CATS), ("b.png", picture(1))], "one data set at a time"),
        ([("a.npz", arrays(images=np.array([{}, 1], object)))], "pickled objects"),
        ([("a.npz", arrays(words=np.arange(3)))], "save the images under 'images'"),
        ([("a.idx", idx(IMAGES)[:-3])], "expected 120"),
        ([("a.idx", idx(IMAGES)), ("b.idx", idx(IMAGES))], "Two IDX files came for train images"),
        ([("a.idx", idx(IMAGES)), ("b.png", picture(1))], "drop them apart"),
        ([("a.idx", bytes([0, 0, 8, 3]) + b"\x00\x00\xff\xff" * 3)], "are accepted here"),
    ],
)
def test_what_is_no_data_set_is_told_and_leaves_nothing(
    folder: Path, files: list[File], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence) as told:
        keep_upload(files, folder)
    assert left_over(folder) == []
    assert str(folder) not in str(told.value) and str(told.value).endswith(".")
    assert re.search(r"-[0-9a-f]{12}", str(told.value)) is None


def test_the_quota_is_kept_and_says_how_to_make_room(folder: Path) -> None:
    first = keep_upload([("a.zip", CATS)], folder)
    with pytest.raises(DataError, match="are used; delete some under 'Dropped before'"):
        keep_upload([("b.zip", CATS)], folder, quota_bytes=len(CATS) + 10)
    assert keep_upload([("a.zip", CATS)], folder, quota_bytes=1) == first


def test_a_nearly_full_disk_is_told_before_writing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")._replace(free=1_000)
    monkeypatch.setattr("vae_core.data.incoming.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"has only 0\.0 MB left"):
        keep_upload([("a.zip", CATS)], folder)
    assert left_over(folder) == []


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_half(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as stream:
            stream.write(content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="became full while the upload was written"):
        keep_upload([("a.zip", CATS)], folder)
    assert left_over(folder) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be written to"):
        keep_upload([("a.zip", CATS)], tmp_path / "file" / ".data")


def test_uploads_are_listed_and_deleted_but_nothing_else(folder: Path, tmp_path: Path) -> None:
    assert list_uploads(folder) == ()
    old = keep_upload([("old.zip", CATS)], folder)
    os.utime(old, (1, 1))
    new = keep_upload([("new.idx", idx(IMAGES))], folder)
    (folder / "mine.txt").write_text("not an upload")
    assert [(item.path, item.name) for item in list_uploads(folder)] == [(new, "new"), (old, "old")]
    assert list_uploads(folder)[0].n_bytes == len(idx(IMAGES))
    for path in (folder / "mine.txt", folder, tmp_path, folder / ".." / ".data" / old.name):
        with pytest.raises(DataError, match="no data set that was dropped here"):
            delete_upload(path, folder)
    delete_upload(new, folder)
    delete_upload(old, folder)
    assert left_over(folder) == ["mine.txt"]


def test_what_another_session_is_done_with_meanwhile_harms_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(parents=True)
    # A link to nothing stands for what was there when the folder was listed.
    (folder / ".arriving-gone").symlink_to("nowhere")
    (folder / "gone-0123456789ab.zip").symlink_to("nowhere")
    path = keep_upload([("a.zip", CATS)], folder)
    assert [item.path for item in list_uploads(folder)] == [path]

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("vae_core.data.incoming.os.utime", refuse)
    assert keep_upload([("a.zip", CATS)], folder) == path


def test_what_a_killed_server_left_is_swept_once_it_is_old(folder: Path) -> None:
    for name, age_seconds in ((".arriving-old", 7_200.0), (".arriving-young", 5.0)):
        (folder / name).mkdir(parents=True)
        then = time.time() - age_seconds
        os.utime(folder / name, (then, then))
    path = keep_upload([("a.zip", CATS)], folder)
    assert left_over(folder) == [".arriving-young", path.name]
