"""Figures of models side by side, from their cards and reports, and how much they cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vae_core.checkpoint import Checkpoint
from vae_core.evaluate.compare import Better, best_of
from vae_core.evaluate.rate import RatePoint

REPORT: Final = "report.json"


def read_report(path: Path, *, key: str) -> dict[str, Any] | None:
    """The report in a checkpoint's folder; None when there is none, or it is of other weights.

    `key` is the `Checkpoint.key` of the weights it has to be of.
    """
    try:
        report = json.loads((path / REPORT).read_text(encoding="utf-8"))
        return dict(report) if report["about"]["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class Figure:
    """One row of the table: what is measured, its unit, each model's value or None.

    `best` are the places of the best values. `about` says in a sentence what it means.
    """

    name: str
    unit: str
    values: tuple[float | None, ...]
    best: tuple[int, ...]
    about: str
    section: str


@dataclass(frozen=True)
class _Kind:
    section: str
    name: str
    unit: str
    better: Better
    path: tuple[str, ...]
    about: str


_CARD, _REPORT = "card", "report"
_KINDS: Final = (
    _Kind("Faithful", "PSNR", "dB", "higher", (_CARD, "metrics", "psnr_db"),
          "How close reconstructions come to held-out images; of the mean error."),
    _Kind("Faithful", "SSIM", "", "higher", (_REPORT, "pictures", "ssim"),
          "Structure kept, 1 for identical pictures."),
    _Kind("Faithful", "Fréchet distance, rebuilt", "", "lower",
          (_REPORT, "samples", "rebuilt", "distance"),
          "How far the crowd of reconstructions is from the crowd of real images."),
    _Kind("Generative", "Fréchet distance, drawn", "", "lower",
          (_REPORT, "samples", "drawn_from_normal", "distance"),
          "How far draws from N(0, I) are from real images."),
    _Kind("Generative", "ELBO", "nats", "higher", (_CARD, "metrics", "elbo_nats"),
          "Lower bound of log p(x) per image."),
    _Kind("Generative", "−log p(x), importance bound", "nats", "lower",
          (_REPORT, "bounds", "nll"), "A tighter bound, with 100 draws per image."),
    _Kind("Code", "KL", "nats", "", (_CARD, "metrics", "kl_nats"),
          "What the code tells about the image; neither more nor less is better by itself."),
    _Kind("Code", "Active units", "", "", (_CARD, "metrics", "active_units"),
          "Dimensions whose mean varies over images (variance above 0.01)."),
    _Kind("Code", "Latent dimensions", "", "", (_CARD, "model", "n_latent"),
          "Numbers per code."),
    _Kind("Useful", "Labels read linearly", "%", "higher", (_REPORT, "labels", "linear"),
          "Share of held-out images whose class a linear reader of the codes names."),
    _Kind("Useful", "Labels by nearest neighbours", "%", "higher",
          (_REPORT, "labels", "neighbours"), "The same by the nearest codes."),
    _Kind("Useful", "Labels from few examples", "%", "higher", (_REPORT, "labels", "few_mean"),
          "The same from 100 labelled images."),
    _Kind("Disentangled", "MIG", "", "higher", (_REPORT, "factors", "mig", "score"),
          "Mutual information gap between the two best dimensions for a factor."),
    _Kind("Disentangled", "SAP", "", "higher", (_REPORT, "factors", "sap", "score"),
          "The gap in how well single dimensions predict a factor."),
    _Kind("Disentangled", "DCI disentanglement", "", "higher",
          (_REPORT, "factors", "dci", "disentanglement"), "Each dimension tells one factor."),
    _Kind("Disentangled", "FactorVAE score", "", "higher",
          (_REPORT, "factors", "factor_vae", "score"), "Votes on which factor was held fixed."),
    _Kind("Cost", "Training", "min", "", (_CARD, "training", "seconds"),
          "Wall clock on whatever machine trained it."),
    _Kind("Cost", "Images seen in training", "", "", (_CARD, "training", "images_seen"),
          "Images times epochs."),
    _Kind("Cost", "Weights", "", "lower", ("weights",), "Numbers in encoder and decoder."),
)  # fmt: skip
# Bounds of densities and of probabilities, or of other data, do not compare.
_BOUNDS: Final = ("ELBO", "−log p(x), importance bound")
_SCALE: Final = {"Training": 1 / 60, "%": 100.0}


@dataclass(frozen=True)
class Rates:
    """Rate-distortion points of one way to store images: bits per image and PSNR in dB, rising.

    `steps` are what the codes were rounded to, as they are called in the report.
    """

    bits: tuple[float, ...]
    psnr_db: tuple[float, ...]
    steps: tuple[str, ...]


def reported_rates(report: Mapping[str, Any] | None, kind: str) -> Rates | None:
    """The points of a report whose names begin with `kind` ("mean code" or "PCA"), or None."""
    found = ((report or {}).get("rates") or {}).get("points") or []
    points = [
        RatePoint(**point)
        for point in found
        if str(point.get("name", "")).startswith(f"{kind},") and point.get("psnr_db") is not None
    ]
    return rates_from(points)


def rates_from(points: Sequence[RatePoint]) -> Rates | None:
    """Points in the order of their rate; None when there are none."""
    order = sorted(points, key=lambda point: point.bits_per_image)
    if not order:
        return None
    return Rates(
        tuple(p.bits_per_image for p in order),
        tuple(p.psnr_db for p in order),
        tuple(p.name.partition(", ")[2] for p in order),
    )


def card_rate(card: Mapping[str, Any]) -> tuple[float, float] | None:
    """KL in bits per image and PSNR of the mean codes' reconstructions; None for a plain one."""
    metrics = card.get("metrics") or {}
    kl, decibels = metrics.get("kl_nats"), metrics.get("psnr_db")
    if card["model"].get("posterior") == "point" or not kl or decibels is None:
        return None
    return float(kl) / math.log(2), float(decibels)


def figures_of(checkpoints: Sequence[Checkpoint]) -> tuple[Figure, ...]:
    """All figures that at least one model has, those of a section together."""
    reports = [read_report(c.path, key=c.key) for c in checkpoints]
    rows = [_figure(kind, checkpoints, reports) for kind in _KINDS]
    return tuple(row for row in rows if any(value is not None for value in row.values))


def _figure(
    kind: _Kind, checkpoints: Sequence[Checkpoint], reports: Sequence[Mapping[str, Any] | None]
) -> Figure:
    scale = _SCALE.get(kind.name) or _SCALE.get(kind.unit, 1.0)
    raw = [_value(kind, c, report) for c, report in zip(checkpoints, reports, strict=True)]
    # A plain autoencoder's KL of 0 is none.
    if kind.name == "KL":
        raw = [
            None if c.model.config.posterior == "point" else value
            for c, value in zip(checkpoints, raw, strict=True)
        ]
    values = tuple(None if value is None else value * scale for value in raw)
    better = kind.better if _do_compare(kind, checkpoints) else ""
    return Figure(
        kind.name, kind.unit, values, best_of(values, better), kind.about, kind.section
    )  # fmt: skip


def _value(
    kind: _Kind, checkpoint: Checkpoint, report: Mapping[str, Any] | None
) -> float | None:  # fmt: skip
    if kind.path == ("weights",):
        return float(sum(p.numel() for p in checkpoint.model.parameters()))
    found: Any = checkpoint.card if kind.path[0] == _CARD else report
    for name in kind.path[1:]:
        if name in ("linear", "neighbours", "few_mean"):
            # Readers of codes, of PCA and of pixels stand in one list.
            rows = found if isinstance(found, list) else []
            found = next((row for row in rows if row.get("features") == "codes"), None)
        found = found.get(name) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) else None


def _do_compare(kind: _Kind, checkpoints: Sequence[Checkpoint]) -> bool:
    if len({str(c.card["data"].get("source")) for c in checkpoints}) > 1:
        return kind.section == "Cost"
    same = {(c.model.config.likelihood, c.model.spec) for c in checkpoints}
    return kind.name not in _BOUNDS or len(same) == 1
