"""A walk as a file: GIF, MP4, contact sheet or arrays, as bytes ready to save or to send.

A walk is frames `[N,C,H,W]` in [0,1] and the codes `[N,D]` they were decoded from. Grey and RGB
are shown as they are, of more channels the first three.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vae_core.errors import ConfigError, DataError
from vae_core.export.gif import compress, join_frames
from vae_core.grid import to_picture

Floats = NDArray[np.float32]

# Up to this side the pixels themselves are the picture and stay square.
MAX_NEAREST_PIXELS: Final = 32
PLAYED_PIXELS, SHEET_PIXELS = 256, 96
MAX_SIDE_PIXELS: Final = 4096
# All frames together after enlarging: beyond it the file would take minutes and gigabytes.
MAX_TOTAL_PIXELS: Final = 2**28
CAPTION_PIXELS: Final = 14
# Browsers show frames that ask for less than 20 ms for 100 ms.
DELAY_MILLISECONDS: Final = (20.0, 60_000.0)
FRAMES_PER_SECOND: Final = (0.1, 120.0)
# Rounding in a decoder may leave [0,1] by this much, anything more is another scale.
SLACK: Final = 1e-3


def gif_bytes(
    frames: Floats,
    *,
    milliseconds_per_frame: float = 80.0,
    scale: int | None = None,
    loop: bool = True,
    bounce: bool = False,
) -> bytes:
    """Frames `[N,C,H,W]` as an animated GIF of exactly that many frames.

    GIF counts time in 10 ms: the delays differ by that much so that the whole lasts N times
    `milliseconds_per_frame`, to 10 ms. `scale` is the whole factor of enlargement, None makes
    small pictures about 256 pixels large; up to 32 pixels squares, above Lanczos. With `bounce`
    the walk goes back as well (2N − 2 frames). `DataError` for frames that are no such array,
    `ConfigError` for a number out of range.
    """
    _check_range("milliseconds per frame", milliseconds_per_frame, DELAY_MILLISECONDS)
    scale = _scale_for(frames, scale, PLAYED_PIXELS)
    size = (frames.shape[3] * scale, frames.shape[2] * scale)
    compressed = list(compress(map(to_picture, frames), scale=scale, way=_way(frames)))
    shown = [compressed[index] for index in _order(len(frames), bounce)]
    ends = np.rint(np.arange(len(shown) + 1) * milliseconds_per_frame / 10).astype(int)
    return join_frames(shown, size, hundredths=np.diff(ends).tolist(), loop=loop)


def mp4_bytes(
    frames: Floats,
    *,
    frames_per_second: float = 20.0,
    scale: int | None = None,
    bounce: bool = False,
) -> bytes:
    """Frames `[N,C,H,W]` as H.264 in MP4 (yuv420p, BT.709), which every browser plays.

    `scale` and `bounce` as in `gif_bytes`; a size that is odd after enlarging repeats its last
    row or column. Errors as `gif_bytes`, and `ConfigError` where no encoder is installed.
    """
    _check_range("frames per second", frames_per_second, FRAMES_PER_SECOND)
    scale = _scale_for(frames, scale, PLAYED_PIXELS)
    av = _video_library()
    rate = Fraction(frames_per_second).limit_denominator(1001)
    shown = frames[_order(len(frames), bounce)]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = _add_stream(av, container, rate)
        # Both sides rounded up to even numbers, as `_even` does.
        stream.height, stream.width = (-(-side * scale // 2) * 2 for side in frames.shape[2:])
        for index, picture in enumerate(_pictures(shown, scale)):
            rgb = _even(np.asarray(picture.convert("RGB")))
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def sheet_bytes(
    frames: Floats,
    *,
    n_columns: int,
    scale: int | None = None,
    captions: Sequence[str] | None = None,
) -> bytes:
    """Frames `[N,C,H,W]` side by side, row by row, as one PNG; cells left over are white.

    `scale` as in `gif_bytes`, None makes small pictures about 96 pixels large. `captions`, one
    line for each frame, stand below and are cut where they are too long. Errors as `gif_bytes`.
    """
    pictures = list(_pictures(frames, _scale_for(frames, scale, SHEET_PIXELS)))
    if n_columns < 1:
        raise ConfigError(f"{n_columns} columns were asked for, expected at least 1; give more.")
    if captions is not None and len(captions) != len(pictures):
        raise DataError(
            f"{len(captions)} captions came for {len(pictures)} frames, expected one for each; "
            "give as many or none."
        )
    width, height = pictures[0].size
    height += CAPTION_PIXELS if captions is not None else 0
    columns = min(n_columns, len(pictures))
    rows = -(-len(pictures) // columns)
    _check_pixels(rows * height * columns * width)
    sheet = Image.new(pictures[0].mode, (columns * width, rows * height), "white")
    for index, picture in enumerate(pictures):
        left, top = width * (index % columns), height * (index // columns)
        sheet.paste(picture, (left, top))
        if captions is not None:
            _write_caption(sheet, captions[index], (left, top + picture.height), width)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def npz_bytes(codes: Floats, frames: Floats, about: Mapping[str, Any]) -> bytes:
    """The walk itself as a compressed `.npz` that opens without pickle.

    `codes` `[N,D]` and `frames` `[N,C,H,W]` as float32 and `about` as JSON in a text array.
    `DataError` when their numbers differ, a code is not finite, or `about` is no JSON.
    """
    _check_frames(frames)
    if codes.ndim != 2 or len(codes) != len(frames) or not np.isfinite(codes).all():
        raise DataError(
            f"Codes of shape {codes.shape} came with {len(frames)} frames, expected finite "
            f"[{len(frames)}, D]; give the codes the frames were decoded from."
        )
    try:
        text = json.dumps(dict(about), ensure_ascii=False, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"What is said about the walk is no JSON ({error}), expected text, finite numbers, "
            "lists and dicts; convert the rest."
        ) from error
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        codes=codes.astype(np.float32),
        frames=frames.astype(np.float32),
        about=np.array(text),
    )
    return buffer.getvalue()


def _check_frames(frames: Floats) -> None:
    if frames.ndim != 4 or frames.size == 0 or frames.shape[1] == 2 or frames.dtype.kind != "f":
        raise DataError(
            f"{frames.dtype} frames of shape {frames.shape} came, expected float [N,C,H,W] with "
            "at least one frame and 1, 3 or more channels; give decoded images."
        )
    least, most = float(frames.min()), float(frames.max())
    # Written so that NaN fails too.
    if not (least >= -SLACK and most <= 1 + SLACK):
        raise DataError(
            f"Frames with values from {least:g} to {most:g} came, expected 0 to 1; scale them."
        )


def _check_range(name: str, value: float, reach: tuple[float, float]) -> None:
    if not reach[0] <= value <= reach[1]:
        raise ConfigError(
            f"{value:g} {name} were asked for, expected {reach[0]:g} to {reach[1]:g}; give "
            "another number."
        )


def _check_pixels(n_pixels: int) -> None:
    if n_pixels > MAX_TOTAL_PIXELS:
        raise ConfigError(
            f"The pictures would have {n_pixels:,} pixels together, at most {MAX_TOTAL_PIXELS:,} "
            "are written; take fewer frames or a smaller scale."
        )


def _scale_for(frames: Floats, scale: int | None, wanted_pixels: int) -> int:
    """The factor of enlargement, chosen where it is None; all checks of the frames."""
    _check_frames(frames)
    height, width = frames.shape[2:]
    longest = max(height, width)
    factor = max(1, wanted_pixels // longest) if scale is None else scale
    if factor < 1 or factor * longest > MAX_SIDE_PIXELS:
        raise ConfigError(
            f"Scale {factor} came for pictures of {width}×{height}, expected a factor from 1 that "
            f"leaves them at most {MAX_SIDE_PIXELS} pixels large; give another."
        )
    _check_pixels(len(frames) * height * width * factor**2)
    return factor


def _pictures(frames: Floats, scale: int) -> Iterator[Image.Image]:
    """Frames as pictures (L or RGB), enlarged."""
    height, width = frames.shape[2:]
    for picture in map(to_picture, frames):
        yield picture.resize((width * scale, height * scale), _way(frames))


def _way(frames: Floats) -> Image.Resampling:
    is_small = max(frames.shape[2:]) <= MAX_NEAREST_PIXELS
    return Image.Resampling.NEAREST if is_small else Image.Resampling.LANCZOS


def _order(n: int, bounce: bool) -> list[int]:
    """Frame numbers in the order they are shown; on the way back neither end is repeated."""
    return [*range(n), *(range(n - 2, 0, -1) if bounce else ())]


def _even(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # yuv420p halves the colour planes, so that both sides have to be even.
    height, width = rgb.shape[:2]
    return np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _video_library() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            "MP4 needs the package 'av' (FFmpeg for Python), which is not installed here; run "
            "'pip install av' or write a .gif instead."
        ) from error
    return av


def _add_stream(av: ModuleType, container: Any, rate: Fraction) -> Any:
    try:
        # Constant quality, 0 lossless to 51: 16 leaves no artefact one sees.
        stream = container.add_stream("libx264", rate=rate, options={"crf": "16"})
    except (av.FFmpegError, ValueError) as error:
        raise ConfigError(
            f"The installed 'av' {av.__version__} has no H.264 encoder (libx264), MP4 needs it; "
            "install av from PyPI or write a .gif instead."
        ) from error
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    # 1 stands for BT.709 in the first three and for values from 16 to 235 in the last.
    context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
    return stream


def _write_caption(sheet: Image.Image, text: str, place: tuple[int, int], width: int) -> None:
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(CAPTION_PIXELS - 4)
    # One line, whatever came: a line break would run into the next row.
    text = " ".join(text.split())
    if draw.textlength(text, font) > width - 2:
        while text and draw.textlength(text + "…", font) > width - 2:
            text = text[:-1]
        text += "…"
    draw.text((place[0] + 1, place[1] + 1), text, "black", font)
