"""MSE, PSNR and SSIM against values known in closed form and from the reference library."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from vae_core.errors import DataError
from vae_core.evaluate.quality import image_quality

Images = NDArray[np.uint8]
RANDOM = np.random.default_rng(0)
PICTURES: Images = RANDOM.integers(0, 256, (6, 3, 16, 20)).astype(np.uint8)


def noisy(strength: float) -> NDArray[np.float64]:
    noise = np.random.default_rng(1).normal(size=PICTURES.shape)
    return np.clip(PICTURES / 255 + strength * noise, 0, 1)


def test_a_perfect_copy_is_capped_and_fit_for_json() -> None:
    report = image_quality(PICTURES, PICTURES.copy()).report()
    assert (report.mse, report.ssim, report.psnr) == (0, pytest.approx(1), pytest.approx(120))
    assert json.loads(json.dumps(asdict(report), allow_nan=False))["n_images"] == 6


def test_a_known_shift_has_a_known_error() -> None:
    dark = np.full((2, 1, 12, 12), 0.25)
    found = image_quality(dark, dark + 0.1)
    np.testing.assert_allclose(found.mse, 0.01)
    np.testing.assert_allclose(found.psnr, 20.0)
    # Flat images have no contrast: only the luminance term is left (Wang et al., equation 6).
    luminance = (2 * 0.25 * 0.35 + 1e-4) / (0.25**2 + 0.35**2 + 1e-4)
    np.testing.assert_allclose(found.ssim, luminance)


def test_images_are_measured_one_by_one() -> None:
    rebuilt = PICTURES.copy()
    rebuilt[2] = 255 - rebuilt[2]
    found = image_quality(PICTURES, rebuilt)
    assert np.flatnonzero(found.mse).tolist() == [2]
    assert found.psnr.argmin() == found.ssim.argmin() == 2
    assert found.ssim[2] < 0


def test_averages_are_of_images_and_not_of_errors() -> None:
    rebuilt = PICTURES.copy()
    rebuilt[0] = 0
    found = image_quality(PICTURES, rebuilt)
    report = found.report()
    assert report.psnr == pytest.approx((5 * 120 + found.psnr[0]) / 6)
    assert report.mse_std == pytest.approx(found.mse[0] * math.sqrt(5) / 6)


def test_more_noise_is_worse_on_every_measure() -> None:
    found = [image_quality(PICTURES, noisy(s)).report() for s in (0.02, 0.1, 0.4)]
    assert [f.mse for f in found] == sorted(f.mse for f in found)
    assert [f.psnr for f in found] == sorted((f.psnr for f in found), reverse=True)
    assert [f.ssim for f in found] == sorted((f.ssim for f in found), reverse=True)


def test_bytes_and_floats_agree() -> None:
    rebuilt = PICTURES[::-1].copy()
    as_bytes, as_floats = image_quality(PICTURES, rebuilt), image_quality(PICTURES, rebuilt / 255)
    np.testing.assert_allclose(as_bytes.mse, as_floats.mse)
    np.testing.assert_allclose(as_bytes.ssim, as_floats.ssim)


def test_the_order_of_the_two_does_not_matter() -> None:
    there, back = image_quality(PICTURES, noisy(0.2)), image_quality(noisy(0.2), PICTURES)
    np.testing.assert_allclose(there.ssim, back.ssim)
    np.testing.assert_allclose(there.mse, back.mse)


def test_ssim_is_that_of_the_paper() -> None:
    x, y = PICTURES[0, 0] / 255, noisy(0.2)[0, 0]
    expected = structural_similarity(
        x, y, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    found = image_quality(x[None, None], y[None, None])
    assert found.ssim_window == 11
    assert found.ssim[0] == pytest.approx(expected)


@pytest.mark.parametrize(("side", "window"), [(3, 3), (4, 3), (8, 7), (10, 9), (11, 11), (40, 11)])
def test_the_window_fits_into_small_images(side: int, window: int) -> None:
    small = np.random.default_rng(0).random((2, 1, side, 2 * side))
    found = image_quality(small, small[::-1])
    assert found.ssim_window == window
    assert (found.ssim < 0.9).all()
    assert image_quality(small, small).ssim == pytest.approx(1)


def test_many_images_are_measured_in_their_order() -> None:
    many = np.random.default_rng(0).random((300, 1, 5, 5))
    steps = np.linspace(0, 0.5, 300)[:, None, None, None]
    found = image_quality(many * 0.5, many * 0.5 + steps)
    np.testing.assert_allclose(found.mse, steps.ravel() ** 2)


@pytest.mark.parametrize(
    "rebuilt",
    [PICTURES[:3], PICTURES[:, :1], PICTURES[0], PICTURES[:0]],
    ids=["fewer", "grey", "one image", "none"],
)
def test_pictures_that_do_not_pair_are_refused(rebuilt: Images) -> None:
    with pytest.raises(DataError, match=r"expected two equal \[N,C,H,W\]"):
        image_quality(PICTURES if len(rebuilt) else rebuilt, rebuilt)


def test_values_on_another_scale_are_refused() -> None:
    for odd in (PICTURES.astype(np.float32), PICTURES.astype(np.int64), noisy(0.1) - 0.5):
        with pytest.raises(DataError, match=r"expected uint8 or floats in \[0,1\]"):
            image_quality(PICTURES, odd)
    with pytest.raises(DataError, match="nan"):
        image_quality(PICTURES, np.full(PICTURES.shape, np.nan))


def test_images_too_small_for_any_window_are_refused() -> None:
    with pytest.raises(DataError, match="sides of 3 or more"):
        image_quality(PICTURES[..., :2], PICTURES[..., :2])
