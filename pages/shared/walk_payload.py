"""What the sliders need: one row for each direction, with its figure and its range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from pages.shared import payload
from pages.shared.shelf import KeptVector
from vae_core.checkpoint import Checkpoint
from vae_core.latent.directions import (
    Direction,
    dimension_directions,
    factor_directions,
    label_directions,
    name_dimensions,
    principal_directions,
)

Floats = NDArray[np.float32]
Kind = Literal["Dimensions", "Principal axes", "Attributes", "Saved vectors"]
KINDS: Final[tuple[Kind, ...]] = ("Dimensions", "Principal axes", "Attributes", "Saved vectors")
KEPT: Final = "vector you kept"
MAX_AXES: Final = 12
# How far a slider along a vector reaches, in standard deviations of the codes along it.
REACH: Final = 3.0
# Below these a direction says little of what it is named after and is folded away.
LEAST_SHOWN: Final = {"R²": 0.1, "AUROC": 0.75}


def walk_data(checkpoint: Checkpoint) -> dict[str, Any]:
    """What of the walk's data depends neither on the visitor nor on the rows."""
    codes = checkpoint.codes.mean
    mean, std = codes.mean(0), codes.std(0)
    return {
        "model": payload.model_part(checkpoint),
        "points": payload.points_part(checkpoint),
        "mean": mean.tolist(),
        "random": {"mean": mean.tolist(), "std": std.tolist()},
    }


def directions(checkpoint: Checkpoint, kind: Kind) -> tuple[Direction, ...]:
    """The directions of a kind; kept vectors are the visitor's own and not among them."""
    codes = checkpoint.codes.part
    if kind == "Dimensions":
        return dimension_directions(codes)
    if kind == "Principal axes":
        return principal_directions(codes.mean, MAX_AXES)
    if kind == "Attributes":
        found = factor_directions(codes)
        # Where labels are a factor's categories too, the factor already says it.
        known = {direction.name.partition(": ")[2] for direction in found}
        labels = label_directions(codes)
        return (*found, *(direction for direction in labels if direction.name not in known))
    return ()


def kept_directions(kept: Sequence[KeptVector]) -> tuple[Direction, ...]:
    """Vectors from the shelf as directions; their worth was never measured."""
    return tuple(
        Direction(item.name, "attribute", item.vector, item.scale, None, KEPT) for item in kept
    )


def titles(checkpoint: Checkpoint, found: Sequence[Direction]) -> list[str]:
    """What to call directions in a list; dimensions with what they tell most about."""
    names = name_dimensions(checkpoint.codes.part)
    told = {f"dimension {item.dimension}": item.text for item in names if item.text}
    return [_plain(" · ".join(filter(None, (item.name, told.get(item.name))))) for item in found]


def rows_part(checkpoint: Checkpoint, kind: Kind, found: Sequence[Direction]) -> dict[str, Any]:
    """The sliders along the directions of a kind: those shown first, then those folded away."""
    if kind == "Dimensions":
        return _dimension_rows(checkpoint, found)
    rows = [vector_row(checkpoint, item) for item in found]
    if kind == "Attributes":
        live = [row for row, item in zip(rows, found, strict=True) if _says_enough(item)]
        rest = [row for row in rows if row not in live]
        return _rows(live, rest, "that the codes hardly tell", ("attribute", "attributes"))
    return _rows(rows, [], "", ("axis", "axes"))


def _rows(
    live: Sequence[dict[str, Any]], rest: Sequence[dict[str, Any]], why: str, noun: tuple[str, str]
) -> dict[str, Any]:
    folded = f"{len(rest):,} {noun[len(rest) != 1]} {why}"
    return {"rows": [*live, *rest], "n_live": len(live), "folded": folded}


def _dimension_rows(checkpoint: Checkpoint, found: Sequence[Direction]) -> dict[str, Any]:
    codes = checkpoint.codes.part
    mean, std, names = codes.mean.mean(0), codes.mean.std(0), name_dimensions(codes)
    most = max((item.quality or 0 for item in found), default=0) or 1.0

    def row(dim: int, item: Direction) -> dict[str, Any]:
        # Three standard deviations of the codes, and never less than the prior's bulk.
        reach = max(REACH * float(std[dim]), 2.0)
        low, high = float(mean[dim]) - reach, float(mean[dim]) + reach
        quality, has_kl = item.quality or 0.0, item.quality_name.startswith("KL")
        figure = f"{quality:.2f} nats" if has_kl else f"variance {quality:.2f}"
        text = f"{quality:.3f} nats of information" if has_kl else figure
        named = names[dim].text if codes.is_active[dim] else None
        return {
            "id": f"dim {dim}", "dim": dim, "vector": None, "scale": 1.0, "origin": 0.0,
            "low": low, "high": high, "prefix": f"dim {dim}", "name": _plain(named or ""),
            "figure": figure, "text": text, "bar": quality / most,
        }  # fmt: skip

    rows = [row(int(d), item) for d, item in zip(codes.dimension_order, found, strict=True)]
    live = [r for r in rows if codes.is_active[r["dim"]]]
    rest = [r for r in rows if not codes.is_active[r["dim"]]]
    return _rows(live, rest, "the model does not use", ("dimension", "dimensions"))


def vector_row(checkpoint: Checkpoint, item: Direction) -> dict[str, Any]:
    """A slider along a vector; its value counts standard deviations from the average code."""
    mean = checkpoint.codes.part.mean.mean(0, dtype=np.float64)
    figure = "" if item.quality is None else f"{_SHORT[item.quality_name]} {_figure(item)}"
    text = KEPT if item.quality_name == KEPT else item.text
    return {
        "id": item.name, "dim": None, "vector": [round(float(v), 6) for v in item.vector],
        "scale": max(item.scale, 1e-6), "origin": float(mean @ item.vector),
        "low": -REACH, "high": REACH, "prefix": "", "name": _plain(item.name),
        "figure": figure, "text": text, "bar": _bar(item),
    }  # fmt: skip


_SHORT: Final = {
    "effect size d": "d",
    "share of variance": "variance",
    "R²": "R²",
    "AUROC": "AUROC",
}


def _figure(item: Direction) -> str:
    quality = item.quality or 0.0
    return f"{quality:.0%}" if item.kind == "principal axis" else f"{quality:.2f}"


def _bar(item: Direction) -> float:
    """What a figure is worth between nothing and all, for the small bar beside it."""
    quality = item.quality or 0.0
    if item.quality_name == "AUROC":
        return max(0.0, 2 * quality - 1)
    if item.quality_name == "effect size d":
        return min(1.0, quality / 4)
    return min(1.0, max(0.0, quality))


def _says_enough(item: Direction) -> bool:
    if item.chance_95 is not None:
        return (item.quality or 0) > item.chance_95
    return item.quality is not None and item.quality >= LEAST_SHOWN.get(item.quality_name, 0.0)


def _plain(name: str) -> str:
    return name.replace("_", " ")
