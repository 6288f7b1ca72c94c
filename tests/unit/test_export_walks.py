"""Walks as files: what was written is read back with other programs' eyes."""

from __future__ import annotations

import io
import json
import sys
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from vae_core.errors import ConfigError, DataError
from vae_core.export import gif_bytes, mp4_bytes, npz_bytes, sheet_bytes
from vae_core.grid import picture_grid, to_bytes

Floats = NDArray[np.float32]


def walk(n: int = 5, shape: tuple[int, int, int] = (3, 8, 8)) -> Floats:
    """Soft colour ramps that move a little from frame to frame."""
    t = np.arange(n)[:, None, None, None]
    c, y, x = np.meshgrid(*(np.linspace(0, 1, size) for size in shape), indexing="ij")
    return (0.5 + 0.5 * np.sin(3 * x + 2 * y * (1 + c) + 0.3 * t)).astype(np.float32)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def gif_frames(data: bytes, mode: str = "RGB") -> list[NDArray[np.uint8]]:
    return [np.asarray(frame.convert(mode)) for frame in ImageSequence.Iterator(opened(data))]


def gif_milliseconds(data: bytes) -> list[int]:
    return [int(frame.info["duration"]) for frame in ImageSequence.Iterator(opened(data))]


def psnr_db(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(-10 * np.log10(np.square((a.astype(float) - b) / 255).mean() + 1e-12))


def test_grey_frames_survive_a_gif_to_the_last_bit() -> None:
    frames = np.random.default_rng(0).random((4, 1, 9, 7), dtype=np.float32)
    found = gif_frames(gif_bytes(frames, scale=1), "L")
    assert np.array_equal(np.stack(found), to_bytes(frames[:, 0]))


def test_colours_lose_less_in_this_gif_than_in_pillows_own() -> None:
    frames = walk(2, (3, 64, 64))
    for found, frame in zip(gif_frames(gif_bytes(frames, scale=1)), frames, strict=True):
        true, buffer = to_bytes(frame).transpose(1, 2, 0), io.BytesIO()
        Image.fromarray(true).save(buffer, "GIF")
        assert psnr_db(found, true) > 37
        assert psnr_db(found, true) > psnr_db(gif_frames(buffer.getvalue())[0], true)


def test_enlarged_colours_err_hardly_more_than_the_best_table_for_all_pixels() -> None:
    """The table is chosen before enlarging; chosen after, at many times the cost, it is as good."""
    random = np.random.default_rng(0)
    frames = (0.7 * walk(3, (3, 40, 40)) + 0.3 * random.random((3, 3, 40, 40))).astype(np.float32)
    for found, frame in zip(gif_frames(gif_bytes(frames, scale=4)), frames, strict=True):
        true = picture_grid(frame[None]).resize((160, 160), Image.Resampling.LANCZOS)
        best = true.quantize(256, Image.Quantize.MEDIANCUT, kmeans=800).convert("RGB")
        error = psnr_db(found, np.asarray(true))
        assert error > psnr_db(np.asarray(best), np.asarray(true)) - 1.5
        assert error > psnr_db(np.asarray(true.quantize(64).convert("RGB")), np.asarray(true))


def test_few_colours_survive_a_gif_to_the_last_bit() -> None:
    frames = np.random.default_rng(0).integers(0, 2, (5, 3, 6, 6)).astype(np.float32)
    found = gif_frames(gif_bytes(frames, scale=1))
    assert np.array_equal(np.stack(found), to_bytes(frames).transpose(0, 2, 3, 1))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_walk_that_stands_still_keeps_all_its_frames(channels: int) -> None:
    still = np.full((6, channels, 8, 8), 0.3, np.float32)
    data = gif_bytes(still, milliseconds_per_frame=50)
    assert gif_milliseconds(data) == [50] * 6
    assert opened(data).n_frames == 6  # type: ignore[attr-defined]


@pytest.mark.parametrize("milliseconds", [20, 33.3, 80, 1000 / 24])
def test_the_whole_gif_lasts_as_long_as_asked(milliseconds: float) -> None:
    each = gif_milliseconds(gif_bytes(walk(30), milliseconds_per_frame=milliseconds, scale=1))
    assert len(each) == 30
    assert abs(sum(each) - 30 * milliseconds) <= 5
    assert max(each) - min(each) <= 10


def test_a_gif_loops_only_when_asked() -> None:
    assert opened(gif_bytes(walk(2))).info["loop"] == 0
    assert "loop" not in opened(gif_bytes(walk(2), loop=False)).info


@pytest.mark.parametrize(("n", "shown"), [(1, [0]), (2, [0, 1]), (4, [0, 1, 2, 3, 2, 1])])
def test_a_bounce_goes_back_without_showing_an_end_twice(n: int, shown: list[int]) -> None:
    greys = np.linspace(0, 1, 4, dtype=np.float32)[:n, None, None, None]
    frames = np.broadcast_to(greys, (n, 1, 4, 4))
    found = gif_frames(gif_bytes(frames, bounce=True), "L")
    assert [int(frame[0, 0]) for frame in found] == [85 * index for index in shown]


def test_small_pictures_are_enlarged_to_squares() -> None:
    frames = walk(2, (1, 8, 8))
    found = np.stack(gif_frames(gif_bytes(frames, scale=3), "L"))
    assert np.array_equal(found, to_bytes(frames[:, 0]).repeat(3, 1).repeat(3, 2))


def test_larger_pictures_are_enlarged_smoothly() -> None:
    edge = np.zeros((1, 1, 40, 40), np.float32)
    edge[..., 20:] = 1
    found = gif_frames(gif_bytes(edge, scale=4), "L")[0]
    assert found.shape == (160, 160)
    assert len(np.unique(found[80])) > 2


@pytest.mark.parametrize(
    ("side", "expected"), [(8, 256), (28, 252), (64, 256), (100, 200), (300, 300)]
)
def test_without_a_scale_small_pictures_become_about_256_pixels(side: int, expected: int) -> None:
    assert opened(gif_bytes(walk(1, (1, side, side)))).size == (expected, expected)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 45, 33), (1, 1, 1), (4, 16, 10)])
def test_an_mp4_has_every_frame_in_even_sizes(shape: tuple[int, int, int]) -> None:
    av = pytest.importorskip("av")
    data = mp4_bytes(walk(7, shape), frames_per_second=10, scale=1)
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        found = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.duration * stream.time_base == Fraction(7, 10)
        assert stream.average_rate == 10
    height, width = (side + side % 2 for side in shape[1:])
    assert [frame.shape for frame in found] == [(height, width, 3)] * 7


def test_colours_survive_an_mp4() -> None:
    av = pytest.importorskip("av")
    frames = walk(4, (3, 64, 64))
    with av.open(io.BytesIO(mp4_bytes(frames, scale=2, bounce=True))) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(pictures) == 6
    for picture, frame in zip(pictures, frames, strict=False):
        assert psnr_db(picture[::2, ::2], to_bytes(frame).transpose(1, 2, 0)) > 30


def test_the_same_walk_gives_the_same_bytes() -> None:
    pytest.importorskip("av")
    for write in (gif_bytes, mp4_bytes):
        assert write(walk()) == write(walk()) != write(walk()[::-1])


def test_without_the_video_library_one_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match="pip install av"):
        mp4_bytes(walk())


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_is_the_grid_of_its_frames(channels: int) -> None:
    frames = walk(6, (channels, 5, 7))
    sheet = opened(sheet_bytes(frames, n_columns=3, scale=1))
    assert np.array_equal(np.asarray(sheet), np.asarray(picture_grid(frames, n_columns=3)))


def test_cells_left_over_are_white() -> None:
    sheet = np.asarray(opened(sheet_bytes(walk(3, (1, 4, 4)) * 0, n_columns=2, scale=1)))
    assert (sheet[4:, 4:] == 255).all()
    assert (sheet[:4] == 0).all()


def test_captions_stand_below_their_pictures_and_in_their_own_cell() -> None:
    frames = np.zeros((2, 1, 40, 40), np.float32)
    sheet = np.asarray(opened(sheet_bytes(frames, n_columns=2, scale=1, captions=["m" * 99, ""])))
    strip = sheet[40:]
    assert sheet.shape[1] == 80
    assert (strip[:, :40] < 128).any()
    assert (strip[:, 40:] == 255).all()
    assert (sheet[:40] == 0).all()


def test_a_line_break_in_a_caption_does_not_reach_the_next_row() -> None:
    frames = np.zeros((2, 1, 40, 40), np.float32)
    one, two = (
        sheet_bytes(frames, n_columns=1, scale=1, captions=[text, ""]) for text in ("a b", "a\nb")
    )
    assert one == two


def test_arrays_open_without_pickle_as_they_were() -> None:
    codes, frames = np.random.default_rng(0).random((5, 2), dtype=np.float32), walk()
    about = {"model_key": "0123456789abcdef", "kind": "straight", "title": "Zürich"}
    with np.load(io.BytesIO(npz_bytes(codes, frames, about)), allow_pickle=False) as found:
        assert np.array_equal(found["codes"], codes)
        assert np.array_equal(found["frames"], frames)
        assert json.loads(str(found["about"])) == about


@pytest.mark.parametrize(
    ("codes", "about"),
    [
        (np.zeros((4, 2)), {}),
        (np.zeros(5), {}),
        (np.full((5, 2), np.nan), {}),
        (np.zeros((5, 2)), {"a": float("nan")}),
        (np.zeros((5, 2)), {"a": object()}),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    codes: NDArray[np.float32], about: dict[str, object]
) -> None:
    with pytest.raises(DataError):
        npz_bytes(codes, walk(), about)


BAD_FRAMES = {
    "no frame": walk()[:0],
    "one image": walk()[0],
    "two channels": walk()[:, :2],
    "bytes": to_bytes(walk()),
    "another scale": walk() * 255,
    "negative": -walk(),
    "not a number": np.where(walk() > 0.5, np.nan, walk()),
    "no pixels": walk()[..., :0],
}


@pytest.mark.parametrize("frames", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_what_is_no_walk_is_refused_by_every_writer(frames: Floats) -> None:
    with pytest.raises(DataError):
        gif_bytes(frames)
    with pytest.raises(DataError):
        mp4_bytes(frames)
    with pytest.raises(DataError):
        sheet_bytes(frames, n_columns=2)
    with pytest.raises(DataError):
        npz_bytes(np.zeros((len(frames), 2), np.float32), frames, {})


def test_rounding_just_beyond_the_range_is_no_error() -> None:
    assert gif_milliseconds(gif_bytes(np.full((1, 1, 4, 4), 1.0005, np.float32))) == [80]


@pytest.mark.parametrize("milliseconds", [19.9, 0, -5, float("nan"), float("inf"), 1e9])
def test_impossible_delays_are_refused(milliseconds: float) -> None:
    with pytest.raises(ConfigError, match="milliseconds per frame"):
        gif_bytes(walk(), milliseconds_per_frame=milliseconds)


@pytest.mark.parametrize("rate", [0, -1, 121, float("nan")])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match="frames per second"):
        mp4_bytes(walk(), frames_per_second=rate)


@pytest.mark.parametrize("scale", [0, -1, 513, 10**9])
def test_impossible_scales_are_refused(scale: int) -> None:
    with pytest.raises(ConfigError, match="factor"):
        gif_bytes(walk(), scale=scale)


def test_a_walk_too_large_for_a_file_is_refused_before_it_is_drawn() -> None:
    frames = np.broadcast_to(np.float32(0), (100, 1, 8, 8))
    with pytest.raises(ConfigError, match="fewer frames or a smaller scale"):
        gif_bytes(frames, scale=512)


def test_a_sheet_needs_a_column_and_a_caption_for_each() -> None:
    with pytest.raises(ConfigError, match="0 columns"):
        sheet_bytes(walk(), n_columns=0)
    with pytest.raises(DataError, match="2 captions came for 5 frames"):
        sheet_bytes(walk(), n_columns=2, captions=["a", "b"])
