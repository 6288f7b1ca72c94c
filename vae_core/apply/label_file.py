"""Labels as a CSV file that comes back: id, label, predicted, confidence."""

from __future__ import annotations

import csv
import io
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vae_core.apply.labelling import Labelling, Propagated, give_name
from vae_core.errors import DataError

Ints = NDArray[np.int64]

COLUMNS: Final = ("id", "label", "predicted", "confidence")
MAX_BYTES: Final = 200_000_000


def labels_csv(ids: Ints, labelling: Labelling, propagated: Propagated | None = None) -> str:
    """One line per image of `ids` `[N]`; `label` is empty where none was given.

    Without a prediction only the labelled images are written, and the last two columns are empty.
    """
    kinds = labelling.kinds(len(ids))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    names = np.array([*labelling.names, ""], object)
    if propagated is None:
        rows = labelling.rows
        writer.writerows((ids[row], names[kinds[row]], "", "") for row in rows)
        return out.getvalue()
    sure = (f"{share:.4f}" for share in propagated.confidence.tolist())
    columns = (ids.tolist(), names[kinds], names[propagated.predicted], sure)
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue()


def read_labels(data: bytes | str, ids: Ints) -> Labelling:
    """The labelling of a CSV with the columns `id` and `label`, on codes with these `ids` `[N]`.

    Further columns are not looked at, lines with an empty label are passed over. `DataError`
    names the first thing that does not fit.
    """
    if len(data) > MAX_BYTES:
        raise DataError(
            f"The labels take {len(data) / 1e6:.0f} MB, {MAX_BYTES / 1e6:.0f} MB at most are read; "
            "keep the lines that have a label."
        )
    text = data if isinstance(data, str) else _decoded(data)
    row_of = {int(number): row for row, number in enumerate(ids)}
    rows: dict[str, list[int]] = {}
    seen: dict[int, str] = {}
    for line, number, name in _lines(text):
        row = row_of.get(number) if number is not None else None
        if row is None:
            raise DataError(
                f"Line {line} of the labels names an image that is not among the {len(ids):,} "
                "here; use the ids of this set."
            )
        if seen.setdefault(row, name) != name:
            raise DataError(
                f"Line {line} of the labels calls image {number} '{name}', an earlier line "
                f"'{seen[row]}'; keep one of them."
            )
        rows.setdefault(name, []).append(row)
    if not rows:
        raise DataError("The labels name no image, expected one line at least with a label.")
    found = Labelling()
    for name, members in rows.items():
        found = give_name(found, name, rows=np.array(members, np.int64))
    return found


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            "The labels are not text in UTF-8, expected a CSV file with the columns id and label; "
            "save them again as CSV."
        ) from error


def _lines(text: str) -> list[tuple[int, int | None, str]]:
    """(line number, id or None, name) of each line that has a label."""
    try:
        reader = csv.DictReader(io.StringIO(text), strict=True)
        fields = [str(name).strip().lower() for name in reader.fieldnames or ()]
        if not {"id", "label"} <= set(fields):
            raise DataError(
                f"A table with the columns {', '.join(fields[:6])[:80] or 'of nothing'} came, "
                "expected id and label; name them in its first line."
            )
        reader.fieldnames = fields
        found = []
        for row in reader:
            name = " ".join((row["label"] or "").split())
            if name:
                found.append((reader.line_num, _whole(row["id"] or ""), name))
        return found
    except csv.Error as error:
        raise DataError(
            f"The labels are no readable CSV ({error}), expected the columns id and label; save "
            "them again."
        ) from error


def _whole(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
