"""The sections of a report: each takes what is at hand and returns plain data, or None."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_core.checkpoint import Checkpoint
from vae_core.data.imageset import Factor, ImageSet
from vae_core.errors import DataError
from vae_core.evaluate.anomaly import anomaly_features, detection_report
from vae_core.evaluate.bounds import evidence_bounds
from vae_core.evaluate.dci import dci
from vae_core.evaluate.decomposition import compare_to_prior, decompose_kl
from vae_core.evaluate.factors import factor_vae_score, mig, sap
from vae_core.evaluate.features import feature_sets
from vae_core.evaluate.frechet import frechet_images
from vae_core.evaluate.images import posterior_factors
from vae_core.evaluate.probe import probe_factors, probe_labels
from vae_core.evaluate.quality import image_quality
from vae_core.evaluate.rate import (
    codec_points,
    lossless_bits_per_value,
    model_point,
    pca_code_points,
    plain_code_points,
)
from vae_core.latent.codes import Codes, encode_set
from vae_core.latent.mixture import MixturePrior
from vae_core.objectives.registry import WITHOUT_EVIDENCE

Images = NDArray[np.uint8]
Rows = NDArray[np.int64]
MAX_PROBE_ROWS = 5_000
MAX_PICTURES = 2_000
MAX_RATE_PICTURES = 500
CODE_STEPS = (0.25, 0.5, 1.0, 2.0)
PCA_STEPS = (0.1, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Measured:
    """What a report is made from: a checkpoint, its train and test images, and choices.

    `against`: other images of the same shape that should look foreign to the model.
    """

    checkpoint: Checkpoint
    train: ImageSet
    test: ImageSet
    importance_samples: int = 100
    n_bound_images: int = 1_000
    seed: int = 0
    against: ImageSet | None = None

    @property
    def has_evidence(self) -> bool:
        """Whether the model was trained with a posterior that means something."""
        return self.checkpoint.card["objective"]["name"] not in WITHOUT_EVIDENCE

    @cached_property
    def probe(self) -> tuple[dict[str, NDArray[np.float32]], Rows, Rows]:
        """Features of some train images followed by some test images, and the rows of each."""
        parts = [s.take(np.arange(min(len(s), MAX_PROBE_ROWS))) for s in (self.train, self.test)]
        codes = [encode_set(self.checkpoint.model, part).mean for part in parts]
        images = np.concatenate([part.images for part in parts])
        train, test = np.split(np.arange(len(images)), [len(parts[0])])
        features = feature_sets(np.concatenate(codes), images, train=train, seed=self.seed)
        return features, train, test

    def decode(self, z: NDArray[np.float32]) -> NDArray[np.float32]:
        """Codes `[N,D]` → images float32 `[N,C,H,W]`, in pieces."""
        model, pieces = self.checkpoint.model, np.array_split(z, max(1, len(z) // 250))
        with torch.no_grad():
            decoded = [
                model.decode(torch.from_numpy(np.ascontiguousarray(p)).to(model.device)).cpu()
                for p in pieces
            ]
        return np.asarray(torch.cat(decoded).numpy())


def measure_report(
    measured: Measured, *, tell: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """All sections as plain data fit for JSON; what cannot be measured here is left out.

    `tell` gets one word per section. Raises `DataError` when the images are too few for
    anything at all; a section that finds too few says so in `left_out`.
    """
    codes = encode_set(measured.checkpoint.model, measured.test)
    report: dict[str, Any] = {"about": _about(measured, codes)}
    left_out: dict[str, str] = {}
    for name, section in SECTIONS.items():
        tell(name)
        try:
            found = section(measured, codes)
        except DataError as reason:
            left_out[name] = str(reason)
            continue
        if found is not None:
            report[name] = plain(found)
    return {**report, "left_out": left_out}


def mixture_of(checkpoint: Checkpoint) -> MixturePrior | None:
    """The fitted mixture, where the card notes how it came about.

    Before there were such notes it was fitted to held-out codes: scored on held-out images it
    would look better than it is.
    """
    return checkpoint.prior if checkpoint.card.get("prior") else None


def plain(value: Any) -> Any:
    """Dataclasses, arrays and numbers as JSON knows them; what is not finite becomes None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def _about(measured: Measured, codes: Codes) -> dict[str, Any]:
    card = measured.checkpoint.card
    return {
        "title": card["title"],
        "key": measured.checkpoint.key,
        "data": card["data"].get("source"),
        "objective": dict(card["objective"]),
        "command": card.get("command", ""),
        "n_latent": measured.checkpoint.model.n_latent,
        "n_train_images": len(measured.train),
        "n_test_images": len(codes),
        "seed": measured.seed,
        "n_runs": 1,
    }


def _bounds(measured: Measured, _: Codes) -> Any:
    if not measured.has_evidence:
        return None
    model, images = measured.checkpoint.model, measured.test.images[: measured.n_bound_images]
    bounds = evidence_bounds(
        model, images, importance_samples=measured.importance_samples, seed=measured.seed,
        mixture=mixture_of(measured.checkpoint),
    )  # fmt: skip
    bits = lossless_bits_per_value(model, images, seed=measured.seed)
    return {**asdict(bounds), "elbo_bits_per_value": bits}


def _latent(measured: Measured, codes: Codes) -> Any:
    found: dict[str, Any] = {
        "active_units": int(codes.is_active.sum()),
        "order_by_kl": codes.by_kl,
    }
    if not measured.has_evidence:
        return found | {"std_of_means": codes.mean.std(0)}
    mean, log_std, seed = codes.mean, codes.log_std, measured.seed
    factor = posterior_factors(measured.checkpoint.model, measured.test.images)
    return found | {
        "kl_per_dimension": codes.kl_per_dimension,
        "kl_split": decompose_kl(mean, log_std, factor=factor, max_codes=1_000, seed=seed),
        "aggregate": compare_to_prior(mean, log_std, factor=factor, seed=seed),
    }


def _pictures(measured: Measured, codes: Codes) -> Any:
    n = min(len(codes), MAX_PICTURES)
    rebuilt = measured.decode(codes.mean[:n])
    original = measured.test.images[:n]
    return image_quality(original, rebuilt).report()


def _samples(measured: Measured, codes: Codes) -> Any:
    """Fréchet distances to held-out pictures: other held-out ones, rebuilt, drawn from priors."""
    n = min(len(codes) // 2, MAX_PICTURES)
    first, second = measured.test.images[:n], measured.test.images[n : 2 * n]
    generator = torch.Generator().manual_seed(measured.seed)
    drawn = {"normal": torch.randn((n, codes.mean.shape[1]), generator=generator).numpy()}
    if measured.checkpoint.prior is not None:
        drawn["mixture"] = measured.checkpoint.prior.sample(n, generator=generator).numpy()
    found = {"held_out": frechet_images(first, second)}
    found["rebuilt"] = frechet_images(first, measured.decode(codes.mean[n : 2 * n]))
    for name, z in drawn.items():
        found[f"drawn_from_{name}"] = frechet_images(first, measured.decode(z))
    return found


def _rates(measured: Measured, codes: Codes) -> Any:
    if measured.test.spec.channels not in (1, 3):
        return None
    model, test = measured.checkpoint.model, measured.test.images[:MAX_RATE_PICTURES]
    train = measured.train.images[: 4 * MAX_RATE_PICTURES]
    points = plain_code_points(model, test, steps=CODE_STEPS, table_images=train)
    if measured.has_evidence:
        points.append(model_point(model, test, seed=measured.seed))
    n_components = min(128, 4 * codes.mean.shape[1], len(train) - 1)
    points += pca_code_points(train, test, steps=PCA_STEPS, n_components=n_components)
    return {"n_images": len(test), "points": [*points, *codec_points(test)]}


def _labels(measured: Measured, codes: Codes) -> Any:  # noqa: ARG001  (a section's shape)
    if measured.train.labels is None or len(np.unique(measured.train.labels)) < 2:
        return None
    assert measured.test.labels is not None
    features, train, test = measured.probe
    parts = (measured.train.labels[: len(train)], measured.test.labels[: len(test)])
    labels = np.concatenate(parts)
    return probe_labels(features, labels, train=train, test=test, seed=measured.seed)


def _factors(measured: Measured, codes: Codes) -> Any:
    if not codes.factors:
        return None
    features, train, test = measured.probe
    factors = {
        name: Factor(
            np.concatenate(
                [measured.train.factors[name].values[: len(train)], f.values[: len(test)]]
            ),
            f.categories,
        )
        for name, f in measured.test.factors.items()
    }
    return {
        "mig": mig(codes.mean, codes.factors),
        "sap": sap(codes.mean, codes.factors, seed=measured.seed),
        "dci": dci(codes.mean, codes.factors, seed=measured.seed),
        "factor_vae": factor_vae_score(codes.mean, codes.factors, seed=measured.seed),
        "readout": probe_factors(features, factors, train=train, test=test),
    }


def _foreign(measured: Measured, codes: Codes) -> Any:
    if measured.against is None:
        return None
    model, n = measured.checkpoint.model, min(len(codes) // 2, MAX_PICTURES)
    held_out, normal, foreign = (
        anomaly_features(model, images, seed=measured.seed)
        for images in (
            measured.test.images[n : 2 * n],
            measured.test.images[:n],
            measured.against.images[:n],
        )
    )
    report = detection_report(held_out, normal, foreign, seed=measured.seed)
    return {"against": measured.against.name, **plain(report)}


SECTIONS: Mapping[str, Callable[[Measured, Codes], Any]] = {
    "bounds": _bounds,
    "latent": _latent,
    "pictures": _pictures,
    "samples": _samples,
    "rates": _rates,
    "labels": _labels,
    "factors": _factors,
    "foreign": _foreign,
}
