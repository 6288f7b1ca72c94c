"""What the live view of a run is sent: its moments as published files, its numbers as lines."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pages.shared import assets, show
from vae_core.errors import ExplorerError
from vae_core.runs.store import RunView, delete_run
from vae_core.train.journal import read_journal
from vae_core.train.snapshots import SnapshotNote, list_snapshots, read_moments, read_snapshot

MAX_POINTS = 120
_NAMES = {
    "val_elbo": ("ELBO", "Evidence lower bound of held-out images, nats: higher is better"),
    "val_kl": ("KL", "What the code carries, nats per image: 0 means that it is ignored"),
    "val_reconstruction": (
        "Reconstruction",
        "−log p(x|z) of held-out images, nats: lower is better",
    ),
    "val_attributes": (
        "Attributes",
        "What the attributes cost given the code, nats: lower is better, below 0 at best",
    ),
    "val_accuracy": ("Accuracy", "Share of held-out images whose label is said rightly"),
}


def message(run: RunView, *, shelf: dict[str, Any]) -> dict[str, Any] | None:
    """The data of `components.training_view`; None before the first moment.

    `shelf` is the visitor's: what was published of a run is not looked at again.
    """
    notes = list_snapshots(run.folder)
    moments = [found for note in notes if (found := _moment(run, note, shelf))]
    if not moments:
        return None
    prefix = _prefix(run.folder)
    return {
        "run": prefix,
        "is_alive": run.is_alive,
        "moments": moments,
        "charts": _charts(run.folder, kept=[note.step for note in notes]),
        **shelf[f"{prefix} labels"],
    }


def delete(folder: Path) -> None:
    """Delete a run with its model and all that was published of it; errors as in `delete_run`."""
    delete_run(folder)
    forget(folder)


def forget(folder: Path) -> None:
    """Remove what was published of a run."""
    for path in assets.STATIC_DIR.glob(f"{_prefix(folder)}-*.json"):
        path.unlink(missing_ok=True)


def _prefix(folder: Path) -> str:
    return f"moment-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"


def _moment(run: RunView, note: SnapshotNote, shelf: dict[str, Any]) -> dict[str, Any] | None:
    try:
        # The same step of a run that was made anew is another moment.
        name = f"{_prefix(run.folder)}-{note.step}-{note.path.stat().st_mtime_ns:x}.json"
        if name not in shelf or not (assets.STATIC_DIR / name).is_file():
            shelf[name] = _publish(name, note, shelf, prefix=_prefix(run.folder))
    except (OSError, ExplorerError):
        # Thinned out between two looks, or damaged: the others are shown.
        return None
    record = note.record
    return {
        "step": note.step,
        "epoch": note.epoch,
        "seconds": round(note.seconds, 2),
        "kl": record.get("kl_per_dimension"),
        "active": record.get("active_units", 0),
        "url": shelf[name],
    }


def _publish(name: str, note: SnapshotNote, shelf: dict[str, Any], *, prefix: str) -> str:
    found = read_snapshot(note.path)
    labels = found.labels
    shelf[f"{prefix} labels"] = {
        "labels": None if labels is None else labels.tolist(),
        "label_names": list(found.label_names),
        "labels_key": "" if labels is None else hashlib.sha256(labels.tobytes()).hexdigest()[:16],
    }
    scale = max(1e-6, float(np.abs(found.xy).max())) / 32_000
    body = {
        "originals": _sheet(found.originals),
        "reconstructions": _sheet(found.reconstructions),
        "samples": _sheet(found.samples),
        "tile": list(found.originals.shape[-2:]),
        "n": len(found.originals),
        "xy": b64encode(np.rint(found.xy / scale).astype("<i2").tobytes()).decode(),
        "scale": scale,
    }
    return assets.publish(name, json.dumps(body).encode())


def _sheet(images: NDArray[np.uint8]) -> str:
    """All tiles side by side as one PNG."""
    return show.data_uri(np.concatenate(list(images), axis=-1))


def _charts(folder: Path, *, kept: Sequence[int]) -> list[dict[str, Any]]:
    """Small multiples over seconds: the loss, the bound, and each of the objective's terms."""
    epochs: list[Mapping[str, Any]] = list(read_journal(folder))
    first = min((_number(e, "seconds") or 0.0 for e in epochs), default=float("inf"))
    # Within the first epoch there are moments alone; they measure fewer images.
    early = [
        {**note.record, "seconds": note.seconds}
        for note in read_moments(folder)
        if 0 < note.seconds < first
    ]
    records = _thinned([*early, *epochs])
    names = [n for n in (records[-1] if records else {}) if n.startswith("val_")]
    terms = sorted(
        (n for n in names if n != "val_loss"), key=lambda n: (n not in _NAMES, n != "val_elbo")
    )
    charts = [_loss(records)]
    for name in terms[:5]:
        title, hint = _NAMES.get(name, (_plain(name), "A term of the objective, nats per image"))
        lines = [{"name": "", "points": _points(records, name)}]
        charts.append({"title": title, "hint": hint, "lines": lines})
    return charts if kept else []


def _plain(name: str) -> str:
    return name.removeprefix("val_").replace("_", " ").capitalize()


def _loss(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    lines = [
        {"name": "held out", "points": _points(records, "val_loss")},
        {"name": "training", "points": _points(records, "train_loss")},
    ]
    return {"title": "Loss", "hint": "Nats per image: lower is better", "lines": lines}


def _thinned(records: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """At most `MAX_POINTS`, evenly, the last among them."""
    if len(records) <= MAX_POINTS:
        return records
    return [records[round(i)] for i in np.linspace(0, len(records) - 1, MAX_POINTS)]


def _points(records: Sequence[Mapping[str, Any]], name: str) -> list[list[float]]:
    pairs = [(_number(r, "seconds"), _number(r, name)) for r in records]
    return [[round(x, 2), float(f"{y:.5g}")] for x, y in pairs if x is not None and y is not None]


def _number(record: Mapping[str, Any], name: str) -> float | None:
    value = record.get(name)
    return float(value) if isinstance(value, int | float) else None
