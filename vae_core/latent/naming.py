"""What each latent dimension tells most about, where it tells enough to be named after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from vae_core.data.targets import Target, factor_targets, label_targets
from vae_core.latent.codes import Codes
from vae_core.latent.region import require_codes

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

N_BINS: Final = 20
# Held-out rows needed to give a name (of a category: in it and outside): among hundreds of
# pairs of dimension and category fewer would let chance reach the floor.
LEAST_TO_NAME: Final = 30
# A quarter of the variance. For a category of half the rows it is an AUROC of 0.79.
NAME_FLOOR: Final = 0.25
UNUSED: Final = "unused"


@dataclass(frozen=True)
class DimensionName:
    """What a dimension tells most about: `text` such as "smile, R² 0.81", or "unused", or None.

    `target` is what came out best and `score` its R² or AUROC (`measure`) on held-out rows, kept
    when they are below the floor for a name; None where nothing could be measured or the
    dimension is unused.
    """

    dimension: int
    text: str | None
    target: str | None = None
    measure: str | None = None
    score: float | None = None


def fit_and_check(codes: Codes, *, seed: int = 0) -> tuple[Ints, Ints]:
    """Rows to fit on and rows to measure on: outside the test split and in it, or random halves.

    Halves are taken when fewer than a tenth of the rows are on either side. `DataError` for
    codes that are not finite.
    """
    require_codes(codes.mean)
    is_test = codes.split == 2
    if 0.1 <= is_test.mean() <= 0.9:
        return np.flatnonzero(~is_test), np.flatnonzero(is_test)
    order = np.random.default_rng(seed).permutation(len(codes))
    return np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])


def is_measurable(values: Doubles, is_category: bool, *, least: int) -> bool:
    """Whether held-out values suffice: `least` that vary, or of a category in it and outside."""
    if is_category:
        return bool(min((values == 0).sum(), (values == 1).sum()) >= least)
    return len(values) >= least and bool(np.ptp(values) > 0)


def name_dimensions(codes: Codes, *, seed: int = 0) -> tuple[DimensionName, ...]:
    """For each latent dimension `[D]` the factor or label it alone tells most about.

    Each is predicted by its average in 20 bins of the dimension with equally many rows, fitted
    and measured on the rows of `fit_and_check`; so a dimension may tell by being neither high nor
    low. Continuous factors are scored by R², categories and labels one against the rest by
    the AUROC of that average. To compare the two, an AUROC A counts as the R² of two equally
    frequent groups, d²/(d² + 4) with d = √2·Φ⁻¹(A) (Ruscio 2008; Cohen 1988), and a name
    needs 0.25 of it, an AUROC of 0.79, on 30 held-out rows (30 in the category and outside).
    """
    fit, check = fit_and_check(codes, seed=seed)
    everything = (*factor_targets(codes), *label_targets(codes))
    known = [
        target
        for target in everything
        if is_measurable(_known(target, check), target.is_category, least=LEAST_TO_NAME)
    ]
    return tuple(
        _name(d, codes.mean[:, d].astype(np.float64), known, fit, check)
        if codes.is_active[d]
        else DimensionName(d, UNUSED)
        for d in range(codes.mean.shape[1])
    )


def _known(target: Target, rows: Ints) -> Doubles:
    values = target.values[rows]
    return values[~np.isnan(values)]


def _name(dimension: int, z: Doubles, known: list[Target], fit: Ints, check: Ints) -> DimensionName:
    if not known:
        return DimensionName(dimension, None)
    edges = np.quantile(z[fit], np.linspace(0, 1, N_BINS + 1)[1:-1])
    bins = np.searchsorted(edges, z, side="right").astype(np.int64)
    scores = [_score(bins, target, fit, check) for target in known]
    shares = [_as_r2(s) if t.is_category else s for s, t in zip(scores, known, strict=True)]
    best = int(np.argmax(shares))
    target, score = known[best], scores[best]
    measure = "AUROC" if target.is_category else "R²"
    text = f"{target.short_name}, {measure} {score:.2f}" if shares[best] >= NAME_FLOOR else None
    return DimensionName(dimension, text, target.name, measure, score)


def _score(bins: Ints, target: Target, fit: Ints, check: Ints) -> float:
    """R² or AUROC on held-out rows of predicting a target by its average in each bin."""
    fit, check = (rows[~np.isnan(target.values[rows])] for rows in (fit, check))
    y, counts = target.values[fit], np.bincount(bins[fit], minlength=N_BINS)
    sums = np.bincount(bins[fit], y, minlength=N_BINS)
    # A bin that was empty says the average of all.
    average = np.where(counts > 0, sums / np.maximum(counts, 1), y.mean() if len(y) else 0.0)
    held_out = target.values[check]
    if target.is_category:
        return _binned_auroc(average, bins[check], held_out == 1)
    rest = np.square(held_out - average[bins[check]]).sum()
    return float(1 - rest / np.square(held_out - held_out.mean()).sum())


def _binned_auroc(average: Doubles, bins: Ints, is_inside: NDArray[np.bool_]) -> float:
    """The AUROC of a score with few values, from counts: far quicker than sorting rows."""
    _, level = np.unique(average, return_inverse=True)
    inside, outside = (
        np.bincount(level[bins[rows]], minlength=N_BINS) for rows in (is_inside, ~is_inside)
    )
    below = np.cumsum(outside) - outside / 2
    return float((inside * below).sum() / (inside.sum() * outside.sum()))


def _as_r2(area: float) -> float:
    """The R² of two equally frequent Gaussian groups of equal spread that an AUROC tells apart."""
    d = np.sqrt(2) * ndtri(min(max(area, 0.5), 1 - 1e-9))
    return float(d**2 / (d**2 + 4))
