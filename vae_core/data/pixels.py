"""One picture from bytes or a path to uint8 `[C,H,W]`, safely, saying what was done to it.

The file type is taken from the content, never from the name, and the size is checked in the
header before a single pixel is decoded. No global setting of Pillow is touched: its readers
are called directly, so its own size warnings and their process-wide switch never come in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from vae_core.data.ground import ground_of
from vae_core.errors import DataError
from vae_core.types import ImageSpec

Fit = Literal["crop", "pad", "stretch"]

# Far above any photograph, far below what would fill a small machine when decoded.
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000
FORMATS = "PNG, JPEG, WEBP, GIF, BMP, TIFF or PPM"

# Two or more bytes that no other format starts with; WEBP has its mark inside, see below.
_READERS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
    (b"GIF87a", GifImageFile),
    (b"GIF89a", GifImageFile),
    (b"BM", BmpImageFile),
    (b"II*\x00", TiffImageFile),
    (b"MM\x00*", TiffImageFile),
    *((b"P%d" % kind, PpmImageFile) for kind in range(1, 7)),
)

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Prepared:
    """A picture made ready for a model.

    `pixels` uint8 `[C,H,W]`; `steps` sentences on what was done, in order; `original_size`
    (width, height) in pixels as stored in the file; `mode` Pillow's name of its pixel form.
    """

    pixels: NDArray[np.uint8]
    steps: tuple[str, ...]
    original_size: tuple[int, int]
    mode: str


def open_image(source: bytes | Path, *, name: str) -> Image.Image:
    """Open a picture by its content and check its header; pixels are decoded later.

    Raises `DataError` for an empty, foreign, damaged or too large file (more than
    `MAX_BYTES` bytes or `MAX_PIXELS` pixels). `name` is how messages call the picture.
    """
    content = _read(source, name)
    reader = _find_reader(content[:16], name)
    with _damage_explained(name):
        image = reader(BytesIO(content))
    _check_size(image.size, name)
    return image


def prepare(
    source: bytes | Path, spec: ImageSpec, *, name: str, fit: Fit = "crop", invert: bool = False
) -> Prepared:
    """Bring a picture of any size and mode to the form `spec` asks for.

    `fit` says what happens to another aspect ratio: `crop` cuts the centre, `pad` adds a
    border in the border's own colour, `stretch` distorts. `invert` swaps dark and bright.
    Raises `DataError` as `open_image` does, and for truncated or undecodable pixels.
    """
    image = open_image(source, name=name)
    with _damage_explained(name):
        return _prepare(image, spec, fit, invert)


def to_pixels(
    image: Image.Image, spec: ImageSpec, *, fit: Fit = "crop", invert: bool = False
) -> NDArray[np.uint8]:
    """Pixels uint8 `[C,H,W]` of an opened picture; `prepare` without the account of steps.

    Raises `DataError` when a picture not yet decoded turns out to be damaged.
    """
    with _damage_explained("unnamed"):
        return _prepare(image, spec, fit, invert).pixels


def fit_images(
    images: NDArray[np.uint8], spec: ImageSpec, *, fit: Fit = "crop"
) -> NDArray[np.uint8]:
    """Bring uint8 `[N,C,H,W]` to the channels and size of `spec`; unchanged if they agree."""
    if images.shape[1:] == spec.shape:
        return images
    fitted = np.empty((len(images), *spec.shape), np.uint8)
    for row, pixels in enumerate(images):
        plane = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
        picture = Image.fromarray(np.ascontiguousarray(plane))
        fitted[row] = to_pixels(picture, spec, fit=fit)
    return fitted


def looks_grey(image: Image.Image) -> bool:
    """Whether a picture has no colour: a grey mode, or R, G and B equal within 2 levels.

    Decodes the picture (JPEG at reduced size). Raises `DataError` when it is damaged.
    """
    with _damage_explained("unnamed"):
        _shrink_while_decoding(image, 64)
        if _is_grey_mode(image):
            return True
        # JPEG rounding leaves up to a level or two of colour in a grey scan.
        values = np.asarray(image.convert("RGB")).astype(np.int16)
        return int(np.ptp(values, axis=2).max()) <= 2


def _read(source: bytes | Path, name: str) -> bytes:
    try:
        n_bytes = len(source) if isinstance(source, bytes) else source.stat().st_size
        if isinstance(source, Path):
            source = source.read_bytes() if n_bytes <= MAX_BYTES else b""
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise DataError(
            f"The image '{name}' cannot be read ({why}); check the file and its rights."
        ) from error
    if n_bytes == 0:
        raise DataError(f"The image '{name}' is empty (0 bytes); choose another file.")
    if n_bytes > MAX_BYTES:
        raise DataError(
            f"The image '{name}' has {n_bytes / 2**20:,.0f} MB, at most {MAX_BYTES // 2**20} MB "
            "are accepted; save it smaller first."
        )
    return source


def _find_reader(head: bytes, name: str) -> type[ImageFile]:
    for signature, reader in _READERS:
        if head.startswith(signature):
            return reader
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WebPImageFile
    raise DataError(
        f"The file '{name}' is not an image by its content, expected {FORMATS}; "
        "save it in one of these formats."
    )


@contextmanager
def _damage_explained(name: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise DataError(
            f"The image '{name}' is too large to decode, at most {MAX_PIXELS // 10**6} megapixels "
            "are accepted; make it smaller first."
        ) from error
    # Damaged bytes lead Pillow's decoders into almost any exception there is.
    except Exception as error:
        why = str(error).strip().rstrip(".") or type(error).__name__
        raise DataError(
            f"The image '{name}' is damaged, cut short or of an unknown kind ({why}), expected a "
            f"whole {FORMATS} file; save or download it again."
        ) from error


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"The image '{name}' is {width:,}×{height:,} pixels "
            f"({width * height / 1e6:,.0f} megapixels), at most {MAX_PIXELS // 10**6} megapixels "
            "are accepted; make it smaller first."
        )
    if min(size) < 1:
        raise DataError(f"The image '{name}' has no pixels ({width}×{height}); choose another.")


def _prepare(image: Image.Image, spec: ImageSpec, fit: Fit, invert: bool) -> Prepared:
    original_size, mode = image.size, image.mode
    steps: list[str] = []
    if _is_animated(image):
        steps.append("took the first of several frames")
    _shrink_while_decoding(image, 2 * max(spec.height, spec.width))
    orientation = _read_orientation(image)
    if orientation in _UPRIGHT:
        steps.append("turned upright by its EXIF tag")
        image = image.transpose(_UPRIGHT[orientation])
    flat = _set_channels(_flatten(_to_eight_bit(image, steps), steps), spec.channels, steps)
    shown_size = original_size[::-1] if orientation in (5, 6, 7, 8) else original_size
    pixels = _resize(flat, spec, fit, shown_size, steps)
    if invert:
        pixels = 255 - pixels
        steps.append("swapped dark and bright")
    return Prepared(pixels, tuple(steps), original_size, mode)


def _is_animated(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # the first frame may be sound although a later one is not
        return False


def _shrink_while_decoding(image: Image.Image, n_pixels: int) -> None:
    """Decode; a JPEG only as large as needed, which makes a 12-megapixel photo 8 times cheaper."""
    if isinstance(image, JpegImageFile):
        # libjpeg scales by 1/2, 1/4 or 1/8 within the decoder and never below what is asked.
        image.draft(None, (n_pixels, n_pixels))
    image.load()


def _read_orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1


def _to_eight_bit(image: Image.Image, steps: list[str]) -> Image.Image:
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image
    values: NDArray[np.floating] = np.asarray(image).astype(np.float32)
    values = np.nan_to_num(values, copy=False, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    sixteen_bit = image.mode.startswith("I;16") or getattr(image, "format", None) == "PPM"
    # 257 = 65535 / 255: white stays white, where dividing by 256 would dim it.
    if sixteen_bit or (image.mode == "I" and low >= 0 and 255 < high <= 65535):
        steps.append("16-bit grey divided by 257 to 8-bit")
        values = values / 257
    elif image.mode == "F" and low >= 0 and high <= 1:
        steps.append("grey from 0 to 1 multiplied by 255")
        values = values * 255
    elif low < 0 or high > 255:
        steps.append(f"grey from {low:.6g} to {high:.6g} stretched to 0 to 255")
        values = (values - low) * (255 / max(high - low, 1e-12))
    return Image.fromarray(np.rint(values).clip(0, 255).astype(np.uint8))


def _flatten(image: Image.Image, steps: list[str]) -> Image.Image:
    if not image.has_transparency_data:
        return image
    steps.append(f"transparent parts ({image.mode}) placed on white")
    # Before resizing, or colours hidden under transparency would bleed into the edges.
    coloured = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, coloured).convert("L" if _is_grey_mode(image) else "RGB")


def _is_grey_mode(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")


def _set_channels(image: Image.Image, n_channels: int, steps: list[str]) -> Image.Image:
    if image.mode not in ("L", "RGB", "P", "1"):
        steps.append(f"{image.mode} to RGB")
    if n_channels == 1:
        if not _is_grey_mode(image):
            steps.append("colour to grey")
        return image if image.mode == "L" else image.convert("RGB").convert("L")
    if _is_grey_mode(image):
        steps.append("grey repeated in three channels")
    return image if image.mode == "RGB" else image.convert("RGB")


def _resize(
    image: Image.Image, spec: ImageSpec, fit: Fit, shown_size: tuple[int, int], steps: list[str]
) -> NDArray[np.uint8]:
    wanted = (spec.width, spec.height)
    same_aspect = shown_size[0] * spec.height == shown_size[1] * spec.width
    if fit == "pad" and not same_aspect:
        return _pad(image, spec, steps)
    box = (0.0, 0.0, float(image.width), float(image.height))
    if fit == "crop" and not same_aspect:
        box = _centre_box(image.size, wanted)
        _, _, *cut = _centre_box(shown_size, wanted, corner=True)
        steps.append(f"centre-cropped {_times(shown_size)} → {cut[0]:.0f}×{cut[1]:.0f}")
    if shown_size != wanted:
        steps.append(f"resized to {_times(wanted)}")
    if image.size != wanted or not same_aspect:
        image = image.resize(wanted, Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
    return _to_array(image)


def _centre_box(
    size: tuple[int, int], wanted: tuple[int, int], *, corner: bool = False
) -> tuple[float, float, float, float]:
    """Largest centred box of the wanted aspect: (left, top, right, bottom), or width, height."""
    # Fractions of a pixel are kept, so that a reduced JPEG is cut where the full one would be.
    scale = min(size[0] / wanted[0], size[1] / wanted[1])
    width, height = min(size[0], wanted[0] * scale), min(size[1], wanted[1] * scale)
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return (left, top, width, height) if corner else (left, top, left + width, top + height)


def _pad(image: Image.Image, spec: ImageSpec, steps: list[str]) -> NDArray[np.uint8]:
    scale = min(spec.width / image.width, spec.height / image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    inner = _to_array(image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))
    # Black bars on a white drawing would be the strongest feature of the picture.
    padded = np.empty(spec.shape, np.uint8)
    padded[:] = ground_of(inner)[:, None, None].round()
    top, left = (spec.height - size[1]) // 2, (spec.width - size[0]) // 2
    padded[:, top : top + size[1], left : left + size[0]] = inner
    steps.append(f"resized to {_times(size)} and padded to {spec.width}×{spec.height}")
    return padded


def _times(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def _to_array(image: Image.Image) -> NDArray[np.uint8]:
    values = np.array(image, dtype=np.uint8)
    return values[None] if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))
