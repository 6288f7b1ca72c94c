"""Draws from the posterior of one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.fixtures import save_small, small_model, stripes
from vae_core.apply.understand import strongest_pair, understand
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.errors import ConfigError, DataError
from vae_core.latent import encode_set

PICTURE = stripes(1).images[0]


def opened(folder: Path, posterior: str) -> Checkpoint:
    model = small_model(posterior=posterior, likelihood="gaussian")
    return load_checkpoint(save_small(folder, model=model, codes=encode_set(model, stripes(40))))


def test_draws_follow_the_posterior_and_their_pictures_the_draws(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path, "diagonal")
    found = understand(checkpoint, PICTURE, n=1_000)
    np.testing.assert_allclose(found.codes.mean(0), found.mean, atol=4 / 30 * found.std.max())
    np.testing.assert_allclose(found.codes.std(0), found.std, rtol=0.1)
    with torch.no_grad():
        decoded = checkpoint.model.decode(torch.from_numpy(found.codes)).numpy()
    assert found.pictures.dtype == np.uint8
    np.testing.assert_allclose(found.pictures / 255, decoded, atol=0.51 / 255)
    np.testing.assert_allclose(found.spread, decoded.std(0).mean(0), atol=1e-5)
    assert found.correlation is None


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path, "diagonal")
    first, again, other = (understand(checkpoint, PICTURE, seed=s).codes for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_full_posterior_shows_what_goes_together(tmp_path: Path) -> None:
    found = understand(opened(tmp_path, "full"), PICTURE, n=1_000)
    assert found.correlation is not None
    np.testing.assert_allclose(np.diag(found.correlation), 1, atol=1e-5)
    np.testing.assert_allclose(found.correlation, np.corrcoef(found.codes.T), atol=0.13)
    i, j, value = strongest_pair(found.correlation) or (0, 0, 0.0)
    assert f"z{i} and z{j} go together most (ρ = {value:.2f})" in found.describe()


def test_a_model_without_widths_says_so(tmp_path: Path) -> None:
    found = understand(opened(tmp_path, "point"), PICTURE)
    assert not found.spread.any()
    assert "without a width" in found.describe()


def test_strongest_pair_counts_negative_ones() -> None:
    rho = np.array([[1, 0.2, -0.7], [0.2, 1, 0.1], [-0.7, 0.1, 1]], np.float32)
    assert strongest_pair(rho) == (0, 2, pytest.approx(-0.7))
    assert strongest_pair(rho[:1, :1]) is None


def test_wrong_numbers_and_shapes_are_told(tmp_path: Path) -> None:
    checkpoint = opened(tmp_path, "diagonal")
    with pytest.raises(ConfigError, match="1 draws"):
        understand(checkpoint, PICTURE, n=1)
    with pytest.raises(DataError, match="prepare it first"):
        understand(checkpoint, PICTURE[:, :4])
