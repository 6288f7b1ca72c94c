"""Which real codes are neighbours, and what it costs to go from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from vae_core.errors import ConfigError, DataError
from vae_core.latent.neighbours import nearest

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

# Added to every cost: equal codes stay linked (sparse zeros mean "no link") and hops count.
LEAST_COST: Final = 1e-9


@dataclass(frozen=True)
class PathGraph:
    """Which codes are linked and what each link costs; made by `path_graph`.

    `costs` sparse float64 `[R,R]`, symmetric: (d/unit)^power; `unit` the median length of
    the nearest-neighbour links; `n_bridges` links that were added to join separate parts;
    `rows` int64 `[R]` of the `n_codes` codes are its nodes, rising.
    """

    costs: sparse.csr_matrix
    unit: float
    power: float
    n_bridges: int
    rows: Ints
    n_codes: int


def path_graph(
    codes: Floats, k: int = 10, *, power: float = 2.0, rows: Ints | None = None
) -> PathGraph:
    """Link each of the codes `[N,D]` with its k nearest; a link of length d costs d^power.

    With a power above 1 many short hops through dense regions are cheaper than few long ones,
    and the cheapest path approaches a geodesic of a metric that shrinks with the density.
    Parts that no link joins get the shortest link to another part until one is left.
    With `rows` (rising) only those codes are linked: a part of a set too large for all.
    `DataError` for no codes or numbers that are not finite, `ConfigError` for k < 1 or
    power < 1. Source: Groisman et al. 2018 (arXiv:1810.09398).
    """
    codes = checked_points(codes, least=1)
    if k < 1 or power < 1:
        raise ConfigError(
            f"k = {k} and power = {power:g} were asked for, expected 1 or more of both; "
            "leave the defaults."
        )
    rows, n_codes = np.arange(len(codes)) if rows is None else rows, len(codes)
    codes = codes[rows] if len(rows) < n_codes else codes
    links = _neighbour_links(codes, min(k, len(codes) - 1))
    unit = float(np.median(links.data[links.data > 0])) if links.data.any() else 1.0
    bare = PathGraph(sparse.csr_matrix(links.shape), unit, power, 0, rows, n_codes)
    graph = _with_links(bare, links)
    while (parts := connected_components(graph.costs, directed=False))[0] > 1:
        bridges = _shortest_bridges(codes, parts[1])
        graph = replace(_with_links(graph, bridges), n_bridges=graph.n_bridges + bridges.nnz)
    return graph


def _neighbour_links(codes: Floats, k: int) -> sparse.coo_matrix:
    """Lengths `[N,N]` of the links from each code to its k nearest others."""
    found, distances = nearest(codes, codes, k=k + 1)
    own = np.arange(len(codes))[:, None]
    others = found != own
    # The code itself is usually its nearest, but not among duplicates: drop the last instead.
    others[others.all(1), -1] = False
    places = np.repeat(own[:, 0], k), found[others]
    return sparse.coo_matrix((distances[others].astype(np.float64), places), (len(codes),) * 2)


def _shortest_bridges(codes: Floats, part: Ints) -> sparse.coo_matrix:
    """For each part but the largest its shortest link to any other (Borůvka 1926)."""
    links = []
    for name in np.delete(np.unique(part), np.bincount(part).argmax()):
        own, others = np.flatnonzero(part == name), np.flatnonzero(part != name)
        found, distances = nearest(codes[own], codes[others], k=1)
        best = int(distances[:, 0].argmin())
        links.append((own[best], others[found[best, 0]], float(distances[best, 0])))
    rows, columns, lengths = zip(*links, strict=True)
    return sparse.coo_matrix((lengths, (rows, columns)), (len(codes),) * 2)


def link_cost(lengths: Doubles, graph: PathGraph) -> Doubles:
    """What links of these lengths cost in a graph: (d/unit)^power, never 0."""
    costs: Doubles = (lengths / graph.unit) ** graph.power + LEAST_COST
    return costs


def _with_links(graph: PathGraph, links: sparse.coo_matrix) -> PathGraph:
    """The graph with links of these lengths as well, both ways at the same cost."""
    entries = (link_cost(links.data, graph), (links.row, links.col))
    one_way = sparse.csr_matrix(entries, links.shape)
    return replace(graph, costs=graph.costs.maximum(one_way).maximum(one_way.T).tocsr())


def checked_points(points: Floats | Sequence[Floats], *, least: int) -> Floats:
    """Codes as float32 `[P,D]`, or `DataError`: too few, of unlike dimensions, not finite."""
    shapes = [points.shape[1:]] if isinstance(points, np.ndarray) else [*map(np.shape, points)]
    if len(points) < least or len(set(shapes)) != 1 or len(shapes[0]) != 1 or 0 in shapes[0]:
        each = ", ".join(sorted({str(shape) for shape in shapes}))
        raise DataError(
            f"{len(points)} code(s) of shape {each or 'unknown'} came, expected {least} or more, "
            "all of the same [D]; give one code per waypoint, all of one model."
        )
    codes = np.asarray(points, np.float32)
    if not np.isfinite(codes).all():
        raise DataError(
            "The codes hold NaN or infinity, expected finite numbers; leave those codes out."
        )
    return codes
