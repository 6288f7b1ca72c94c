"""Few labels: what they say of the rest, what to label next, and how good that is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from vae_core.apply.label_accuracy import accuracy_of, compare, feature_graphs, truth_in
from vae_core.apply.labelling import (
    Labelling,
    Propagated,
    classify,
    give_name,
    propagate,
    suggest_next,
    take_names,
    typicality,
)
from vae_core.errors import DataError
from vae_core.latent.spreading import neighbour_graph

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def two_moons(n: int = 240, *, seed: int = 0) -> tuple[Floats, Ints]:
    """Two half circles that reach into each other: no straight line parts them."""
    random = np.random.default_rng(seed)
    lower = np.arange(n) % 2
    angle = random.uniform(0, np.pi, n)
    x = np.where(lower, 1 - np.cos(angle), np.cos(angle))
    y = np.where(lower, 0.4 - np.sin(angle), np.sin(angle))
    codes = np.stack([x, y], 1) + 0.04 * random.standard_normal((n, 2))
    return codes.astype(np.float32), lower.astype(np.int64)


def blobs(n: int = 200, *, n_classes: int = 4) -> tuple[Floats, Ints]:
    """Well apart round clouds in three dimensions."""
    random = np.random.default_rng(1)
    labels = np.arange(n) % n_classes
    centres = (
        8 * np.eye(max(3, n_classes))[:n_classes, :3] + 4 * (np.arange(n_classes) > 2)[:, None]
    )
    return (centres[labels] + random.standard_normal((n, 3))).astype(np.float32), labels


def told(labels: Ints, rows: list[int]) -> Labelling:
    found = Labelling()
    for row in rows:
        found = give_name(found, "ab"[labels[row]], rows=np.array([row]))
    return found


def truth_for(labelling: Labelling, labels: Ints) -> Ints:
    truth = truth_in(labelling, labels, ("a", "b"))
    assert truth is not None
    return truth


# ---- what labels say of the rest -----------------------------------------------------------------
def test_a_label_in_each_moon_names_both() -> None:
    codes, labels = two_moons()
    few = told(labels, [0, 1])
    found = propagate(neighbour_graph(codes), few)
    assert accuracy_of(found, few, truth_for(few, labels)).accuracy > 0.97
    np.testing.assert_allclose(found.chances.sum(1), 1, rtol=1e-5)


def test_codes_in_another_order_than_the_images_teach_nothing() -> None:
    codes, labels = two_moons()
    shuffled = np.random.default_rng(3).permutation(codes)
    few = told(labels, list(range(20)))
    found = propagate(neighbour_graph(shuffled), few)
    assert 0.35 < accuracy_of(found, few, truth_for(few, labels)).accuracy < 0.65


def test_a_line_parts_blobs_and_does_worse_on_moons_than_the_graph() -> None:
    codes, labels = blobs(n_classes=2)
    few = told(labels, [0, 1, 2, 3])
    assert accuracy_of(classify(codes, few), few, truth_for(few, labels)).accuracy > 0.97
    codes, labels = two_moons()
    few = told(labels, [0, 1, 2, 3])
    line, graph = classify(codes, few), propagate(neighbour_graph(codes), few)
    truth = truth_for(few, labels)
    assert accuracy_of(line, few, truth).accuracy < accuracy_of(graph, few, truth).accuracy


READERS: dict[str, Callable[[Floats, Labelling], Propagated]] = {
    "graph": lambda codes, few: propagate(neighbour_graph(codes), few),
    "line": classify,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_given_labels_stand_whatever_the_neighbours_say(
    read: Callable[[Floats, Labelling], Propagated],
) -> None:
    codes, labels = blobs(n_classes=2)
    few = give_name(told(labels, list(range(20))), "b", rows=np.array([0]))
    found = read(codes, few)
    assert found.predicted[0] == few.names.index("b")
    assert found.uncertainty[few.rows].max() == 0
    assert found.predicted[20] == found.predicted[40] == few.names.index("a")


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
@pytest.mark.parametrize(
    ("rows", "text"), [([], "no label"), ([0, 2], r"labels of one class \('a'\)")]
)
def test_fewer_than_two_classes_are_refused(
    read: Callable[[Floats, Labelling], Propagated], rows: list[int], text: str
) -> None:
    codes, labels = blobs(n_classes=2)
    with pytest.raises(DataError, match=f"{text}, expected two classes or more"):
        read(codes, told(labels, rows))


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_a_class_whose_labels_were_given_away_is_never_predicted(
    read: Callable[[Floats, Labelling], Propagated],
) -> None:
    codes, labels = blobs(n_classes=2)
    few = Labelling(("gone", "a", "lost", "b", "late"), {0: 1, 2: 1, 1: 3, 3: 3})
    found = read(codes, few)
    assert found.chances.shape == (200, 5)
    assert set(found.predicted.tolist()) == {1, 3}
    assert found.predicted[labels == 0].tolist() == [1] * 100


def test_between_two_classes_it_is_less_sure_than_within_one() -> None:
    random = np.random.default_rng(0)
    codes = np.sort(random.uniform(0, 1, (100, 1)), axis=0).astype(np.float32)
    few = Labelling(("left", "right"), {0: 0, 99: 1})
    unsure = propagate(neighbour_graph(codes, k=4), few).uncertainty
    assert unsure[1:5].max() < unsure[40:60].max()
    assert (unsure >= 0).all() and (unsure <= 1).all()


def test_labels_of_other_codes_are_refused() -> None:
    codes = blobs(n_classes=2)[0]
    with pytest.raises(DataError, match="Labels for rows 0 to 500 came with 200 codes"):
        classify(codes, Labelling(("a", "b"), {0: 0, 500: 1}))


# ---- names ---------------------------------------------------------------------------------------
def test_a_new_name_replaces_the_old_one_of_a_row() -> None:
    few = give_name(Labelling(), " a\n cat ", rows=np.array([3, 4]))
    few = give_name(few, "dog", rows=np.array([4]))
    assert few.names == ("a cat", "dog")
    assert few.given == {3: 0, 4: 1}
    assert few.counts() == (1, 1)


def test_a_class_without_points_is_forgotten() -> None:
    few = Labelling(("a", "b", "c"), {1: 0, 2: 1, 3: 2})
    fewer = take_names(few, rows=np.array([1]))
    assert fewer.names == ("b", "c")
    assert fewer.given == {2: 0, 3: 1}


@pytest.mark.parametrize(
    ("name", "rows", "text"),
    [(" ", [1], "0 characters"), ("x" * 61, [1], "61 characters"), ("a", [], "No point came")],
)
def test_names_that_cannot_be_are_refused(name: str, rows: list[int], text: str) -> None:
    with pytest.raises(DataError, match=text):
        give_name(Labelling(), name, rows=np.array(rows, np.int64))


def test_more_classes_than_colours_are_refused() -> None:
    full = Labelling(tuple(map(str, range(255))), {row: row for row in range(255)})
    assert give_name(full, "7", rows=np.array([300])).given[300] == 7
    with pytest.raises(DataError, match="'new' would be class 256, 255 at most"):
        give_name(full, "new", rows=np.array([300]))


# ---- what to label next --------------------------------------------------------------------------
def test_suggestions_are_new_rows_until_none_is_left() -> None:
    codes, labels = two_moons(40)
    few, seen = Labelling(), list[int]()
    graph, typical = neighbour_graph(codes, k=5), typicality(codes)
    for _ in range(12):
        found = propagate(graph, few) if len(set(few.given.values())) > 1 else None
        rows = suggest_next(codes, few, n=4, propagated=found, typical=typical).tolist()
        assert not set(rows) & set(seen) and len(set(rows)) == len(rows)
        seen += rows
        few = told(labels, seen)
    assert sorted(seen) == list(range(40))
    assert suggest_next(codes, few, n=4).tolist() == []


def test_first_suggestions_are_of_every_cloud() -> None:
    codes, labels = blobs()
    rows = suggest_next(codes, Labelling(), n=4, typical=typicality(codes))
    assert sorted(labels[rows]) == [0, 1, 2, 3]


def test_suggestions_come_from_where_nothing_is_known() -> None:
    codes, labels = blobs()
    few = Labelling(("a", "b"), {0: 0, 1: 1})
    chances = np.zeros((200, 2), np.float32)
    chances[np.arange(200), labels % 2] = 1
    chances[labels == 3] = 0.5
    rows = suggest_next(codes, few, n=3, propagated=Propagated(chances))
    assert labels[rows].tolist() == [3, 3, 3]


def test_a_dense_cloud_is_no_more_typical_than_a_wide_one() -> None:
    random = np.random.default_rng(0)
    codes = random.standard_normal((400, 3)).astype(np.float32)
    codes[:200] = codes[:200] * 0.1 + 30
    typical = typicality(codes)
    assert typical[:200].mean() == pytest.approx(typical[200:].mean(), rel=0.05)
    middle = np.linalg.norm(codes[200:], axis=1) < 1
    assert typical[200:][middle].mean() > 1 > typical[200:][~middle].mean()


def test_duplicates_are_suggested_once() -> None:
    codes = np.repeat(two_moons(6)[0], 5, axis=0)
    rows = suggest_next(codes, Labelling(), n=20)
    assert len(rows) == len(np.unique(codes[rows], axis=0)) == 6


# ---- how good it is ------------------------------------------------------------------------------
def test_good_features_beat_bad_ones_at_the_same_labels() -> None:
    codes, labels = two_moons()
    noise = np.random.default_rng(0).standard_normal((240, 3)).astype(np.float32)
    graphs = {"good": neighbour_graph(codes), "noise": neighbour_graph(noise)}
    few = told(labels, list(range(20)))
    for truth in (truth_for(few, labels), None):
        good, bad = compare(graphs, few, truth=truth)
        assert good.accuracy > 0.9 > bad.accuracy
        assert (good.judged_by, good.n_judged) == (
            ("given", 20) if truth is None else ("truth", 220)
        )


def test_codes_pca_and_pixels_are_compared_on_the_same_images() -> None:
    codes = two_moons(40)[0]
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 4, 4), dtype=np.uint8)
    graphs = feature_graphs(codes, images)
    assert list(graphs) == ["codes", "pca-2", "pixels"]
    assert {graph.shape for graph in graphs.values()} == {(40, 40)}
    assert list(feature_graphs(codes)) == ["codes"]


def test_true_names_that_nobody_gave_count_as_wrong() -> None:
    few = Labelling((" Cat", "dog"), {0: 0, 1: 1})
    truth = truth_in(few, np.array([0, 1, 1, 2, -1]), ("cat", "DOG", "cow"))
    assert truth is not None and truth.tolist() == [0, 1, 1, -2, -1]
    certain = np.eye(2, dtype=np.float32)[[0, 1, 1, 0, 0]]
    found = accuracy_of(Propagated(certain), few, truth)
    assert (found.accuracy, found.n_judged) == (0.5, 2)


def test_own_names_have_no_truth() -> None:
    assert truth_in(Labelling(("round",), {0: 0}), np.array([0]), ("0", "1")) is None


def test_labels_judge_themselves_only_when_there_are_enough() -> None:
    codes, labels = two_moons()
    with pytest.raises(DataError, match="1 classes have two labels or more"):
        compare({"codes": neighbour_graph(codes)}, told(labels, [0, 2, 1]))


def test_accuracy_over_no_row_is_refused() -> None:
    few = Labelling(("a", "b"), {0: 0, 1: 1})
    with pytest.raises(DataError, match="None of 2 rows is unlabelled"):
        accuracy_of(Propagated(np.eye(2, dtype=np.float32)), few, np.array([0, 1]))
