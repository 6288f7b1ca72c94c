"""Disentanglement: how well single latent dimensions stand for known factors.

Scores on codes `[N,D]` (mean codes, by convention) and factors, 0 at worst and 1 at best:
MIG, SAP and the FactorVAE score here, DCI in `dci`. All take what they need from a finite set
of rows; a factor that does not vary is left out, and a report's keys say which ones counted.
A continuous factor is taken by its own values where it has few (as in dSprites), and in 20
bins of equal width otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vae_core.data.imageset import Factor
from vae_core.errors import DataError

Numbers = NDArray[np.floating]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_ROWS = 30
MAX_ROWS = 10_000
N_BINS = 20
# A continuous factor with more values than this, or too few rows for each, is binned.
MAX_LEVELS = 64
ROWS_PER_LEVEL = 10


@dataclass(frozen=True)
class MigReport:
    """`score` is the mean of `per_factor`, the gaps as shares of the factor's entropy.

    `mutual_information` `[D,F]` and `entropy` in nats, columns in the order of the keys.
    """

    score: float
    per_factor: Mapping[str, float]
    entropy: Mapping[str, float]
    mutual_information: Floats
    n_rows: int


@dataclass(frozen=True)
class SapReport:
    """`score` is the mean of `per_factor`, the gaps between the two best dimensions.

    `prediction` `[D,F]`: squared correlation for a continuous factor, balanced held-out
    accuracy of a linear support vector machine for a categorical one. The best gap for a
    factor of K categories is 1 − 1/K, since a dimension without information is right in 1/K.
    """

    score: float
    per_factor: Mapping[str, float]
    prediction: Floats
    n_rows: int


@dataclass(frozen=True)
class FactorVaeReport:
    """Held-out accuracy of the majority vote; `chance` is that of guessing among F factors.

    `votes` `[D,F]` counts how often a dimension (0 rows for those left out) varied least
    while a factor was fixed; `n_dimensions` of the D took part.
    """

    score: float
    chance: float
    votes: Ints
    n_dimensions: int
    factor_names: tuple[str, ...]
    n_rows: int


@dataclass(frozen=True)
class KnownFactor:
    """A factor made ready: `values` float64 `[N]`, `level` int64 `[N]` from 0 to n_levels − 1."""

    name: str
    values: Floats
    level: Ints
    n_levels: int
    is_categorical: bool


def ready(
    codes: Numbers, factors: Mapping[str, Factor], *, max_rows: int | None = None, seed: int = 0
) -> tuple[Floats, tuple[KnownFactor, ...]]:
    """Check codes `[N,D]` and factors and hand them back in float64, at most `max_rows` of them.

    `DataError` for a wrong shape, too few rows, numbers that are not finite, or when no
    factor varies.
    """
    _check(codes, factors)
    rows: Ints = np.arange(len(codes))
    if max_rows is not None and len(rows) > max_rows:
        rows = np.sort(np.random.default_rng(seed).permutation(len(codes))[:max_rows])
    made = (_know(name, factor, rows) for name, factor in factors.items())
    known = tuple(factor for factor in made if factor.n_levels > 1)
    if not known:
        raise DataError(
            f"None of the {len(factors)} factors varies over {len(rows)} rows, expected one "
            "with two values or more; score a set whose factors vary."
        )
    return np.asarray(codes, np.float64)[rows], known


def _check(codes: Numbers, factors: Mapping[str, Factor]) -> None:
    lengths = {len(factor.values) for factor in factors.values()}
    if codes.ndim != 2 or codes.shape[1] < 1 or lengths - {len(codes)}:
        raise DataError(
            f"Codes of shape {codes.shape} came with factors of {sorted(lengths)} values, "
            "expected codes [N,D] and N values per factor; give one row per image."
        )
    if len(codes) < LEAST_ROWS:
        raise DataError(
            f"{len(codes)} rows came, expected {LEAST_ROWS} or more to score factors; "
            "encode more images."
        )
    if not all(np.isfinite(a).all() for a in (codes, *(f.values for f in factors.values()))):
        raise DataError(
            "Codes or factors hold NaN or infinity, expected finite numbers; leave those rows out."
        )


def _know(name: str, factor: Factor, rows: Ints) -> KnownFactor:
    values = np.asarray(factor.values, np.float64)[rows]
    is_categorical = bool(factor.categories)
    found, level = np.unique(values, return_inverse=True)
    if not is_categorical and len(found) > min(MAX_LEVELS, len(rows) / ROWS_PER_LEVEL):
        # Empty bins would count as levels that never occur.
        found, level = np.unique(bins(values, n_bins=N_BINS), return_inverse=True)
    return KnownFactor(name, values, level.astype(np.int64), len(found), is_categorical)


def bins(values: Floats, *, n_bins: int) -> Ints:
    """Which of n bins of equal width from least to greatest each of `[N]` values is in."""
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros(len(values), np.int64)
    number: Ints = np.minimum((values - low) / (high - low) * n_bins, n_bins - 1).astype(np.int64)
    return number


def gaps(table: Floats) -> Floats:
    """Largest minus second largest of each column of `[D,F]`; with D = 1 the second is 0."""
    ordered = np.sort(np.vstack([table, np.zeros_like(table[:1])]) if len(table) < 2 else table, 0)
    difference: Floats = ordered[-1] - ordered[-2]
    return difference


def mig(codes: Numbers, factors: Mapping[str, Factor], *, n_bins: int = N_BINS) -> MigReport:
    """Mutual information gap of codes `[N,D]`, over the factors that vary; deterministic.

    Mutual information is that of histograms (`n_bins` bins per dimension), without
    correction: with N rows, B bins and V values it is too high by about (B−1)(V−1)/2N nats,
    which mostly cancels in the gap. A factor of more than B values cannot reach 1: its best
    share is log B / log V, 0.86 for the 32 places of dSprites. Source: Chen et al. 2018
    (arXiv:1802.04942), equation 6; binning as in disentanglement_lib (Locatello et al. 2019,
    arXiv:1811.12359).
    """
    z, known = ready(codes, factors)
    binned = [bins(column, n_bins=n_bins) for column in z.T]
    columns = [[_mutual_information(b, f.level, n=n_bins) for b in binned] for f in known]
    table = np.array(columns).T
    entropy = np.array([_mutual_information(f.level, f.level, n=f.n_levels) for f in known])
    shares = gaps(table) / entropy
    names = [factor.name for factor in known]
    return MigReport(
        score=float(shares.mean()),
        per_factor=dict(zip(names, shares.tolist(), strict=True)),
        entropy=dict(zip(names, entropy.tolist(), strict=True)),
        mutual_information=table,
        n_rows=len(z),
    )


def _mutual_information(a: Ints, b: Ints, *, n: int) -> float:
    """Mutual information in nats of two columns of counts, the first below n."""
    from sklearn.metrics import mutual_info_score

    n_b = int(b.max()) + 1
    table = np.bincount(a * n_b + b, minlength=n * n_b).reshape(n, n_b)
    return float(mutual_info_score(None, None, contingency=table))


def sap(
    codes: Numbers, factors: Mapping[str, Factor], *, seed: int = 0, max_rows: int = MAX_ROWS
) -> SapReport:
    """Separated attribute predictability of codes `[N,D]`, over the factors that vary.

    The machine (C = 0.01 and balanced classes, as in disentanglement_lib) sees one
    standardised dimension of a random half of the rows and is scored on the other half by
    balanced accuracy. A constant dimension gets what guessing gets, 1/K, not 0 as there:
    otherwise collapsed dimensions would widen the gap. Source: Kumar et al. 2018
    (arXiv:1711.00848), section 3.1.
    """
    z, known = ready(codes, factors, max_rows=max_rows, seed=seed)
    order = np.random.default_rng(seed).permutation(len(z))
    # Rounding leaves a constant column a tiny spread: its range decides, not its deviation.
    varies = np.ptp(z, axis=0) > 0
    x = np.where(varies, z - z.mean(0), 0) / np.where(varies, z.std(0), 1)
    table = np.array([[_predict(x[:, d], f, order) for d in range(x.shape[1])] for f in known]).T
    width = gaps(table)
    names = (factor.name for factor in known)
    return SapReport(
        float(width.mean()), dict(zip(names, width.tolist(), strict=True)), table, len(z)
    )


def _predict(x: Floats, factor: KnownFactor, order: Ints) -> float:
    """How well one standardised dimension `[N]` tells a factor."""
    is_constant = not x.any()
    if not factor.is_categorical:
        return 0.0 if is_constant else float(np.corrcoef(x, factor.values)[0, 1] ** 2)
    train, test = order[: len(order) // 2], order[len(order) // 2 :]
    if is_constant or len(np.unique(factor.level[train])) < 2:
        return 1 / factor.n_levels
    from sklearn.metrics import recall_score
    from sklearn.svm import LinearSVC

    machine = LinearSVC(C=0.01, class_weight="balanced", dual=False, random_state=0)
    guess = machine.fit(x[train, None], factor.level[train]).predict(x[test, None])
    truth = factor.level[test]
    # Only the classes that the test half holds, or a rare one would count as missed.
    return float(recall_score(truth, guess, labels=np.unique(truth), average="macro"))


def factor_vae_score(
    codes: Numbers,
    factors: Mapping[str, Factor],
    *,
    n_train_votes: int = 800,
    n_test_votes: int = 400,
    group_size: int = 64,
    min_variance: float = 0.01,
    seed: int = 0,
) -> FactorVaeReport:
    """FactorVAE score of codes `[N,D]`: a majority vote from the dimension that varies least.

    Each vote fixes a random factor, takes `group_size` rows that share a random value of it
    and names the dimension whose variance, relative to that over all rows, is least. Three
    deviations from the paper: groups come from the rows at hand (all of them where fewer
    share a value; values with fewer than 10 rows are not used), so other factors vary only
    as they do there; binned factors are fixed to a bin; the score is the accuracy on held-out
    votes. Dimensions whose variance is not above `min_variance` take no part; without any the
    score is 0. `DataError` when no value of a factor is shared by enough rows.
    Source: Kim & Mnih 2018 (arXiv:1802.05983), section 4.
    """
    z, known = ready(codes, factors)
    variance = z.var(0)
    kept = np.flatnonzero((np.ptp(z, axis=0) > 0) & (variance > min_variance))
    groups = [_groups(factor) for factor in known]
    random = np.random.default_rng(seed)
    draw = _votes(z[:, kept] / np.sqrt(variance[kept]), groups, group_size, random)
    tables = [np.zeros((z.shape[1], len(known)), np.int64) for _ in range(2)]
    if len(kept):
        for table, n_votes in zip(tables, (n_train_votes, n_test_votes), strict=True):
            for _, (dimension, factor) in zip(range(n_votes), draw, strict=False):
                table[kept[dimension], factor] += 1
    train, test = tables
    # A dimension that never won in training guesses factor 0, as argmax of zeros does.
    right = test[np.arange(len(test)), train.argmax(1)].sum()
    return FactorVaeReport(
        score=float(right / max(test.sum(), 1)),
        chance=1 / len(known),
        votes=train,
        n_dimensions=len(kept),
        factor_names=tuple(factor.name for factor in known),
        n_rows=len(z),
    )


def _groups(factor: KnownFactor) -> list[Ints]:
    """The rows of each value that enough rows share."""
    rows = (np.flatnonzero(factor.level == level) for level in range(factor.n_levels))
    found = [group for group in rows if len(group) >= ROWS_PER_LEVEL]
    if not found:
        raise DataError(
            f"No value of the factor '{factor.name}' is shared by {ROWS_PER_LEVEL} rows, "
            "expected at least one; encode more images."
        )
    return found


def _votes(
    z: Floats, groups: list[list[Ints]], size: int, random: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Without end: (dimension that varies least, factor that was fixed)."""
    while True:
        factor = int(random.integers(len(groups)))
        rows = groups[factor][int(random.integers(len(groups[factor])))]
        chosen = random.choice(rows, min(size, len(rows)), replace=False)
        yield int(z[chosen].var(0).argmin()), factor
