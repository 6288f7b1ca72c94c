"""The codes of a set of any size as Parquet: one row per image, written while encoding.

Several processes may share the work: each writes its part into one folder, and the parts
together hold what one process alone would have written, to the last bit, because batches
are cut in the same places and each image is scored within the same batch.

    id int64   split, label_name text   label int64   factor.NAME float32
    squared_error, reconstruction_nats, kl_nats float32
    mean, log_std, kl_nats_per_dimension   lists of D float32
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vae_core.data.imageset import SPLITS, Factor, ImageSet
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.images import ImageScores, score_images
from vae_core.files import replace_file
from vae_core.latent.codes import Codes
from vae_core.model import Autoencoder

FORMAT = "latent-explorer/codes/1"
# A row group is what a reader has to hold at once: at most this many bytes of lists.
ROW_GROUP_BYTES = 32 * 2**20
MAX_ROW_GROUP = 65_536
LISTS = ("mean", "log_std", "kl_nats_per_dimension")
SCORES = ("squared_error", "reconstruction_nats", "kl_nats")
_KEY = b"latent-explorer"
_PART = re.compile(r"part-(\d{5})-of-(\d{5})\.parquet")


@dataclass(frozen=True)
class CodeTable:
    """A table read back: `codes` in the order of their ids, and which model made them."""

    codes: Codes
    model_key: str


def weights_key(model: Autoencoder) -> str:
    """Sixteen hex digits over the names and values of all weights, wherever they are stored."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def write_code_table(
    out: Path,
    model: Autoencoder,
    images: ImageSet,
    *,
    batch_size: int = 250,
    rank: int = 0,
    world: int = 1,
    progress: Callable[[int, int], None] | None = None,
    model_key: str | None = None,
) -> Path:
    """Encode a set batch by batch, never holding more than one batch of images, to Parquet.

    Alone `out` is the file; one of `world` processes writes its contiguous part into the
    folder `out`. The file appears when it is complete. `progress(done, total)` counts this
    process's images; `model_key` (by default `weights_key`) is stored. Returns the path
    written. `ConfigError` for a batch size, rank or path that cannot be.
    """
    if batch_size < 1 or not 0 <= rank < world <= 99_999:
        raise ConfigError(
            f"Batch size {batch_size}, rank {rank} and world {world} came, expected a batch size "
            "of 1 or more and 0 ≤ rank < world; correct them."
        )
    path = _place(out, rank, world)
    rows = _share(len(images), batch_size, rank, world)
    key = weights_key(model) if model_key is None else model_key
    schema = _schema(model.n_latent, images.factors)
    schema = schema.with_metadata(_described(images, model.n_latent, key, world))
    with replace_file(path) as temporary, pq.ParquetWriter(
        temporary, schema, compression="zstd",
        use_dictionary=["split", "label_name"],
    ) as writer:  # fmt: skip
        for group in _row_groups(model, images, rows, batch_size, schema, progress):
            writer.write_table(group)
    return path


def read_code_table(path: Path) -> CodeTable:
    """A table, or a folder with all its parts, as `Codes` in the order of their ids.

    Raises `DataError` when a part is missing, damaged, of another run, or the rows are not
    those of one set.
    """
    paths = _parts_in(path) if path.is_dir() else [path]
    tables = [_open_table(part) for part in paths]
    about = [_about(table, part) for table, part in zip(tables, paths, strict=True)]
    if len({json.dumps(said, sort_keys=True) for said in about}) > 1:
        raise DataError(
            f"The parts in '{path}' are of different models or sets, expected those of one run; "
            "delete the folder and write it again."
        )
    if about[0]["n_parts"] != len(paths):
        raise DataError(
            f"'{path}' is one of {about[0]['n_parts']} parts, expected all of them; give the "
            "folder it is in."
        )
    return _build(pa.concat_tables(tables), about[0], path)


def _place(out: Path, rank: int, world: int) -> Path:
    if world == 1:
        if out.is_dir():
            raise ConfigError(
                f"'{out}' is a folder, expected a file to write; add a name such as codes.parquet."
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        return out
    if out.is_file():
        raise ConfigError(
            f"'{out}' is a file, expected a folder for {world} parts; name another or delete it."
        )
    out.mkdir(parents=True, exist_ok=True)
    return out / f"part-{rank:05d}-of-{world:05d}.parquet"


def _share(n: int, batch_size: int, rank: int, world: int) -> range:
    """Where the batches of a process start: whole batches of the set, in its order."""
    n_batches = -(-n // batch_size)
    first, last = (n_batches * r // world for r in (rank, rank + 1))
    return range(first * batch_size, min(n, last * batch_size), batch_size)


def _schema(n_latent: int, factors: Iterable[str]) -> pa.Schema:
    vector = pa.list_(pa.float32(), n_latent)
    columns = [("id", pa.int64()), ("split", pa.string())]
    columns += [("label", pa.int64()), ("label_name", pa.string())]
    columns += [(f"factor.{name}", pa.float32()) for name in factors]
    columns += [*((name, pa.float32()) for name in SCORES), *((name, vector) for name in LISTS)]
    return pa.schema(columns)


def _described(images: ImageSet, n_latent: int, model_key: str, world: int) -> dict[bytes, bytes]:
    about = {
        "format": FORMAT,
        "model_key": model_key,
        "n_latent": n_latent,
        "n_images": len(images),
        "n_parts": world,
        "label_names": images.label_names,
        "factors": {name: factor.categories for name, factor in images.factors.items()},
    }
    return {_KEY: json.dumps(about).encode()}


def _row_groups(
    model: Autoencoder,
    images: ImageSet,
    starts: range,
    batch_size: int,
    schema: pa.Schema,
    progress: Callable[[int, int], None] | None,
) -> Iterator[pa.Table]:
    """Batches gathered to tables of a bounded size."""
    most = min(MAX_ROW_GROUP, max(1, ROW_GROUP_BYTES // (4 * len(LISTS) * model.n_latent)))
    waiting: list[pa.Table] = []
    for start in starts:
        rows = slice(start, min(start + batch_size, starts.stop))
        scores = score_images(model, images.images[rows], batch_size=batch_size)
        waiting.append(_rows_of(images, rows, scores, schema))
        if progress is not None:
            progress(rows.stop - starts.start, starts.stop - starts.start)
        if sum(len(table) for table in waiting) >= most:
            yield pa.concat_tables(waiting)
            waiting.clear()
    if waiting:
        yield pa.concat_tables(waiting)


def _rows_of(images: ImageSet, rows: slice, scores: ImageScores, schema: pa.Schema) -> pa.Table:
    labels, names = [None] * len(scores.mean), list(images.label_names)
    if images.labels is not None:
        labels = images.labels[rows].tolist()
    kl = scores.kl_nats
    values: list[Any] = [
        images.ids[rows],
        [SPLITS[part] for part in images.split[rows]],
        labels,
        # −1 stands for a label that is not known.
        [names[i] if i is not None and 0 <= i < len(names) else None for i in labels],
        *(factor.values[rows] for factor in images.factors.values()),
        scores.squared_error,
        scores.reconstruction_nats,
        kl.sum(1, dtype=np.float64).astype(np.float32),
    ]
    arrays = [pa.array(v, f.type) for v, f in zip(values, schema, strict=False)]
    n_latent = scores.mean.shape[1]
    arrays += [
        pa.FixedSizeListArray.from_arrays(pa.array(v.ravel(), pa.float32()), n_latent)
        for v in (scores.mean, scores.log_std, kl)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _parts_in(folder: Path) -> list[Path]:
    found = {p.name: p for p in sorted(folder.glob("part-*.parquet")) if _PART.fullmatch(p.name)}
    worlds = {int(name[14:19]) for name in found}
    if len(worlds) != 1:
        came = "parts of several runs" if worlds else "no part of a code table"
        raise DataError(
            f"'{folder}' holds {came}, expected part-00000-of-N.parquet to the last of one run; "
            "delete what is old or give another folder."
        )
    world = worlds.pop()
    wanted = [f"part-{rank:05d}-of-{world:05d}.parquet" for rank in range(world)]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise DataError(
            f"'{folder}' lacks {', '.join(missing[:3])} ({len(missing)} of {world} parts), "
            "expected all of them; run the missing processes again."
        )
    return [found[name] for name in wanted]


def _open_table(path: Path) -> pa.Table:
    try:
        # read_table would take a folder called a=b on the way for a column a.
        with pq.ParquetFile(path) as opened:
            return opened.read()
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise DataError(
            f"'{path}' cannot be read as Parquet ({why}), expected a table of codes; write it "
            "again."
        ) from error


def _about(table: pa.Table, path: Path) -> dict[str, Any]:
    """What the table says of itself; `DataError` when it is not one of ours."""
    try:
        said: dict[str, Any] = json.loads((table.schema.metadata or {})[_KEY])
        fits = said["format"] == FORMAT and table.schema.equals(
            _schema(said["n_latent"], said["factors"])
        )
    except (KeyError, ValueError, TypeError):
        fits = False
    if not fits:
        raise DataError(
            f"'{path}' is no table of codes of this version, expected one written as {FORMAT}; "
            "write it again with this program."
        )
    return said


def _build(table: pa.Table, about: dict[str, Any], path: Path) -> CodeTable:
    ids: NDArray[np.int64] = table["id"].to_numpy()
    order = np.argsort(ids, kind="stable")
    _check_rows(table, about["n_images"], path)

    def column(name: str) -> NDArray[Any]:
        values: NDArray[Any] = table[name].to_numpy()[order]
        return values

    def vectors(name: str) -> NDArray[np.float32]:
        flat: NDArray[np.float32] = table[name].combine_chunks().flatten().to_numpy()
        return flat.reshape(len(ids), about["n_latent"])[order]

    split = pc.index_in(table["split"], value_set=pa.array(SPLITS)).to_numpy().astype(np.uint8)
    factors = {n: Factor(column(f"factor.{n}"), tuple(c)) for n, c in about["factors"].items()}
    codes = Codes(
        ids=ids[order],
        split=split[order],
        mean=vectors("mean"),
        log_std=vectors("log_std"),
        squared_error=column("squared_error"),
        reconstruction_nats=column("reconstruction_nats"),
        kl_nats=vectors("kl_nats_per_dimension"),
        n_total=about["n_images"],
        labels=None if table["label"].null_count else column("label"),
        label_names=tuple(about["label_names"]),
        factors=factors,
    )
    return CodeTable(codes, str(about["model_key"]))


def _check_rows(table: pa.Table, n_images: int, path: Path) -> None:
    n_distinct = len(table["id"].unique())
    if len(table) != n_images or n_distinct != n_images:
        raise DataError(
            f"'{path}' holds {len(table):,} rows with {n_distinct:,} different ids, expected "
            f"{n_images:,} of each; write it again."
        )
    empty = [n for n in table.column_names if not n.startswith("label") and table[n].null_count]
    foreign = set(table["split"].unique().to_pylist()) - set(SPLITS)
    if empty or foreign:
        raise DataError(
            f"'{path}' has empty cells in {empty} or splits {foreign} that are not one of "
            f"{SPLITS}, expected neither; write it again."
        )
