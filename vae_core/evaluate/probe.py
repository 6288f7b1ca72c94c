"""Probes: how much of labels and factors a simple reader gets out of codes, PCA and pixels.

Codes are only worth something beside what PCA of as many dimensions and the raw pixels give
to the same reader on the same rows, so every probe takes a mapping of features, as
`features.feature_sets` makes it. Train and test rows are given, never drawn here.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vae_core.data.imageset import Factor
from vae_core.errors import DataError
from vae_core.evaluate.features import Floats, Ints, draw_rows

MAX_TRAIN_ROWS = MAX_TEST_ROWS = 10_000
MAX_ITERATIONS = 100
# Inverse penalties to choose from, and the one where there is nothing to choose by.
ALL_C = (0.001, 0.01, 0.1, 1.0)
DEFAULT_C = 0.1
N_NEIGHBOURS = 5


@dataclass(frozen=True)
class LabelProbe:
    """Held-out accuracies, in [0,1], of readers of one kind of features.

    `linear`: multinomial logistic regression on standardised features with all train rows,
    its inverse penalty `linear_c` chosen on a fifth of them, `linear_converged` within 100
    iterations or not; `neighbours`: majority of the 5 nearest
    train rows, features in their own unit; `few_mean` and `few_std` (n − 1): the linear
    reader on `n_few_labels` labels, equally many per class, over draws that all features
    share, with C = 0.1; None where a class has not enough train rows for that. `chance`:
    always saying the commonest train label. `n_train`, `n_test` count the rows used, a seeded
    draw if more were given.
    """

    features: str
    n_dimensions: int
    linear: float
    linear_c: float
    linear_converged: bool
    neighbours: float
    few_mean: float | None
    few_std: float | None
    n_few_labels: int
    chance: float
    n_train: int
    n_test: int


@dataclass(frozen=True)
class FactorProbe:
    """Held-out linear readout of one factor from one kind of features.

    `score` is R² (ridge regression, may be negative) for a continuous factor, the area under
    the ROC curve for two categories, accuracy for more; None where the rows used hold one
    value only.
    """

    features: str
    factor: str
    measure: Literal["r2", "auroc", "accuracy"]
    score: float | None
    n_train: int
    n_test: int


@dataclass(frozen=True)
class _Rows:
    train: Ints
    test: Ints
    seed: int


def probe_labels(
    features: Mapping[str, Floats],
    labels: Ints,
    *,
    train: Ints,
    test: Ints,
    n_few_labels: int = 100,
    n_draws: int = 5,
    seed: int = 0,
) -> tuple[LabelProbe, ...]:
    """Read labels `[N]` out of each of the features `[N,·]`; one result per kind, in order.

    At most 10,000 train and 10,000 test rows are used. Features are standardised by all
    train rows, which need no labels for that. `DataError` for rows that overlap or do not
    exist, features that are not finite, or a single class among the train rows.
    """
    rows = _rows(features, len(labels), train, test, seed=seed)
    classes, counts = np.unique(labels[rows.train], return_counts=True)
    if len(classes) < 2:
        raise DataError(
            f"The {len(rows.train)} train rows hold {len(classes)} class, expected two or more; "
            "give labels that differ."
        )
    draws = _balanced_draws(labels, rows.train, n_few_labels, n_draws, seed=seed)
    commonest = float((labels[rows.test] == classes[counts.argmax()]).mean())
    return tuple(
        _probe_one(name, x, labels, rows, draws, n_few=n_few_labels, chance=commonest)
        for name, x in features.items()
    )


def _probe_one(
    name: str,
    x: Floats,
    labels: Ints,
    rows: _Rows,
    draws: list[Ints],
    *,
    n_few: int,
    chance: float,
) -> LabelProbe:
    scaled = _standardise(x, rows)
    c = _choose_c(scaled[rows.train], labels[rows.train], seed=rows.seed)
    reader = fit_logistic(scaled[rows.train], labels[rows.train], c=c)
    few = [_accuracy(fit_logistic(scaled[d], labels[d]), scaled, labels, rows) for d in draws]
    return LabelProbe(
        features=name,
        n_dimensions=x.shape[1],
        linear=_accuracy(reader, scaled, labels, rows),
        linear_c=c,
        linear_converged=bool(np.max(reader.n_iter_) < MAX_ITERATIONS),
        neighbours=_neighbour_accuracy(x, labels, rows),
        few_mean=float(np.mean(few)) if few else None,
        few_std=float(np.std(few, ddof=1)) if len(few) > 1 else None,
        n_few_labels=n_few,
        chance=chance,
        n_train=len(rows.train),
        n_test=len(rows.test),
    )


def probe_factors(
    features: Mapping[str, Floats],
    factors: Mapping[str, Factor],
    *,
    train: Ints,
    test: Ints,
    seed: int = 0,
) -> tuple[FactorProbe, ...]:
    """Read every factor out of each of the features `[N,·]` by a linear model.

    Ridge regression chooses its penalty on the train rows (0.01 to 10,000), the linear
    classifier is that of `probe_labels`; rows and errors are as there.
    """
    n = {len(factor.values) for factor in factors.values()} or {len(x) for x in features.values()}
    rows = _rows(features, max(n), train, test, seed=seed)
    found = []
    for name, x in features.items():
        scaled = _standardise(x, rows)
        found += [_read_factor(scaled, f, rows, (name, key)) for key, f in factors.items()]
    return tuple(found)


def _read_factor(x: Floats, factor: Factor, rows: _Rows, names: tuple[str, str]) -> FactorProbe:
    train, test = factor.values[rows.train], factor.values[rows.test]
    measure: Literal["r2", "auroc", "accuracy"] = "r2"
    if factor.categories:
        measure = "auroc" if len(factor.categories) == 2 else "accuracy"
    score = None
    if np.ptp(train) > 0 and np.ptp(test) > 0:
        score = _readout(x, factor.values, rows, measure)
    return FactorProbe(*names, measure, score, len(train), len(test))


def _readout(features: Floats, values: Floats, rows: _Rows, measure: str) -> float:
    from sklearn.linear_model import RidgeCV
    from sklearn.metrics import r2_score, roc_auc_score

    (x, y), (x_test, y_test) = ((features[r], values[r]) for r in (rows.train, rows.test))
    if measure == "r2":
        ridge = RidgeCV(alphas=np.logspace(-2, 4, 7)).fit(x, y.astype(np.float64))
        return float(r2_score(y_test, ridge.predict(x_test)))
    kinds = y.astype(np.int64)
    reader = fit_logistic(x, kinds, c=_choose_c(x, kinds, seed=rows.seed))
    if measure == "auroc":
        return float(roc_auc_score(y_test, reader.decision_function(x_test)))
    return float((reader.predict(x_test) == y_test).mean())


def _choose_c(x: Floats, y: Ints, *, seed: int) -> float:
    """The inverse penalty that reads a random fifth of the train rows best; 0.1 below 100 rows.

    One penalty for all would decide the contest: pixels want a hundred times that of codes.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    fit, check = order[len(y) // 5 :], order[: len(y) // 5]
    if len(y) < 100 or len(np.unique(y[fit])) < 2:
        return DEFAULT_C
    scores = [
        (fit_logistic(x[fit], y[fit], c=c).predict(x[check]) == y[check]).mean() for c in ALL_C
    ]
    return ALL_C[int(np.argmax(scores))]


def fit_logistic(x: Floats, y: Ints, *, c: float = DEFAULT_C) -> Any:
    """Multinomial logistic regression with an L2 penalty, stopped after 100 iterations."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # Reported as `linear_converged`; the accuracy has settled long before.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=c, max_iter=MAX_ITERATIONS).fit(x, y)


def _accuracy(reader: Any, x: Floats, labels: Ints, rows: _Rows) -> float:
    return float((reader.predict(x[rows.test]) == labels[rows.test]).mean())


def _neighbour_accuracy(x: Floats, labels: Ints, rows: _Rows) -> float:
    from sklearn.neighbors import KNeighborsClassifier

    k = min(N_NEIGHBOURS, len(rows.train))
    reader = KNeighborsClassifier(k, algorithm="brute").fit(x[rows.train], labels[rows.train])
    return _accuracy(reader, x, labels, rows)


def _standardise(x: Floats, rows: _Rows) -> Floats:
    """Zero mean and unit deviation over the train rows; constant columns become 0."""
    sample = x[rows.train].astype(np.float64)
    varies = np.ptp(sample, axis=0) > 0
    scale = np.where(varies, sample.std(0), 1)
    scaled: Floats = (np.where(varies, x - sample.mean(0), 0) / scale).astype(np.float32)
    return scaled


def _balanced_draws(
    labels: Ints, train: Ints, n_labels: int, n_draws: int, *, seed: int
) -> list[Ints]:
    """Draws of train rows with equally many of each class (± 1), or none if that cannot be."""
    random = np.random.default_rng(seed)
    of_class = [train[labels[train] == label] for label in np.unique(labels[train])]
    share, left = divmod(n_labels, len(of_class))
    if share < 1 or min(map(len, of_class)) < share + (left > 0):
        return []
    draws = []
    for _ in range(n_draws):
        sizes = share + (random.permutation(len(of_class)) < left)
        parts = zip(of_class, sizes, strict=True)
        draws.append(np.concatenate([random.permutation(rows)[:size] for rows, size in parts]))
    return draws


def _rows(features: Mapping[str, Floats], n: int, train: Ints, test: Ints, *, seed: int) -> _Rows:
    """Check rows and features, and keep at most the allowed number of rows."""
    shapes = {name: x.shape for name, x in features.items()}
    if any(len(shape) != 2 or shape[0] != n for shape in shapes.values()):
        raise DataError(
            f"Features of shapes {shapes} came with {n} labels or factor values, "
            "expected [N,·] with the same N; give one row per image."
        )
    both = np.concatenate([train, test])
    if not len(train) or not len(test) or len(np.unique(both)) < len(both):
        raise DataError(
            f"{len(train)} train and {len(test)} test rows came, expected one or more of each "
            "and none twice; give rows that do not overlap."
        )
    if both.min() < 0 or both.max() >= n:
        raise DataError(
            f"Rows from {both.min()} to {both.max()} were asked for, expected 0 to {n - 1}; "
            "give rows of the same set."
        )
    train, test = (
        draw_rows(part, limit, seed=seed)
        for part, limit in ((train, MAX_TRAIN_ROWS), (test, MAX_TEST_ROWS))
    )
    rows = _Rows(train, test, seed)
    for name, x in features.items():
        if not (np.isfinite(x[rows.train]).all() and np.isfinite(x[rows.test]).all()):
            raise DataError(
                f"The features '{name}' hold NaN or infinity, expected finite numbers; "
                "leave those rows out."
            )
    return rows
