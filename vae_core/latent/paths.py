"""Paths between codes: straight, on the sphere, along the data, and grids between corners.

All return float32 codes, ready to decode; the first and last are the ends given, bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra

from vae_core.errors import ConfigError, DataError
from vae_core.latent.neighbours import nearest
from vae_core.latent.path_graph import PathGraph, checked_points, link_cost, path_graph

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Kind = Literal["straight", "spherical"]
Stop = int | Floats
__all__ = [
    "DataPath", "PathGraph", "along_data", "corner_grid", "path_graph", "resample", "smooth",
    "spherical", "straight", "through",
]  # fmt: skip

# Over this many nearest codes a code from outside may enter the graph.
N_ENTRIES: Final = 5
# Below this sine two directions are one line, and float32 codes no longer name the circle.
LEAST_SINE: Final = 1e-6


@dataclass(frozen=True)
class DataPath:
    """A path along real codes: `frames` float32 `[n,D]`, `rows` int64 `[R]` in passing order.

    The rows include the ends where those are rows of the set; `cost` is the sum of the links'.
    """

    frames: Floats
    rows: Ints
    cost: float


def straight(a: Floats, b: Floats, n: int) -> Floats:
    """n codes on the line from `a` to `b` `[D]`, evenly spaced: `[n,D]`.

    `ConfigError` for n < 2, `DataError` for unlike dimensions, NaN or infinity.
    """
    _check_frames(n)
    first, last = checked_points([a, b], least=2).astype(np.float64)
    share = np.linspace(0, 1, n)[:, None]
    return _exact_ends((1 - share) * first + share * last, a, b)


def spherical(a: Floats, b: Floats, n: int) -> Floats:
    """n codes from `a` to `b` `[D]` around the origin: `[n,D]`; errors as `straight`.

    The direction moves along the great circle at constant speed and the norm goes linearly
    from ‖a‖ to ‖b‖, so no frame is nearer to the origin than the nearer end. A zero vector
    takes the other's direction; of the circles through opposite vectors one is chosen, always
    the same; in one dimension, which has no circle, opposite ends are joined straight.
    Source: Shoemake 1985 for unit vectors; White 2016 (arXiv:1609.04468).
    """
    _check_frames(n)
    first, last = checked_points([a, b], least=2).astype(np.float64)
    norms = np.linalg.norm(first), np.linalg.norm(last)
    if min(norms) == 0 or (len(first) == 1 and first[0] * last[0] < 0):
        return straight(a, b, n)
    start, side, angle = _circle(first / norms[0], last / norms[1])
    turn = np.linspace(0, 1, n)[:, None]
    direction = np.cos(turn * angle) * start + np.sin(turn * angle) * side
    return _exact_ends(((1 - turn) * norms[0] + turn * norms[1]) * direction, a, b)


def _circle(start: Doubles, end: Doubles) -> tuple[Doubles, Doubles, float]:
    """Unit `start`, the unit vector at right angles that leads to `end`, and the angle."""
    cosine = float(start @ end)
    side = end - cosine * start
    sine = float(np.linalg.norm(side))
    if sine < LEAST_SINE:
        # Equal directions need no side at all, opposite ones any: the axis least used so far.
        side = np.eye(len(start))[np.abs(start).argmin()]
        side = side - (side @ start) * start
    length = float(np.linalg.norm(side))
    return start, side / (length or 1.0), float(np.arctan2(sine, cosine))


def through(points: Floats | Sequence[Floats], n: int, kind: Kind = "straight") -> Floats:
    """n codes through waypoints `[W,D]` in turn: `[n,D]`, each waypoint one of them exactly.

    Legs get equally many frames, give or take one, whatever their length. `ConfigError` for
    fewer frames than waypoints or an unknown kind; `DataError` for fewer than 2 waypoints,
    unlike dimensions, NaN or infinity.
    """
    join = _join(kind)
    points = checked_points(points, least=2)
    legs = zip(pairwise(points), _leg_sizes(len(points), n), strict=True)
    return _chain([join(a, b, size) for (a, b), size in legs])


def corner_grid(
    corners: Floats | Sequence[Floats], n_rows: int, n_columns: int, *, kind: Kind = "straight"
) -> Floats:
    """Codes between four corners `[4,D]`, row by row: `[n_rows·n_columns,D]`.

    Corners stand top left, top right, bottom left, bottom right. The left and right edges are
    walked first, then each row from edge to edge: for straight that is bilinear. Errors as
    `through`, and `DataError` for another number of corners.
    """
    join = _join(kind)
    corners = checked_points(corners, least=4)
    if len(corners) != 4:
        raise DataError(f"{len(corners)} corners came, a grid has 4; leave the others out.")
    left, right = join(corners[0], corners[2], n_rows), join(corners[1], corners[3], n_rows)
    return np.concatenate([join(a, b, n_columns) for a, b in zip(left, right, strict=True)])


def resample(points: Floats, n: int) -> Floats:
    """n codes evenly by arc length along the polyline through `points` `[P,D]`: `[n,D]`.

    Even along the line, so that frames on both sides of a bend are a little nearer to each
    other. Errors as `through`; a single point is repeated.
    """
    _check_frames(n)
    # Points that repeat have no length, and `interp` wants places that rise.
    knots = _without_repeats(checked_points(points, least=1))
    steps = np.linalg.norm(np.diff(knots.astype(np.float64), axis=0), axis=1)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, place[-1], n)
    frames = np.stack([np.interp(wanted, place, column) for column in knots.T], 1)
    return _exact_ends(frames, knots[0], knots[-1])


def smooth(points: Floats, n_rounds: int = 1) -> Floats:
    """Cut the corners of a polyline `[P,D]`, ends kept: `[P',D]`; 0 rounds cut none.

    Each round puts points at ¼ and ¾ of every piece. Source: Chaikin 1974.
    """
    # Corners at a repeated point are none.
    points = _without_repeats(checked_points(points, least=1))
    for _ in range(n_rounds if len(points) > 2 else 0):
        a, b = points[:-1], points[1:]
        cut = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], 1).reshape(-1, points.shape[1])
        points = np.concatenate([points[:1], cut[1:-1], points[-1:]]).astype(np.float32)
    return points


def along_data(
    codes: Floats, stops: Sequence[Stop], *, graph: PathGraph, n: int, n_smooth: int = 1
) -> DataPath:
    """n codes from stop to stop along the cheapest links between real codes `[N,D]`.

    A stop is a row of `codes` or a code `[D]` of its own, an uploaded picture's for example:
    that one is joined to the graph over its nearest codes, as is a row that the graph leaves
    out. `graph` is `path_graph(codes)`.
    The polyline through the codes of each leg has its corners cut `n_smooth` times (0: not at
    all) and is walked evenly by arc length; stops are hit exactly. `ConfigError` for fewer
    frames than stops; `DataError` for fewer than 2 stops, unlike dimensions, NaN, a row that
    does not exist, or a graph of other codes.
    """
    codes = checked_points(codes, least=1)
    if graph.n_codes != len(codes):
        raise DataError(
            f"A graph of {graph.n_codes} codes came with {len(codes)} codes, expected as "
            "many; make the graph from these codes."
        )
    if len(stops) < 2:
        raise DataError(f"{len(stops)} stop(s) came, a path has 2 or more; add another.")
    sizes = _leg_sizes(len(stops), n)
    nodes = codes if len(graph.rows) == len(codes) else codes[graph.rows]
    entries = [_entry(nodes, _at_node(codes, stop, graph)) for stop in stops]
    legs = [_leg(nodes, a, b, graph) for a, b in pairwise(entries)]
    lines = [smooth(leg.frames, n_smooth) for leg in legs]
    frames = [resample(line, size) for line, size in zip(lines, sizes, strict=True)]
    rows = np.concatenate([leg.rows for leg in legs])
    # The last row of one leg is the first of the next where the stop is a row.
    fresh = np.append(True, rows[1:] != rows[:-1])[: len(rows)]
    return DataPath(_chain(frames), graph.rows[rows[fresh]], sum(leg.cost for leg in legs))


@dataclass(frozen=True)
class _Entry:
    """A stop: its code `[D]`, the rows `[E]` it joins the graph at, and how far they are."""

    code: Floats
    rows: Ints
    lengths: Doubles
    is_row: bool


def _at_node(codes: Floats, stop: Stop, graph: PathGraph) -> Stop:
    """A row of the codes as the node it is in the graph, or as its code if it is none."""
    if not isinstance(stop, int | np.integer):
        return stop
    if not 0 <= stop < len(codes):
        raise DataError(
            f"Row {stop} was asked for, expected 0 to {len(codes) - 1}; choose another stop."
        )
    node = int(np.searchsorted(graph.rows, stop))
    is_node = node < len(graph.rows) and graph.rows[node] == stop
    return node if is_node else codes[stop]


def _entry(nodes: Floats, stop: Stop) -> _Entry:
    if isinstance(stop, int | np.integer):
        return _Entry(nodes[stop], np.array([stop]), np.zeros(1), is_row=True)
    code = checked_points([stop, nodes[0]], least=2)[0]
    rows, lengths = nearest(code[None], nodes, k=N_ENTRIES)
    return _Entry(code, rows[0], lengths[0].astype(np.float64), is_row=False)


def _leg(codes: Floats, a: _Entry, b: _Entry, graph: PathGraph) -> DataPath:
    """From stop to stop; the frames are still the bare polyline `[K,D]`."""
    costs, before = dijkstra(graph.costs, indices=a.rows, return_predecessors=True)
    to_enter, to_leave = (link_cost(e.lengths, graph) * (not e.is_row) for e in (a, b))
    total = to_enter[:, None] + costs[:, b.rows] + to_leave
    first, last = np.unravel_index(total.argmin(), total.shape)
    gap = np.linalg.norm(a.code.astype(np.float64) - b.code)
    if not a.is_row and not b.is_row and gap <= max(a.lengths.max(), b.lengths.max()):
        # Two codes from outside that are neighbours themselves: linked as all neighbours are.
        direct = float(link_cost(np.asarray(gap), graph))
        if direct <= total[first, last]:
            return DataPath(np.stack([a.code, b.code]), np.empty(0, np.int64), direct)
    rows = [int(b.rows[last])]
    while rows[-1] != a.rows[first]:
        rows.append(int(before[first, rows[-1]]))
    passed = np.array(rows[::-1], np.int64)
    knots = np.concatenate([a.code[None], codes[passed], b.code[None]])
    return DataPath(knots, passed, float(total[first, last]))


def _join(kind: str) -> Callable[[Floats, Floats, int], Floats]:
    joins = {"straight": straight, "spherical": spherical}
    if kind not in joins:
        raise ConfigError(f"Path kind '{kind}' is unknown; choose one of {', '.join(joins)}.")
    return joins[kind]


def _leg_sizes(n_stops: int, n: int) -> list[int]:
    """Frames of each leg, both its ends included, so that n are left once shared ends merge."""
    _check_frames(n, n_stops)
    places = [round(i * (n - 1) / (n_stops - 1)) for i in range(n_stops)]
    return [b - a + 1 for a, b in pairwise(places)]


def _chain(legs: Sequence[Floats]) -> Floats:
    return np.concatenate([legs[0], *(leg[1:] for leg in legs[1:])])


def _exact_ends(frames: Doubles, a: Floats, b: Floats) -> Floats:
    """Frames as float32 with the ends put back, which sines and sums may miss by a bit."""
    exact = frames.astype(np.float32)
    exact[0], exact[-1] = a, b
    return exact


def _without_repeats(points: Floats) -> Floats:
    """Points `[P,D]` less those that equal the one before."""
    is_new: NDArray[np.bool_] = np.append(True, (points[1:] != points[:-1]).any(1))
    return points[is_new]


def _check_frames(n: int, n_stops: int = 2) -> None:
    if n < n_stops:
        raise ConfigError(
            f"{n} frame(s) were asked for through {n_stops} waypoints, expected {n_stops} or more; "
            "ask for more frames."
        )
