"""What a selected group of codes is said to be, and its table for other programs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from vae_core.data.imageset import Factor
from vae_core.errors import ConfigError, DataError
from vae_core.latent.codes import Codes
from vae_core.latent.region import (
    axis_strip,
    describe_region,
    principal_axes,
    region_table,
    table_bytes,
)


def made_of(mean: NDArray[np.floating]) -> Codes:
    """Codes `[N,D]` whose first half is 'low' and second half 'high'; errors count up."""
    n, half = len(mean), len(mean) // 2
    kind = Factor((np.arange(n) % 3).astype(np.float32), ("a", "b", "c"))
    return Codes(
        ids=np.arange(n, dtype=np.int64) + 100,
        split=np.full(n, 2, np.uint8),
        mean=mean.astype(np.float32),
        log_std=np.zeros_like(mean, np.float32),
        squared_error=np.arange(n, dtype=np.float32),
        reconstruction_nats=np.zeros(n, np.float32),
        kl_nats=np.ones_like(mean, np.float32),
        n_total=n,
        labels=(np.arange(n) >= half).astype(np.int64),
        label_names=("low", "high"),
        factors={"size": Factor(np.arange(n, dtype=np.float32)), "kind": kind},
    )


def cloud(n: int = 400, n_latent: int = 8) -> NDArray[np.float32]:
    """Gaussian codes whose spread falls from 4 to 1/32 from dimension to dimension."""
    spread = 4.0 / 2 ** np.arange(n_latent)
    codes = np.random.default_rng(0).standard_normal((n, n_latent)) * spread + 1
    return codes.astype(np.float32)


CODES = made_of(cloud())


def test_shares_and_lifts_compare_with_the_whole_set() -> None:
    region = describe_region(CODES, range(150, 250))
    assert (region.n, region.share) == (100, 0.25)
    assert [(p.name, p.n, p.share, p.lift) for p in region.labels] == [
        ("low", 50, 0.5, 1.0),
        ("high", 50, 0.5, 1.0),
    ]
    one_sided = describe_region(CODES, range(300, 400)).labels
    assert [(p.name, p.lift) for p in one_sided] == [("high", 2.0)]


def test_factors_errors_and_rates_stand_beside_those_of_all() -> None:
    region = describe_region(CODES, [0, 3, 6, 9])
    size, kind = region.factors
    assert (size.mean, size.mean_of_all) == (4.5, 199.5)
    assert size.std == pytest.approx(np.std([0, 3, 6, 9]))
    assert size.shift == pytest.approx((4.5 - 199.5) / np.arange(400).std())
    assert [(p.name, p.n) for p in kind.parts] == [("a", 4)]
    assert kind.parts[0].lift == pytest.approx(400 / 134)
    assert (region.squared_error, region.squared_error_of_all) == (4.5, 199.5)
    assert (region.kl_nats, region.kl_nats_of_all) == (8, 8)


def test_axes_are_those_the_codes_were_made_with() -> None:
    region = describe_region(CODES, range(400)).principal
    assert region.axes.shape == (5, 8)
    np.testing.assert_allclose(region.axes @ region.axes.T, np.eye(5), atol=1e-5)
    assert np.abs(np.diag(region.axes)).min() > 0.99
    np.testing.assert_allclose(region.std, 4.0 / 2 ** np.arange(5), rtol=0.15)
    assert 0.99 < region.explained.sum() <= 1
    assert (np.diff(region.explained) < 0).all()


def test_typical_codes_are_in_the_middle_and_unusual_ones_outside() -> None:
    region = describe_region(CODES, range(400))
    distance = np.linalg.norm(CODES.mean - CODES.mean.mean(0), axis=1)
    assert region.typical_rows[0] == distance.argmin()
    assert region.unusual_rows[0] == distance.argmax()
    assert distance[region.typical_rows].max() < np.median(distance)
    assert distance[region.unusual_rows].min() > np.quantile(distance, 0.9)


def test_no_code_is_both_typical_and_unusual() -> None:
    for n in (1, 2, 5, 23):
        region = describe_region(CODES, range(n))
        both = np.concatenate([region.typical_rows, region.unusual_rows])
        assert sorted(both) == list(range(n))


def test_one_code_has_no_axes_and_is_its_own_mean() -> None:
    region = describe_region(CODES, [7])
    np.testing.assert_array_equal(region.mean, CODES.mean[7])
    assert len(region.principal.axes) == len(region.principal.std) == 0
    assert region.typical_rows.tolist() == [7] and not len(region.unusual_rows)
    assert region.factors[0].std == 0


def test_equal_codes_have_no_axes_either() -> None:
    codes = made_of(np.full((30, 4), 0.1))
    region = describe_region(codes, range(30))
    assert region.principal.axes.shape == (0, 4)
    np.testing.assert_array_equal(region.mean, codes.mean[0])


def test_a_row_marked_twice_counts_once() -> None:
    twice, once = describe_region(CODES, [9, 3, 3, 9, 5]), describe_region(CODES, [3, 5, 9])
    assert twice.rows.tolist() == [3, 5, 9]
    np.testing.assert_array_equal(twice.mean, once.mean)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "No codes are selected"),
        ([3, 400], "Rows from 3 to 400 were selected, expected 0 to 399"),
        ([-1], "Rows from -1 to -1"),
        ([0.5], "Rows of type float64"),
        ([True] * 400, "Rows of type bool"),
    ],
)
def test_rows_that_cannot_be_are_refused(rows: Sequence[int], said: str) -> None:
    for function in (describe_region, region_table):
        with pytest.raises(DataError, match=said):
            function(CODES, rows)


def test_codes_that_are_not_finite_are_refused() -> None:
    broken = CODES.mean.copy()
    broken[5, 0] = np.nan
    with pytest.raises(DataError, match="no NaN or infinity"):
        describe_region(replace(CODES, mean=broken), [4, 5])


def test_labels_and_factors_may_be_unknown_or_missing() -> None:
    labels, size = np.full(400, -1), np.full(400, np.nan, np.float32)
    labels[0], size[1] = 1, 3
    kind = Factor(size.clip(0, 1), ("a", "b"))
    some = replace(CODES, labels=labels, factors={"size": Factor(size), "kind": kind})
    region = describe_region(some, [0, 1, 2])
    assert [(p.name, p.n, p.share) for p in region.labels] == [("high", 1, 1.0)]
    assert region.factors[0].mean == 3 and region.factors[0].shift is None
    assert describe_region(some, [5]).factors[0].mean is None
    assert region_table(some, [0, 1, 2])["label"].to_pylist() == ["high", None, None]
    assert describe_region(replace(CODES, labels=None, factors={}), [0]).labels == ()


def test_a_strip_runs_through_the_mean_by_standard_deviations() -> None:
    region = describe_region(CODES, range(400))
    strip = axis_strip(region, 1, n_steps=5)
    np.testing.assert_allclose(strip[2], region.mean, atol=1e-6)
    own = region.principal
    amounts = (strip - region.mean) @ own.axes[1] / own.std[1]
    np.testing.assert_allclose(amounts, [-2, -1, 0, 1, 2], atol=1e-4)
    wide = axis_strip(region, 1, n_steps=2, reach=3)
    assert np.linalg.norm(wide[1] - wide[0]) == pytest.approx(6 * own.std[1], rel=1e-4)


@pytest.mark.parametrize(
    ("axis", "n_steps", "reach", "said"),
    [
        (5, 7, 2.0, "Axis 5 was asked for of a region with 5"),
        (-1, 7, 2.0, "Axis -1"),
        (0, 1, 2.0, "1 steps reaching 2.0"),
        (0, 7, 0.0, "7 steps reaching 0.0"),
        (0, 7, float("nan"), "7 steps reaching nan"),
    ],
)
def test_strips_that_cannot_be_are_refused(
    axis: int, n_steps: int, reach: float, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        axis_strip(describe_region(CODES, range(400)), axis, n_steps=n_steps, reach=reach)


def test_axes_do_not_flip_between_reruns_or_with_the_order_of_codes() -> None:
    forward = principal_axes(CODES.mean, n=3).axes
    backward = principal_axes(CODES.mean[::-1], n=3).axes
    np.testing.assert_allclose(forward, backward, atol=1e-4)
    mixed = CODES.mean @ np.linalg.qr(CODES.mean[:8])[0].astype(np.float32)
    axes = principal_axes(mixed, n=8).axes
    assert (axes.max(1) == np.abs(axes).max(1)).all()


def test_the_table_says_what_the_codes_say() -> None:
    table = region_table(CODES, [250, 4])
    assert table.to_pylist()[0] == {
        "id": 104,
        "row": 4,
        "split": "test",
        "label": "low",
        "squared_error": 4.0,
        "kl_nats": 8.0,
        "factor.size": 4.0,
        "factor.kind": "b",
        **{f"z{d}": float(CODES.mean[4, d]) for d in range(8)},
    }


def test_every_kind_of_file_holds_the_same_numbers() -> None:
    table = region_table(CODES, range(10, 40))
    from_csv = csv.read_csv(io.BytesIO(table_bytes(table, "csv")))
    from_parquet = pq.read_table(io.BytesIO(table_bytes(table, "parquet")))
    assert from_parquet.equals(table)
    assert from_csv.column_names == table.column_names
    for name in ("id", "label", "factor.kind"):
        assert from_csv[name].to_pylist() == table[name].to_pylist()
    read = np.array(from_csv["z3"].to_pylist(), np.float32)
    np.testing.assert_array_equal(read, CODES.mean[10:40, 3])


def test_npz_opens_without_pickle_and_holds_the_codes_as_one_array() -> None:
    unlabelled = replace(CODES, labels=None)
    data = table_bytes(region_table(unlabelled, range(10, 40)), "npz")
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        np.testing.assert_array_equal(found["z"], CODES.mean[10:40])
        assert set(found["label"].tolist()) == {""}
        assert found["factor.kind"][0] == "b" and "z0" not in found
    assert data == table_bytes(region_table(unlabelled, range(10, 40)), "npz")


def test_another_kind_of_file_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="'xlsx' was asked for, expected one of csv, parquet, npz"
    ):
        table_bytes(pa.table({"id": [1]}), "xlsx")
