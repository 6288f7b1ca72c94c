"""Anomaly scores: several views of how unlike normal images a picture is, and thresholds.

Raw likelihood alone ranks some simple pictures as more normal than normal ones (Nalisnick et
al. 2019, arXiv:1906.02994), so it stands beside others here. A higher score is always more
unusual. `anomaly_features` runs the model; everything else is arrays in, arrays out, with
"held out" meaning normal images that the model was not trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from vae_core.errors import ConfigError, DataError
from vae_core.estimators import importance_bound
from vae_core.evaluate.bounds import log_weights
from vae_core.evaluate.images import image_batches
from vae_core.evaluate.threshold import Threshold, auroc, calibrate
from vae_core.model import Autoencoder

Floats = NDArray[np.float32]
Numbers = NDArray[np.floating]
Scores = NDArray[np.float64]

# Keeps flat images, which have no variance of their own, at a finite score.
LEAST_VARIANCE: Final = 1e-3
BATCH_SIZE: Final = 100
LEAST_HELD_OUT: Final = 2
N_NEIGHBOURS: Final = 5


@dataclass(frozen=True)
class AnomalyFeatures:
    """What a model says of N images; float32 `[N]`, but `mean` `[N,D]`.

    `squared_error` per value on [0,1], `unexplained`, the same as a share of the image's
    own variance, and `error_norm` ‖x − x̂‖, of the mean code's reconstruction;
    `negative_elbo` and `negative_bound` (importance weighted) in nats, of K samples; `kl` in
    nats; `code_norm` ‖μ‖ and `spread_norm` ‖σ‖ of the posterior.
    """

    squared_error: Floats
    unexplained: Floats
    error_norm: Floats
    negative_elbo: Floats
    negative_bound: Floats
    kl: Floats
    code_norm: Floats
    spread_norm: Floats
    mean: Floats

    def __len__(self) -> int:
        return len(self.mean)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> AnomalyFeatures:
        """The given rows, to part held-out images into two."""
        return AnomalyFeatures(*(getattr(self, field.name)[rows] for field in fields(self)))


@torch.no_grad()
def anomaly_features(
    model: Autoencoder,
    images: NDArray[np.uint8],
    *,
    seed: int = 0,
    importance_samples: int = 10,
) -> AnomalyFeatures:
    """Run the model on uint8 images `[N,C,H,W]`; reproducible by seed.

    `DataError` for no images, `ConfigError` for fewer than one sample.
    """
    if importance_samples < 1:
        raise ConfigError(
            f"{importance_samples} samples were asked for, expected 1 or more; 10 is a good number."
        )
    if not len(images):
        raise DataError("No images came to be scored, expected one or more; choose a set.")
    generator = torch.Generator(model.device).manual_seed(seed)
    parts: list[tuple[Floats, ...]] = []
    for x in image_batches(model, images, size=BATCH_SIZE):
        columns = _features_of(model, x, n=importance_samples, generator=generator)
        parts.append(tuple(column.float().cpu().numpy() for column in columns))
    return AnomalyFeatures(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _features_of(
    model: Autoencoder, x: torch.Tensor, *, n: int, generator: torch.Generator
) -> tuple[torch.Tensor, ...]:
    posterior = model.encode(x)
    error = (model.decode(posterior.mean) - x).flatten(1)
    squared = error.square().mean(1)
    # Thin strokes cost little even when they are all wrong: what counts is the share missed.
    unexplained = squared / (x.flatten(1).var(1, unbiased=False) + LEAST_VARIANCE)
    weights = log_weights(model, model.likelihood.target(x, generator), n=n, generator=generator)
    return (
        squared,
        unexplained,
        error.norm(dim=1),
        -weights.mean(0),
        -importance_bound(weights),
        posterior.kl_terms().sum(1),
        posterior.mean.norm(dim=1),
        posterior.std.norm(dim=1),
        posterior.mean,
    )


def _known(scores: Numbers, held_out: Numbers) -> tuple[Scores, Scores]:
    """Check both and make them float64; `DataError` for unlike shapes, too few, or not finite."""
    values, known = np.asarray(scores, np.float64), np.asarray(held_out, np.float64)
    if values.ndim != known.ndim or values.shape[1:] != known.shape[1:] or values.ndim > 2:
        raise DataError(
            f"Scores of shape {values.shape} came with held-out ones of shape {known.shape}, "
            "expected one row per image and equal columns; score both with the same model."
        )
    if len(known) < LEAST_HELD_OUT:
        raise DataError(
            f"{len(known)} held-out rows came, expected {LEAST_HELD_OUT} or more to compare with; "
            "score more normal images."
        )
    if not (np.isfinite(values).all() and np.isfinite(known).all()):
        raise DataError(
            "The scores hold numbers that are not finite, expected finite ones; look at the "
            "images and the model that gave them."
        )
    return values, known


def typicality(scores: Numbers, held_out: Numbers) -> Scores:
    """|score − mean held-out score| `[N]`: unusual both ways, too likely as well as unlikely.

    Source: Nalisnick et al. 2019 (arXiv:1906.02994), section 3, for sets of one image.
    """
    values, known = _known(scores, held_out)
    distance: Scores = np.abs(values - known.mean(0))
    return distance


def tail_probability(scores: Numbers, held_out: Numbers) -> Scores:
    """Share of held-out scores `[M]` or `[M,S]` at least as high, in (0, 1].

    (1 + #{held out ≥ score}) / (M + 1) per column: for a normal image it is at most α with
    probability at most α, whatever the score (Vovk et al. 2005, conformal p-value).
    """
    values, known = _known(scores, held_out)
    if known.ndim == 1:
        return _upper_tail(values, known)
    columns = zip(values.T, known.T, strict=True)
    return np.stack([_upper_tail(column, other) for column, other in columns], 1)


def _upper_tail(values: Scores, known: Scores) -> Scores:
    below = np.searchsorted(np.sort(known), values, side="left")
    return (1 + len(known) - below) / (len(known) + 1)


def copula_score(features: Numbers, held_out: Numbers) -> Scores:
    """How far out features `[N,F]` lie in the tails of held-out ones `[M,F]`: `[N]`, nats.

    The largest of three sums over features of −log tail probability: left tails, right tails,
    and each feature's longer tail (by the sign of its skewness). No covariance, no parameter.
    Source: COPOD, Li et al. 2020 (arXiv:2009.09463), algorithm 1, with the tails of held-out
    rows; their +1 keeps logarithms finite.
    """
    values, known = _known(features, held_out)
    right = -np.log(tail_probability(values, known))
    left = -np.log(tail_probability(-values, -known))
    centered = known - known.mean(0)
    longer = np.where((centered**3).mean(0) < 0, left, right)
    scores: Scores = np.max([left.sum(1), right.sum(1), longer.sum(1)], axis=0)
    return scores


def path_features(features: AnomalyFeatures) -> Scores:
    """‖x − x̂‖, ‖μ‖ and ‖σ‖ as columns `[N,3]`, what `copula_score` takes.

    Source: LPath, Huang et al. 2024 (arXiv:2401.04933), which puts COPOD on the same three.
    """
    columns = (features.error_norm, features.code_norm, features.spread_norm)
    return np.stack(columns, 1).astype(np.float64)


def code_distance(codes: Numbers, held_out: Numbers) -> Scores:
    """Mahalanobis distance of codes `[N,D]` to held-out codes `[M,D]`, with shrinkage: `[N]`.

    Shrinkage (Ledoit & Wolf 2004) keeps it defined for few codes; dimensions in which the
    held-out codes never vary are left out; 0 when none does.
    """
    values, known = _known(codes, held_out)
    varies = known.std(0) > 1e-6
    if not varies.any():
        return np.zeros(len(values))
    fitted = LedoitWolf().fit(known[:, varies])
    squared: Scores = fitted.mahalanobis(values[:, varies])
    return np.sqrt(np.maximum(squared, 0))


def neighbour_distance(codes: Numbers, held_out: Numbers, *, k: int = N_NEIGHBOURS) -> Scores:
    """Euclidean distance of codes `[N,D]` to their k-th nearest held-out code `[M,D]`: `[N]`.

    With fewer than k held-out codes it is the distance to the farthest of them.
    """
    values, known = _known(codes, held_out)
    near = NearestNeighbors(n_neighbors=max(1, min(k, len(known)))).fit(known)
    distances: Scores = near.kneighbors(values)[0][:, -1]
    return distances


def combine(
    scores: Numbers, held_out: Numbers, *, rule: Literal["fisher", "max"] = "fisher"
) -> Scores:
    """One score `[N]` from S scores `[N,S]` through their tail probabilities among held-out ones.

    fisher: −2·Σ log p (Fisher 1932); max: −log of the smallest p. Above the 0.9 quantile of the
    held-out scores tails go on as exponentials of the same mean excess (Pickands 1975), so that
    far out stays apart from just outside. The scores depend on each other, so the sum is not
    χ²: calibrate it like any other score, on rows other than `held_out`.
    """
    values, known = _known(scores, held_out)
    columns = zip(values.T, known.T, strict=True)
    tails = np.stack([log_tail(column, other) for column, other in columns], 1)
    joined: Scores = 2 * tails.sum(1) if rule == "fisher" else tails.max(1)
    return joined


def log_tail(scores: Numbers, held_out: Numbers) -> Scores:
    """−log of the tail probability `[N]`, without an end where held-out scores `[M]` end.

    Beyond their 0.9 quantile it goes on as in `combine`.
    """
    values, known = _known(scores, held_out)
    start = np.quantile(known, 0.9)
    excess = known[known > start] - start
    within = -np.log(_upper_tail(values, known))
    if not excess.sum() > 0:
        return within
    at_start = (1 + len(excess)) / (len(known) + 1)
    beyond = (values - start) / excess.mean() - np.log(at_start)
    return np.where(values > start, beyond, within)


def anomaly_scores(features: AnomalyFeatures, held_out: AnomalyFeatures) -> dict[str, Scores]:
    """All scores of N images beside held-out normal ones, by name; each `[N]`.

    `combined` joins reconstruction, typicality, path and code distance. Calibrate on normal
    images other than `held_out`: half as reference, half for `calibrate`.
    """
    elbo, path = features.negative_elbo, path_features(features)
    known_path = path_features(held_out)
    scores = {
        "reconstruction": features.squared_error.astype(np.float64),
        "unexplained": features.unexplained.astype(np.float64),
        "negative_elbo": elbo.astype(np.float64),
        "negative_bound": features.negative_bound.astype(np.float64),
        "typicality": typicality(elbo, held_out.negative_elbo),
        "path": copula_score(path, known_path),
        "code_distance": code_distance(features.mean, held_out.mean),
        "neighbours": neighbour_distance(features.mean, held_out.mean),
    }
    own = {
        "reconstruction": held_out.squared_error.astype(np.float64),
        "unexplained": held_out.unexplained.astype(np.float64),
        "typicality": typicality(held_out.negative_elbo, held_out.negative_elbo),
        "path": copula_score(known_path, known_path),
        "code_distance": code_distance(held_out.mean, held_out.mean),
    }
    joined = (np.stack([table[name] for name in own], 1) for table in (scores, own))
    return {**scores, "combined": combine(*joined)}


@dataclass(frozen=True)
class Detection:
    """One score at work.

    `caught` is the share of anomalous images above the threshold, `false_alarms` that of the
    normal ones.
    """

    auroc: float
    caught: float
    false_alarms: float
    threshold: Threshold


@dataclass(frozen=True)
class DetectionReport:
    """`Detection` of every score in `anomaly_scores`, by name, and how many images it rests on."""

    scores: Mapping[str, Detection]
    n_reference: int
    n_calibration: int
    n_normal: int
    n_anomalous: int


def detection_report(
    held_out: AnomalyFeatures,
    normal: AnomalyFeatures,
    anomalous: AnomalyFeatures,
    *,
    false_alarm: float = 0.05,
    seed: int = 0,
) -> DetectionReport:
    """Tell `normal` from `anomalous` images by all scores, set up on other normal images.

    `held_out` is dealt into halves: one is the reference of the scores, the other calibrates
    the thresholds. Take images the model was not trained on: on training images thresholds
    come out too low. `DataError` when a half is too small for `calibrate`.
    """
    order = np.random.default_rng(seed).permutation(len(held_out))
    reference, rest = held_out.take(order[::2]), held_out.take(order[1::2])
    tables = [anomaly_scores(part, reference) for part in (rest, normal, anomalous)]
    found = {
        name: _detection(*(table[name] for table in tables), false_alarm=false_alarm)
        for name in tables[0]
    }
    return DetectionReport(found, len(reference), len(rest), len(normal), len(anomalous))


def _detection(
    calibration: Scores, normal: Scores, anomalous: Scores, *, false_alarm: float
) -> Detection:
    threshold = calibrate(calibration, false_alarm=false_alarm)
    caught, wrong = (float((part > threshold.value).mean()) for part in (anomalous, normal))
    return Detection(auroc(normal, anomalous), caught, wrong, threshold)
