"""Latent directions, each with a figure for what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from vae_core.data.targets import Target, factor_targets, label_targets
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.threshold import auroc
from vae_core.latent.codes import Codes
from vae_core.latent.naming import (
    DimensionName,
    fit_and_check,
    is_measurable,
    name_dimensions,
)
from vae_core.latent.projection import LinearProjection
from vae_core.latent.region import Rows, principal_axes, require_codes, selected_rows

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
__all__ = [
    "DimensionName", "Direction", "attribute_direction", "dimension_directions",
    "direction_plane", "factor_directions", "label_directions", "name_dimensions",
    "principal_directions", "project_on", "step",
]  # fmt: skip

Kind = Literal["dimension", "principal axis", "attribute", "factor"]

EFFECT: Final = "effect size d"
SHARE: Final = "share of variance"
# Fitting and measuring need two rows each of either group.
LEAST_FOR_EFFECT: Final = 4
MAX_PER_GROUP: Final = 1_000
N_SPLITS: Final = 5
N_RANDOM_PAIRS: Final = 100
# A figure measured on fewer held-out rows (of a category: rows in it and outside) is not given.
LEAST_HELD_OUT: Final = 10
RIDGE_PENALTIES: Final = tuple(10.0**power for power in range(-2, 5))


@dataclass(frozen=True)
class Direction:
    """A unit `vector` `[D]` to walk along; one step is `scale`, the codes' deviation along it.

    `quality` is what `quality_name` says, None where there was too little to measure it on. For
    an attribute `chance_mean` and `chance_95` are the mean and 95 % quantile of the same
    figure for random groups of the same sizes.
    """

    name: str
    kind: Kind
    vector: Floats
    scale: float
    quality: float | None
    quality_name: str
    chance_mean: float | None = None
    chance_95: float | None = None

    @property
    def text(self) -> str:
        """The figure in words, as "effect size d 2.10 against 0.31 by chance"."""
        if self.quality is None:
            return f"{self.quality_name} not measured: too few held-out codes, or all alike"
        against = "" if self.chance_95 is None else f" against {self.chance_95:.2f} by chance"
        return f"{self.quality_name} {self.quality:.2f}{against}"


def dimension_directions(codes: Codes) -> tuple[Direction, ...]:
    """The latent dimensions in their order, with their KL, or variance for a model without one."""
    has_kl = bool(codes.kl_nats.any())
    weight = codes.kl_per_dimension if has_kl else codes.mean.var(0)
    name, unit = "KL in nats" if has_kl else "variance", np.eye(len(weight), dtype=np.float32)
    return tuple(
        _along(codes.mean, unit[d], f"dimension {d}", "dimension", float(weight[d]), name)
        for d in codes.dimension_order
    )


def principal_directions(codes: Floats, n: int) -> tuple[Direction, ...]:
    """Up to n principal axes of codes `[N,D]`; fewer where no more vary.

    `ConfigError` for n below 1, `DataError` as in `principal_axes`.
    """
    if n < 1:
        raise ConfigError(f"{n} principal axes were asked for, expected 1 or more; ask for 5.")
    found = principal_axes(codes, n=n)
    parts = zip(found.axes, found.explained.tolist(), strict=True)
    return tuple(
        _along(codes, axis, f"principal axis {rank}", "principal axis", share, SHARE)
        for rank, (axis, share) in enumerate(parts, start=1)
    )


def _along(
    codes: Floats,
    vector: NDArray[np.floating],
    name: str,
    kind: Kind,
    quality: float | None,
    quality_name: str,
) -> Direction:
    scale = float((codes.astype(np.float64) @ vector).std())
    return Direction(name, kind, vector.astype(np.float32), scale, quality, quality_name)


def attribute_direction(
    codes: Floats, rows_a: Rows, rows_b: Rows, *, name: str, seed: int = 0
) -> Direction:
    """From the mean of group b to that of group a, with the effect it has on held-out codes.

    The effect is Cohen's d (difference of means over the pooled deviation) of projections:
    fitted on a random half of each group, measured on the other, averaged over 5 splits of up to
    1,000 rows per group. Chance is the same figure for 100 pairs of groups of the same sizes
    drawn from all codes `[N,D]`. None with fewer than 4 rows in a group, or where the groups do not
    spread at all. `DataError` for an empty group, rows out of range or in both groups, groups
    whose means coincide, or codes that are not finite.
    """
    a, b = (selected_rows(len(codes), rows) for rows in (rows_a, rows_b))
    n_common = len(np.intersect1d(a, b))
    if n_common:
        raise DataError(
            f"{n_common} codes are in both groups of {len(a)} and {len(b)}, expected none; take "
            "them out of one."
        )
    require_codes(codes)
    made = _attribute(codes, a, b, name=name, seed=seed)
    if made is None:
        raise DataError(
            f"The {len(a)} and {len(b)} codes of the two groups have the same mean, expected means "
            "that differ; choose other groups."
        )
    return made


def _attribute(codes: Floats, a: Ints, b: Ints, *, name: str, seed: int) -> Direction | None:
    """The direction between two groups; None where their means coincide."""
    difference = codes[a].mean(0, dtype=np.float64) - codes[b].mean(0, dtype=np.float64)
    length = float(np.linalg.norm(difference))
    if length <= 1e-6 * max(1e-30, float(np.abs(codes).max())):
        return None
    effect, chance = _effects(codes, a, b, seed=seed)
    made = _along(codes, difference / length, name, "attribute", effect, EFFECT)
    if effect is None or not chance:
        return made
    mean, high = float(np.mean(chance)), float(np.quantile(chance, 0.95))
    return replace(made, chance_mean=mean, chance_95=high)


def _effects(codes: Floats, a: Ints, b: Ints, *, seed: int) -> tuple[float | None, list[float]]:
    """The held-out effect of two groups, and those of random pairs of the same sizes."""
    if min(len(a), len(b)) < LEAST_FOR_EFFECT:
        return None, []
    random = np.random.default_rng(seed)
    a, b = (random.permutation(group)[:MAX_PER_GROUP] for group in (a, b))
    effect = _held_out_effect(codes[a], codes[b], random)
    chance = []
    for _ in range(N_RANDOM_PAIRS):
        rows = random.choice(len(codes), len(a) + len(b), replace=False)
        chance.append(_held_out_effect(codes[rows[: len(a)]], codes[rows[len(a) :]], random))
    return effect, [value for value in chance if value is not None]


def _held_out_effect(a: Floats, b: Floats, random: np.random.Generator) -> float | None:
    """Average of Cohen's d over splits of codes `[A,D]` and `[B,D]`; None without any spread."""
    in_a, in_b = (_random_halves(len(group), random) for group in (a, b))
    means = ((half @ group) / half.sum(1, keepdims=True) for half, group in ((in_a, a), (in_b, b)))
    vectors = np.subtract(*means)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    (mean_a, squares_a), (mean_b, squares_b) = (
        _held_out_moments(group @ vectors.T, 1 - half.T) for group, half in ((a, in_a), (b, in_b))
    )
    n_free = sum(len(group) - len(group) // 2 for group in (a, b)) - 2
    spread = np.sqrt((squares_a + squares_b) / n_free)
    if not spread.min() > 1e-6 * max(np.abs(a).max(), np.abs(b).max()):
        return None
    return float(((mean_a - mean_b) / spread).mean())


def _random_halves(n: int, random: np.random.Generator) -> Floats:
    """Which of n rows a direction is fitted on, in each split: 0 or 1 `[splits,n]`."""
    order = random.permuted(np.tile(np.arange(n), (N_SPLITS, 1)), axis=1)
    return (order < n // 2).astype(np.float32)


def _held_out_moments(projected: Floats, is_held_out: Floats) -> tuple[Doubles, Doubles]:
    """Mean and sum of squared deviations of the held-out ones of `[n,splits]`: `[splits]` each."""
    values, weight = projected.astype(np.float64), is_held_out.astype(np.float64)
    mean = (values * weight).sum(0) / weight.sum(0)
    return mean, (np.square(values - mean) * weight).sum(0)


def label_directions(codes: Codes, *, seed: int = 0) -> tuple[Direction, ...]:
    """Each label against all others of known label (of two labels the second alone).

    As `attribute_direction`, whose errors it shares; a label whose mean code is that of the others
    is left out. Empty without two labels or more.
    """
    require_codes(codes.mean)
    made = []
    for target in label_targets(codes):
        inside, outside = (np.flatnonzero(target.values == k) for k in (1, 0))
        made.append(_attribute(codes.mean, inside, outside, name=target.name, seed=seed))
    return tuple(direction for direction in made if direction is not None)


def factor_directions(codes: Codes, *, seed: int = 0) -> tuple[Direction, ...]:
    """The direction along which a ridge regression of each factor on the codes rises.

    Fitted on the rows outside the test split and measured on it, or on random halves where one
    of the two is missing. R² for a continuous factor; for a categorical one a direction per
    category (for two categories the second alone) with the AUROC of the projections. None below
    10 held-out rows, of a category 10 in it and 10 outside. Factors that do not vary
    are left out. The penalty, 0.01 to 10,000, is chosen on the fitting rows.
    """
    made = (_factor_direction(codes, t, seed=seed) for t in factor_targets(codes))
    return tuple(direction for direction in made if direction is not None)


def _factor_direction(codes: Codes, target: Target, *, seed: int) -> Direction | None:
    from sklearn.linear_model import RidgeCV

    fit, check = (part[~np.isnan(target.values[part])] for part in fit_and_check(codes, seed=seed))
    if len(fit) < 2 or not np.ptp(target.values[fit]) > 0:
        return None
    z = codes.mean.astype(np.float64)
    slope = RidgeCV(alphas=RIDGE_PENALTIES).fit(z[fit], target.values[fit])
    length = float(np.linalg.norm(slope.coef_))
    if not length > 0:
        return None
    quality = None
    if is_measurable(target.values[check], target.is_category, least=LEAST_HELD_OUT):
        quality = _held_out_quality(
            slope.predict(z[check]), target.values[check], target.is_category
        )
    figure = "AUROC" if target.is_category else "R²"
    return _along(codes.mean, slope.coef_ / length, target.name, "factor", quality, figure)


def _held_out_quality(said: Doubles, values: Doubles, is_category: bool) -> float:
    from sklearn.metrics import r2_score

    if is_category:
        return auroc(said[values == 0], said[values == 1])
    return float(r2_score(values, said))


def direction_plane(codes: Floats, direction: Direction) -> LinearProjection:
    """A map whose x is the coordinate along a direction, with `inverse` for clicks.

    y runs along the first principal component of codes `[N,D]` orthogonal to the direction, from
    their mean; it is 0 where nothing is left to vary. `DataError` as in `principal_axes`.
    """
    _check_length(codes, direction)
    mean, vector = codes.mean(0, dtype=np.float64), direction.vector.astype(np.float64)
    along = codes @ vector
    left = (codes - along[:, None] * vector).astype(np.float32)
    axes = principal_axes(left, n=1).axes
    second = axes[0] if len(axes) else np.zeros_like(direction.vector)
    # The point of the plane where both coordinates are 0.
    origin = (mean - (mean @ vector) * vector).astype(np.float32)
    empty = np.empty((0, 2), np.float32)
    made = LinearProjection(empty, origin, np.stack([direction.vector, second]))
    return replace(made, xy=made.transform(codes))


def project_on(codes: Floats, direction: Direction) -> Floats:
    """Places `[N,2]` of codes `[N,D]`: the map of `direction_plane`."""
    return direction_plane(codes, direction).xy


def step(z: Floats, direction: Direction, *, amount: float) -> Floats:
    """Codes `[D]` or `[Q,D]` moved by `amount` standard deviations of the codes along it.

    `DataError` for codes of another length than the direction.
    """
    _check_length(z, direction)
    moved: Floats = (z + amount * direction.scale * direction.vector).astype(np.float32)
    return moved


def _check_length(codes: Floats, direction: Direction) -> None:
    if codes.shape[-1:] != direction.vector.shape:
        raise DataError(
            f"Codes of shape {codes.shape} came with the direction '{direction.name}' in "
            f"{len(direction.vector)} dimensions, expected as many; use codes of the same model."
        )
