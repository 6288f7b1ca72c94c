"""Thresholds for scores with a promised false-alarm rate, and how well a score separates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from vae_core.errors import ConfigError, DataError

Numbers = NDArray[np.floating]


@dataclass(frozen=True)
class Threshold:
    """A score above `value` raises an alarm; calibrated on `n_held_out` normal scores.

    `false_alarm` was asked for; `achieved` is the share of the held-out scores above. Over new
    calibration sets the rate for new normal images is `expected` on average, at most what was
    asked for, and it spreads by `spread` (standard deviation) from one set to another.
    `is_informative` is False when all held-out scores are equal.
    """

    value: float
    false_alarm: float
    achieved: float
    expected: float
    spread: float
    n_held_out: int
    is_informative: bool

    def describe(self) -> str:
        """One sentence for the screen: what the threshold promises."""
        if not self.is_informative:
            return (
                f"All {self.n_held_out} held-out scores equal {self.value:g}, so this score tells "
                "nothing about normal images; choose another one."
            )
        return (
            f"Above {self.value:.4g}: {self.n_held_out} held-out images promise false alarms on "
            f"{self.expected:.1%} of new normal images, give or take {self.spread:.1%}."
        )


def calibrate(held_out_scores: Numbers, *, false_alarm: float = 0.05) -> Threshold:
    """The threshold that new normal images exceed with a probability of at most `false_alarm`.

    It is the ⌈(n + 1)(1 − α)⌉-th smallest of n scores; the rate it leads to has the Beta(n + 1
    − k, k) distribution over calibration sets. Source: Vovk 2012 (arXiv:1209.2673).
    `DataError` for fewer than 1/α − 1 scores, `ConfigError` for α outside (0, 1).
    """
    if not 0 < false_alarm < 1:
        raise ConfigError(
            f"A false-alarm rate of {false_alarm} came, expected one between 0 and 1; try 0.05."
        )
    scores = np.sort(np.asarray(held_out_scores, np.float64))
    n = len(scores)
    # The rounding keeps (n + 1)·0.95 = 19.000000000000004 from counting as 20.
    k = math.ceil(round((n + 1) * (1 - false_alarm), 9))
    if scores.ndim != 1 or k > n or not np.isfinite(scores).all():
        least = math.ceil(round(1 / false_alarm - 1, 9))
        raise DataError(
            f"Held-out scores of shape {scores.shape} came, expected {least} or more finite ones "
            f"for a false-alarm rate of {false_alarm:g}; score more normal images or allow more."
        )
    value, a, b = float(scores[k - 1]), n + 1 - k, k
    return Threshold(
        value=value,
        false_alarm=false_alarm,
        achieved=float((scores > value).mean()),
        expected=a / (n + 1),
        spread=math.sqrt(a * b / ((n + 1) ** 2 * (n + 2))),
        n_held_out=n,
        is_informative=bool(scores[0] < scores[-1]),
    )


def auroc(normal: Numbers, anomalous: Numbers) -> float:
    """Chance that an anomalous image scores above a normal one, ties half; 0.5 tells nothing.

    `DataError` when either is empty or not finite.
    """
    scores = np.concatenate([normal, anomalous]).astype(np.float64)
    if not (len(normal) and len(anomalous) and np.isfinite(scores).all()):
        raise DataError(
            f"{len(normal)} normal and {len(anomalous)} anomalous scores came, expected finite "
            "ones of both kinds; score images of both."
        )
    return float(roc_auc_score(np.arange(len(scores)) >= len(normal), scores))


def one_vs_rest(scores: Numbers, labels: NDArray[np.integer], *, normal: int) -> dict[int, float]:
    """AUROC of label `normal` against each other label: `{label: auroc}`, −1 for all others.

    For a model trained on images of that label alone, on test images of all of them.
    `DataError` when one side is empty.
    """
    inside = scores[labels == normal]
    others = [int(label) for label in np.unique(labels) if label != normal]
    found = {label: auroc(inside, scores[labels == label]) for label in others}
    return {-1: auroc(inside, scores[labels != normal]), **found}
