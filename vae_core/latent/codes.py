"""`Codes`: what a model made of a set of images, as arrays ready for a map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vae_core.data.imageset import Factor, ImageSet
from vae_core.evaluate.images import score_images
from vae_core.model import Autoencoder

Floats = NDArray[np.float32]
MAX_CODES = 10_000
# Measures that cost more than a look at each code are taken on a part of sets above this size.
MANY_CODES: Final = 100_000
PART: Final = 50_000


@dataclass(frozen=True)
class Codes:
    """Posterior and scores of N images; `ids` find the pictures in their source.

    `mean`, `log_std`, `kl_nats` float32 `[N,D]`; `squared_error`, `reconstruction_nats`
    float32 `[N]`; `split` uint8 `[N]` (0 train, 1 val, 2 test); `n_total` counts the
    images of the source, of which these are a part. `attributes` names what the first
    dimensions were trained to stand for, if anything.
    """

    ids: NDArray[np.int64]
    split: NDArray[np.uint8]
    mean: Floats
    log_std: Floats
    squared_error: Floats
    reconstruction_nats: Floats
    kl_nats: Floats
    n_total: int
    labels: NDArray[np.int64] | None = None
    label_names: tuple[str, ...] = ()
    factors: Mapping[str, Factor] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def kl_per_dimension(self) -> Floats:
        """Average KL of each latent dimension `[D]`, nats."""
        average: Floats = self.kl_nats.mean(0, dtype=np.float64).astype(np.float32)
        return average

    @cached_property
    def kl_per_image(self) -> Floats:
        """KL of each image `[N]`, nats."""
        total: Floats = self.kl_nats.sum(1)
        return total

    @cached_property
    def held_out(self) -> NDArray[np.int64]:
        """Rows the model was not trained on: the test images, else validation, else all."""
        for part in (2, 1):
            rows = np.flatnonzero(self.split == part)
            if len(rows):
                return rows
        return np.arange(len(self))

    @cached_property
    def by_kl(self) -> NDArray[np.int64]:
        """Latent dimensions by falling KL `[D]`; by variance of the codes where there is no KL."""
        weight = self.kl_per_dimension if self.kl_nats.any() else self.mean.var(0)
        return np.argsort(-weight, kind="stable").astype(np.int64)

    @cached_property
    def dimension_order(self) -> NDArray[np.int64]:
        """Latent dimensions `[D]` as they are listed: attributes first, then the others `by_kl`."""
        named = np.arange(min(len(self.attributes), len(self.by_kl)))
        return np.concatenate([named, self.by_kl[~np.isin(self.by_kl, named)]])

    @property
    def elbo(self) -> Floats:
        """Each image's evidence lower bound `[N]`, nats, one draw; higher is better."""
        bound: Floats = -(self.reconstruction_nats + self.kl_per_image)
        return bound

    @cached_property
    def is_active(self) -> NDArray[np.bool_]:
        """Dimensions the model uses: variance of the mean > 0.01 (Burda et al. 2015)."""
        return np.asarray(self.mean.var(0) > 0.01)

    @cached_property
    def part_rows(self) -> NDArray[np.int64]:
        """Rows that costly measures look at: all up to 100,000, else the same random 50,000."""
        if len(self) <= MANY_CODES:
            return np.arange(len(self))
        return np.sort(np.random.default_rng(0).permutation(len(self))[:PART])

    @cached_property
    def part(self) -> Codes:
        """The codes of `part_rows`; these codes themselves where that is all."""
        return self if len(self.part_rows) == len(self) else self.take(self.part_rows)

    def take(self, rows: NDArray[np.int64]) -> Codes:
        """The codes of these rows."""
        arrays = (
            "ids", "split", "mean", "log_std", "squared_error", "reconstruction_nats", "kl_nats"
        )  # fmt: skip
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in arrays},
            labels=None if self.labels is None else self.labels[rows],
            factors={n: replace(f, values=f.values[rows]) for n, f in self.factors.items()},
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Plain arrays for a file; label names and factor categories stand in the card."""
        arrays: dict[str, NDArray[Any]] = {
            "ids": self.ids.astype(np.int64),
            "split": self.split,
            "mean": self.mean,
            # Half precision is plenty for spreads and per-dimension KL, and halves the file.
            "log_std": self.log_std.astype(np.float16),
            "kl_nats": np.minimum(self.kl_nats, np.finfo(np.float16).max).astype(np.float16),
            "squared_error": self.squared_error,
            "reconstruction_nats": self.reconstruction_nats,
        }
        if self.labels is not None:
            arrays["labels"] = self.labels.astype(np.int32)
        return arrays | {f"factor.{n}": f.values for n, f in self.factors.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any]) -> Codes:
        """Inverse of `to_arrays`; `KeyError` and the like for arrays or a card that lack a part."""
        categories = card.get("factor_categories", {})
        names = [key.removeprefix("factor.") for key in arrays if key.startswith("factor.")]
        labels = arrays.get("labels")
        return cls(
            ids=arrays["ids"],
            split=arrays["split"],
            mean=arrays["mean"],
            log_std=arrays["log_std"].astype(np.float32),
            squared_error=arrays["squared_error"],
            reconstruction_nats=arrays["reconstruction_nats"],
            kl_nats=arrays["kl_nats"].astype(np.float32),
            n_total=int(card["n_images"]),
            labels=None if labels is None else labels.astype(np.int64),
            label_names=tuple(card.get("label_names", ())),
            factors={n: Factor(arrays[f"factor.{n}"], tuple(categories.get(n, ()))) for n in names},
            attributes=tuple(card.get("attributes", ())),
        )


def held_out_first(images: ImageSet, *, limit: int = MAX_CODES, seed: int = 0) -> ImageSet:
    """Up to `limit` images: the test split, then val, then train, each in random order."""
    generator = np.random.default_rng(seed)
    rows = [generator.permutation(np.flatnonzero(images.split == part)) for part in (2, 1, 0)]
    return images.take(np.sort(np.concatenate(rows)[:limit]))


def encode_set(
    model: Autoencoder,
    images: ImageSet,
    *,
    n_total: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Codes:
    """Encode and score every image of a set, in its order."""
    scores = score_images(model, images.images, progress=progress)
    return Codes(
        ids=images.ids,
        split=images.split,
        mean=scores.mean,
        log_std=scores.log_std,
        squared_error=scores.squared_error,
        reconstruction_nats=scores.reconstruction_nats,
        kl_nats=scores.kl_nats,
        n_total=len(images) if n_total is None else n_total,
        labels=images.labels,
        label_names=images.label_names,
        factors=images.factors,
    )
