"""Validation images for sets that name training and test images only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from vae_core.data.imageset import ImageSet
from vae_core.errors import ConfigError


def with_validation(images: ImageSet, *, seed: int, n: int = 0) -> ImageSet:
    """n training images dealt to val where a source names none; 0: a tenth, at most 5,000.

    Sets that come in folders `train` and `test` only would otherwise have nothing to choose
    the best epoch by; the test images are not for that. Never more than half of them.
    """
    train_rows = np.flatnonzero(images.split == 0)
    if not _lacks_validation(images) or len(train_rows) < 2:
        return images
    n_val = min(n, len(train_rows) // 2) if n else min(5_000, max(1, len(train_rows) // 10))
    split = images.split.copy()
    split[np.random.default_rng(seed).permutation(train_rows)[:n_val]] = 1
    return replace(images, split=split)


def deal_validation(images: ImageSet, *, seed: int, n: int) -> ImageSet:
    """`with_validation` as a run asks for it; `ConfigError` when it asks for what cannot be."""
    n_train = int((images.split == 0).sum())
    if n and not _lacks_validation(images):
        raise ConfigError(
            f"--n-validation {n} came, but '{images.name}' says itself which images are for "
            "validation; leave it out."
        )
    if 2 * n > n_train:
        raise ConfigError(
            f"--n-validation {n} came, '{images.name}' has {n_train:,} training images and half of "
            f"them at least are to train on; give up to {n_train // 2:,}."
        )
    return with_validation(images, seed=seed, n=n)


def _lacks_validation(images: ImageSet) -> bool:
    return set(np.unique(images.split).tolist()) == {0, 2}


def split_as_trained(images: ImageSet, card: Mapping[str, Any]) -> ImageSet:
    """The data a model was trained on, with the validation images of its own run."""
    split = card["split"]
    return with_validation(images, seed=int(split["seed"]), n=int(split.get("n_validation", 0)))
