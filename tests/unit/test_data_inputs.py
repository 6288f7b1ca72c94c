"""Digits put where MNIST's makers put them, and pictures out of a visitor's zip."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from vae_core.data.archive import is_zip, zip_members, zip_names
from vae_core.data.centring import centre_ink, prepare_centred
from vae_core.data.idx import read_idx
from vae_core.errors import DataError
from vae_core.types import ImageSpec

MNIST = ImageSpec(1, 28, 28)


def scan(*, ink: int = 0, paper: int = 255) -> bytes:
    """A digit-like hook in the right upper corner of a sheet."""
    sheet = Image.new("L", (300, 200), paper)
    ImageDraw.Draw(sheet).line([(220, 20), (280, 20), (250, 90)], fill=ink, width=12)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def centre_of(ink: np.ndarray) -> tuple[float, float]:
    ys, xs = np.indices(ink.shape)
    return float((ys * ink).sum() / ink.sum()), float((xs * ink).sum() / ink.sum())


def test_ink_is_twenty_pixels_long_and_centred_by_its_mass() -> None:
    made = prepare_centred(scan(), MNIST, name="hook", invert=True)
    image = made.pixels[0]
    assert image.shape == (28, 28)
    rows = np.flatnonzero((image > 60).any(1))
    assert 18 <= rows[-1] - rows[0] + 1 <= 21
    assert centre_of(image.astype(float)) == pytest.approx((13.5, 13.5), abs=0.6)
    assert "swapped dark and bright" in made.steps
    assert "as MNIST" in made.steps[-1]


def test_dark_and_bright_ink_land_in_the_same_place() -> None:
    dark = prepare_centred(scan(), MNIST, name="hook").pixels
    bright = prepare_centred(scan(ink=255, paper=0), MNIST, name="hook").pixels
    assert np.abs(dark.astype(int) - (255 - bright.astype(int))).max() <= 1


@pytest.mark.parametrize("value", [0, 255])
def test_an_empty_sheet_stays_empty(value: int) -> None:
    assert (centre_ink(np.full((1, 50, 40), value, np.uint8), MNIST) == value).all()


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), data)
    return file.getvalue()


def test_a_zip_gives_its_files_and_no_hidden_ones() -> None:
    data = zipped(a_png=b"one", sub__b_png=b"two", **{"_hidden": b"x", "dir__": b""})
    assert is_zip(data)
    names = zip_names(data, name="z")
    assert names == ["a.png", "sub/b.png"]
    assert list(zip_members(data, names, name="z")) == [("a.png", b"one"), ("b.png", b"two")]


@pytest.mark.parametrize("bad", ["/etc/a.png", "../a.png", "b/../../a.png", "..\\a.png"])
def test_a_name_that_leads_out_of_the_archive_is_told_and_the_rest_goes_on(bad: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(bad, b"x")
        archive.writestr("good.png", b"fine")
    data = file.getvalue()
    (shown, said), good = zip_members(data, zip_names(data, name="z"), name="z")
    assert shown == "a.png" and isinstance(said, str) and "leads out of the archive" in said
    assert good == ("good.png", b"fine")


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    data = zipped(big_png=b"\0" * 3_000_000, good_png=b"fine")
    big, good = zip_members(data, zip_names(data, name="z"), name="z")
    assert isinstance(big[1], str) and "unpacks to 3,000,000 bytes" in big[1]
    assert good == ("good.png", b"fine")


def test_damage_is_told_of_one_member_or_of_the_archive() -> None:
    data = bytearray(zipped(a_png=bytes(range(256)) * 4))
    data[60] ^= 0xFF
    ((_, said),) = zip_members(bytes(data), ["a.png"], name="z")
    assert isinstance(said, str) and "cannot be unpacked" in said
    with pytest.raises(DataError, match="'z' is damaged or cut short"):
        zip_names(bytes(data[:50]), name="z")


def test_mnist_itself_hardly_moves(mnist_dir: Path) -> None:
    images = read_idx(mnist_dir / "mnist" / "t10k-images-idx3-ubyte.gz")[:50]
    apart = []
    for image in images:
        placed = centre_ink(image[None], MNIST)[0]
        before, after = centre_of(image.astype(float)), centre_of(placed.astype(float))
        apart.append(max(abs(a - b) for a, b in zip(before, after, strict=True)))
    assert np.quantile(apart, 0.9) <= 1.2
