"""DCI: what a forest that predicts each factor from the codes says about their structure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vae_core.data.imageset import Factor
from vae_core.evaluate.factors import MAX_ROWS, Floats, Ints, KnownFactor, Numbers, ready


@dataclass(frozen=True)
class DciReport:
    """Disentanglement, completeness and informativeness, each in [0,1], over `n_rows` rows.

    `disentanglement`: does a dimension serve one factor only; None with a single factor.
    `completeness`: is a factor held by one dimension only; None with a single dimension.
    `informativeness`: held-out skill, the mean of `informativeness_per_factor`: R² for a
    continuous factor, the share of the best constant guess's errors that is mended for a
    categorical one; never below 0. `importance` `[D,F]`, each column summing to 1, or to 0
    where no dimension helped; columns are in the order of the keys.
    """

    disentanglement: float | None
    completeness: float | None
    informativeness: float
    completeness_per_factor: Mapping[str, float]
    informativeness_per_factor: Mapping[str, float]
    importance: Floats
    n_rows: int


def dci(
    codes: Numbers, factors: Mapping[str, Factor], *, seed: int = 0, max_rows: int = MAX_ROWS
) -> DciReport:
    """DCI scores of codes `[N,D]`, over the factors that vary.

    A random forest of 20 trees per factor learns on a random half of the rows and is scored
    on the other; importances are mean decreases of impurity. Forests rather than the boosted
    trees of disentanglement_lib: seconds instead of minutes, and a continuous factor can be
    regressed. Compare only numbers made the same way. Source: Eastwood & Williams 2018 (A
    framework for the quantitative evaluation of disentangled representations), section 2.
    """
    z, known = ready(codes, factors, max_rows=max_rows, seed=seed)
    order = np.random.default_rng(seed).permutation(len(z))
    learned = [_learn(z, factor, order, seed=seed) for factor in known]
    importance = np.array([importance for importance, _ in learned]).T
    names = [factor.name for factor in known]
    skill = {name: skill for name, (_, skill) in zip(names, learned, strict=True)}
    concentration = _concentration(importance.T)
    complete = dict(zip(names, concentration.tolist(), strict=True))
    return DciReport(
        disentanglement=disentanglement(importance),
        completeness=float(concentration.mean()) if z.shape[1] > 1 else None,
        informativeness=float(np.mean(list(skill.values()))),
        completeness_per_factor=complete,
        informativeness_per_factor=skill,
        importance=importance,
        n_rows=len(z),
    )


def disentanglement(importance: Floats) -> float | None:
    """Disentanglement of importances `[D,F]`, 0.0 if all are zero, None for a single factor.

    Dimensions count by their share of all importance. Source: Eastwood & Williams 2018.
    """
    if importance.shape[1] < 2:
        return None
    weight = importance.sum(1)
    total = float(weight.sum())
    return float((weight * _concentration(importance)).sum()) / total if total > 0 else 0.0


def _concentration(table: Floats) -> Floats:
    """1 − entropy of each row of `[M,K]` in base K: 1 for one entry, 0 for even or no entries."""
    total = table.sum(1, keepdims=True)
    share = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    entropy = -(share * logs).sum(1) / np.log(max(table.shape[1], 2))
    concentration: Floats = np.where(total[:, 0] > 0, 1 - entropy, 0.0)
    return concentration


def _learn(z: Floats, factor: KnownFactor, order: Ints, *, seed: int) -> tuple[Floats, float]:
    """Importances `[D]` and held-out skill of one factor's forest."""
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    truth = factor.level if factor.is_categorical else factor.values
    forest = _forest(factor.is_categorical, seed=seed).fit(z[train], truth[train])
    guess, actual = forest.predict(z[test]), truth[test]
    if factor.is_categorical:
        usual = np.bincount(factor.level[train]).argmax()
        errors, errors_of_usual = (guess != actual).mean(), (usual != actual).mean()
    else:
        errors = np.square(guess - actual).mean()
        errors_of_usual = np.square(truth[train].mean() - actual).mean()
    skill = 1 - float(errors / errors_of_usual) if errors_of_usual > 0 else 0.0
    return np.asarray(forest.feature_importances_, np.float64), max(skill, 0.0)


def _forest(is_categorical: bool, *, seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestClassifier if is_categorical else RandomForestRegressor
    # Every split may choose among all dimensions: with fewer, one that merely stands in for
    # an absent better one would earn importance.
    return kind(
        n_estimators=20,
        max_features=None,
        min_samples_leaf=5,
        max_samples=0.5,
        random_state=seed,
    )
