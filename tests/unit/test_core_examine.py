"""What the pages show of one picture or one code, and arrays made into pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vae_core.checkpoint import Checkpoint
from vae_core.data.digits import load_digits
from vae_core.errors import DataError
from vae_core.examine import decode, draw_codes, examine, manifold, nearest_codes, snap
from vae_core.grid import picture_grid, to_bytes, to_picture

DIGITS = load_digits()


def test_an_examination_agrees_with_the_stored_codes(digits_checkpoint: Checkpoint) -> None:
    codes = digits_checkpoint.codes
    seen = examine(digits_checkpoint, DIGITS.images[int(codes.ids[7])])
    np.testing.assert_allclose(seen.mean, codes.mean[7], atol=1e-4)
    assert seen.squared_error == pytest.approx(float(codes.squared_error[7]), rel=1e-3)
    np.testing.assert_allclose(seen.kl_nats, codes.kl_nats[7], rtol=1e-2)
    np.testing.assert_allclose(seen.std, np.exp(codes.log_std[7]), rtol=1e-2)


def test_an_examination_is_deterministic(digits_checkpoint: Checkpoint) -> None:
    one, two = (examine(digits_checkpoint, DIGITS.images[3]) for _ in range(2))
    assert np.array_equal(one.rebuilt, two.rebuilt)
    assert one.error_share == two.error_share


def test_noise_is_more_unusual_than_a_digit(digits_checkpoint: Checkpoint) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1, 8, 8)).astype(np.uint8)
    digit, odd = examine(digits_checkpoint, DIGITS.images[0]), examine(digits_checkpoint, noise)
    assert odd.squared_error > digit.squared_error
    assert odd.error_share > 0.95
    assert 0 <= digit.error_share < odd.error_share <= 1


def test_the_difference_is_absolute_and_averaged_over_channels(
    faces_checkpoint: Checkpoint,
) -> None:
    seen = examine(faces_checkpoint, np.full((3, 64, 64), 255, np.uint8))
    np.testing.assert_allclose(seen.difference, (1 - seen.rebuilt).mean(0), atol=1e-6)
    assert seen.difference.shape == (64, 64)


def test_the_nearest_code_of_a_code_is_itself_unless_left_out(
    digits_checkpoint: Checkpoint,
) -> None:
    z = digits_checkpoint.codes.mean[5]
    rows, distances = nearest_codes(digits_checkpoint, z)
    others, _ = nearest_codes(digits_checkpoint, z, without_row=5)
    assert len(rows) == len(others) == 8
    assert (rows[0], distances[0]) == (5, 0)
    assert 5 not in others
    assert others[:7].tolist() == rows[1:].tolist()


def test_decoding_needs_codes_of_the_right_size(digits_checkpoint: Checkpoint) -> None:
    assert decode(digits_checkpoint, np.zeros((3, 2), np.float64)).shape == (3, 1, 8, 8)
    with pytest.raises(DataError, match=r"Codes of shape \(1, 5\) came"):
        decode(digits_checkpoint, np.zeros((1, 5), np.float32))


def test_the_manifold_is_laid_out_as_the_map_is_seen(digits_checkpoint: Checkpoint) -> None:
    sheet = manifold(digits_checkpoint, reach=(-2, 2, -1, 3), n_columns=4, n_rows=2)
    top_left, bottom_right = np.array([[-1.5, 2.0], [1.5, 0.0]], np.float32)
    assert sheet.shape == (8, 1, 8, 8)
    right = decode(digits_checkpoint, np.stack([top_left, bottom_right]))
    np.testing.assert_allclose(sheet[[0, 7]], right, atol=1e-5)


def test_draws_repeat_with_their_seed_and_follow_their_distribution(
    digits_checkpoint: Checkpoint,
) -> None:
    one, two = (draw_codes(digits_checkpoint, n=4_000, seed=seed) for seed in (0, 1))
    assert np.array_equal(one, draw_codes(digits_checkpoint, n=4_000, seed=0))
    assert not np.array_equal(one, two)
    assert abs(one.mean()) < 0.05
    assert abs(one.std() - 1) < 0.05
    fitted = draw_codes(digits_checkpoint, n=4_000, mixture=True)
    codes = digits_checkpoint.codes.mean
    np.testing.assert_allclose(fitted.mean(0), codes.mean(0), atol=0.15 * codes.std())


def test_a_checkpoint_without_a_mixture_says_so(digits_checkpoint: Checkpoint) -> None:
    card = digits_checkpoint.card
    files = {name: digest for name, digest in card["files"].items() if name != "prior.npz"}
    bare = replace(digits_checkpoint, card={**card, "files": files})
    with pytest.raises(DataError, match="carries none"):
        draw_codes(bare, n=2, mixture=True)


def test_the_bound_is_reconstruction_and_kl_together(digits_checkpoint: Checkpoint) -> None:
    codes = digits_checkpoint.codes
    expected = -codes.reconstruction_nats - codes.kl_nats.sum(1)
    np.testing.assert_allclose(codes.elbo, expected, rtol=1e-6)


def test_snapped_codes_survive_a_link() -> None:
    z = np.array([0.12345, -3.0004], np.float32)
    texts = [f"{value:.3f}" for value in snap(z)]
    assert np.array_equal(np.array(texts, np.float32), snap(z))


def test_bytes_are_rounded_and_cut() -> None:
    values = np.array([-1, 0, 0.5, 0.999, 1, 7], np.float32)
    assert to_bytes(values).tolist() == [0, 0, 128, 255, 255, 255]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGB")])
def test_pictures_have_the_right_mode_size_and_pixels(channels: int, mode: str) -> None:
    image = np.random.default_rng(0).random((channels, 5, 9)).astype(np.float32)
    picture = to_picture(image)
    assert (picture.mode, picture.size) == (mode, (9, 5))
    assert np.array_equal(np.asarray(to_picture(to_bytes(image))), np.asarray(picture))


@pytest.mark.parametrize(
    ("n", "n_columns", "size"), [(1, None, (4, 3)), (5, None, (12, 6)), (5, 5, (20, 3))]
)
def test_a_grid_fills_row_by_row(n: int, n_columns: int | None, size: tuple[int, int]) -> None:
    shades = np.arange(1, n + 1, dtype=np.float32) / 255
    images = np.broadcast_to(shades[:, None, None, None], (n, 1, 3, 4))
    sheet = picture_grid(images, n_columns=n_columns)
    assert sheet.size == size
    corners = np.asarray(sheet)[::3, ::4].ravel()
    assert corners[:n].tolist() == list(range(1, n + 1))
    assert (corners[n:] == 0).all()
