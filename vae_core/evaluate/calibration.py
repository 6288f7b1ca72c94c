"""`Calibration`: what a model says of held-out images, kept beside it to judge others by.

With it a machine that has the model but not its data can still tell how unusual a picture is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vae_core.data.imageset import ImageSet
from vae_core.errors import DataError
from vae_core.evaluate.anomaly import AnomalyFeatures, anomaly_features
from vae_core.model import Autoencoder

MOST_IMAGES: Final = 2_000
MOST_BYTES: Final = 290_000
# Draws behind each ELBO, here and for the pictures that are judged: one score, one recipe.
ELBO_SAMPLES: Final = 5
_SCALARS: Final = tuple(f.name for f in fields(AnomalyFeatures) if f.name != "mean")


@dataclass(frozen=True)
class Calibration:
    """Features of N held-out images in random order; `ids` int64 `[N]` find them in their set."""

    features: AnomalyFeatures
    ids: NDArray[np.int64]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Plain arrays for a file; codes in half precision, which is plenty for distances."""
        mean = np.clip(self.features.mean, *_half_range()).astype(np.float16)
        arrays: dict[str, NDArray[Any]] = {"ids": self.ids, "mean": mean}
        return arrays | {name: getattr(self.features, name) for name in _SCALARS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Calibration:
        """Inverse of `to_arrays`; `DataError` for arrays that are missing, unlike or not finite."""
        lacking = [name for name in ("ids", "mean", *_SCALARS) if name not in arrays]
        if lacking:
            raise DataError(
                f"The calibration lacks {', '.join(lacking)}; make it again with calibrate."
            )
        mean, ids = arrays["mean"].astype(np.float32), arrays["ids"].astype(np.int64)
        columns = {name: arrays[name].astype(np.float32) for name in _SCALARS}
        lengths = {len(mean), len(ids), *map(len, columns.values())}
        is_finite = all(np.isfinite(column).all() for column in (mean, *columns.values()))
        if mean.ndim != 2 or len(lengths) > 1 or not is_finite:
            raise DataError(
                "The calibration's arrays differ in length or are not finite, expected one finite "
                "row per image; make it again with calibrate."
            )
        return cls(AnomalyFeatures(**columns, mean=mean), ids)


def _half_range() -> tuple[float, float]:
    limits = np.finfo(np.float16)
    return float(limits.min), float(limits.max)


def calibrate_model(model: Autoencoder, images: ImageSet, *, seed: int = 0) -> Calibration | None:
    """Features of up to 2,000 test images, else validation images; None where there are none.

    Fewer where codes are so long that the file would pass 300 kB.
    """
    parts = (np.flatnonzero(images.split == part) for part in (2, 1))
    rows = next((found for found in parts if len(found)), None)
    if rows is None:
        return None
    row_bytes = 8 + 4 * len(_SCALARS) + 2 * model.n_latent
    n = min(MOST_IMAGES, max(1, MOST_BYTES // row_bytes))
    chosen = np.random.default_rng(seed).permutation(rows)[:n]
    features = anomaly_features(
        model, images.images[chosen], seed=seed, importance_samples=ELBO_SAMPLES
    )
    return Calibration(features, images.ids[chosen].astype(np.int64))
