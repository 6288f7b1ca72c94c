"""How far a decoded picture can be trusted, read off where its code lies among real codes.

Three measures, each held against what held-out real codes show themselves: the distance to
the nearest real code, the radius, and the cycle error ‖encode(decode(z)).mean − z‖. The
limits are quantiles over held-out codes, so the share of false alarms is known in advance.
A VAE's decoder has learnt from draws, which lie farther out than means: calibrate with the
posteriors' width there, or every draw reads as off the manifold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vae_core.errors import ConfigError, DataError
from vae_core.latent.neighbours import nearest
from vae_core.model import Autoencoder

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Cycle = Callable[[Floats], Floats]
Measure = Literal["distance", "radius", "cycle"]

ON_DATA: Final = "on the data"
BETWEEN: Final = "between"
OFF: Final = "off the manifold"
# Too few codes, or all alike: nothing says how far is far.
UNKNOWN: Final = "unknown"

# Held-out codes wrongly called "between" or worse, and "off the manifold".
BETWEEN_FALSE_ALARMS: Final = 0.05
OFF_FALSE_ALARMS: Final = 0.001
LEAST_CODES: Final = 3
MAX_HELD_OUT: Final = 2_000
# Distances held in memory at once: 32 MB as float32.
CHUNK_VALUES: Final = 8_000_000
CYCLE_BATCH: Final = 250


class Limits(NamedTuple):
    """What a measure must exceed to be called between, and off; in the measure's own unit."""

    between: float
    off: float


@dataclass(frozen=True)
class TrustScale:
    """What is usual among a checkpoint's real codes; made by `calibrate_trust`.

    `codes` float32 `[N,D]`; `is_used` bool `[D]`, the dimensions that are measured; `centre`,
    `spread` float32 `[D]`, mean and std of the codes; `sorted_radii`, `sorted_norms` `[N]`,
    rising; `typical_distance` and `typical_cycle` in latent units (the latter None without a
    cycle); `limits` by measure, empty where nothing could be calibrated; `n_held_out` codes
    gave them.
    """

    codes: Floats
    is_used: NDArray[np.bool_]
    centre: Floats
    spread: Floats
    sorted_radii: Floats
    sorted_norms: Floats
    typical_distance: float
    typical_cycle: float | None
    limits: Mapping[Measure, Limits]
    n_held_out: int

    @property
    def false_alarms(self) -> Limits:
        """Largest expected shares of new real pictures called between or worse, and off.

        5 % and 0.1 %, shared out evenly among the measures (Bonferroni); more where there
        are too few held-out codes to see a quantile that rare.
        """
        least = len(self.limits) / (self.n_held_out + 1)
        return Limits(max(BETWEEN_FALSE_ALARMS, least), max(OFF_FALSE_ALARMS, least))


@dataclass(frozen=True)
class Trust:
    """Trust figures of M codes, arrays `[M]`; `explain` says them in words.

    `nearest_row` int64: the nearest real code; `distance` to it over the typical distance;
    `radius`: diagonal Mahalanobis distance from the centre of the codes over √(dimensions
    used), so about 1 for real codes; `radius_share`, `norm_share` in [0,1]: real codes with a
    smaller radius, a smaller raw norm; `norm` in latent units; `cycle`: cycle error over the
    typical one, None if it was not asked for; `verdict`: one of `ON_DATA`, `BETWEEN`, `OFF`,
    `UNKNOWN`.
    """

    nearest_row: Ints
    distance: Floats
    radius: Floats
    radius_share: Floats
    norm: Floats
    norm_share: Floats
    cycle: Floats | None
    verdict: NDArray[np.str_]
    scale: TrustScale

    def __len__(self) -> int:
        return len(self.verdict)

    @property
    def measures(self) -> dict[Measure, Floats]:
        """What the verdict is made of, by name, `[M]` each."""
        found: dict[Measure, Floats] = {"distance": self.distance, "radius": self.radius}
        return found if self.cycle is None else found | {"cycle": self.cycle}


def model_cycle(model: Autoencoder) -> Cycle:
    """z `[M,D]` → encode(decode(z)).mean `[M,D]`, in batches, for `calibrate_trust`."""

    @torch.no_grad()
    def cycle(z: Floats) -> Floats:
        pieces = torch.split(torch.from_numpy(np.ascontiguousarray(z, np.float32)), CYCLE_BATCH)
        means = [model.encode(model.decode(piece.to(model.device))).mean for piece in pieces]
        seen: Floats = torch.cat(means).float().cpu().numpy()
        return seen

    return cycle


def calibrate_trust(
    codes: Floats,
    cycle: Cycle | None = None,
    *,
    log_std: Floats | None = None,
    held_out: Ints | None = None,
    max_held_out: int = MAX_HELD_OUT,
    seed: int = 0,
) -> TrustScale:
    """Learn from real codes `[N,D]` what is usual; once per checkpoint.

    `held_out` rows are those the model was not trained on (all if None or fewer than 3); a
    seeded draw of at most `max_held_out` of them, each without itself, gives typical values
    (medians) and limits (quantiles). With `log_std` `[N,D]` each is a draw from its posterior
    instead of the mean: what the decoder was trained on, and farther out than means are.
    Distance, radius and cycle look at the dimensions in use
    only, variance > 0.01 as in Burda et al. 2015 (or 1 % of the largest, for codes that are
    small throughout): along the others the decoder has learnt to see nothing. Fewer than 3
    codes, or equal ones, give a scale without limits. `DataError` for codes or rows that are
    none.
    """
    codes = _checked(codes)
    rows = _rows(held_out, len(codes))
    scale = _bare_scale(codes)
    different, place = np.unique(codes, axis=0, return_inverse=True)
    if len(different) < LEAST_CODES:
        return scale
    if len(rows) > max_held_out:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:max_held_out])
    held = codes[rows]
    if log_std is not None:
        noise = np.random.default_rng(seed).standard_normal(held.shape)
        held = (held + np.exp(log_std[rows]) * noise).astype(np.float32)
    # Equal codes are one place; a code's own place is left out.
    near, distances = _nearest(scale, held, different[:, scale.is_used], k=2)
    apart = np.where(near[:, 0] == place.reshape(-1)[rows], distances[:, 1], distances[:, 0])
    errors = None if cycle is None else _cycle_error(scale, held, cycle)
    typical = float(np.median(apart)), None if errors is None else float(np.median(errors))
    values: dict[Measure, Floats] = {
        "distance": _ratio(apart, typical[0]),
        "radius": _radius(scale, held),
    }
    if errors is not None and typical[1] is not None:
        values["cycle"] = _ratio(errors, typical[1])
    return replace(
        scale,
        typical_distance=typical[0],
        typical_cycle=typical[1],
        limits=_limits(values),
        n_held_out=len(rows),
    )


def _bare_scale(codes: Floats) -> TrustScale:
    """A scale that knows the codes but no limits."""
    variance = np.where(np.ptp(codes, axis=0) > 0, codes.var(0, dtype=np.float64), 0)
    is_used = variance > 0.01 * min(1.0, float(variance.max()))
    bare = TrustScale(
        codes=codes,
        is_used=is_used if is_used.any() else np.ones_like(is_used),
        centre=codes.mean(0, dtype=np.float64).astype(np.float32),
        spread=np.sqrt(variance).astype(np.float32),
        sorted_radii=np.empty(0, np.float32),
        sorted_norms=np.sort(np.linalg.norm(codes, axis=1)),
        typical_distance=0.0,
        typical_cycle=None,
        limits={},
        n_held_out=0,
    )
    return replace(bare, sorted_radii=np.sort(_radius(bare, codes)))


def _limits(values: Mapping[Measure, Floats]) -> dict[Measure, Limits]:
    """Quantiles so that all measures together raise the agreed share of false alarms.

    The ⌈(n + 1)(1 − α)⌉-th smallest value, which a new value exceeds with probability ≤ α;
    the largest where n is too small for that. Source: Vovk et al. 2005, chapter 2.
    """

    def limit(value: Floats, rate: float) -> float:
        rank = math.ceil((len(value) + 1) * (1 - rate / len(values)))
        return float(np.sort(value)[min(rank, len(value)) - 1])

    rates = BETWEEN_FALSE_ALARMS, OFF_FALSE_ALARMS
    return {name: Limits(*(limit(v, rate) for rate in rates)) for name, v in values.items()}


def trust_of(scale: TrustScale, z: Floats, *, cycle: Cycle | None = None) -> Trust:
    """Trust figures of codes `[M,D]`; without `cycle` from distance and radius alone.

    Cheap without: one exact search for the nearest code, in pieces of bounded memory. The
    verdict is that of the worst measure. `DataError` for codes of another size or NaN,
    `ConfigError` for a cycle where the scale was calibrated without one.
    """
    z = _checked(z, n_latent=scale.codes.shape[1])
    if cycle is not None and scale.limits and scale.typical_cycle is None:
        raise ConfigError(
            "A cycle came with a scale that was calibrated without one, expected both or none; "
            "give the cycle to calibrate_trust as well."
        )
    rows, distances = _nearest(scale, z, scale.codes[:, scale.is_used], k=1)
    radius, norm, errors = _radius(scale, z), np.linalg.norm(z, axis=1), None
    if cycle is not None and scale.typical_cycle is not None:
        errors = _ratio(_cycle_error(scale, z, cycle), scale.typical_cycle)
    bare = Trust(
        nearest_row=rows[:, 0],
        distance=_ratio(distances[:, 0], scale.typical_distance),
        radius=radius,
        radius_share=_share_below(scale.sorted_radii, radius),
        norm=norm,
        norm_share=_share_below(scale.sorted_norms, norm),
        cycle=errors,
        verdict=np.full(len(z), UNKNOWN),
        scale=scale,
    )
    return replace(bare, verdict=_verdict(bare))


def _verdict(trust: Trust) -> NDArray[np.str_]:
    if not trust.scale.limits:
        # A stored code is a real one whatever else is unknown.
        return np.where(trust.distance == 0, ON_DATA, UNKNOWN)
    level = np.zeros(len(trust), np.int64)
    for name, value in trust.measures.items():
        limit = trust.scale.limits[name]
        level = np.maximum(level, (value > limit.between).astype(np.int64) + (value > limit.off))
    return np.array([ON_DATA, BETWEEN, OFF])[level]


def _radius(scale: TrustScale, z: Floats) -> Floats:
    """Diagonal Mahalanobis distance from the centre over √(dimensions used), `[M]`.

    In units of each dimension's own std, since a step of 1 is a lot where codes spread little;
    from the codes' centre, since those of an autoencoder without a prior lie anywhere.
    """
    used = scale.is_used
    spread = np.where(scale.spread > 0, scale.spread, 1)[used]
    scaled = ((z - scale.centre)[:, used] / spread).astype(np.float64)
    radius: Floats = np.sqrt(np.square(scaled).mean(1)).astype(np.float32)
    return radius


def _nearest(scale: TrustScale, z: Floats, codes: Floats, *, k: int) -> tuple[Ints, Floats]:
    """Nearest of `codes` `[N,used]` to `z` `[M,D]`, over the dimensions in use."""
    return nearest(z[:, scale.is_used], codes, k=k, chunk=max(1, CHUNK_VALUES // len(codes)))


def _cycle_error(scale: TrustScale, z: Floats, cycle: Cycle) -> Floats:
    gap = (np.asarray(cycle(z), np.float64) - z)[:, scale.is_used]
    error = np.sqrt(np.square(gap).sum(1))
    # Far outside a decoder may overflow: as bad as can be, not unknown.
    return np.where(np.isfinite(error), error, np.inf).astype(np.float32)


def _ratio(values: Floats, typical: float) -> Floats:
    if typical > 0:
        return (values / np.float32(typical)).astype(np.float32)
    return np.where(values > 0, np.inf, 0).astype(np.float32)


def _share_below(known: Floats, values: Floats) -> Floats:
    return (np.searchsorted(known, values, side="left") / len(known)).astype(np.float32)


def _rows(held_out: Ints | None, n: int) -> Ints:
    rows = np.arange(n) if held_out is None else np.asarray(held_out, np.int64)
    if len(rows) and (rows.min() < 0 or rows.max() >= n):
        raise DataError(
            f"Held-out rows from {rows.min()} to {rows.max()} came, expected 0 to {n - 1}; give "
            "rows of these codes."
        )
    return rows if len(rows) >= LEAST_CODES else np.arange(n)


def _checked(codes: Floats, *, n_latent: int | None = None) -> Floats:
    codes = np.ascontiguousarray(codes, np.float32)
    least = 1 if n_latent is None else 0
    if codes.ndim != 2 or codes.shape[1] != (n_latent or codes.shape[-1]) or len(codes) < least:
        raise DataError(
            f"Codes of shape {codes.shape} came, expected [N, {n_latent or 'D'}]; give one row "
            "per code, of the model that the scale was made for."
        )
    if not np.isfinite(codes).all():
        raise DataError(
            "The codes hold NaN or infinity, expected finite numbers; leave those codes out."
        )
    return codes
