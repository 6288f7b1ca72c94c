"""All that points can be coloured by: the model's measures, predictions, groups, what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pages.shared import cache, groups, payload, search
from pages.shared.payload import Colouring
from vae_core.checkpoint import Checkpoint
from vae_core.evaluate.predict import Predictions

PREDICTION: Final = "prediction"
WRONG: Final = "wrong predictions"
GROUPS: Final = "groups"
FOUND: Final = "found"
MAX_KINDS: Final = 255


@dataclass(frozen=True)
class Target:
    """What is predicted: kinds int64 `[N]`, −1 where unknown, and their names."""

    name: str
    kinds: NDArray[np.int64]
    names: tuple[str, ...]


def target_of(checkpoint: Checkpoint) -> Target | None:
    """The labels, else the first factor with categories; None where nothing can be told apart."""
    codes = checkpoint.codes
    targets = []
    if codes.labels is not None:
        n_kinds = max(len(codes.label_names), int(codes.labels.max()) + 1)
        names = codes.label_names or tuple(str(kind) for kind in range(n_kinds))
        targets.append(Target("label", codes.labels, names))
    for name, factor in codes.factors.items():
        if factor.categories:
            kinds = np.where(np.isfinite(factor.values), factor.values, -1).astype(np.int64)
            targets.append(Target(name.replace("_", " "), kinds, factor.categories))
    return next((target for target in targets if _can_be_told(target)), None)


def _can_be_told(target: Target) -> bool:
    _, counts = np.unique(target.kinds[target.kinds >= 0], return_counts=True)
    return len(target.names) <= MAX_KINDS and int((counts >= 2).sum()) >= 2


def predictions_of(checkpoint: Checkpoint) -> tuple[Target, Predictions] | None:
    """What is predicted and the predictions; the first call takes seconds."""
    target = target_of(checkpoint)
    found = None if target is None else cache.predictions(checkpoint, target.kinds)
    return None if target is None or found is None else (target, found)


def choices(checkpoint: Checkpoint) -> list[str]:
    """Names of all colourings there are now, the usual one first."""
    predicted = [PREDICTION, WRONG] if target_of(checkpoint) is not None else []
    grouped = [GROUPS] if groups.kept(checkpoint) else []
    sought = [FOUND] if search.kept(checkpoint) is not None else []
    return [*payload.colour_choices(checkpoint), *predicted, *grouped, *sought]


def colouring(checkpoint: Checkpoint, name: str) -> Colouring:
    """The colouring called `name`; the usual one for a name that is gone."""
    found = _own(checkpoint, name) or payload.colouring_of(checkpoint, name)
    usual = payload.colour_choices(checkpoint)[0]
    found = found or payload.colouring_of(checkpoint, usual)
    assert found is not None
    return found


def _own(checkpoint: Checkpoint, name: str) -> Colouring | None:
    """A colouring that is not stored with the model."""
    if name in (PREDICTION, WRONG):
        return _predicted(checkpoint, name)
    kept = groups.kept(checkpoint)
    if name == GROUPS and kept:
        names = (*(group.name for group in kept), "in no group")
        return Colouring(
            "group", groups.membership(kept, len(checkpoint.codes)), names, muted=(len(kept),)
        )
    sought = search.kept(checkpoint)
    if name == FOUND and sought is not None:
        member = np.zeros(len(checkpoint.codes), np.uint8)
        member[sought.rows] = 1
        return Colouring("found", member, ("all others", sought.title), muted=(0,))
    return None


def _predicted(checkpoint: Checkpoint, name: str) -> Colouring | None:
    both = predictions_of(checkpoint)
    if both is None:
        return None
    target, found = both
    if name == PREDICTION:
        return Colouring(f"predicted {target.name}", found.kind, target.names)
    verdict = np.where(found.is_known, np.where(found.is_right, 0, 1), 2)
    names = ("right", "wrong") if found.is_known.all() else ("right", "wrong", "no label")
    return Colouring(f"{target.name} predicted", verdict, names)


def words(checkpoint: Checkpoint, name: str) -> str:
    """What there is to say of a colouring below the map; mostly nothing."""
    both = predictions_of(checkpoint) if name in (PREDICTION, WRONG) else None
    return "" if both is None else both[1].text
