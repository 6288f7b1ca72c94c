"""The table of codes: what it holds, in how little memory, by how many processes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.fixtures import small_model, stripes
from vae_core.data.imageset import Factor, ImageSet
from vae_core.errors import ConfigError, DataError
from vae_core.latent import table as table_module
from vae_core.latent.codes import Codes, encode_set
from vae_core.latent.table import read_code_table, weights_key, write_code_table

MODEL = small_model()
IMAGES = stripes()
ARRAYS = ("ids", "split", "mean", "log_std", "kl_nats", "squared_error", "reconstruction_nats")


def write_parts(folder: Path, world: int, **options: Any) -> Path:
    for rank in range(world):
        write_code_table(folder, MODEL, IMAGES, rank=rank, world=world, batch_size=7, **options)
    return folder


def assert_same(a: Codes, b: Codes, *, atol: float = 0.0) -> None:
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=0, atol=atol)
        assert getattr(a, name).dtype == getattr(b, name).dtype
    assert a.n_total == b.n_total and a.label_names == b.label_names
    assert (a.labels is None) == (b.labels is None)
    assert a.labels is None or b.labels is None or a.labels.tolist() == b.labels.tolist()


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    kinds = Factor((np.arange(80) % 2).astype(np.float32), ("odd", "even"))
    images = replace(IMAGES, factors={**IMAGES.factors, "kind": kinds})
    path = write_code_table(tmp_path / "new" / "codes.parquet", MODEL, images)
    found = read_code_table(path)
    assert_same(found.codes, encode_set(MODEL, images))
    assert found.model_key == weights_key(MODEL) != weights_key(small_model(seed=1))
    assert found.codes.factors["kind"].categories == ("odd", "even")
    for name, factor in images.factors.items():
        assert found.codes.factors[name].values.tolist() == factor.values.tolist()


def test_others_can_read_it_without_this_program(tmp_path: Path) -> None:
    rows = pq.read_table(write_code_table(tmp_path / "a.parquet", MODEL, IMAGES)).to_pylist()
    codes = encode_set(MODEL, IMAGES)
    assert rows[3]["id"] == 3 and rows[3]["split"] in ("train", "val", "test")
    assert rows[3]["label_name"] == IMAGES.label_names[rows[3]["label"]]
    assert rows[3]["mean"] == codes.mean[3].tolist()
    assert rows[3]["kl_nats"] == pytest.approx(sum(rows[3]["kl_nats_per_dimension"]), rel=1e-6)


@pytest.mark.parametrize("world", [2, 3, 20])
def test_many_processes_write_what_one_does(tmp_path: Path, world: int) -> None:
    alone = write_code_table(tmp_path / "a.parquet", MODEL, IMAGES, batch_size=7)
    parts = write_parts(tmp_path / "parts", world)
    assert len(list(parts.iterdir())) == world
    assert_same(read_code_table(parts).codes, read_code_table(alone).codes)


def test_parts_share_the_work(tmp_path: Path) -> None:
    parts = sorted(write_parts(tmp_path / "parts", 3).iterdir())
    sizes = [pq.read_metadata(part).num_rows for part in parts]
    assert sum(sizes) == 80 and max(sizes) - min(sizes) <= 7


def test_the_batch_size_hardly_matters(tmp_path: Path) -> None:
    found = [
        read_code_table(write_code_table(tmp_path / str(n), MODEL, IMAGES, batch_size=n)).codes
        for n in (1, 33, 1000)
    ]
    assert_same(found[0], found[1], atol=1e-4)
    assert_same(found[1], found[2], atol=1e-4)


def test_rows_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(80)
    found = read_code_table(write_code_table(tmp_path / "a", MODEL, IMAGES.take(order))).codes
    assert_same(found, encode_set(MODEL, IMAGES), atol=1e-4)


class Watched(np.ndarray[Any, Any]):
    """Images that remember the largest piece that was ever asked of them."""

    largest = 0

    def __getitem__(self, rows: Any) -> Any:
        found = super().__getitem__(rows)
        Watched.largest = max(Watched.largest, len(found) if found.ndim == 4 else 1)
        return found


def test_only_one_batch_of_images_is_held_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Holes in a file cost nothing: a set of any size on a small disk.
    shape = (3000, 1, 8, 8)
    mapped = np.memmap(tmp_path / "images", np.uint8, "w+", shape=shape).view(Watched)
    images = ImageSet("large", mapped, np.arange(3000), np.zeros(3000, np.uint8))
    monkeypatch.setattr(table_module, "MAX_ROW_GROUP", 500)
    seen: list[tuple[int, int]] = []
    path = write_code_table(tmp_path / "a", MODEL, images, batch_size=100,
                            progress=lambda *counts: seen.append(counts))  # fmt: skip
    about = pq.read_metadata(path)
    groups = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
    assert Watched.largest == 100 and groups == [500] * 6
    assert seen[0] == (100, 3000) and seen[-1] == (3000, 3000) and len(seen) == 30


@pytest.mark.parametrize("labels", [None, np.where(np.arange(80) < 9, -1, 1)])
def test_labels_may_be_missing(tmp_path: Path, labels: NDArray[np.int64] | None) -> None:
    images = replace(IMAGES, labels=labels, label_names=() if labels is None else ("a", "b"))
    path = write_code_table(tmp_path / "a", MODEL, images)
    names = pq.read_table(path)["label_name"].to_pylist()
    assert names[0] is None and names[-1] == (None if labels is None else "b")
    assert_same(read_code_table(path).codes, encode_set(MODEL, images))


def test_a_broken_run_leaves_no_file(tmp_path: Path) -> None:
    def stop(done: int, _: int) -> None:
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_code_table(tmp_path / "a", MODEL, IMAGES, batch_size=7, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "parts", 3)
    (folder / "part-00001-of-00003.parquet").unlink()
    with pytest.raises(DataError, match=r"lacks part-00001-of-00003\.parquet \(1 of 3 parts\)"):
        read_code_table(folder)
    with pytest.raises(DataError, match="one of 3 parts"):
        read_code_table(folder / "part-00000-of-00003.parquet")


def test_parts_of_different_runs_do_not_mix(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "parts", 2)
    write_code_table(folder, MODEL, IMAGES, rank=1, world=2, batch_size=7, model_key="other")
    with pytest.raises(DataError, match="different models or sets"):
        read_code_table(folder)
    with pytest.raises(DataError, match="parts of several runs"):
        read_code_table(write_parts(folder, 3))
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no part of a code table"):
        read_code_table(tmp_path / "none")


def test_a_part_twice_under_two_names_is_noticed(tmp_path: Path) -> None:
    parts = sorted(write_parts(tmp_path / "parts", 2).iterdir())
    shutil.copy(parts[0], parts[1])
    with pytest.raises(DataError, match="different ids, expected 80 of each"):
        read_code_table(tmp_path / "parts")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no table at all"])
def test_what_is_no_parquet_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_code_table(tmp_path / "a")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_code_table(tmp_path / "nothing")


def test_foreign_cut_and_changed_tables_are_refused(tmp_path: Path) -> None:
    path = write_code_table(tmp_path / "a", MODEL, IMAGES)
    good = pq.read_table(path)
    wrong = {
        "no table of codes": good.replace_schema_metadata({}),
        "no table of codes of": good.drop_columns("log_std"),
        "79 rows": good.slice(1),
        "empty cells in": good.set_column(1, "split", pa.nulls(80, pa.string())),
        "splits": good.set_column(1, "split", pa.array(["other"] * 80)),
    }
    for sentence, table in wrong.items():
        pq.write_table(table, path)
        with pytest.raises(DataError, match=sentence):
            read_code_table(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="cannot be read"):
        read_code_table(path)


def test_numbers_and_paths_that_cannot_be_are_a_sentence(tmp_path: Path) -> None:
    for options in ({"batch_size": 0}, {"rank": 2, "world": 2}, {"rank": -1}, {"world": 0}):
        with pytest.raises(ConfigError, match="correct them"):
            write_code_table(tmp_path / "a", MODEL, IMAGES, **options)
    with pytest.raises(ConfigError, match="is a folder"):
        write_code_table(tmp_path, MODEL, IMAGES)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="is a file"):
        write_code_table(tmp_path / "file", MODEL, IMAGES, world=2)
