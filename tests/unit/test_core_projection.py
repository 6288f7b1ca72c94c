"""Maps: known codes stay at their place, both ways agree, odd sets do no harm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from vae_core.errors import ConfigError
from vae_core.latent import NeighbourProjection, fit_pca, fit_umap, nearest, plane

Floats = NDArray[np.float32]


def some_codes(n: int = 200, n_latent: int = 6, *, seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    scale = np.linspace(2, 0.5, n_latent)
    return (random.normal(1, 1, (n, n_latent)) * scale).astype(np.float32)


ODD = {
    "constant": np.ones((40, 4), np.float32),
    "duplicated": np.repeat(some_codes(8, 4), 5, axis=0),
    "one dimension": some_codes(40, 1),
    "one dead dimension": some_codes(40, 2) * np.array([1, 0], np.float32),
    "far away": some_codes(40, 3) + np.float32(1e5),
}
odd = pytest.mark.parametrize("codes", ODD.values(), ids=ODD)


def test_pca_axes_are_orthonormal_and_those_of_sklearn() -> None:
    codes = some_codes()
    made, right = fit_pca(codes), PCA(2).fit(codes)
    np.testing.assert_allclose(made.axes @ made.axes.T, np.eye(2), atol=1e-6)
    np.testing.assert_allclose(np.abs(made.axes), np.abs(right.components_), atol=1e-4)
    np.testing.assert_allclose(np.abs(made.xy), np.abs(right.transform(codes)), atol=1e-3)


def test_pca_signs_do_not_depend_on_the_order_of_the_codes() -> None:
    codes = some_codes()
    np.testing.assert_allclose(fit_pca(codes).axes, fit_pca(codes[::-1]).axes, atol=1e-4)


def test_pca_places_its_own_codes_where_it_says() -> None:
    codes = some_codes()
    made = fit_pca(codes)
    assert np.array_equal(made.transform(codes), made.xy)


def test_a_place_on_the_pca_map_goes_there_and_back() -> None:
    made = fit_pca(some_codes())
    places = np.array([[0, 0], [3, -2], [50, 40]], np.float32)
    np.testing.assert_allclose(made.transform(made.inverse(places)), places, atol=1e-4)


def test_the_inverse_of_pca_is_the_nearest_point_of_its_plane() -> None:
    codes = some_codes()
    made = fit_pca(codes)
    missed = codes - made.inverse(made.transform(codes))
    np.testing.assert_allclose(missed @ made.axes.T, 0, atol=1e-4)


@pytest.mark.parametrize("n_latent", [2, 5])
def test_a_plane_shows_two_dimensions_as_they_are(n_latent: int) -> None:
    codes = some_codes(n_latent=n_latent)
    made = plane(codes, 1, 0)
    assert np.array_equal(made.xy, codes[:, [1, 0]])
    np.testing.assert_allclose(made.transform(codes), made.xy, atol=1e-6)
    back = made.inverse(np.array([[0.5, -1.5]], np.float32))[0]
    assert back[:2].tolist() == [-1.5, 0.5]
    np.testing.assert_allclose(back[2:], codes.mean(0)[2:])


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 6), (-1, 2)])
def test_a_plane_needs_two_different_dimensions_that_exist(first: int, second: int) -> None:
    with pytest.raises(ConfigError, match=r"expected two different ones from 0 to 5"):
        plane(some_codes(), first, second)


def test_a_neighbour_map_keeps_known_codes_at_their_place() -> None:
    codes = some_codes()
    made = NeighbourProjection(fit_pca(codes).xy, codes)
    np.testing.assert_allclose(made.transform(codes), made.xy, atol=1e-4)
    np.testing.assert_allclose(made.inverse(made.xy), codes, atol=1e-4)


def test_a_neighbour_map_turns_any_spot_into_a_code_among_the_real_ones() -> None:
    codes = some_codes()
    made = NeighbourProjection(fit_pca(codes).xy, codes)
    spots = np.random.default_rng(1).uniform(-1e4, 1e4, (100, 2)).astype(np.float32)
    found = made.inverse(np.vstack([spots, made.xy.mean(0)[None]]))
    assert (found >= codes.min(0) - 1e-5).all()
    assert (found <= codes.max(0) + 1e-5).all()


def test_a_new_code_lands_among_its_neighbours() -> None:
    codes = some_codes()
    made = NeighbourProjection(fit_pca(codes).xy, codes)
    new = codes[10] + np.float32(0.01)
    assert np.linalg.norm(made.transform(new[None])[0] - made.xy[10]) < 0.3


@odd
def test_odd_codes_break_no_linear_map(codes: Floats) -> None:
    made = fit_pca(codes)
    assert made.xy.shape == (len(codes), 2)
    assert np.isfinite(made.xy).all()
    assert np.isfinite(made.inverse(made.xy)).all()


@odd
def test_odd_codes_break_no_neighbour_map(codes: Floats) -> None:
    made = NeighbourProjection(fit_pca(codes).xy, codes)
    assert np.isfinite(made.transform(codes)).all()
    np.testing.assert_allclose(made.inverse(made.xy), codes, rtol=1e-3, atol=1e-3)


@odd
def test_odd_codes_break_no_umap(codes: Floats) -> None:
    made = fit_umap(codes)
    assert made is not None
    assert made.xy.shape == (40, 2)
    assert np.isfinite(made.xy).all()


def test_umap_keeps_clusters_apart_and_is_repeatable() -> None:
    codes = some_codes(60, 5)
    codes[30:] += 20
    before = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    first, again = fit_umap(codes, seed=3), fit_umap(codes, seed=3)
    assert first is not None and again is not None
    assert np.array_equal(first.xy, again.xy)
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]
    rows, _ = nearest(first.xy, first.xy, k=5)
    assert ((rows < 30) == (np.arange(60) < 30)[:, None]).mean() > 0.95


def test_umap_leaves_the_number_of_threads_as_it_was() -> None:
    before = torch.get_num_threads()
    fit_umap(some_codes(40))
    assert torch.get_num_threads() == before


def test_umap_means_nothing_below_sixteen_codes() -> None:
    assert fit_umap(some_codes(15)) is None


@pytest.mark.parametrize("k", [1, 5, 50])
def test_nearest_is_exact(k: int) -> None:
    codes, queries = some_codes(300), some_codes(17, seed=1)
    rows, distances = nearest(queries, codes, k=k, chunk=4)
    all_distances = np.linalg.norm(queries[:, None].astype(float) - codes[None], axis=2)
    assert np.array_equal(rows, np.argsort(all_distances, axis=1)[:, :k])
    np.testing.assert_allclose(distances, np.sort(all_distances, axis=1)[:, :k], rtol=1e-4)


def test_nearest_gives_no_more_than_there_are() -> None:
    rows, distances = nearest(some_codes(2), some_codes(3), k=10)
    assert rows.shape == distances.shape == (2, 3)


def test_nearest_finds_a_code_itself_at_distance_zero_far_from_the_origin() -> None:
    codes = some_codes(50) + np.float32(1000)
    rows, distances = nearest(codes, codes, k=1)
    assert rows[:, 0].tolist() == list(range(50))
    assert (distances == 0).all()


def test_many_pairs_find_the_same_neighbours_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, seen = some_codes(900, 5) + np.float32(30), list[tuple[int, int]]()
    queries = codes[:40] + np.float32(0.1)
    right = nearest(queries, codes, k=7)
    monkeypatch.setattr("vae_core.latent.neighbours.MANY_PAIRS", 0)
    found = nearest(queries, codes, k=7, chunk=16, progress=lambda *at: seen.append(at))
    assert np.array_equal(found[0], right[0])
    np.testing.assert_allclose(found[1], right[1], rtol=1e-5)
    assert seen == [(16, 40), (32, 40), (40, 40)]
    assert nearest(codes[:3], codes[:2], k=7)[0].shape == (3, 2)


def test_the_map_of_very_many_codes_places_most_between_the_arranged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vae_core.latent.projection.UMAP_MOST_CODES", 100)
    monkeypatch.setattr("vae_core.latent.projection.UMAP_PART", 60)
    monkeypatch.setattr(
        "vae_core.latent.projection._arrange", lambda codes, **_: codes[:, :2].copy()
    )
    codes, told = some_codes(300, 2), list[str]()
    made = fit_umap(codes, report=told.append)
    assert made is not None
    assert "60 of 300 codes" in told[0]
    # With the codes themselves as arrangement every code must land near its own place.
    assert np.median(np.linalg.norm(made.xy - codes, axis=1)) < 0.3
    assert (np.linalg.norm(made.xy - codes, axis=1) == 0).sum() == 60


def test_pca_of_many_codes_is_pca_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = some_codes()
    right = fit_pca(codes)
    monkeypatch.setattr("vae_core.latent.projection.UMAP_MANY_CODES", 10)
    np.testing.assert_allclose(fit_pca(codes).axes, right.axes, atol=1e-5)
