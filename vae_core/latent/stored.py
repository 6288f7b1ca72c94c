"""Maps as plain arrays, the form in which a checkpoint stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from vae_core.latent.codes import Codes
from vae_core.latent.projection import LinearProjection, NeighbourProjection, Projection


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
    if xy.shape != (len(codes), 2):
        raise ValueError(f"{name} is of shape {xy.shape} for {len(codes)} codes")
    if f"{name}.axes" in arrays:
        return LinearProjection(xy, arrays[f"{name}.origin"], arrays[f"{name}.axes"])
    return NeighbourProjection(xy, codes.mean)
