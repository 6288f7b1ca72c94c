"""Other ways to store a picture, at the size of its code."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures import save_small, small_model, stripes
from vae_core.apply.beside import fit_pca_coder, rate_curve, stored, usual_formats
from vae_core.apply.compress import FRAME_BYTES, Codec, compress
from vae_core.checkpoint import load_checkpoint
from vae_core.errors import DataError
from vae_core.evaluate.rate import mean_codes


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_each_format_is_as_large_and_as_good_as_it_says(shape: tuple[int, int, int]) -> None:
    picture = stripes(1, shape).images[0]
    jpeg, webp, png = usual_formats(picture, n_bytes=100_000)
    assert np.array_equal(png.pixels, picture)
    assert png.psnr_db == math.inf
    for item in (jpeg, webp):
        assert "quality 92" in item.name
        assert item.psnr_db > 20


def test_no_room_gives_the_smallest_file_there_is() -> None:
    picture = stripes(1, (1, 28, 28)).images[0]
    for tight, wide in zip(
        usual_formats(picture, n_bytes=1)[:2], usual_formats(picture, n_bytes=10**6)[:2],
        strict=True,
    ):  # fmt: skip
        assert tight.n_bytes < wide.n_bytes
        assert tight.psnr_db < wide.psnr_db


def test_pictures_of_five_channels_have_no_usual_format() -> None:
    assert usual_formats(stripes(1, (5, 8, 8)).images[0], n_bytes=99) == []


def test_pca_stays_within_its_bytes_and_gains_by_more() -> None:
    images = stripes(80).images
    coder = fit_pca_coder(images[1:])
    found = [coder.store(images[0], n_bytes=FRAME_BYTES + n) for n in (0, 4, 16, 60)]
    room = [FRAME_BYTES + n - item.n_bytes for item, n in zip(found, (0, 4, 16, 60), strict=True)]
    assert min(room) >= 0
    quality = [item.psnr_db for item in found]
    assert quality == sorted(quality)
    assert quality[-1] > quality[0] + 10


def test_pca_of_one_image_is_refused() -> None:
    with pytest.raises(DataError, match="1 images came"):
        fit_pca_coder(stripes(1).images)


def test_the_curve_is_that_of_the_files(tmp_path: Path) -> None:
    model = small_model(likelihood="gaussian")
    model.mean_head.weight.data *= 10
    checkpoint = load_checkpoint(save_small(tmp_path / "small", model=model))
    images, codec = stripes(3).images, Codec(checkpoint)
    (point,) = rate_curve(codec, images, bits=(6,))
    sizes = [len(compress(checkpoint, image, bits=6)) for image in images]
    assert point.bits_per_image == pytest.approx(8 * np.mean(sizes))
    codes = codec.round_codes(mean_codes(checkpoint.model, images), bits=6)
    back = zip(codec.pictures(codes), images, strict=True)
    errors = [10 ** (-stored("", 0, b, original=i).psnr_db / 10) for b, i in back]
    assert point.mse == pytest.approx(np.mean(errors), rel=1e-2)
