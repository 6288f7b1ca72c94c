"""Paths between codes: ends to the last bit, great circles, and routes along the data."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from vae_core.errors import ConfigError, DataError
from vae_core.latent.paths import (
    along_data,
    corner_grid,
    path_graph,
    resample,
    smooth,
    spherical,
    straight,
    through,
)

Floats = NDArray[np.float32]
JOINS = pytest.mark.parametrize("join", [straight, spherical])


def code(*values: float) -> Floats:
    return np.array(values, np.float32)


def draws(n: int, n_latent: int = 6, *, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((n, n_latent)).astype(np.float32)


def half_ring(n: int = 200) -> Floats:
    """Points on the upper half of the unit circle, row 0 at (1, 0), the last at (−1, 0)."""
    angle = np.linspace(0, np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)


def steps(frames: Floats) -> Floats:
    return np.linalg.norm(np.diff(frames, axis=0), axis=1)


@JOINS
@pytest.mark.parametrize("n", [2, 3, 17])
def test_ends_are_kept_to_the_last_bit(join, n: int) -> None:  # type: ignore[no-untyped-def]
    a, b = draws(2) * np.float32(0.1234567)
    frames = join(a, b, n)
    assert frames.shape == (n, 6)
    assert frames.dtype == np.float32
    assert (frames[0] == a).all()
    assert (frames[-1] == b).all()


def test_straight_is_evenly_spaced_on_the_line() -> None:
    expected = [[0, 4], [1, 3], [2, 2], [3, 1], [4, 0]]
    np.testing.assert_allclose(straight(code(0, 4), code(4, 0), 5), expected, atol=1e-6)


def test_spherical_turns_evenly_while_the_norm_goes_linearly() -> None:
    frames = spherical(code(1, 0), code(0, 3), 5)
    np.testing.assert_allclose(np.linalg.norm(frames, axis=1), [1, 1.5, 2, 2.5, 3], rtol=1e-6)
    angles = np.degrees(np.arctan2(frames[:, 1], frames[:, 0]))
    np.testing.assert_allclose(angles, [0, 22.5, 45, 67.5, 90], atol=1e-4)


def test_spherical_stays_at_the_radius_that_straight_cuts_through() -> None:
    a, b = draws(2, 64)
    least = min(np.linalg.norm(a), np.linalg.norm(b))
    assert np.linalg.norm(spherical(a, b, 9), axis=1).min() >= least * 0.9999
    assert np.linalg.norm(straight(a, b, 9), axis=1).min() < least * 0.9


def test_parallel_codes_are_joined_along_their_ray() -> None:
    frames = spherical(code(1, 2), code(3, 6), 3)
    np.testing.assert_allclose(frames, [[1, 2], [2, 4], [3, 6]], rtol=1e-6)
    same = spherical(code(1, 2), code(1, 2), 3)
    np.testing.assert_allclose(same, [[1, 2]] * 3, rtol=1e-6)


def test_opposite_codes_go_half_around_instead_of_through_the_origin() -> None:
    frames = spherical(code(2, 0, 0), code(-2, 0, 0), 9)
    np.testing.assert_allclose(np.linalg.norm(frames, axis=1), 2, rtol=1e-6)
    np.testing.assert_allclose(steps(frames), 4 * np.sin(np.pi / 16), rtol=1e-5)
    assert (frames == spherical(code(2, 0, 0), code(-2, 0, 0), 9)).all()


@pytest.mark.parametrize(("a", "b"), [((0, 0), (2, 4)), ((2, 4), (0, 0)), ((0, 0), (0, 0))])
def test_a_zero_vector_has_no_direction_of_its_own(
    a: tuple[float, ...], b: tuple[float, ...]
) -> None:
    np.testing.assert_array_equal(spherical(code(*a), code(*b), 5), straight(code(*a), code(*b), 5))


def test_one_dimension_has_no_circle() -> None:
    np.testing.assert_allclose(spherical(code(-1), code(3), 3)[:, 0], [-1, 1, 3])
    np.testing.assert_allclose(spherical(code(1), code(3), 3)[:, 0], [1, 2, 3])


@pytest.mark.parametrize("kind", ["straight", "spherical"])
@pytest.mark.parametrize("n", [4, 5, 8, 31])
def test_every_waypoint_is_a_frame(kind: str, n: int) -> None:
    points = draws(4)
    frames = through(points, n, kind)  # type: ignore[arg-type]
    assert frames.shape == (n, 6)
    places = [np.flatnonzero((frames == point).all(1)) for point in points]
    assert [len(place) for place in places] == [1] * 4
    assert np.ptp(np.diff(np.concatenate(places))) <= 1


def test_a_closed_walk_returns_to_where_it_began() -> None:
    a, b = draws(2)
    frames = through([a, b, a], 7)
    assert (frames[0] == frames[-1]).all()
    assert (frames[3] == b).all()


def test_a_straight_grid_is_bilinear() -> None:
    corners = draws(4)
    grid = corner_grid(corners, 3, 5).reshape(3, 5, 6)
    np.testing.assert_array_equal(grid[[0, 0, -1, -1], [0, -1, 0, -1]], corners)
    np.testing.assert_allclose(grid[1, 2], corners.mean(0), atol=1e-6)
    np.testing.assert_allclose(grid[2], straight(corners[2], corners[3], 5), atol=1e-6)


def test_a_spherical_grid_stays_on_the_sphere() -> None:
    corners = draws(4)
    corners /= np.linalg.norm(corners, axis=1, keepdims=True)
    grid = corner_grid(corners, 4, 4, kind="spherical")
    np.testing.assert_allclose(np.linalg.norm(grid, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(grid[[0, 3, 12, 15]], corners)


def test_resampling_is_even_by_length_not_by_points() -> None:
    crowded = np.stack([code(0, 0.1, 0.1, 0.2, 0.3, 4), np.zeros(6, np.float32)], 1)
    np.testing.assert_allclose(resample(crowded, 5)[:, 0], [0, 1, 2, 3, 4], atol=1e-6)
    np.testing.assert_array_equal(resample(crowded[:1], 3), np.zeros((3, 2)))


def test_smoothing_cuts_corners_and_keeps_ends() -> None:
    corner = np.array([[0, 0], [1, 0], [1, 1]], np.float32)
    once = smooth(corner, 1)
    np.testing.assert_allclose(once, [[0, 0], [0.75, 0], [1, 0.25], [1, 1]])
    assert steps(smooth(corner, 3)).sum() < steps(once).sum() < steps(corner).sum()
    np.testing.assert_array_equal(smooth(corner, 0), corner)


@pytest.mark.parametrize("n_smooth", [0, 1, 3])
def test_along_the_data_follows_the_ring_that_straight_cuts(n_smooth: int) -> None:
    codes = half_ring()
    path = along_data(codes, (0, 199), graph=path_graph(codes, 4), n=15, n_smooth=n_smooth)
    assert np.linalg.norm(path.frames, axis=1).min() > 0.99
    assert np.linalg.norm(straight(codes[0], codes[199], 15), axis=1).min() < 0.01
    assert (np.diff(path.rows) > 0).all()
    assert (path.rows[0], path.rows[-1]) == (0, 199)
    assert np.ptp(steps(path.frames)) < 0.01


def test_many_short_hops_beat_one_long_one() -> None:
    """Four hops of 0.77 around the ring against one of 2 across."""
    codes = half_ring(5)
    short, direct = path_graph(codes, 4), path_graph(codes, 4, power=1)
    np.testing.assert_array_equal(along_data(codes, (0, 4), graph=short, n=5).rows, np.arange(5))
    np.testing.assert_array_equal(along_data(codes, (0, 4), graph=direct, n=5).rows, [0, 4])


def test_parts_are_joined_by_their_shortest_link() -> None:
    parts = [np.array([[x, 0]]) + 0.1 * draws(20, 2, seed=x) for x in (0, 10, 40)]
    codes = np.concatenate(parts).astype(np.float32)
    graph = path_graph(codes, 3)
    assert connected_components(graph.costs)[0] == 1
    gap = min(np.linalg.norm(a - b) for a in codes[20:40] for b in codes[40:])
    assert graph.costs.max() == pytest.approx((gap / graph.unit) ** 2, rel=1e-5)
    assert graph.costs[:20, 40:].nnz == 0


def test_the_graph_is_symmetric_and_whole_among_duplicates() -> None:
    graph = path_graph(np.repeat(draws(10, 2), 5, axis=0), 3)
    assert abs(graph.costs - graph.costs.T).max() == 0
    assert graph.costs.diagonal().max() == 0
    assert connected_components(graph.costs)[0] == 1
    assert connected_components(path_graph(np.ones((8, 3), np.float32), 2).costs)[0] == 1


def test_codes_from_outside_are_joined_to_their_nearest() -> None:
    codes = half_ring()
    ends = code(1.1, 0), code(-1.1, 0)
    path = along_data(codes, ends, graph=path_graph(codes, 4), n=12)
    assert (path.frames[[0, -1]] == np.stack(ends)).all()
    assert path.rows[0] < 5
    assert path.rows[-1] > 194
    assert np.linalg.norm(path.frames, axis=1).min() > 0.99


def test_two_neighbours_from_outside_need_no_detour_over_the_set() -> None:
    codes = half_ring()
    path = along_data(codes, (code(0, 5), code(0.1, 5)), graph=path_graph(codes), n=4)
    assert len(path.rows) == 0
    np.testing.assert_allclose(path.frames, straight(code(0, 5), code(0.1, 5), 4), atol=1e-6)


def test_several_stops_are_passed_in_turn() -> None:
    codes = half_ring()
    path = along_data(codes, (0, 150, code(0, 1.02)), graph=path_graph(codes, 4), n=21)
    assert (path.frames[10] == codes[150]).all()
    assert (path.rows == 150).sum() == 1
    assert path.rows.max() == 150


@pytest.mark.parametrize("codes", [half_ring(3), half_ring(1), np.ones((5, 2), np.float32)])
def test_the_same_stop_twice_stays_there(codes: Floats) -> None:
    path = along_data(codes, (0, 0), graph=path_graph(codes), n=3)
    np.testing.assert_array_equal(path.frames, np.repeat(codes[:1], 3, axis=0))
    np.testing.assert_array_equal(path.rows, [0])


@JOINS
def test_ends_that_cannot_be_joined_are_refused(join) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=r"1 frame\(s\) were asked for"):
        join(code(1, 2), code(3, 4), 1)
    with pytest.raises(DataError, match=r"shape \(2,\), \(3,\) came.*same \[D\]"):
        join(code(1, 2), code(3, 4, 5), 4)
    with pytest.raises(DataError, match="NaN or infinity"):
        join(code(1, np.nan), code(3, 4), 4)


def test_waypoints_that_make_no_walk_are_refused() -> None:
    with pytest.raises(DataError, match=r"1 code\(s\).*expected 2 or more"):
        through(draws(1), 5)
    with pytest.raises(ConfigError, match="through 4 waypoints, expected 4 or more"):
        through(draws(4), 3)
    with pytest.raises(ConfigError, match="'round' is unknown; choose one of straight, spherical"):
        through(draws(2), 3, "round")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="5 corners came, a grid has 4"):
        corner_grid(draws(5), 3, 3)


def test_stops_that_are_none_are_refused() -> None:
    codes, graph = half_ring(9), path_graph(half_ring(9))
    for stops, problem in (
        ((0,), r"1 stop\(s\) came"),
        ((0, 9), "Row 9 was asked for, expected 0 to 8"),
        ((0, code(1, 2, 3)), r"all of the same \[D\]"),
        ((0, code(1, np.inf)), "NaN or infinity"),
    ):
        with pytest.raises(DataError, match=problem):
            along_data(codes, stops, graph=graph, n=4)
    with pytest.raises(DataError, match="A graph of 9 codes came with 3 codes"):
        along_data(codes[:3], (0, 1), graph=graph, n=4)


def test_graphs_of_nothing_are_refused() -> None:
    with pytest.raises(DataError, match=r"0 code\(s\)"):
        path_graph(np.empty((0, 3), np.float32))
    with pytest.raises(ConfigError, match="k = 0"):
        path_graph(half_ring(5), 0)


def test_a_graph_of_a_part_passes_only_its_own_codes_and_hits_every_stop() -> None:
    codes = np.random.default_rng(3).normal(size=(300, 3)).astype(np.float32)
    part = np.arange(0, 300, 3)
    graph = path_graph(codes, rows=part)
    assert graph.costs.shape == (100, 100)
    found = along_data(codes, [3, 100, 297], graph=graph, n=31)
    assert np.isin(found.rows, part).all()
    assert np.array_equal(found.frames[[0, 15, 30]], codes[[3, 100, 297]])
    assert {3, 297} <= set(found.rows.tolist())
    whole = path_graph(codes[part])
    assert abs(whole.costs - graph.costs).max() == 0
    with pytest.raises(DataError, match="Row 300"):
        along_data(codes, [0, 300], graph=graph, n=5)
