"""What a run sees of a set: its pictures, with the labels or attributes its objective may see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vae_core.data.imageset import ImageSet
from vae_core.data.targets import Doubles, named_targets, values_of
from vae_core.errors import DataError
from vae_core.objectives.registry import attribute_names, uses_labels
from vae_core.train.run import Run
from vae_core.train.step import ImageFeed, hide_attributes, hide_labels

VALIDATION_IMAGES = 2_000

Floats = NDArray[np.float32]


def open_feeds(run: Run, train_set: ImageSet, val_set: ImageSet) -> tuple[ImageFeed, ImageFeed]:
    """The training images, with as much known as the run may see, and what checks it.

    `DataError` when the objective needs labels or attributes the set has not.
    """
    labels, val_labels = _labels(run, train_set, val_set)
    known, val_known = known_attributes(run, train_set, val_set)
    device, n = run.runtime.device, VALIDATION_IMAGES
    return (
        ImageFeed(train_set.images, device, labels=labels, attributes=known),
        ImageFeed(val_set.images[:n], device, labels=val_labels, attributes=val_known),
    )


def _labels(
    run: Run, train_set: ImageSet, val_set: ImageSet
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    if not uses_labels(run.step_module.objective):
        return None, None
    if train_set.labels is None or val_set.labels is None:
        raise DataError(
            f"'{train_set.name}' has no labels but the objective '{run.config.objective}' needs "
            "some; sort the images into one folder per class, or choose another objective."
        )
    known = hide_labels(train_set.labels, n_labels=run.config.n_labels, seed=run.config.seed)
    return known, val_set.labels[:VALIDATION_IMAGES]


def known_attributes(
    run: Run, train_set: ImageSet, val_set: ImageSet
) -> tuple[Floats | None, Floats | None]:
    """Attributes float32 `[N,A]` in standard deviations from their mean over those the run sees.

    Those of the training images and of the first validation images, NaN where unknown; None
    where the objective uses none. Where the run may see few of them, the second is None: none
    help to choose the best epoch. `DataError` when the set lacks what is asked for.
    """
    names, config = attribute_names(run.step_module.objective), run.config
    if names is None:
        return None, None
    targets = [target.name for target in named_targets(train_set, names)]
    seen = hide_attributes(
        values_of(train_set, targets), n_labels=config.n_labels, seed=config.seed
    )  # fmt: skip
    n_known = np.maximum(1, np.isfinite(seen).sum(0))
    mean = np.nansum(seen, 0) / n_known
    std = np.sqrt(np.nansum(np.square(seen - mean), 0) / n_known)
    # What does not vary among the few that are seen has no scale: it counts as unknown.
    std[std == 0] = np.nan
    checked = None if config.n_labels else values_of(val_set, targets)[:VALIDATION_IMAGES]
    return _scaled(seen, mean, std), None if checked is None else _scaled(checked, mean, std)


def _scaled(columns: Doubles, mean: Doubles, std: Doubles) -> Floats:
    scaled: Floats = ((columns - mean) / std).astype(np.float32)
    return scaled
