"""What a linear reader says of every code without having seen that code's own label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vae_core.errors import DataError
from vae_core.evaluate.features import Floats, Ints
from vae_core.evaluate.probe import DEFAULT_C, fit_logistic

N_FOLDS: Final = 5


@dataclass(frozen=True)
class Predictions:
    """For each of N codes: `kind` int64 `[N]`, `confidence` and `entropy_nats` float32 `[N]`.

    `confidence` is the probability of the predicted kind, `entropy_nats` that of all of them.
    `is_right` bool `[N]` is False too where the label is unknown (`is_known` `[N]`); `accuracy`,
    in [0,1], is over the known ones, `chance` that of always saying the commonest.
    """

    kind: Ints
    confidence: Floats
    entropy_nats: Floats
    is_right: NDArray[np.bool_]
    is_known: NDArray[np.bool_]
    accuracy: float
    chance: float

    @property
    def text(self) -> str:
        """One sentence with the accuracy, for the screen."""
        return (
            f"Cross-validated linear classifier on the codes: {self.accuracy:.1%} right on "
            f"{int(self.is_known.sum()):,} images ({self.chance:.1%} by always saying the "
            f"commonest). Each image is judged by one of {N_FOLDS} classifiers that learnt "
            "without it."
        )


def predict_labels(codes: Floats, labels: Ints, *, seed: int = 0) -> Predictions:
    """Predict labels `[N]` (−1 is unknown) from codes `[N,D]`, each by a reader that never saw it.

    Multinomial logistic regression on standardised codes in five stratified folds; a label that
    occurs once is never learnt from. Unknown labels are predicted by the first reader. `DataError`
    for fewer than two labels that occur twice or more, or codes that do not fit.
    """
    known = _check(codes, labels)
    kinds, counts = np.unique(labels[known], return_counts=True)
    common = kinds[counts >= 2]
    if len(common) < 2:
        raise DataError(
            f"{len(common)} labels occur twice or more, expected 2 at least to tell apart; "
            "label more images."
        )
    fold = _folds(labels, common, seed=seed)
    probability = np.zeros((len(codes), len(common)))
    for number in range(N_FOLDS):
        learnt = np.flatnonzero((fold >= 0) & (fold != number))
        asked = np.flatnonzero((fold == number) | ((fold < 0) & (number == 0)))
        probability[asked] = _read(codes, labels, learnt, asked, common)
    kind = common[probability.argmax(1)]
    is_right = (kind == labels) & (labels >= 0)
    return Predictions(
        kind=kind,
        confidence=probability.max(1).astype(np.float32),
        entropy_nats=-(probability * np.log(probability.clip(1e-12))).sum(1).astype(np.float32),
        is_right=is_right,
        is_known=labels >= 0,
        accuracy=float(is_right[known].mean()),
        chance=float(counts.max() / counts.sum()),
    )


def _check(codes: Floats, labels: Ints) -> Ints:
    """Rows of known label."""
    if codes.ndim != 2 or labels.shape != codes.shape[:1] or not np.isfinite(codes).all():
        raise DataError(
            f"Codes of shape {codes.shape} came with labels {labels.shape}, expected [N,D] of "
            "finite numbers and [N]; give one label per code."
        )
    return np.flatnonzero(labels >= 0)


def _folds(labels: Ints, common: Ints, *, seed: int) -> Ints:
    """Fold of each row `[N]`, every label spread evenly; −1 for those not learnt from."""
    random = np.random.default_rng(seed)
    fold = np.full(len(labels), -1)
    for label in common:
        rows = random.permutation(np.flatnonzero(labels == label))
        fold[rows] = np.arange(len(rows)) % N_FOLDS
    return fold


def _read(
    codes: Floats, labels: Ints, learnt: Ints, asked: Ints, common: Ints
) -> NDArray[np.float64]:
    """Probabilities `[asked,K]` by a reader that learnt from other rows."""
    mean, std = codes[learnt].mean(0), codes[learnt].std(0)
    scale = np.where(std > 0, std, 1)
    reader = fit_logistic((codes[learnt] - mean) / scale, labels[learnt], c=DEFAULT_C)
    found: NDArray[np.float64] = np.zeros((len(asked), len(common)))
    found[:, np.searchsorted(common, reader.classes_)] = reader.predict_proba(
        (codes[asked] - mean) / scale
    )
    return found
