"""Variations of codes, and the zip of them: packed, read back, made again."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.fixtures import save_small
from vae_core.checkpoint import load_checkpoint
from vae_core.data.catalogue import load_images
from vae_core.data.folder import load_folder
from vae_core.errors import ConfigError, DataError
from vae_core.export import Plan, Sources, augmentation_zip, sources_of, vary
from vae_core.export.augment import ExportCancelledError, about_model, folder_names
from vae_core.grid import to_bytes

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

Z = np.array([[0.1, -2.0, 3.0], [0.1, -2.0, 3.0], [5.0, 0.0, -1.0]], np.float32)
SOURCES = Sources(
    ids=np.array([7, 3, 1234567]),
    z=Z,
    log_std=np.log(np.full((3, 3), 0.2, np.float32)),
    labels=np.array([1, 0, 1]),
    label_names=("cat", "wild dog"),
    split=np.array([0, 2, 1], np.uint8),
)
PLAN = Plan(n=5, spread=0.5, seed=1)


def stand_in(z: Floats, labels: Ints) -> Floats:
    """A decoder one can follow: 8×8 RGB, the code's three numbers as colours, label on top."""
    images = np.empty((len(z), 3, 8, 8), np.float32)
    images[:] = (1 / (1 + np.exp(-z)))[:, :, None, None]
    images[:, :, 0, 0] = labels[:, None] / 10
    return images


def packed(sources: Sources = SOURCES, plan: Plan = PLAN, *, batch_size: int = 64) -> bytes:
    buffer = io.BytesIO()
    augmentation_zip(buffer, stand_in, sources, plan=plan, about={}, batch_size=batch_size)
    return buffer.getvalue()


def manifest_of(data: bytes) -> list[dict[str, str]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode())))


def code_in(row: dict[str, str]) -> Floats:
    return np.array([row[f"z_{d}"] for d in range(3)], np.float32)


def test_variations_have_the_mean_and_the_std_that_were_asked() -> None:
    std = np.array([0.1, 1, 4], np.float32)
    found = vary(Z[:1], n=4000, spread=0.5, seed=0, log_std=np.log(std))
    np.testing.assert_allclose(found.mean((0, 1)), Z[0], atol=0.12)
    np.testing.assert_allclose(found.std((0, 1)), 0.5 * std, rtol=0.05)


def test_each_code_varies_by_its_own_std_or_all_by_one() -> None:
    own = np.array([[0, 0, 0], [1, 1, 1], [-30, -30, -30]], np.float32)
    each = vary(Z, n=500, spread=1, seed=0, log_std=own).std(1).mean(1)
    assert each[0] < 1.2 < 2.4 < each[1] < 3
    assert each[2] < 1e-6
    one = vary(Z, n=3, spread=1, seed=0, log_std=own[1])
    assert np.array_equal(one, vary(Z, n=3, spread=1, seed=0, log_std=own[[1, 1, 1]]))


def test_without_a_std_it_is_one() -> None:
    zero = np.zeros(3, np.float32)
    assert np.array_equal(
        vary(Z, n=4, spread=2, seed=0), vary(Z, n=4, spread=2, seed=0, log_std=zero)
    )


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    one, again, other = (vary(Z, n=4, spread=1, seed=s) for s in (5, 5, 6))
    assert one.tobytes() == again.tobytes()
    assert not np.isclose(one, other).any()


def test_equal_codes_of_different_images_vary_differently() -> None:
    assert not np.isclose(*vary(Z[:2], n=10, spread=1, seed=0)).any()


def test_the_draws_of_an_image_do_not_depend_on_its_company() -> None:
    whole = vary(Z, n=6, spread=1, seed=0, ids=np.array([4, 9, 2]))
    alone = vary(Z[2:], n=3, spread=1, seed=0, ids=np.array([2]))
    assert np.array_equal(alone[0], whole[2, :3])


def test_without_spread_all_variations_are_the_code() -> None:
    assert np.array_equal(vary(Z, n=2, spread=0, seed=0), np.stack([Z, Z], 1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"n": 10_001},
        {"spread": -0.1},
        {"spread": float("nan")},
        {"spread": 101},
        {"seed": -1},
        {"seed": 2**63},
    ],
    ids=str,
)
def test_impossible_plans_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="came, expected"):
        vary(Z, **({"n": 1, "spread": 1.0, "seed": 0} | wrong))


BAD_CODES: dict[str, tuple[Floats, Floats | None, Ints | None]] = {
    "no code": (Z[:0], None, None),
    "one row alone": (Z[0], None, None),
    "not a number": (Z * np.float32(np.nan), None, None),
    "infinite": (np.full((1, 2), np.inf, np.float32), None, None),
    "std of another size": (Z, np.zeros(2, np.float32), None),
    "std not a number": (Z, np.full(3, np.nan, np.float32), None),
    "std beyond all bounds": (Z, np.full(3, 21, np.float32), None),
    "too few ids": (Z, None, np.array([1])),
    "negative ids": (Z, None, np.array([0, 1, -1])),
}


@pytest.mark.parametrize("wrong", BAD_CODES.values(), ids=BAD_CODES.keys())
def test_codes_that_cannot_be_varied_are_refused(
    wrong: tuple[Floats, Floats | None, Ints | None],
) -> None:
    z, log_std, ids = wrong
    with pytest.raises(DataError):
        vary(z, n=1, spread=1, seed=0, log_std=log_std, ids=ids)


def test_stored_codes_bring_what_is_known_of_them(tmp_path: Path) -> None:
    codes = load_checkpoint(save_small(tmp_path)).codes
    rows = np.array([5, 2])
    own, shared = (sources_of(codes, rows, noise=n) for n in ("posterior", "set"))  # type: ignore[arg-type]
    assert np.array_equal(own.z, codes.mean[rows])
    assert own.log_std is not None and shared.log_std is not None
    assert np.array_equal(own.log_std, codes.log_std[rows])
    np.testing.assert_allclose(np.exp(shared.log_std), codes.mean.std(0), rtol=1e-5)
    assert own.label_names == ("flat", "steep")


def test_a_dimension_that_never_varies_stays_as_it_is(tmp_path: Path) -> None:
    codes = load_checkpoint(save_small(tmp_path)).codes
    codes.mean[:, 1] = 0.25
    sources = sources_of(codes, np.arange(3), noise="set")
    varied = vary(sources.z, n=4, spread=1, seed=0, log_std=sources.log_std)
    assert (varied[..., 1] == 0.25).all()
    assert (varied[..., 0].std(1) > 0).all()


def test_every_picture_opens_and_is_in_the_manifest_once() -> None:
    data = packed()
    rows = manifest_of(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        pictures = [name for name in archive.namelist() if name.endswith(".png")]
        sizes = {Image.open(archive.open(name)).size for name in pictures}
        assert archive.testzip() is None
    assert pictures == [row["file"] for row in rows]
    assert (len(set(pictures)), sizes) == (15, {(8, 8)})


def test_the_manifest_says_where_each_picture_comes_from() -> None:
    rows = manifest_of(packed())
    assert [row["source_id"] for row in rows[::5]] == ["7", "3", "1234567"]
    assert [row["label"] for row in rows[::5]] == ["wild dog", "cat", "wild dog"]
    assert [row["source_split"] for row in rows[::5]] == ["train", "test", "val"]
    assert [int(row["variation"]) for row in rows] == [0, 1, 2, 3, 4] * 3
    assert {row["seed"] for row in rows} == {"1"}
    assert rows[5]["file"].startswith("cat/")


def test_the_code_in_the_manifest_is_the_pictures_own_to_the_last_bit() -> None:
    data = packed()
    wanted = vary(Z, n=5, spread=0.5, seed=1, log_std=SOURCES.log_std, ids=SOURCES.ids)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for row, z in zip(manifest_of(data), wanted.reshape(-1, 3), strict=True):
            assert code_in(row).tobytes() == z.tobytes()
            image = stand_in(z[None], np.array([row["label"] == "wild dog"]))
            found = np.asarray(Image.open(archive.open(row["file"])))
            assert np.array_equal(found, to_bytes(image[0]).transpose(1, 2, 0))


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    assert packed() == packed() == packed(batch_size=2)
    assert packed() != packed(plan=replace(PLAN, seed=2))


def test_the_project_reads_the_zip_back_with_its_labels(tmp_path: Path) -> None:
    target = tmp_path / "new" / "set.zip"
    assert augmentation_zip(target, stand_in, SOURCES, plan=PLAN, about={}) == 15
    for found in (load_folder(target), load_images(target)):
        assert found.label_names == ("cat", "wild dog")
        assert found.labels is not None
        assert found.labels.tolist() == [0] * 5 + [1] * 10
        assert found.spec.shape == (3, 8, 8)
        assert found.skipped == ()


HARD_NAMES = {
    ("T-shirt/top", "Ankle boot"): ("T-shirt_top", "Ankle boot"),
    ("a", "A", "ä", "é"): ("a", "A_2", "ä", "é"),
    ("train", "Test"): ("class train", "class Test"),
    ("..", ".hidden", "", "c:\\x"): ("_", "hidden", "__2", "c__x"),
}


@pytest.mark.parametrize("names", HARD_NAMES, ids=str)
def test_labels_with_odd_names_come_back_as_classes(names: tuple[str, ...], tmp_path: Path) -> None:
    n = len(names)
    sources = Sources(np.arange(n), np.zeros((n, 3), np.float32), None, np.arange(n), names)
    augmentation_zip(tmp_path / "a.zip", stand_in, sources, plan=PLAN, about={})
    found = load_folder(tmp_path / "a.zip")
    assert folder_names(names) == HARD_NAMES[names]
    assert found.label_names == tuple(sorted(HARD_NAMES[names]))
    assert {row["label"] for row in manifest_of((tmp_path / "a.zip").read_bytes())} == set(names)


def test_images_without_a_label_are_kept_apart() -> None:
    some = packed(replace(SOURCES, labels=np.array([1, -1, 1])))
    none = packed(replace(SOURCES, labels=None, label_names=()))
    assert {row["file"].split("/")[0] for row in manifest_of(some)} == {"wild dog", "unknown"}
    assert {row["file"].split("/")[0] for row in manifest_of(none)} == {"images"}
    assert {row["label"] for row in manifest_of(none)} == {""}


def test_the_card_names_the_model_and_the_plan(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(save_small(tmp_path))
    about, buffer = about_model(checkpoint, command="python -m x"), io.BytesIO()
    augmentation_zip(buffer, stand_in, SOURCES, plan=PLAN, about=about)
    with zipfile.ZipFile(buffer) as archive:
        card = json.loads(archive.read("card.json"))
    assert card["model_key"] == checkpoint.key
    assert card["command"] == "python -m x"
    assert (card["n_images"], card["spread"], card["seed"]) == (15, 0.5, 1)
    assert {"version", "versions"} <= card.keys()


def test_never_more_than_a_batch_is_decoded_at_once() -> None:
    sizes, seen = [], []

    def decode(z: Floats, labels: Ints) -> Floats:
        sizes.append(len(z))
        return stand_in(z, labels)

    augmentation_zip(
        io.BytesIO(), decode, SOURCES, plan=replace(PLAN, n=50), about={}, batch_size=16,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert max(sizes) <= 16
    assert sum(sizes) == 150
    assert seen[-1] == (150, 150)
    assert seen == sorted(seen)


@pytest.mark.parametrize("polls", [0, 1, 4])
def test_a_stopped_export_leaves_what_was_there(tmp_path: Path, polls: int) -> None:
    target, answers = tmp_path / "set.zip", iter([False] * polls + [True])
    target.write_bytes(b"older")
    with pytest.raises(ExportCancelledError, match=r"of 15 images, as asked"):
        augmentation_zip(
            target, stand_in, SOURCES, plan=PLAN, about={}, batch_size=5,
            cancelled=lambda: next(answers),
        )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["set.zip"]
    assert target.read_bytes() == b"older"


def test_a_stream_that_failed_is_cut_back() -> None:
    buffer = io.BytesIO(b"before")
    buffer.seek(6)
    with pytest.raises(ZeroDivisionError):
        augmentation_zip(buffer, lambda z, _: z / (1 // 0), SOURCES, plan=PLAN, about={})
    assert buffer.getvalue() == b"before"


def test_sources_that_do_not_fit_together_are_refused() -> None:
    wrong = [
        replace(SOURCES, ids=np.array([7, 7, 1])),
        replace(SOURCES, labels=np.array([0])),
        replace(SOURCES, labels=np.array([0, 1, 2])),
        replace(SOURCES, split=np.zeros(2, np.uint8)),
    ]
    for sources in wrong:
        with pytest.raises(DataError):
            packed(sources)


def test_more_images_than_any_set_needs_are_refused() -> None:
    sources = Sources(np.arange(101), np.zeros((101, 1), np.float32))
    with pytest.raises(ConfigError, match="1,010,000 images"):
        packed(sources, Plan(n=10_000, spread=1, seed=0))
