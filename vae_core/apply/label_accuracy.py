"""How good labels from a few are: against the truth, and beside PCA and raw pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from vae_core.apply.labelling import Floats, Ints, Labelling, Propagated, propagate
from vae_core.errors import DataError
from vae_core.evaluate.features import feature_sets
from vae_core.latent.spreading import neighbour_graph

N_FOLDS: Final = 5


@dataclass(frozen=True)
class Comparison:
    """Accuracy in [0,1] of one kind of features over `n_judged` rows.

    `judged_by` "truth": unlabelled rows against known labels; "given": labelled rows, each
    predicted from the labels of the other folds.
    """

    features: str
    accuracy: float
    n_judged: int
    judged_by: Literal["truth", "given"]


def feature_graphs(
    codes: Floats, images: NDArray[np.uint8] | None = None, *, seed: int = 0
) -> dict[str, sparse.csr_matrix]:
    """Neighbour graphs of codes `[N,D]` and, with their images `[N,C,H,W]`, of PCA and pixels.

    PCA has as many dimensions and is fitted on these images, which no label is needed for.
    """
    sets = {"codes": codes}
    if images is not None:
        sets = feature_sets(codes, images, train=np.arange(len(codes)), seed=seed)
    return {name: neighbour_graph(features) for name, features in sets.items()}


def compare(
    graphs: Mapping[str, sparse.csr_matrix],
    labelling: Labelling,
    *,
    truth: Ints | None = None,
    seed: int = 0,
) -> tuple[Comparison, ...]:
    """The same labels spread over each of `feature_graphs`, and how often that is right.

    `truth` `[N]` is what `truth_in` gives; without it the given labels judge themselves in five
    folds, for which two classes need two labels each. `DataError` for fewer.
    """
    if truth is not None:
        return tuple(
            accuracy_of(propagate(graph, labelling), labelling, truth, features=name)
            for name, graph in graphs.items()
        )
    folds = _folds(labelling, seed=seed)
    return tuple(
        _by_folds(graph, labelling, folds, features=name) for name, graph in graphs.items()
    )


def accuracy_of(
    propagated: Propagated, labelling: Labelling, truth: Ints, *, features: str = "codes"
) -> Comparison:
    """How many unlabelled rows of known truth are predicted right.

    `DataError` when there are none.
    """
    judged = (labelling.kinds(len(truth)) < 0) & (truth != -1)
    if not judged.any():
        raise DataError(
            f"None of {len(truth)} rows is unlabelled with a known truth, expected one or more; "
            "label fewer rows."
        )
    right = float((propagated.predicted == truth)[judged].mean())
    return Comparison(features, right, int(judged.sum()), "truth")


def truth_in(labelling: Labelling, labels: Ints, label_names: Sequence[str]) -> Ints | None:
    """True labels `[N]` as places in the labelling's own names; None unless all names are theirs.

    −1 stays unknown; a true class that nobody has named yet becomes −2, which no prediction
    ever is: such a row counts as wrong.
    """
    places = {_plain(name): place for place, name in enumerate(labelling.names)}
    known = {_plain(name) for name in label_names}
    if not places or not places.keys() <= known:
        return None
    table = np.array([places.get(_plain(name), -2) for name in label_names], np.int64)
    inside = (labels >= 0) & (labels < len(table))
    return np.where(inside, table[np.where(inside, labels, 0)], -1)


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


def _folds(labelling: Labelling, *, seed: int) -> dict[int, int]:
    """Fold of each row of classes with two labels or more, every class spread evenly."""
    random, fold = np.random.default_rng(seed), dict[int, int]()
    common = [kind for kind, count in enumerate(labelling.counts()) if count >= 2]
    if len(common) < 2:
        raise DataError(
            f"{len(common)} classes have two labels or more, expected 2 at least to test "
            "predictions on; name more points."
        )
    for kind in common:
        rows = random.permutation([row for row, k in labelling.given.items() if k == kind])
        start = int(random.integers(N_FOLDS))
        fold |= {int(row): (start + place) % N_FOLDS for place, row in enumerate(rows)}
    return fold


def _by_folds(
    graph: sparse.csr_matrix, labelling: Labelling, folds: Mapping[int, int], *, features: str
) -> Comparison:
    right = 0
    for number in sorted(set(folds.values())):
        asked = [row for row, fold in folds.items() if fold == number]
        rest = {row: kind for row, kind in labelling.given.items() if row not in asked}
        found = propagate(graph, Labelling(labelling.names, rest)).predicted
        right += sum(found[row] == labelling.given[row] for row in asked)
    return Comparison(features, right / len(folds), len(folds), "given")
