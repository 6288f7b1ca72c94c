"""Maps as plain arrays, the form in which a checkpoint stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from vae_core.data.imageset import Factor
from vae_core.latent.codes import Codes
from vae_core.latent.projection import LinearProjection, NeighbourProjection, Projection

# Sums over an image's pixels, which a model that diverged can drive out of range.
MAY_BE_INFINITE: Final = ("log_std", "kl_nats", "squared_error", "reconstruction_nats")
# Pages name labels by their number where they have no names.
MAX_KINDS: Final = 100_000


def map_arrays(maps: Mapping[str, Projection]) -> dict[str, NDArray[Any]]:
    """The arrays of all maps, by name and part."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, projection in maps.items():
        arrays[f"{name}.xy"] = projection.xy
        if isinstance(projection, LinearProjection):
            arrays[f"{name}.origin"], arrays[f"{name}.axes"] = projection.origin, projection.axes
    return arrays


def map_of(name: str, arrays: Mapping[str, NDArray[Any]], codes: Codes) -> Projection:
    """The map called `name`; `ValueError` when it is not one of these codes."""
    xy = arrays[f"{name}.xy"]
    _check_floats(name, xy, (len(codes), 2))
    if f"{name}.axes" in arrays:
        origin, axes = arrays[f"{name}.origin"], arrays[f"{name}.axes"]
        _check_floats(f"{name}.origin", origin, codes.mean.shape[1:])
        _check_floats(f"{name}.axes", axes, (2, codes.mean.shape[1]))
        return LinearProjection(xy, origin, axes)
    return NeighbourProjection(xy, codes.mean)


def check_codes(codes: Codes, *, n_codes: int, n_latent: int) -> None:
    """`ValueError` unless the arrays fit each other and what a card says of them."""
    n = len(codes)
    if n != n_codes or not 1 <= n <= codes.n_total:
        raise ValueError(f"{n} codes of {codes.n_total} images, the card says {n_codes}")
    for name in ("mean", "log_std", "kl_nats"):
        _check_floats(name, getattr(codes, name), (n, n_latent))
    for name in ("squared_error", "reconstruction_nats"):
        _check_floats(name, getattr(codes, name), (n,))
    whole: dict[str, NDArray[Any]] = {"ids": codes.ids, "split": codes.split}
    if codes.labels is not None:
        whole["labels"] = codes.labels
    for name, array in whole.items():
        if array.shape != (n,) or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
    for factor in codes.factors.values():
        _check_factor(factor, n)
    if codes.labels is not None and not -1 <= codes.labels.min() <= codes.labels.max() < (
        len(codes.label_names) or MAX_KINDS
    ):
        raise ValueError(f"labels lie out of range of {len(codes.label_names)} label_names")
    if codes.ids.min() < 0 or not 0 <= codes.split.min() <= codes.split.max() <= 2:
        raise ValueError("ids or parts lie out of range")


def _check_factor(factor: Factor, n: int) -> None:
    values = factor.values
    if values.shape != (n,) or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise ValueError(f"a factor is {values.dtype} of shape {values.shape}")
    if factor.categories and not 0 <= values.min() <= values.max() < len(factor.categories):
        raise ValueError("a factor lies out of range of its factor_categories")


def _check_floats(name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype.kind != "f":
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, expected {shape}")
    if name.partition(".")[0] not in MAY_BE_INFINITE and not np.isfinite(array).all():
        raise ValueError(f"{name} holds values that are not finite")
