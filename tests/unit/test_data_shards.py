"""WebDataset shards: labels, splits, damage, malice, and a second load that opens no tar."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vae_core.data import tarindex
from vae_core.data.catalogue import find_originals, load_images, source_record
from vae_core.data.folder import LoadingCancelledError
from vae_core.data.imageset import ImageSet
from vae_core.data.shardfiles import expand_braces, is_shards
from vae_core.data.shards import UNLABELLED, load_shards, read_shard_images
from vae_core.errors import DataError
from vae_core.types import ImageSpec


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_CACHE_DIR", str(tmp_path / "cache"))


def png(level: int, side: int = 20) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (side, side), level).save(stream, "PNG")
    return stream.getvalue()


def member(
    name: str, content: bytes, kind: bytes = tarfile.REGTYPE
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(content), "/etc/passwd"
    return info, content


def write_tar(path: Path, files: dict[str, bytes] | list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    members = files if isinstance(files, list) else [member(*item) for item in files.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def numbered(start: int, n: int = 3) -> dict[str, bytes]:
    """Pictures whose grey level is their number, with number % 2 as their class."""
    found = {}
    for i in range(start, start + n):
        found |= {f"{i:04d}.png": png(i), f"{i:04d}.cls": f"{i % 2}\n".encode()}
    return found


def two_shards(folder: Path) -> Path:
    write_tar(folder / "set-0.tar", numbered(0))
    write_tar(folder / "set-1.tar", numbered(3))
    return folder


def levels(found: ImageSet) -> list[int]:
    return found.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("said", ["", "set-{0..1}.tar", "set-{0,1}.tar"])
def test_shards_become_one_memory_mapped_set(tmp_path: Path, said: str) -> None:
    found = load_images(two_shards(tmp_path / "mine") / said)
    assert found.name == ("set" if said else "mine")
    assert levels(found) == found.ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.labels is not None and found.labels.tolist() == [0, 1] * 3
    assert found.label_names == ("0", "1") and found.spec == ImageSpec(1, 20, 20)
    assert isinstance(found.images, np.memmap) and found.skipped == ()
    assert sorted(found.split.tolist()) == [0, 0, 0, 0, 1, 2]


def test_a_second_load_opens_no_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = write_tar(tmp_path / "a" / "set-2.tar", {"9.png": b"no picture"}).parent
    first = load_shards(two_shards(bad))
    real = Path.open

    def closed(path: Path, *arguments: str, **options: str) -> object:
        assert path.suffix != ".tar", "a tar was opened"
        return real(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", closed)
    for options in ({}, {"size": 20, "channels": 1}):
        again = load_shards(bad, **options)
        assert np.array_equal(first.images, again.images) and again.skipped == first.skipped
        assert again.labels is not None and again.labels.tolist() == first.labels.tolist()  # type: ignore[union-attr]


def test_a_changed_shard_meets_no_old_cache(tmp_path: Path) -> None:
    folder = two_shards(tmp_path / "a")
    load_shards(folder)
    write_tar(folder / "set-1.tar", numbered(7))
    assert levels(load_shards(folder)) == [0, 1, 2, 7, 8, 9]


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    folder = two_shards(tmp_path / "a")
    load_shards(folder)
    for text in ("", "[]", '{"samples": [[1]]}'):
        for place in (tmp_path / "cache" / "shards").iterdir():
            place.write_text(text)
        assert levels(load_shards(folder)) == [0, 1, 2, 3, 4, 5]


def test_a_random_part_and_single_originals(tmp_path: Path) -> None:
    folder = two_shards(tmp_path / "a")
    part = load_shards(folder, n_images=4, seed=1)
    assert levels(part) == part.ids.tolist() and len(part) == 4 != part.ids[-1] + 1
    spec = ImageSpec(3, 8, 8)
    ids = np.array([5, 0, 3])
    assert read_shard_images(folder, ids, spec=spec)[:, 2, 7, 7].tolist() == [5, 0, 3]
    with pytest.raises(DataError, match="holds 6 pictures, but numbers 0 to 6"):
        read_shard_images(folder, np.array([0, 6]), spec=spec)


def test_originals_are_found_until_the_shards_change(tmp_path: Path) -> None:
    pattern = two_shards(tmp_path / "a") / "set-{0..1}.tar"
    record = source_record(pattern, load_images(pattern))
    originals = find_originals(record)
    assert originals is not None and originals(np.array([4]))[0, 0, 0, 0] == 4
    write_tar(tmp_path / "a" / "set-1.tar", numbered(3, 9))
    assert find_originals(record) is None
    (tmp_path / "a" / "set-1.tar").unlink()
    assert find_originals(record) is None


def test_labels_from_cls_json_or_txt_in_this_order(tmp_path: Path) -> None:
    files = {f"{i}.png": png(i) for i in range(6)}
    files |= {"0.txt": b"cat", "0.cls": b"10", "1.json": b'{"label": 2}', "1.txt": b"dog"}
    files |= {"2.json": b'{"id": 5, "class_name": "cat"}', "4.json": b"{oops", "5.txt": b"cat"}
    files["3.txt"] = b"cat\n"
    found = load_shards(write_tar(tmp_path / "a.tar", files))
    assert found.label_names == ("2", "10", "cat", UNLABELLED) and found.labels is not None
    assert found.labels.tolist() == [1, 0, 2, 2, 3, 2]
    assert [item.path for item in found.skipped] == ["4.json"]


def test_captions_are_no_labels(tmp_path: Path) -> None:
    files = {f"{i}.png": png(i) for i in range(4)}
    captions = {f"{i}.txt": f"a picture of thing {i}".encode() for i in range(4)}
    assert load_shards(write_tar(tmp_path / "a.tar", files | captions)).labels is None
    same = {f"{i}.json": json.dumps({"label": "x"}).encode() for i in range(4)}
    assert load_shards(write_tar(tmp_path / "b.tar", files | same)).labels is None


def test_folders_in_the_names_give_classes_and_splits(tmp_path: Path) -> None:
    names = ["./train/a/1.png", "./train/b/2.png", "./test/a/3.png", "./val/b/4.png"]
    found = load_shards(write_tar(tmp_path / "a.tar", {name: png(1) for name in names}))
    assert found.split.tolist() == [0, 0, 2, 1] and found.label_names == ("a", "b")
    assert found.labels is not None and found.labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("names", [("x-train-0", "x-test-0"), ("train/0", "test/0")])
def test_the_shards_names_give_splits(tmp_path: Path, names: tuple[str, str]) -> None:
    for name, start in zip(names, (0, 3), strict=True):
        write_tar(tmp_path / "a" / f"{name}.tar", numbered(start))
    found = load_shards(tmp_path / "a")
    assert dict(zip(levels(found), found.split.tolist(), strict=True)) == dict.fromkeys(
        range(3), 0
    ) | dict.fromkeys(range(3, 6), 2)


def test_a_broken_picture_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    files = {**numbered(0), "0001.png": png(1)[:40], "8.jpg": b"", "9.heic": b"?", "a.bin": b"x"}
    found = load_shards(write_tar(tmp_path / "a.tar", files))
    assert levels(found) == found.ids.tolist() == [0, 2]
    assert {item.path for item in found.skipped} == {"a.tar/0001.png", "a.tar/8.jpg", "9.heic"}
    assert all(item.reason.endswith(".") for item in found.skipped)


def test_a_key_in_two_shards_is_two_samples_and_twice_in_one_is_one(tmp_path: Path) -> None:
    write_tar(tmp_path / "a" / "0.tar", {"1.png": png(1), "1.cls": b"0"})
    twice = [member("1.png", png(5)), member("1.png", png(6)), member("1.seg.png", png(7))]
    write_tar(tmp_path / "a" / "1.tar", [*twice, member("1.cls", b"1")])
    found = load_shards(tmp_path / "a")
    assert levels(found) == [1, 5] and found.label_names == ("0", "1")
    assert [item.path for item in found.skipped] == ["1.png", "1.seg.png"]


# A sample takes four blocks: header and content of the picture, then of the label.
@pytest.mark.parametrize(
    ("n_bytes", "good"),
    [(300, []), (700, [0]), (9 * 512 + 30, [0, 1]), (10 * 512 + 200, [0, 1, 2])],
)
def test_a_tar_cut_short_gives_its_good_part(tmp_path: Path, n_bytes: int, good: list[int]) -> None:
    folder = two_shards(tmp_path / "a")
    whole = (folder / "set-0.tar").read_bytes()
    (folder / "set-0.tar").write_bytes(whole[:n_bytes])
    found = load_shards(folder)
    assert levels(found) == [*good, 3, 4, 5]
    assert [item.path for item in found.skipped] == ["set-0.tar"]
    assert "copy it again" in found.skipped[0].reason


def test_a_garbled_header_ends_a_shard_with_a_note(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", numbered(0))
    content = bytearray(path.read_bytes())
    start = content.index(b"0002.png")
    content[start : start + 512] = b"\x07" * 512
    path.write_bytes(content)
    found = load_shards(path)
    assert levels(found) == [0, 1] and "only the 2 picture(s)" in found.skipped[0].reason


@pytest.mark.parametrize("content", [b"", b"no tar", b"\x1f\x8b" * 900, bytes(10_240), b"\0" * 7])
def test_what_is_no_tar_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tar' holds no pictures in 1 shard.*another source\.$"):
        load_images(path)


def test_names_links_and_devices_that_lead_out_are_harmless(tmp_path: Path) -> None:
    evil = ["../up.png", "/etc/abs.png", "a/../../b.png", "C:/x.png", "a\\..\\win.png", "/1.cls"]
    kinds = {"l.png": tarfile.SYMTYPE, "h.png": tarfile.LNKTYPE, "d.png": tarfile.CHRTYPE,
             "p.png": tarfile.FIFOTYPE, "s.png": tarfile.GNUTYPE_SPARSE}  # fmt: skip
    members = [member(name, png(2)) for name in evil]
    members += [member(name, b"", kind) for name, kind in kinds.items()]
    path = write_tar(tmp_path / "in" / "a.tar", [*members, member("ok/fine.png", png(9))])
    found = load_shards(path)
    assert levels(found) == [9] and {item.path for item in found.skipped} == {*evil, *kinds}
    assert list(tmp_path.rglob("*.png")) == []


def test_forged_sizes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarindex, "MAX_BYTES", 1000)
    files = {"big.png": bytes(1001), "1.cls": bytes(2**16 + 1), "1.png": png(1)}
    found = load_shards(write_tar(tmp_path / "a.tar", files))
    assert levels(found) == [1] and [s.path for s in found.skipped] == ["big.png", "1.cls"]


@pytest.mark.parametrize("size", [b"77777777777\0", b"\xff" * 12, b"\x80" + b"\x7f" * 11])
@pytest.mark.parametrize("kind", [b"x", b"L", b"0", b"g"])
def test_forged_headers_end_a_shard_quickly(tmp_path: Path, size: bytes, kind: bytes) -> None:
    path = write_tar(tmp_path / "a.tar", {"1.png": png(1), "2.png": png(2)})
    content = bytearray(path.read_bytes())
    header = content.index(b"2.png")
    content[header + 124 : header + 136], content[header + 156 : header + 157] = size, kind
    content[header + 148 : header + 156] = b" " * 8
    content[header + 148 : header + 156] = b"%06o\0 " % sum(content[header : header + 512])
    path.write_bytes(content)
    found = load_shards(path)
    assert levels(found) == [1] and "only the 1 picture(s)" in found.skipped[0].reason


def test_progress_is_counted_and_stopping_leaves_nothing_behind(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", numbered(0, 40))
    seen: list[tuple[int, int]] = []
    with pytest.raises(LoadingCancelledError, match="after 16 of 40"):
        # True only once pictures are decoded: counting the members asks 80 times before.
        asked = iter([False] * 80 + [True])
        load_shards(path, cancelled=lambda: next(asked))
    assert list((tmp_path / "cache" / "packed").rglob("*.*")) == []
    load_shards(path, progress=lambda *counts: seen.append(counts))
    assert seen == [(40, 40)]
    write_tar(path, numbered(0, 41))
    with pytest.raises(LoadingCancelledError, match="were counted"):
        load_shards(path, cancelled=lambda: True)


def test_missing_shards_are_named(tmp_path: Path) -> None:
    two_shards(tmp_path)
    with pytest.raises(DataError, match=r"stands for 4 shard.*2 do not exist.*set-2\.tar"):
        load_images(str(tmp_path / "set-{0..3}.tar"))


def test_braces_mean_what_a_shell_means() -> None:
    assert expand_braces("a{08..11}-{x,yz}") == [
        f"a{n}-{w}" for n in ("08", "09", "10", "11") for w in ("x", "yz")
    ]
    assert expand_braces("plain") == ["plain"]
    for bad in ("{0..999999999}", "{3..1}", "{0..999}{0..999}"):
        with pytest.raises(DataError, match=r"braces|shorten"):
            expand_braces(bad)


def test_folders_of_pictures_stay_folders_of_pictures(tmp_path: Path) -> None:
    folder = two_shards(tmp_path / "a")
    assert is_shards(folder) and is_shards(folder / "set-0.tar")
    (folder / "one.png").write_bytes(png(200))
    assert not is_shards(folder) and levels(load_images(folder)) == [200]
    assert not is_shards(tmp_path / "nothing.tar")
