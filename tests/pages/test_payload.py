"""What is sent to the browser of the codes: small, exact to the decimals that count, once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pages.shared import assets, payload
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.examine import snap


@pytest.fixture(autouse=True)
def static(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(assets, "STATIC_DIR", tmp_path)
    return tmp_path


def with_codes(checkpoint: Checkpoint, mean: np.ndarray[Any, Any]) -> Checkpoint:
    made = load_checkpoint(checkpoint.path)
    vars(made)["codes"] = replace(checkpoint.codes, mean=mean.astype(np.float32))
    return made


def file_of(part: dict[str, Any]) -> Path:
    return assets.STATIC_DIR / str(part["codes"]).rpartition("/")[2]


def test_codes_travel_as_thousandths_and_arrive_as_they_are_decoded(
    digits_checkpoint: Checkpoint,
) -> None:
    part, codes = payload.points_part(digits_checkpoint), digits_checkpoint.codes.mean
    assert part["type"] == "i16"
    # What the browser does: Int16 → Float32, divided by 1000.
    read = np.fromfile(file_of(part), "<i2").astype(np.float32) / np.float32(1000)
    assert np.array_equal(read.reshape(codes.shape), snap(codes))


def test_every_thousandth_is_the_number_that_snap_gives() -> None:
    every = np.arange(-32_766, 32_767, dtype=np.int16)
    codes = (every.astype(np.float64) / 1000).astype(np.float32)
    assert np.array_equal(payload.thousandths(codes), every)
    assert np.array_equal(every.astype(np.float32) / np.float32(1000), snap(codes))


@pytest.mark.parametrize("largest", [32.768, -40.0, 1e5])
def test_codes_that_lie_far_out_travel_as_floats(
    digits_checkpoint: Checkpoint, largest: float
) -> None:
    far = digits_checkpoint.codes.mean.copy()
    far[3, 0] = largest
    part = payload.points_part(with_codes(digits_checkpoint, far))
    assert part["type"] == "f32"
    assert np.array_equal(np.fromfile(file_of(part), "<f4").reshape(far.shape), far)


def test_codes_are_made_and_written_once(
    digits_checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = payload.points_part(digits_checkpoint)
    monkeypatch.setattr(payload, "thousandths", lambda _: pytest.fail("made again"))
    assert payload.points_part(digits_checkpoint) == first
    file_of(first).write_bytes(b"cut off")
    with pytest.raises(pytest.fail.Exception):
        payload.points_part(digits_checkpoint)
