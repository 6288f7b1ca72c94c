"""The small models of the Learn page, as its elements take them: decoders, codes, twelve digits."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pages.shared.payload import model_part, publish_array
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.data.digits import load_digits
from vae_core.errors import CheckpointError
from vae_core.evaluate.bounds import evidence_bounds
from vae_core.evaluate.images import score_images

PLAIN: Final = "ae"
BETAS: Final = (0, 0.1, 0.3, 1, 2, 4, 64)
NAMES: Final = (PLAIN, *(f"beta-{beta}" for beta in BETAS))
MEAN_REDUCTION: Final = 64  # pixels of a digit: what a mean over them multiplies the KL by

DRAWS: Final = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lesson:
    """All the page shows of its models.

    `models` by name in the form the elements take; `digits` the twelve pictures; `floor` the
    cross-entropy in nats that a perfect copy of a held-out digit keeps, on average.
    """

    models: dict[str, dict[str, Any]]
    digits: dict[str, Any]
    shape: list[int]
    floor: float
    n_held_out: int
    hole: list[float]

    @property
    def version(self) -> str:
        """Changes with any of the models."""
        keys = [model["model"]["key"] for model in self.models.values()]
        return hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:16]

    def by_beta(self) -> list[dict[str, Any]]:
        """The VAEs, β rising."""
        return [self.models[name] for name in NAMES if name != PLAIN]


def read_lesson(folder: Path) -> Lesson:
    """Load the models below `folder`; `CheckpointError` where one is missing or another's."""
    found = {name: load_checkpoint(folder / name) for name in NAMES}
    first = found["beta-1"].codes
    for name, checkpoint in found.items():
        if not np.array_equal(checkpoint.codes.ids, first.ids):
            raise CheckpointError(
                f"'{folder / name}' holds codes of other images than 'beta-1' beside it; train "
                "both again as docs/learn.md says."
            )
    images = load_digits().images[first.ids]
    rows = _twelve(found["beta-1"])
    held_out = images[first.held_out]
    channels, height, width = found["beta-1"].model.spec.shape
    return Lesson(
        models={name: _model(name, item, images, rows) for name, item in found.items()},
        digits=_digits(found["beta-1"], images, rows),
        shape=[height, width, channels],
        floor=float(cross_entropy_floor(held_out).mean()),
        n_held_out=len(held_out),
        hole=_hole(found[PLAIN], found["beta-1"]),
    )


def _twelve(checkpoint: Checkpoint) -> list[int]:
    """Rows of ten usual held-out digits, 0 to 9, and of the two that are rebuilt worst."""
    codes = checkpoint.codes
    assert codes.labels is not None
    error, rows = codes.squared_error, codes.held_out
    usual = []
    for digit in range(10):
        own = rows[codes.labels[rows] == digit]
        usual.append(int(own[np.argsort(error[own])[len(own) // 3]]))
    return [*usual, *(int(row) for row in rows[np.argsort(-error[rows])[:2]])]


def _digits(checkpoint: Checkpoint, images: NDArray[np.uint8], rows: list[int]) -> dict[str, Any]:
    labels = checkpoint.codes.labels
    assert labels is not None
    return {
        "pixels": images[rows].reshape(len(rows), -1).tolist(),
        "labels": labels[rows].tolist(),
        "hard": [index >= 10 for index in range(len(rows))],
        "rows": rows,
    }


def _model(
    name: str, checkpoint: Checkpoint, images: NDArray[np.uint8], rows: list[int]
) -> dict[str, Any]:
    """One model; the pictures `images[rows]` are encoded anew, stored widths are rounded."""
    codes = checkpoint.codes
    assert codes.labels is not None
    chosen = score_images(checkpoint.model, images[rows])
    farthest = float(np.quantile(np.abs(codes.mean), 0.998))
    return {
        "name": PLAIN if name == PLAIN else "vae",
        "beta": None if name == PLAIN else float(name.removeprefix("beta-")),
        "model": model_part(checkpoint),
        "codes": publish_array("codes", codes.mean, "<f4"),
        "kinds": publish_array("colour", codes.labels, "|u1"),
        "chosen": {"mean": chosen.mean.tolist(), "log_std": chosen.log_std.tolist()},
        "reach": max(3, math.ceil(1.1 * farthest)),
        "centre": codes.mean.mean(0).tolist(),
        "spread": codes.mean.std(0).tolist(),
        **({} if name == PLAIN else _terms(checkpoint, images[codes.held_out])),
    }


def _terms(checkpoint: Checkpoint, images: NDArray[np.uint8]) -> dict[str, float]:
    """Both terms of the loss, averaged over these pictures and over draws of z, in nats."""
    found = evidence_bounds(checkpoint.model, images, importance_samples=DRAWS)
    return {"rate": found.kl, "distortion": found.reconstruction}


def cross_entropy_floor(images: NDArray[np.uint8]) -> Floats:
    """−x·log x − (1 − x)·log(1 − x) summed over pixels: what grey pixels cost at best, `[N]`."""
    x = images.reshape(len(images), -1) / 255
    inside = np.clip(x, 1e-12, 1 - 1e-12)
    entropy: Floats = -(x * np.log(inside) + (1 - x) * np.log1p(-inside)).sum(1)
    return entropy


def _hole(plain: Checkpoint, vae: Checkpoint) -> list[float]:
    """A place far from the plain model's codes and close to the VAE's.

    Counted from the middle of each model's codes in their standard deviations.
    """
    side = np.linspace(-1.5, 1.5, 61)
    places = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    far, near = (
        _distances(places, (item.codes.mean - item.codes.mean.mean(0)) / item.codes.mean.std(0))
        for item in (plain, vae)
    )
    best = places[np.argmax(np.where(near < 0.1, far, -1))]
    return [round(float(value), 3) for value in best]


def _distances(places: Floats, codes: NDArray[np.float32]) -> Floats:
    """From each place `[M,2]` to the nearest code `[N,2]`."""
    squared = ((places[:, None] - codes[None]) ** 2).sum(2)
    nearest: Floats = np.sqrt(squared.min(1))
    return nearest
