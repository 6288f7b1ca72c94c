"""Is a picture like those a model was trained on? A verdict with a promised false-alarm rate.

Two views of a picture share the alarms: the share of it that the reconstruction misses, and how
far its code lies from real codes. Neither is a likelihood, which alone ranks some foreign
pictures above real ones (Nalisnick et al. 2019, arXiv:1906.02994); ELBO and KL are only told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from vae_core.apply.verdict_words import explain_verdict, rate_in_words
from vae_core.checkpoint import Checkpoint
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.anomaly import (
    N_NEIGHBOURS,
    AnomalyFeatures,
    anomaly_features,
    log_tail,
    neighbour_distance,
)
from vae_core.evaluate.calibration import ELBO_SAMPLES
from vae_core.evaluate.threshold import Threshold, calibrate
from vae_core.latent.neighbours import nearest
from vae_core.objectives.registry import WITHOUT_EVIDENCE

Level = Literal["typical", "unusual", "foreign"]
Doubles = NDArray[np.float64]

UNUSUAL_RATE: Final = 0.05
FOREIGN_RATE: Final = 0.005
# Above this rate of false alarms "not this kind of picture" would be a bold thing to say.
MOST_FOREIGN_RATE: Final = 0.02
# Of six false alarms one may come from the code, five from the reconstruction: misses are the
# sharper sign, codes see what is rebuilt well and still is in the wrong place.
CODE_WEIGHT: Final = 0.2
LEAST_HELD_OUT: Final = 40


@dataclass(frozen=True)
class Score:
    """One number of a picture; `percentile` in [0,1], the share of held-out pictures below it."""

    name: str
    value: float
    unit: str
    percentile: float


@dataclass(frozen=True)
class Verdict:
    """How unusual one picture is.

    `score` joins the two views, higher is more unusual; `tail` is the share of held-out pictures
    at least as unusual, in (0,1]; `false_alarm` is the rate at which pictures like the training
    data get this level or a stronger one by mistake. `words` is for the screen.
    """

    level: Level
    score: float
    tail: float
    false_alarm: float
    words: str
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class VerdictScale:
    """Limits learnt from held-out pictures.

    `reference` gives the views' own scales, `calibration` float64 `[M]` the joined scores of
    other held-out pictures. `foreign` is None where these are too few for so rare an alarm.
    """

    held_out: AnomalyFeatures
    reference: AnomalyFeatures
    reference_distances: Doubles
    held_out_distances: Doubles
    calibration: Doubles
    unusual: Threshold
    foreign: Threshold | None
    has_evidence: bool


def calibrate_verdict(held_out: AnomalyFeatures, *, has_evidence: bool = True) -> VerdictScale:
    """Learn what is usual from features of held-out pictures, in random order.

    The first half sets the scales of the views, the second the limits: "unusual" at 5 % false
    alarms, "foreign" at 0.5 % or the rarest rate that so many pictures allow, at most 2 %.
    `has_evidence` is False for models without an ELBO. `DataError` for fewer than 40 pictures.
    """
    n = len(held_out)
    if n < LEAST_HELD_OUT:
        raise DataError(
            f"{n} held-out pictures came, a verdict needs {LEAST_HELD_OUT} or more to compare "
            "with; train on a larger set, or calibrate with more images."
        )
    rows = np.arange(n)
    reference, rest = held_out.take(rows[: n // 2]), held_out.take(rows[n // 2 :])
    own = _own_distances(reference.mean)
    far = neighbour_distance(rest.mean, reference.mean)
    scores = _join(rest.unexplained, far, reference, own)
    rarest = max(FOREIGN_RATE, 1 / (len(scores) + 1))
    return VerdictScale(
        held_out=held_out,
        reference=reference,
        reference_distances=own,
        held_out_distances=np.concatenate([own, far]),
        calibration=np.sort(scores),
        unusual=calibrate(scores, false_alarm=UNUSUAL_RATE),
        foreign=calibrate(scores, false_alarm=rarest) if rarest <= MOST_FOREIGN_RATE else None,
        has_evidence=has_evidence,
    )


def _own_distances(codes: NDArray[np.float32]) -> Doubles:
    """Distance of each code to its k-th nearest other one `[N]`."""
    k = min(N_NEIGHBOURS + 1, len(codes))
    return nearest(codes, codes, k=k)[1][:, -1].astype(np.float64)


def _join(
    unexplained: NDArray[np.float32], far: Doubles, reference: AnomalyFeatures, own: Doubles
) -> Doubles:
    """−log of the smaller of the views' tail probabilities, each over its share of the alarms.

    Source: the weighted Bonferroni rule (Genovese et al. 2006); it only orders pictures, the
    rate of alarms comes from the calibration.
    """
    missed = log_tail(unexplained, reference.unexplained)
    strange = log_tail(far, own) + np.log(CODE_WEIGHT)
    joined: Doubles = np.maximum(missed, strange)
    return joined


def scale_of(checkpoint: Checkpoint) -> VerdictScale:
    """The scale of a checkpoint, from its calibration file.

    `ConfigError` when it carries none, `DataError` when that holds too few pictures.
    """
    if checkpoint.calibration is None:
        raise ConfigError(
            f"'{checkpoint.name}' carries no calibration, so nothing is known of what is usual "
            f"for it; run: python -m vae_core calibrate {checkpoint.path} --data …"
        )
    name = str(checkpoint.card["objective"]["name"])
    return calibrate_verdict(
        checkpoint.calibration.features, has_evidence=name not in WITHOUT_EVIDENCE
    )


def verdict(
    checkpoint: Checkpoint, pixels: NDArray[np.uint8], *, scale: VerdictScale | None = None
) -> tuple[Verdict, ...]:
    """Judge pictures uint8 `[N,C,H,W]`, one verdict each; `scale` saves learning it again.

    Errors as `scale_of`, and `DataError` for no pictures or a shape that is not the model's.
    """
    features = anomaly_features(checkpoint.model, pixels, importance_samples=ELBO_SAMPLES)
    return judge(scale or scale_of(checkpoint), features)


def judge(scale: VerdictScale, features: AnomalyFeatures) -> tuple[Verdict, ...]:
    """Verdicts on pictures whose features are known."""
    far = neighbour_distance(features.mean, scale.reference.mean)
    joined = _join(features.unexplained, far, scale.reference, scale.reference_distances)
    tables = _tables(scale, features, far)
    return tuple(
        _verdict(scale, float(score), table) for score, table in zip(joined, tables, strict=True)
    )


def most_unusual_first(verdicts: Sequence[Verdict]) -> list[int]:
    """Places of a batch's verdicts by falling score."""
    return sorted(range(len(verdicts)), key=lambda place: -verdicts[place].score)


def _verdict(scale: VerdictScale, score: float, table: tuple[Score, ...]) -> Verdict:
    n = len(scale.calibration)
    above = n - int(np.searchsorted(scale.calibration, score, side="left"))
    level: Level = "typical"
    limit = scale.unusual
    if score > scale.unusual.value:
        level = "unusual"
    if scale.foreign is not None and score > scale.foreign.value:
        level, limit = "foreign", scale.foreign
    words = (
        f"{explain_verdict(level, missed=table[0], code=table[1])} {rate_in_words(level, limit)}"
    )
    return Verdict(level, score, (1 + above) / (n + 1), limit.expected, words, table)


def _tables(
    scale: VerdictScale, features: AnomalyFeatures, far: Doubles
) -> list[tuple[Score, ...]]:
    """The scores of each picture with their percentiles, the two that decide first."""
    known, columns = scale.held_out, list[tuple[str, str, Doubles, Doubles]]()

    def add(name: str, unit: str, values: NDArray[np.floating], held: NDArray[np.floating]) -> None:
        columns.append((name, unit, values.astype(np.float64), np.sort(held.astype(np.float64))))

    add("share missed", "of the picture's variance", features.unexplained, known.unexplained)
    add("distance to real codes", "", far, scale.held_out_distances)
    add("squared error", "per value", features.squared_error, known.squared_error)
    if scale.has_evidence:
        add("negative ELBO", "nats", features.negative_elbo, known.negative_elbo)
        rebuilt, held = (f.negative_elbo - f.kl for f in (features, known))
        add("reconstruction", "nats", rebuilt, held)
        add("KL", "nats", features.kl, known.kl)
    return [
        tuple(Score(name, float(v[i]), unit, _share_below(v[i], held))
              for name, unit, v, held in columns)
        for i in range(len(features))
    ]  # fmt: skip


def _share_below(value: float, held: Doubles) -> float:
    """Share of sorted held-out values below, equal ones counted half."""
    low, high = (np.searchsorted(held, value, side=side) for side in ("left", "right"))
    return float(low + high) / (2 * len(held))
