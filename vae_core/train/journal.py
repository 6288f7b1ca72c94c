"""`metrics.jsonl`: one JSON object per line and epoch, appended as the run goes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from vae_core.files import replace_file

Value = float | int | str | list[float]


class Journal:
    """Appends records to `metrics.jsonl` below a folder."""

    def __init__(self, folder: Path, *, n_epochs: int = 0) -> None:
        """Keep the records of the first `n_epochs` epochs: a run that was killed may have
        written one more than its saved state knows of.
        """
        self.path = folder / "metrics.jsonl"
        kept = [r for r in read_journal(folder) if int(r.get("epoch", 0)) <= n_epochs]  # type: ignore[arg-type]
        if not kept:
            self.path.unlink(missing_ok=True)
            return
        with replace_file(self.path) as temporary:
            temporary.write_text("".join(map(_line, kept)), encoding="utf-8")

    def write(self, record: Mapping[str, Value]) -> None:
        """Append one record; floats that are not finite become text, JSON has none."""
        with self.path.open("a", encoding="utf-8") as opened:
            opened.write(_line(record))


def _line(record: Mapping[str, Value]) -> str:
    clean = {
        k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()
    }
    return json.dumps(clean) + "\n"


def read_journal(folder: Path) -> list[dict[str, Value]]:
    """All complete records; a line cut short by a crash is left out."""
    path = folder / "metrics.jsonl"
    records: list[dict[str, Value]] = []
    if not path.is_file():
        return records
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records
