"""A region: a group of codes that somebody selected, described beside the whole set."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vae_core.data.imageset import SPLITS, Factor
from vae_core.errors import ConfigError, DataError
from vae_core.latent.codes import Codes

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Rows = Sequence[int] | NDArray[np.integer]

MAX_AXES: Final = 5
MAX_EXAMPLES: Final = 12
# Below this share of the largest coordinate a spread is rounding in float32, not variation.
LEAST_SPREAD: Final = 1e-6


@dataclass(frozen=True)
class PrincipalAxes:
    """Orthonormal `axes` `[A,D]` by falling spread, around `mean` `[D]`.

    `std` `[A]` is the standard deviation along each (over n, not n − 1), `explained` `[A]`
    its share of the whole variance. A is 0 where nothing varies.
    """

    mean: Floats
    axes: Floats
    std: Floats
    explained: Floats


@dataclass(frozen=True)
class Part:
    """One label or category: `n` of the region, its `share` there and `share_of_all`, in [0,1]."""

    name: str
    n: int
    share: float
    share_of_all: float

    @property
    def lift(self) -> float:
        """How many times commoner it is in the region than in the whole set; 1 is alike."""
        return self.share / self.share_of_all


@dataclass(frozen=True)
class FactorSummary:
    """One factor in the region and over all codes.

    A continuous factor has `mean` and `std` (over n), a categorical one `parts`, commonest
    first; the other is None or empty. NaN stands for unknown and is left out.
    """

    name: str
    mean: float | None = None
    std: float | None = None
    mean_of_all: float | None = None
    std_of_all: float | None = None
    parts: tuple[Part, ...] = ()

    @property
    def shift(self) -> float | None:
        """Difference of the means in standard deviations of all; None where it has none."""
        if self.mean is None or self.mean_of_all is None or not self.std_of_all:
            return None
        return (self.mean - self.mean_of_all) / self.std_of_all


@dataclass(frozen=True)
class Region:
    """What n selected codes of `n_all` are.

    `rows` int64 `[n]` rise and hold no row twice. `labels` count those of known label,
    commonest first. `principal` are the region's own axes, up to 5, around its mean code.
    `typical_rows` lie nearest the mean code and `unusual_rows` farthest from it (Euclidean), up to
    12 each, the first most so; no row is in both. `squared_error` (mean over pixels, on [0,1])
    and `kl_nats` are averages per image.
    """

    rows: Ints
    n_all: int
    labels: tuple[Part, ...]
    factors: tuple[FactorSummary, ...]
    principal: PrincipalAxes
    typical_rows: Ints
    unusual_rows: Ints
    squared_error: float
    squared_error_of_all: float
    kl_nats: float
    kl_nats_of_all: float

    @property
    def n(self) -> int:
        """Number of different codes in the region."""
        return len(self.rows)

    @property
    def share(self) -> float:
        """Share of all codes, in (0,1]."""
        return self.n / self.n_all

    @property
    def mean(self) -> Floats:
        """Mean code `[D]`: decoded, the region's average picture."""
        return self.principal.mean


def principal_axes(codes: Floats, *, n: int) -> PrincipalAxes:
    """Up to n directions of largest variance of codes `[N,D]`, N of 1 or more.

    Signs are fixed (the largest coordinate of an axis is positive) so that reruns agree.
    Axes along which nothing varies are left out: N codes have at most N − 1.
    `DataError` for no codes or numbers that are not finite.
    """
    require_codes(codes)
    mean = codes.mean(0, dtype=np.float64)
    centred = codes - mean
    variance, vectors = np.linalg.eigh(centred.T @ centred / len(codes))
    variance, axes = np.maximum(variance[::-1], 0), vectors.T[::-1]
    floor = (LEAST_SPREAD * np.abs(codes).max()) ** 2
    kept = np.flatnonzero(variance > floor)[: min(n, len(codes) - 1)]
    axes = axes[kept]
    signs = np.sign(np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1))
    return PrincipalAxes(
        mean=mean.astype(np.float32),
        axes=(axes * signs).astype(np.float32),
        std=np.sqrt(variance[kept]).astype(np.float32),
        explained=(variance[kept] / max(variance.sum(), 1e-300)).astype(np.float32),
    )


def require_codes(codes: Floats) -> None:
    """`DataError` unless these are codes `[N,D]`, one or more, of finite numbers only."""
    if codes.ndim != 2 or 0 in codes.shape or not np.isfinite(codes).all():
        raise DataError(
            f"Codes of shape {codes.shape} came, expected [N,D] with one code or more and no NaN "
            "or infinity; leave out the rows that hold them."
        )


def selected_rows(n_codes: int, rows: Rows) -> Ints:
    """The selected rows rising and each once, int64 `[n]`.

    `DataError` for an empty selection, rows that are no whole numbers, or outside 0 to
    n_codes − 1: a negative row is a mistake, not a count from the end.
    """
    given = np.asarray(rows).ravel()
    if not given.size:
        raise DataError("No codes are selected, expected one or more; mark some on the map.")
    if given.dtype.kind not in "iu":
        raise DataError(
            f"Rows of type {given.dtype} came, expected whole numbers; give the numbers of the "
            "selected rows."
        )
    if given.min() < 0 or given.max() >= n_codes:
        raise DataError(
            f"Rows from {given.min()} to {given.max()} were selected, expected 0 to "
            f"{n_codes - 1}; select among the codes of this model."
        )
    return np.unique(given).astype(np.int64)


def describe_region(codes: Codes, rows: Rows) -> Region:
    """What a selected group of codes is, beside all codes; see `Region`.

    A row given twice counts once. `DataError` as in `selected_rows` and `principal_axes`.
    """
    chosen = selected_rows(len(codes), rows)
    inside = codes.mean[chosen]
    principal = principal_axes(inside, n=MAX_AXES)
    distance = np.linalg.norm(inside - principal.mean, axis=1)
    order = chosen[np.argsort(distance, kind="stable")]
    n_typical = min(MAX_EXAMPLES, -(-len(chosen) // 2))
    n_unusual = min(MAX_EXAMPLES, len(chosen) - n_typical)
    kl = codes.kl_nats.sum(1, dtype=np.float64)
    return Region(
        rows=chosen,
        n_all=len(codes),
        labels=_label_mix(codes, chosen),
        factors=tuple(_summarise(name, f, chosen) for name, f in codes.factors.items()),
        principal=principal,
        typical_rows=order[:n_typical],
        unusual_rows=order[::-1][:n_unusual],
        squared_error=_average(codes.squared_error[chosen]),
        squared_error_of_all=_average(codes.squared_error),
        kl_nats=_average(kl[chosen]),
        kl_nats_of_all=_average(kl),
    )


def _average(values: NDArray[np.floating]) -> float:
    return float(values.mean(dtype=np.float64))


def _label_mix(codes: Codes, rows: Ints) -> tuple[Part, ...]:
    if codes.labels is None:
        return ()
    return _parts(codes.labels, rows, codes.label_names)


def _parts(kinds: Ints, rows: Ints, names: Sequence[str]) -> tuple[Part, ...]:
    """Counts of the kinds `[N]` that occur in the rows, commonest first; −1 is unknown."""
    within, everywhere = (_counts(part, len(names)) for part in (kinds[rows], kinds))
    order = [k for k in np.argsort(-within, kind="stable") if within[k]]
    n, n_all = max(1, within.sum()), max(1, everywhere.sum())
    return tuple(
        Part(names[k], int(within[k]), float(within[k] / n), float(everywhere[k] / n_all))
        for k in order
    )


def _counts(kinds: Ints, n_kinds: int) -> Ints:
    known = kinds[(kinds >= 0) & (kinds < n_kinds)]
    return np.bincount(known, minlength=n_kinds).astype(np.int64)


def _summarise(name: str, factor: Factor, rows: Ints) -> FactorSummary:
    if factor.categories:
        return FactorSummary(name, parts=_parts(_kinds(factor), rows, factor.categories))
    inside, everywhere = (_moments(part) for part in (factor.values[rows], factor.values))
    return FactorSummary(name, *inside, *everywhere)


def _kinds(factor: Factor) -> Ints:
    """Category of each row `[N]`, −1 where it is unknown."""
    return np.where(np.isfinite(factor.values), factor.values, -1).astype(np.int64)


def _moments(values: Floats) -> tuple[float, float] | tuple[None, None]:
    known = values[np.isfinite(values)].astype(np.float64)
    return (float(known.mean()), float(known.std())) if len(known) else (None, None)


def axis_strip(region: Region, axis: int, *, n_steps: int, reach: float = 2.0) -> Floats:
    """Codes `[n_steps,D]` along one of the region's own axes, −reach·σ to +reach·σ of its mean.

    `ConfigError` for an axis the region has not, fewer than 2 steps or a reach that is not
    positive.
    """
    own = region.principal
    if not 0 <= axis < len(own.axes):
        raise ConfigError(
            f"Axis {axis} was asked for of a region with {len(own.axes)}, expected a number from 0 "
            "below that; select codes that differ or choose another axis."
        )
    if n_steps < 2 or not 0 < reach < np.inf:
        raise ConfigError(
            f"{n_steps} steps reaching {reach} standard deviations were asked for, expected 2 or "
            "more and a positive reach; 7 steps reaching 2 show an axis well."
        )
    amounts = np.linspace(-reach, reach, n_steps) * float(own.std[axis])
    strip: Floats = (own.mean + amounts[:, None] * own.axes[axis]).astype(np.float32)
    return strip


def region_table(codes: Codes, rows: Rows) -> pa.Table:
    """The selected codes, one row each, for other programs; `DataError` as in `selected_rows`.

    Columns: id, row (of `codes`), split, label (its name, null if unknown), squared_error,
    kl_nats, factor.NAME (the category's name, or float32), z0 … zD−1 (float32).
    """
    chosen = selected_rows(len(codes), rows)
    labels = np.full(len(codes), -1) if codes.labels is None else codes.labels
    columns: dict[str, Any] = {
        "id": codes.ids[chosen],
        "row": chosen,
        "split": _named(codes.split[chosen].astype(np.int64), SPLITS),
        "label": _named(labels[chosen], codes.label_names),
        "squared_error": codes.squared_error[chosen],
        "kl_nats": codes.kl_nats[chosen].sum(1, dtype=np.float64).astype(np.float32),
    }
    for name, factor in codes.factors.items():
        is_named = bool(factor.categories)
        values = _named(_kinds(factor)[chosen], factor.categories) if is_named else None
        columns[f"factor.{name}"] = factor.values[chosen] if values is None else values
    columns |= {f"z{d}": codes.mean[chosen, d] for d in range(codes.mean.shape[1])}
    return pa.table(columns)


def _named(kinds: Ints, names: Sequence[str]) -> pa.Array:
    known = (kinds >= 0) & (kinds < len(names))
    return pa.array(names, pa.string()).take(pa.array(kinds, pa.int64(), mask=~known))


def table_bytes(table: pa.Table, kind: str) -> bytes:
    """A table as the bytes of a file: "csv", "parquet" (zstd) or "npz".

    npz holds one array per column, z0 … zD−1 as one `z` `[n,D]`, and "" for what is unknown;
    it opens without pickle. `ConfigError` for another kind.
    """
    if kind not in WRITERS:
        raise ConfigError(
            f"The kind '{kind}' was asked for, expected one of {', '.join(WRITERS)}; choose one."
        )
    buffer = io.BytesIO()
    WRITERS[kind](table, buffer)
    return buffer.getvalue()


def _write_parquet(table: pa.Table, buffer: io.BytesIO) -> None:
    pq.write_table(table, buffer, compression="zstd")


def _write_npz(table: pa.Table, buffer: io.BytesIO) -> None:
    is_code = [name[0] == "z" and name[1:].isdigit() for name in table.column_names]
    plain = [name for name, is_z in zip(table.column_names, is_code, strict=True) if not is_z]
    coordinates = [name for name, is_z in zip(table.column_names, is_code, strict=True) if is_z]
    arrays = {name: _plain(table[name]) for name in plain}
    if coordinates:
        arrays["z"] = np.stack([table[name].to_numpy() for name in coordinates], 1)
    np.savez_compressed(buffer, allow_pickle=False, **arrays)


def _plain(column: pa.ChunkedArray) -> NDArray[Any]:
    if pa.types.is_string(column.type):
        return np.array([text or "" for text in column.to_pylist()], dtype=np.str_)
    values: NDArray[Any] = column.to_numpy()
    return values


WRITERS: Final[Mapping[str, Callable[[pa.Table, io.BytesIO], None]]] = MappingProxyType(
    {"csv": csv.write_csv, "parquet": _write_parquet, "npz": _write_npz}
)
