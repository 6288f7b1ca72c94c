"""`FactorSpec`: what one known cause of variation of a procedural set may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vae_core.errors import DataError


@dataclass(frozen=True)
class FactorSpec:
    """A factor's name and its range `[low, high]`; `categories` names 0, 1, 2, … if discrete."""

    name: str
    low: float
    high: float
    categories: tuple[str, ...] = ()

    def at(self, share: float) -> float:
        """The value at `share` in [0,1) of the range; a whole number for a categorical factor."""
        if self.categories:
            return float(min(int(share * len(self.categories)), len(self.categories) - 1))
        return self.low + share * (self.high - self.low)


def categorical(name: str, *categories: str) -> FactorSpec:
    """A factor whose values 0, 1, 2, … carry the given names."""
    return FactorSpec(name, 0.0, float(len(categories) - 1), categories)


def check_factors(given: Mapping[str, float], specs: Sequence[FactorSpec]) -> None:
    """Raise `DataError` unless `given` holds exactly the specified factors, each in its range."""
    known = [spec.name for spec in specs]
    if odd := sorted(set(given) ^ set(known)):
        raise DataError(
            f"The factors {', '.join(odd)} are unknown or missing; "
            f"give exactly these: {', '.join(known)}."
        )
    for spec in specs:
        value = given[spec.name]
        whole = not spec.categories or float(value).is_integer()
        if not (np.isfinite(value) and spec.low <= value <= spec.high and whole):
            kind = "a whole number" if spec.categories else "a number"
            raise DataError(
                f"The factor '{spec.name}' is {value}, expected {kind} "
                f"from {spec.low:g} to {spec.high:g}; choose one in that range."
            )
