"""Labels spread along the graph of codes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vae_core.errors import DataError
from vae_core.latent.spreading import neighbour_graph, spread_labels


def two_rings(n: int = 200) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Two rings, one inside the other: no straight line parts them."""
    random = np.random.default_rng(0)
    inside = np.arange(n) % 2
    angle = random.uniform(0, 2 * np.pi, n)
    radius = 1.0 + 2 * (1 - inside) + 0.05 * random.standard_normal(n)
    codes = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return codes.astype(np.float32), inside.astype(np.int64)


def only(labels: NDArray[np.int64], rows: list[int]) -> NDArray[np.int64]:
    known = np.full_like(labels, -1)
    known[rows] = labels[rows]
    return known


def test_two_labels_are_enough_for_two_rings() -> None:
    codes, labels = two_rings()
    chances = spread_labels(neighbour_graph(codes, k=8), only(labels, [0, 1]))
    assert (chances.argmax(1) == labels).mean() > 0.97
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-5)


def test_labels_that_mean_nothing_teach_nothing() -> None:
    codes, labels = two_rings()
    noise = np.random.default_rng(1).permutation(labels)
    said = spread_labels(neighbour_graph(codes, k=8), only(noise, list(range(100)))).argmax(1)
    assert 0.35 < (said[100:] == noise[100:]).mean() < 0.65


def test_more_labels_of_one_class_do_not_outvote_the_other() -> None:
    codes, labels = two_rings()
    rows = [0, *range(1, 80, 2)]
    said = spread_labels(neighbour_graph(codes, k=8), only(labels, rows)).argmax(1)
    assert (said == labels).mean() > 0.97


def test_the_graph_is_symmetric_without_loops_even_among_duplicates() -> None:
    codes = np.repeat(two_rings(30)[0], 3, axis=0)
    graph = neighbour_graph(codes, k=4)
    assert abs(graph - graph.T).max() == 0
    assert graph.diagonal().max() == 0
    assert np.isfinite(graph.data).all()


def test_parts_no_label_reaches_stay_undecided() -> None:
    codes, labels = two_rings(60)
    far = np.concatenate([codes, codes[:20] + 500])
    known = np.concatenate([only(labels, [0, 1]), np.full(20, -1)])
    chances = spread_labels(neighbour_graph(far, k=5), known)
    np.testing.assert_allclose(chances[60:], 0.5)


def test_one_class_is_refused() -> None:
    codes, labels = two_rings(40)
    with pytest.raises(DataError, match=r"1 class\(es\) came with labels, spreading needs two"):
        spread_labels(neighbour_graph(codes), only(labels, [0]))
