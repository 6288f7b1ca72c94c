"""Codes and their maps as plain arrays, the form in which a checkpoint stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vae_core.data.imageset import Factor
from vae_core.latent.codes import Codes
from vae_core.latent.projection import LinearProjection, NeighbourProjection, Projection


def codes_arrays(codes: Codes) -> dict[str, NDArray[Any]]:
    """The arrays of codes, by name; names of labels and kinds go into the card."""
    arrays: dict[str, NDArray[Any]] = {
        "ids": codes.ids.astype(np.int64),
        "split": codes.split,
        "mean": codes.mean,
        # Half precision is plenty for spreads and per-dimension KL, and halves the file.
        "log_std": codes.log_std.astype(np.float16),
        "kl_nats": np.minimum(codes.kl_nats, np.finfo(np.float16).max).astype(np.float16),
        "squared_error": codes.squared_error,
        "reconstruction_nats": codes.reconstruction_nats,
    }
    if codes.labels is not None:
        arrays["labels"] = codes.labels.astype(np.int32)
    return arrays | {f"factor.{n}": f.values for n, f in codes.factors.items()}


def map_arrays(maps: Mapping[str, Projection]) -> dict[str, NDArray[Any]]:
    """The arrays of all maps, by name and part."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, projection in maps.items():
        arrays[f"{name}.xy"] = projection.xy
        if isinstance(projection, LinearProjection):
            arrays[f"{name}.origin"], arrays[f"{name}.axes"] = projection.origin, projection.axes
    return arrays


def codes_of(arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any]) -> Codes:
    """What `codes_arrays` gave and the card say, together; `KeyError` where a part lacks."""
    categories = card.get("factor_categories", {})
    factors = {
        key.removeprefix("factor."): Factor(
            value, tuple(categories.get(key.removeprefix("factor."), ()))
        )
        for key, value in arrays.items()
        if key.startswith("factor.")
    }
    labels = arrays.get("labels")
    return Codes(
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
        factors=factors,
    )


def map_of(name: str, arrays: Mapping[str, NDArray[Any]], codes: Codes) -> Projection:
    """The map called `name`; `ValueError` when it is not one of these codes."""
    xy = arrays[f"{name}.xy"]
    if xy.shape != (len(codes), 2):
        raise ValueError(f"{name} is of shape {xy.shape} for {len(codes)} codes")
    if f"{name}.axes" in arrays:
        return LinearProjection(xy, arrays[f"{name}.origin"], arrays[f"{name}.axes"])
    return NeighbourProjection(xy, codes.mean)
