"""Fréchet distance against closed forms; its feature spaces by how they behave."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from tests.fixtures import stripes
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.frechet import (
    INCEPTION,
    embed_images,
    frechet_distance,
    frechet_images,
)

Array = NDArray[np.float64]
PICTURES = stripes(200, (1, 16, 16)).images
OTHERS = stripes(200, (1, 16, 16), seed=1).images


def samples(mean: Array, covariance: Array, *, n: int = 200, seed: int = 0) -> Array:
    """Rows whose sample mean and covariance are exactly the given ones."""
    raw = np.random.default_rng(seed).normal(size=(n, len(mean)))
    raw -= raw.mean(0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(raw.T)))).T
    return mean + white @ np.linalg.cholesky(covariance).T


def some_covariance(n: int, *, seed: int) -> Array:
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root @ root.T + 0.1 * np.eye(n)


def noisy(strength: float) -> NDArray[np.float64]:
    noise = np.random.default_rng(0).normal(size=PICTURES.shape)
    return np.clip(PICTURES / 255 + strength * noise, 0, 1)


def test_diagonal_gaussians_have_their_distance() -> None:
    mean, other = np.array([0.0, 1, 2]), np.array([3.0, 1, 2])
    spread, wider = np.diag([1.0, 4, 9]), np.diag([4.0, 4, 1])
    found = frechet_distance(samples(mean, spread), samples(other, wider, seed=1))
    # ‖Δμ‖² = 9; Σ(σ − σ')² = (1−2)² + 0 + (3−1)²
    assert found.mean_term == pytest.approx(9)
    assert found.covariance_term == pytest.approx(5)
    assert found.distance == pytest.approx(14)


def test_covariances_that_do_not_commute_agree_with_the_matrix_root() -> None:
    a, b = some_covariance(5, seed=0), some_covariance(5, seed=1)
    expected = np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
    found = frechet_distance(samples(np.zeros(5), a), samples(np.zeros(5), b, seed=1))
    assert found.covariance_term == pytest.approx(expected)


def test_a_set_is_no_distance_from_itself_in_any_order() -> None:
    x = samples(np.ones(8), some_covariance(8, seed=0)) * 1e3
    assert frechet_distance(x, x).distance == pytest.approx(0, abs=1e-5)
    assert frechet_distance(x, x[::-1]).distance == pytest.approx(0, abs=1e-5)


def test_both_directions_are_the_same() -> None:
    a = samples(np.zeros(4), some_covariance(4, seed=0))
    b = samples(np.ones(4), some_covariance(4, seed=1), n=90)
    there, back = frechet_distance(a, b), frechet_distance(b, a)
    assert there.distance == pytest.approx(back.distance)
    assert (there.n_first, there.n_second) == (back.n_second, back.n_first) == (200, 90)


def test_flat_and_repeated_features_give_finite_numbers() -> None:
    line = samples(np.zeros(1), np.eye(1))
    flat = np.hstack([line, line, np.zeros_like(line)])
    found = frechet_distance(flat, flat * 2)
    assert found.distance == pytest.approx(2.0, abs=1e-6)
    assert frechet_distance(np.ones((9, 3)), np.zeros((9, 3))).distance == pytest.approx(3)


def test_single_precision_far_from_zero_keeps_its_covariance() -> None:
    x = samples(np.full(3, 1e3), np.eye(3)).astype(np.float32)
    assert frechet_distance(x, 2 * x - 1e3).covariance_term == pytest.approx(3, rel=1e-3)


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (np.zeros((3, 3)), "expected 4 or more of each for 3 features"),
        (np.zeros((20, 4)), "same feature space"),
        (np.zeros(20), "same feature space"),
        (np.full((20, 3), np.nan), "NaN"),
    ],
)
def test_unusable_features_are_refused(rows: Array, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        frechet_distance(np.random.default_rng(0).normal(size=(20, 3)), rows)


def test_damage_moves_pictures_away() -> None:
    clean = frechet_images(PICTURES, OTHERS).distance
    noise = [frechet_images(PICTURES, noisy(s)).distance for s in (0.1, 0.2, 0.4)]
    blurred = [PICTURES]
    for _ in range(3):
        blurred.append((blurred[-1] // 2 + np.roll(blurred[-1], 1, 3) // 2).astype(np.uint8))
    blur = [frechet_images(PICTURES, b).distance for b in blurred]
    assert noise == sorted(noise)
    assert blur == sorted(blur)
    assert clean < min(noise[-1], blur[-1])


def test_a_missing_kind_of_picture_is_seen() -> None:
    labels = stripes(400, (1, 16, 16)).labels
    many = stripes(400, (1, 16, 16)).images
    assert labels is not None
    whole = frechet_images(PICTURES, many[::2]).distance
    assert frechet_images(PICTURES, many[labels == 0]).distance > 1.5 * whole


def test_the_order_of_pictures_does_not_matter() -> None:
    found = frechet_images(PICTURES, OTHERS)
    again = frechet_images(PICTURES[::-1], np.random.default_rng(0).permutation(OTHERS))
    assert again.distance == pytest.approx(found.distance, rel=1e-4)
    assert found.features == "random-conv-64/1"


def test_a_picture_has_one_embedding_alone_or_in_company() -> None:
    together = embed_images(PICTURES)
    np.testing.assert_allclose(embed_images(PICTURES[7:8])[0], together[7], atol=1e-4)
    np.testing.assert_allclose(embed_images(PICTURES, batch_size=33), together, atol=1e-4)
    np.testing.assert_allclose(embed_images(PICTURES / 255), together, atol=1e-4)
    np.testing.assert_allclose(embed_images(PICTURES.repeat(3, 1)), together, atol=1e-4)


def test_the_random_network_is_the_same_everywhere_and_touches_no_global_state() -> None:
    before = torch.random.get_rng_state()
    ramp = np.linspace(0, 1, 32 * 32).reshape(1, 1, 32, 32)
    found = embed_images(ramp)
    assert found.shape == (1, 64)
    # Pinned: if these move, distances made before no longer compare and the name must change.
    np.testing.assert_allclose(found[0, :3], [1.20035, 0.33124, 0.24789], atol=1e-4)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_read_only_pictures_are_fine() -> None:
    locked = PICTURES.copy()
    locked.flags.writeable = False
    np.testing.assert_array_equal(embed_images(locked), embed_images(PICTURES))


@pytest.mark.parametrize(
    "images",
    [PICTURES[0], PICTURES[:0], PICTURES.repeat(2, 1), PICTURES * 1.0, PICTURES / 255 - 0.5],
    ids=["one", "none", "two channels", "floats to 255", "negative"],
)
def test_pictures_of_another_form_are_refused(images: Array) -> None:
    with pytest.raises(DataError, match="expected"):
        embed_images(images)


def test_an_unknown_space_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected random-conv-64/1 or inception"):
        embed_images(PICTURES, space="fid")


def test_inception_without_torchvision_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(ConfigError, match=r"needs torchvision.*take 'random-conv-64/1'"):
        embed_images(PICTURES, space=INCEPTION)


class FakeWeights:
    """Stands for torchvision's weights; fails the test if it would download."""

    url = "https://example.org/inception-deadbeef.pth"


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A torchvision that knows one weights file, and torch.hub's empty cache for it."""
    enum = SimpleNamespace(IMAGENET1K_V1=FakeWeights())
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace())
    fake = SimpleNamespace(Inception_V3_Weights=enum)
    monkeypatch.setitem(sys.modules, "torchvision.models", fake)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_inception_never_downloads(cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"not there; fetch it from https://example\.org"):
        embed_images(PICTURES, space=INCEPTION)
    assert not list(cache.iterdir())


def test_inception_refuses_weights_of_another_hash(cache: Path) -> None:
    (cache / "inception-deadbeef.pth").write_bytes(b"something else")
    with pytest.raises(ConfigError, match="expected deadbeef; delete it"):
        embed_images(PICTURES, space=INCEPTION)
