"""What was found of a batch of pictures, as CSV and as a zip of pictures."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vae_core.apply.verdict import Verdict
from vae_core.grid import to_picture

# A spreadsheet would run a cell that starts so.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Result:
    """One picture's outcome; `seen` uint8 and `rebuilt` float32 in [0,1], both `[C,H,W]`.

    `code` is the posterior's mean `[D]`, `steps` what was done to make the picture fit.
    """

    name: str
    seen: NDArray[np.uint8]
    rebuilt: NDArray[np.float32]
    squared_error: float
    verdict: Verdict | None
    code: NDArray[np.float32] | None = None
    steps: Sequence[str] = ()


def results_csv(results: Sequence[Result]) -> str:
    """One row per picture in the order given; percentiles in [0,1], empty where unknown."""
    names = next(([s.name for s in r.verdict.scores] for r in results if r.verdict), [])
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    scores = [f"{name}{part}" for name in names for part in ("", " (percentile)")]
    code = next((r.code for r in results if r.code is not None), np.empty(0, np.float32))
    codes = [f"z{dim}" for dim in range(len(code))]
    head = ["number", "picture", "prepared", "squared error", "verdict", "as unusual"]
    writer.writerow([*head, *scores, *codes])
    for number, item in enumerate(results):
        found = item.verdict
        done = " → ".join(item.steps)
        row: list[object] = [number, _harmless(item.name), done, f"{item.squared_error:.6g}"]
        if found is None:
            row += [""] * (2 + len(scores))
        else:
            row += [found.level, f"{found.tail:.6g}"]
            row += [f"{x:.6g}" for s in found.scores for x in (s.value, s.percentile)]
        row += [] if item.code is None else [f"{value:.4f}" for value in item.code]
        writer.writerow(row)
    return stream.getvalue()


def _harmless(name: str) -> str:
    return f"'{name}" if name.startswith(_FORMULA_STARTS) else name


def results_zip(results: Sequence[Result]) -> bytes:
    """results.csv and two PNG files per picture, named by its number there, never by its name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("results.csv", results_csv(results))
        for number, item in enumerate(results):
            for kind, image in (("seen", item.seen), ("rebuilt", item.rebuilt)):
                archive.writestr(f"{number:04d}-{kind}.png", _png(image))
    return stream.getvalue()


def _png(image: NDArray[np.uint8] | NDArray[np.float32]) -> bytes:
    stream = io.BytesIO()
    to_picture(image).save(stream, "PNG")
    return stream.getvalue()
