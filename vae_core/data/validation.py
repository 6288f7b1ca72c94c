"""How many images are set aside to choose the best epoch by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from vae_core.data.imageset import ImageSet
from vae_core.errors import ConfigError


def with_validation(images: ImageSet, *, seed: int, n: int = 0) -> ImageSet:
    """n images for validation, the others that are not for the test to train on.

    Those that are validation images already stay so, as long as there are not more than n;
    `seed` deals the rest. n = 0: as the source has it or, where it names none but test
    images, a tenth of the training images, at most 5,000; the test images are not for
    choosing. Never more than half of what there is.
    """
    train, val = (np.flatnonzero(images.split == part) for part in (0, 1))
    n_known = len(train) + len(val)
    if n == 0:
        names_no_val = set(np.unique(images.split).tolist()) == {0, 2}
        if not names_no_val or len(train) < 2:
            return images
        n = min(5_000, max(1, len(train) // 10))
    n = min(n, n_known // 2)
    random = np.random.default_rng(seed)
    first, then = (random.permutation(rows) for rows in (val, train))
    split = images.split.copy()
    split[first], split[np.concatenate([first, then])[:n]] = 0, 1
    return replace(images, split=split)


def deal_validation(images: ImageSet, *, seed: int, n: int) -> ImageSet:
    """`with_validation` as a run asks for it; `ConfigError` when it asks for too many."""
    n_known = int((images.split != 2).sum())
    if 2 * n > n_known:
        raise ConfigError(
            f"--n-validation {n} came, '{images.name}' has {n_known:,} images besides its test "
            f"images and half of them at least are to train on; give up to {n_known // 2:,}."
        )
    return with_validation(images, seed=seed, n=n)


def split_as_trained(images: ImageSet, card: Mapping[str, Any]) -> ImageSet:
    """The data a model was trained on, with the validation images of its own run."""
    split = card["split"]
    return with_validation(images, seed=int(split["seed"]), n=int(split.get("n_validation", 0)))
