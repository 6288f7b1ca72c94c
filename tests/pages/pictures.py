"""Pictures a visitor may upload, good and bad, made from nothing."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

SIDE = 40


def _gradient() -> Image.Image:
    ramp = np.linspace(0, 255, SIDE * SIDE * 3).reshape(SIDE, SIDE, 3)
    return Image.fromarray(ramp.astype(np.uint8))


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png() -> bytes:
    """A plain colour PNG."""
    return _saved(_gradient(), "PNG")


def _animated_gif() -> bytes:
    frames = [Image.new("P", (SIDE, SIDE), colour) for colour in (1, 2, 3)]
    return _saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def _sixteen_bit() -> bytes:
    ramp = np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE)
    return _saved(Image.fromarray(ramp.astype(np.uint16)), "PNG")


def _palette_with_alpha() -> bytes:
    return _saved(_gradient().quantize(16), "PNG", transparency=3)


def _exif_rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(_gradient().resize((SIDE, 2 * SIDE)), "JPEG", exif=exif)


def _huge_header() -> bytes:
    """A PNG of a few bytes that claims to be 30,000×30,000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def _corrupt() -> bytes:
    data = bytearray(_saved(_gradient(), "PNG"))
    data[60:90] = b"\xff" * 30
    return bytes(data)


def good_pictures() -> dict[str, bytes]:
    """Unusual but whole: each must be shown."""
    return {
        "plain.png": png(),
        "animated.gif": _animated_gif(),
        "cmyk.jpg": _saved(_gradient().convert("CMYK"), "JPEG"),
        "sixteen-bit.png": _sixteen_bit(),
        "palette-alpha.png": _palette_with_alpha(),
        "rotated.jpg": _exif_rotated(),
        "grey.bmp": _saved(_gradient().convert("L"), "BMP"),
        "one-pixel.webp": _saved(Image.new("RGBA", (1, 1), (9, 9, 9, 0)), "WEBP"),
    }


def bad_pictures() -> dict[str, bytes]:
    """Each must get one sentence."""
    return {
        "empty.png": b"",
        "text.png": b"this is no picture at all, only text\n" * 9,
        "truncated.png": png()[:-60],
        "truncated.jpg": _saved(_gradient(), "JPEG")[:200],
        "corrupt.png": _corrupt(),
        "huge.png": _huge_header(),
        "signature-only.png": png()[:8],
        "vector.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }
