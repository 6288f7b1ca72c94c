"""`ImageSet`: the one form in which images travel from any source to any use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vae_core.errors import DataError
from vae_core.types import ImageSpec

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Skipped:
    """A file that could not become an image, and why (one sentence)."""

    path: str
    reason: str


@dataclass(frozen=True)
class Factor:
    """One known cause of variation: `values` float32 `[N]`.

    For a categorical factor `categories` names the values 0, 1, 2, …; for a
    continuous one it is empty.
    """

    values: NDArray[np.float32]
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageSet:
    """Images uint8 `[N,C,H,W]` (in memory or memory-mapped) with what is known of them.

    `ids` int64 `[N]` number the images in their source, so that a code saved today
    finds its picture again tomorrow. `labels` int64 `[N]` index `label_names`.
    `split` uint8 `[N]` holds 0 train, 1 val, 2 test.
    """

    name: str
    images: NDArray[np.uint8]
    ids: NDArray[np.int64]
    split: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None
    label_names: tuple[str, ...] = ()
    factors: Mapping[str, Factor] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise DataError(
                f"The set '{self.name}' holds {self.images.dtype} of shape {self.images.shape}, "
                "expected uint8 [N,C,H,W]; convert the images before building the set."
            )
        if len(self.images) == 0:
            raise DataError(f"The set '{self.name}' holds no images; give it at least one.")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def spec(self) -> ImageSpec:
        """Shape of one image."""
        return ImageSpec(*(int(n) for n in self.images.shape[1:]))

    def subset(self, split: Split) -> ImageSet:
        """The images of one split, in the order of the set; may be empty-checked by the caller.

        Raises `DataError` when the split holds no image.
        """
        return self.take(np.flatnonzero(self.split == SPLITS.index(split)))

    def take(self, rows: NDArray[np.int64]) -> ImageSet:
        """The given rows as a new set (images are copied unless all rows are taken)."""
        everything = len(rows) == len(self) and bool((rows == np.arange(len(self))).all())
        return replace(
            self,
            images=self.images if everything else self.images[rows],
            ids=self.ids[rows],
            split=self.split[rows],
            labels=None if self.labels is None else self.labels[rows],
            factors={n: replace(f, values=f.values[rows]) for n, f in self.factors.items()},
        )


def seeded_split(
    n: int, *, seed: int = 0, val_share: float = 0.1, test_share: float = 0.1
) -> NDArray[np.uint8]:
    """Deal n images into train, val and test at random, the same way for the same seed.

    From 3 images up every split gets at least one; with fewer, all splits are empty but
    train. Returns uint8 `[N]` with 0 train, 1 val, 2 test.
    """
    split = np.zeros(n, np.uint8)
    if n < 3:
        return split
    order = np.random.default_rng(seed).permutation(n)
    n_val, n_test = max(1, round(n * val_share)), max(1, round(n * test_share))
    split[order[:n_val]] = 1
    split[order[n_val : n_val + n_test]] = 2
    return split
