"""Figures of models side by side, from their cards and reports, and how much they cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vae_core.apply.compare import Seen
from vae_core.checkpoint import Checkpoint
from vae_core.evaluate.compare import Better, best_of
from vae_core.evaluate.rate import RatePoint, rate_point

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
    _Kind("Faithful", "PSNR, all held-out images", "dB", "higher", (_CARD, "metrics", "psnr_db"),
          "How close reconstructions come to held-out images; the mean of their decibels."),
    _Kind("Faithful", "SSIM, all held-out images", "", "higher", (_REPORT, "pictures", "ssim"),
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
    _Kind("Generative", "−log p(x), fitted mixture", "nats", "lower",
          (_REPORT, "bounds", "nll_mixture"),
          "The same bound with the mixture fitted to the codes as the prior."),
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
_OF_PICTURES: Final = ("Faithful", "Generative")
# Bounds of densities and of probabilities do not compare.
_BOUNDS: Final = ("ELBO", "−log p(x), importance bound", "−log p(x), fitted mixture")
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
    found = _inside(report, "rates", "points")
    points = []
    for point in found if isinstance(found, list) else []:
        name = str(point.get("name", "")) if isinstance(point, Mapping) else ""
        bits, decibels = number_in(point, "bits_per_image"), number_in(point, "psnr_db")
        if name.startswith(f"{kind},") and bits is not None and decibels is not None:
            points.append((bits, decibels, name))
    return _rates(points)


def measured_rates(points: Sequence[RatePoint]) -> Rates | None:
    """Points in the order of their rate; None when there are none."""
    return _rates([(p.bits_per_image, p.psnr_db, p.name) for p in points])


def _rates(points: Sequence[tuple[float, float, str]]) -> Rates | None:
    if not points:
        return None
    bits, decibels, names = zip(*sorted(points), strict=True)
    return Rates(bits, decibels, tuple(name.partition(", ")[2] for name in names))


def number_in(data: object, *path: str) -> float | None:
    """The number found by following names into nested objects, or None: files can be edited."""
    found = _inside(data, *path)
    return float(found) if isinstance(found, int | float) else None


def _inside(data: object, *path: str) -> object:
    for name in path:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def card_rate(card: Mapping[str, Any]) -> tuple[float, float] | None:
    """KL in bits per image and PSNR of the mean codes' reconstructions; None for a plain one.

    Of the mean error, as in `RatePoint`: the card's own decibels are the mean of the images'.
    """
    kl, error = number_in(card, "metrics", "kl_nats"), number_in(card, "metrics", "squared_error")
    if card["model"].get("posterior") == "point" or not kl or not error or error < 0:
        return None
    return kl / math.log(2), rate_point("", 0, error).psnr_db


def measured_figures(seen: Sequence[Seen]) -> tuple[Figure, ...]:
    """What was measured on the compared images themselves, for models and PCA alike."""
    reports, section = [item.quality.report() for item in seen], "On the images compared here"
    better: Better = "higher" if len({item.coder.spec for item in seen}) == 1 else ""
    of_each: tuple[tuple[str, str, tuple[float, ...], str], ...] = (
        ("PSNR", "dB", tuple(r.psnr for r in reports), "The mean of the images' decibels."),
        ("SSIM", "", tuple(r.ssim for r in reports), "Structure kept, 1 for identical pictures."),
    )
    return tuple(
        Figure(name, unit, values, best_of(values, better), about, section)
        for name, unit, values, about in of_each
    )


def figures_of(
    checkpoints: Sequence[Checkpoint], *, linear: Sequence[int] = ()
) -> tuple[Figure, ...]:
    """All figures that at least one model has, those of a section together.

    For each number in `linear` the values end with one of PCA with as many dimensions of the
    first model's data, where a report on these holds it.
    """
    reports = [read_report(c.path, key=c.key) for c in checkpoints]
    rows = [_figure(kind, checkpoints, reports, linear) for kind in _KINDS]
    n = len(checkpoints)
    return tuple(row for row in rows if any(value is not None for value in row.values[:n]))


def _figure(
    kind: _Kind,
    checkpoints: Sequence[Checkpoint],
    reports: Sequence[Mapping[str, Any] | None],
    linear: Sequence[int],
) -> Figure:
    scale = _SCALE.get(kind.name) or _SCALE.get(kind.unit, 1.0)
    raw = [_value(kind, c, report) for c, report in zip(checkpoints, reports, strict=True)]
    # A plain autoencoder's KL of 0 is none.
    if kind.name == "KL":
        raw = [
            None if c.model.config.posterior == "point" else value
            for c, value in zip(checkpoints, raw, strict=True)
        ]
    own = [
        report
        for c, report in zip(checkpoints, reports, strict=True)
        if c.card["data"].get("source") == checkpoints[0].card["data"].get("source")
    ]
    raw += [_linear_value(kind, own, n) for n in linear]
    values = tuple(None if value is None else value * scale for value in raw)
    better = kind.better if _do_compare(kind, checkpoints) else ""
    return Figure(kind.name, kind.unit, values, best_of(values, better), kind.about, kind.section)


def _value(kind: _Kind, checkpoint: Checkpoint, report: Mapping[str, Any] | None) -> float | None:
    if kind.path == ("weights",):
        return float(sum(p.numel() for p in checkpoint.model.parameters()))
    *place, last = kind.path[1:]
    found = _inside(checkpoint.card if kind.path[0] == _CARD else report, *place)
    return number_in(_reader(found, "codes") if last in _READERS else found, last)


_READERS: Final = ("linear", "neighbours", "few_mean")


def _reader(rows: Any, features: str) -> Any:
    """Readers of codes, of PCA and of pixels stand in one list; the one of `features`, or None."""
    known = rows if isinstance(rows, list) else []
    return next(
        (row for row in known if isinstance(row, Mapping) and row.get("features") == features), None
    )


def _linear_value(kind: _Kind, reports: Sequence[Mapping[str, Any] | None], n: int) -> float | None:
    """What is known of PCA with n dimensions: its size, and how well labels are read from it."""
    if kind.path[-1] == "n_latent":
        return float(n)
    if kind.path[-1] not in _READERS:
        return None
    found = (_reader((report or {}).get("labels"), f"pca-{n}") for report in reports)
    values = (number_in(row, kind.path[-1]) for row in found)
    return next((value for value in values if value is not None), None)


def _do_compare(kind: _Kind, checkpoints: Sequence[Checkpoint]) -> bool:
    if len({str(c.card["data"].get("source")) for c in checkpoints}) > 1:
        return kind.section == "Cost"
    # Pictures of another size are other pictures; their labels and factors are the same.
    if len({c.model.spec for c in checkpoints}) > 1 and kind.section in _OF_PICTURES:
        return False
    return kind.name not in _BOUNDS or len({c.model.config.likelihood for c in checkpoints}) == 1
