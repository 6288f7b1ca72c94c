"""One picture in: whatever comes, either uint8 pixels or one clear sentence."""

from __future__ import annotations

import struct
import time
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vae_core.data.pixels import (
    MAX_BYTES,
    Fit,
    fit_images,
    looks_grey,
    open_image,
    prepare,
    to_pixels,
)
from vae_core.errors import DataError
from vae_core.types import ImageSpec

RGB, GREY = ImageSpec(3, 16, 16), ImageSpec(1, 16, 16)


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(width: int = 16, height: int = 16) -> Image.Image:
    across = np.linspace(0, 255, width)[None, :, None] * np.array([1.0, 0.3, 0.0])
    down = np.linspace(0, 255, height)[:, None, None] * np.array([0.0, 0.5, 1.0])
    return Image.fromarray((across + down).clip(0, 255).astype(np.uint8))


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def pixels_of(content: bytes, spec: ImageSpec = RGB, fit: Fit = "crop") -> NDArray[np.uint8]:
    return prepare(content, spec, name="x", fit=fit).pixels


BAD = {
    "empty": b"",
    "text": b"hello, this is no picture",
    "magic only": b"\x89PNG\r\n\x1a\n",
    "cut jpeg": encode(picture(200, 200), "JPEG")[:2000],
    "cut png": encode(picture(200, 200))[:-300],
    "cut gif": encode(picture(200, 200), "GIF")[:3000],
    "cut bmp": encode(picture(200, 200), "BMP")[:3000],
    "cut webp": encode(picture(200, 200), "WEBP")[:200],
    "cut tiff": encode(picture(200, 200), "TIFF")[:3000],
    "cut ppm": encode(picture(200, 200), "PPM")[:3000],
    "foreign format": encode(picture(), "ICO"),
    "html": b"<!doctype html><title>404</title>",
    "noise": b"\xff\xd8\xff" + bytes(range(256)) * 4,
}


@pytest.mark.parametrize("what", BAD)
def test_bad_content_is_refused_in_one_sentence(what: str) -> None:
    with pytest.raises(DataError) as caught:
        prepare(BAD[what], RGB, name="cat.png")
    message = str(caught.value)
    assert "cat.png" in message and message.endswith(".") and "\n" not in message


def test_random_damage_never_gives_anything_but_a_data_error() -> None:
    rng = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"):
        sound = np.frombuffer(encode(picture(40, 30), kind), np.uint8)
        for _ in range(25):
            damaged = sound.copy()
            damaged[rng.integers(8, len(sound), 6)] = rng.integers(0, 256, 6)
            try:
                assert pixels_of(damaged.tobytes()).shape == RGB.shape
            except DataError as error:
                assert str(error).endswith(".")


@pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 9_500), (2_000_000_000, 1)])
def test_huge_picture_is_refused_from_its_header(size: tuple[int, int]) -> None:
    start = time.perf_counter()
    with pytest.raises(DataError, match="megapixels"):
        prepare(png_header(*size), RGB, name="bomb.png")
    assert time.perf_counter() - start < 0.1


def test_pillows_own_limit_is_left_alone() -> None:
    before, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    with pytest.raises(DataError):
        open_image(png_header(30_000, 30_000), name="bomb.png")
    assert before == Image.MAX_IMAGE_PIXELS and filters == warnings.filters


def test_too_many_bytes_are_refused_without_reading_them(tmp_path: Path) -> None:
    path = tmp_path / "big.png"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(DataError, match="at most 64 MB"):
        prepare(path, RGB, name="big.png")


def test_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        prepare(tmp_path / "none.png", RGB, name="none.png")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "PPM"])
def test_lossless_formats_keep_every_value(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    prepared = prepare(encode(picture(), kind, **options), RGB, name="x.jpg")
    assert (prepared.pixels == np.asarray(picture()).transpose(2, 0, 1)).all()
    assert prepared.steps == () and prepared.original_size == (16, 16) and prepared.mode == "RGB"


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_rotated_equals_upright(orientation: int) -> None:
    upright = picture(24, 16)
    undo = [None, None, 0, 3, 1, 5, 2, 6, 4][orientation]
    assert undo is not None
    tags = Image.Exif()
    tags[0x0112] = orientation
    turned = encode(upright.transpose(Image.Transpose(undo)), exif=tags)
    prepared = prepare(turned, ImageSpec(3, 16, 24), name="x")
    assert (prepared.pixels == np.asarray(upright).transpose(2, 0, 1)).all()
    assert prepared.steps == ("turned upright by its EXIF tag",)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    prepared = prepare(encode(Image.fromarray(ramp), kind), GREY, name="x")
    assert (prepared.pixels.ravel() == np.arange(256)).all()
    assert "16-bit" in prepared.steps[0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.5, 1.0], [0, 128, 255]), ([0, 7, 255], [0, 7, 255]), ([-10, 0, 10], [0, 128, 255])],
)
def test_float_grey(values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    pixels = pixels_of(encode(image, "TIFF"), ImageSpec(1, 1, 3))
    assert pixels.ravel().tolist() == expected


def test_float_grey_with_nan_and_constant_negative_is_survived() -> None:
    image = Image.fromarray(np.full((4, 4), np.nan, np.float32))
    assert (pixels_of(encode(image, "TIFF"), ImageSpec(1, 4, 4)) == 0).all()
    image = Image.fromarray(np.full((4, 4), -5, np.float32))
    assert (pixels_of(encode(image, "TIFF"), ImageSpec(1, 4, 4)) == 0).all()


def test_cmyk_becomes_rgb() -> None:
    prepared = prepare(encode(picture().convert("CMYK"), "JPEG", quality=98), RGB, name="x")
    distance = np.abs(prepared.pixels.astype(int) - np.asarray(picture()).transpose(2, 0, 1))
    assert distance.mean() < 6 and "CMYK to RGB" in prepared.steps


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_goes_on_white(mode: str) -> None:
    clear = Image.new(mode, (16, 16), (0,) * len(mode))
    prepared = prepare(encode(clear), RGB, name="x")
    assert (prepared.pixels == 255).all() and "placed on white" in prepared.steps[0]


def test_palette_with_alpha_goes_on_white() -> None:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([0, 0, 0, 200, 30, 40])
    image.paste(0, (0, 0, 16, 8))
    pixels = pixels_of(encode(image, transparency=bytes([0, 255])))
    assert (pixels[:, 0, 0] == 255).all() and pixels[:, 15, 0].tolist() == [200, 30, 40]


@pytest.mark.parametrize("spec", [RGB, GREY], ids=["rgb", "grey"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_every_mode_gives_the_asked_shape(mode: str, spec: ImageSpec) -> None:
    image = picture(20, 30)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    pixels = pixels_of(encode(image if mode == "I;16" else image.convert(mode)), spec)
    assert pixels.shape == spec.shape and pixels.dtype == np.uint8 and np.ptp(pixels) > 50


def test_animation_gives_its_first_frame_and_says_so() -> None:
    frames = [Image.new("L", (16, 16), level) for level in (40, 200)]
    content = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    prepared = prepare(content, GREY, name="x")
    assert (prepared.pixels == 40).all() and "first of several frames" in prepared.steps[0]


def test_fits_differ_as_named() -> None:
    wide = Image.new("L", (64, 32), 0)
    wide.paste(255, (16, 0, 48, 32))
    content = encode(wide)
    assert (pixels_of(content, GREY, "crop") > 250).mean() > 0.8
    assert pixels_of(content, GREY, "stretch")[0, 8, 0] < 5
    padded = pixels_of(content, GREY, "pad")[0]
    assert (padded[0] == padded[0, 0]).all() and padded[8, 8] == 255


def test_steps_name_original_sizes_although_the_jpeg_was_reduced() -> None:
    prepared = prepare(encode(picture(640, 480), "JPEG"), RGB, name="x")
    assert prepared.steps == ("centre-cropped 640×480 → 480×480", "resized to 16×16")


def test_twelve_megapixel_jpeg_is_quick_and_close_to_the_slow_way() -> None:
    content = encode(picture(40, 30).resize((4000, 3000)), "JPEG")
    start = time.perf_counter()
    pixels = pixels_of(content).astype(int)
    assert time.perf_counter() - start < 1
    slow = Image.open(BytesIO(content)).crop((500, 0, 3500, 3000)).resize((16, 16), 1)
    assert np.abs(pixels - np.asarray(slow).transpose(2, 0, 1)).max() <= 4


def test_invert_and_to_pixels() -> None:
    plain = to_pixels(open_image(encode(picture()), name="x"), GREY)
    inverted = to_pixels(open_image(encode(picture()), name="x"), GREY, invert=True)
    assert (plain + inverted == 255).all()


def test_looks_grey_sees_through_the_mode() -> None:
    grey = picture().convert("L").convert("RGB")
    assert looks_grey(open_image(encode(grey, "JPEG"), name="x"))
    assert not looks_grey(open_image(encode(picture()), name="x"))


def test_fit_images_resizes_and_leaves_matching_ones_alone() -> None:
    images = np.asarray(picture()).transpose(2, 0, 1)[None]
    assert fit_images(images, RGB) is images
    assert fit_images(images, ImageSpec(1, 8, 12)).shape == (1, 1, 8, 12)
