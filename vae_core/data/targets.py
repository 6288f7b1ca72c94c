"""What is known of each image besides its pixels, as columns of numbers: `Target`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vae_core.data.imageset import Factor
from vae_core.errors import DataError

Doubles = NDArray[np.float64]

LABEL = "label"


class Described(Protocol):
    """Images or codes with what is known of them: an `ImageSet`, or `Codes`."""

    @property
    def labels(self) -> NDArray[np.int64] | None: ...
    @property
    def label_names(self) -> tuple[str, ...]: ...
    @property
    def factors(self) -> Mapping[str, Factor]: ...


@dataclass(frozen=True)
class Target:
    """Something known of each image: `values` float64 `[N]`, NaN where unknown.

    For a category they are 1 in it and 0 outside. `short_name` leaves out which of two.
    """

    name: str
    short_name: str
    values: Doubles
    is_category: bool


def factor_targets(known: Described) -> tuple[Target, ...]:
    """The factors that vary, a categorical one as one target per category that occurs.

    Two categories make one target, the second: the first is its opposite.
    """
    return tuple(filter(_varies, _of_factors(known)))


def label_targets(known: Described) -> tuple[Target, ...]:
    """Each label that occurs against the rest, of two the second; −1 is unknown."""
    return tuple(filter(_varies, _of_labels(known)))


def values_of(known: Described, names: Sequence[str]) -> Doubles:
    """The values `[N,A]` of targets by their full names, whether they vary here or not."""
    every = {target.name: target.values for target in (*_of_labels(known), *_of_factors(known))}
    return np.stack([every[name] for name in names], 1)


def named_targets(known: Described, names: Sequence[str]) -> tuple[Target, ...]:
    """The targets of these names, in their order; all factors, or without any all labels, for none.

    A name is that of one target ("smile", "glasses: round"), of a categorical factor for all of
    its categories ("glasses"), or "label" for all labels. `DataError` for a name that is not
    there or twice, and where nothing is known.
    """
    factors, labels = factor_targets(known), label_targets(known)
    if not factors and not labels:
        raise DataError(
            "Attributes were asked for, but of these images neither labels nor factors are known; "
            "sort them into one folder per class, or choose another objective."
        )
    if not names:
        return factors or labels
    piles = {LABEL: labels} if labels else {}
    for target in (*labels, *factors):
        piles[target.name] = (target,)
    for name, factor in known.factors.items():
        if factor.categories and (pile := [t for t in factors if t.name.startswith(f"{name}: ")]):
            piles[name] = tuple(pile)
    unknown = [name for name in names if name not in piles]
    if unknown:
        raise DataError(
            f"The attribute(s) {', '.join(unknown)} came, but known are {some_of(piles)}; "
            "choose among these."
        )
    found = [target for name in names for target in piles[name]]
    if len({target.name for target in found}) < len(found):
        raise DataError(
            f"The attributes {', '.join(names)} name something twice; name each of them once."
        )
    return tuple(found)


def some_of(names: Collection[str], *, n: int = 20) -> str:
    """The first names as a list in words, and how many more there are."""
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return ", ".join(islice(names, n)) + more


def _of_factors(known: Described) -> Iterator[Target]:
    for name, factor in known.factors.items():
        values = np.asarray(factor.values, np.float64)
        if factor.categories:
            yield from _one_against_rest(values, factor.categories, prefix=name)
        else:
            yield Target(name, name, values, False)


def _of_labels(known: Described) -> Iterator[Target]:
    if known.labels is not None:
        labels = np.where(known.labels < 0, np.nan, known.labels.astype(np.float64))
        yield from _one_against_rest(labels, known.label_names)


def _one_against_rest(
    values: Doubles, names: tuple[str, ...], *, prefix: str = ""
) -> Iterator[Target]:
    for k, name in enumerate(names):
        if len(names) == 2 and k == 0:
            continue
        inside = np.where(np.isnan(values), np.nan, values == k)
        full = f"{prefix}: {name}" if prefix else name
        yield Target(full, prefix if prefix and len(names) == 2 else full, inside, True)


def _varies(target: Target) -> bool:
    known = target.values[~np.isnan(target.values)]
    return bool(len(known)) and bool(np.ptp(known) > 0)
