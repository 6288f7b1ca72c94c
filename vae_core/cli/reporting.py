"""The verb `evaluate`: a few figures, or with --report everything, as JSON and as a page."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.cli.common import MAX_SEED, answer, check_number, load_for, say, table
from vae_core.data.catalogue import CATALOGUE, load_images
from vae_core.data.imageset import ImageSet
from vae_core.data.pixels import fit_images
from vae_core.evaluate.bounds import evidence_bounds
from vae_core.files import replace_file, write_json
from vae_core.latent.codes import encode_set
from vae_core.objectives.registry import WITHOUT_EVIDENCE
from vae_core.report import Measured, measure_report, report_page
from vae_core.report.measure import mixture_of

# How long the sections take beside each other: seconds on one core for 10,000 MNIST images.
SECONDS: Final[Mapping[str, float]] = {
    "reading": 25, "bounds": 50, "latent": 22, "pictures": 5, "samples": 9, "rates": 10,
    "labels": 23, "factors": 15, "foreign": 5,
}  # fmt: skip


def add_evaluate_flags(verb: argparse.ArgumentParser) -> None:
    """The flags of `evaluate` besides the checkpoint and --data."""
    verb.add_argument("--limit", type=int, help="use the first N test images")
    verb.add_argument("--importance-samples", type=int, default=100, metavar="K")
    verb.add_argument(
        "--report", action="store_true", help="measure everything; write report.json and .html"
    )
    verb.add_argument("--against", help="other images that should look foreign (with --report)")
    verb.add_argument("--out", type=Path, help="folder of the report (default: the checkpoint)")
    verb.add_argument(
        "--progress-lines", action="store_true",
        help="progress of --report as JSON lines on standard error, for other programs",
    )  # fmt: skip


def run_evaluate(args: argparse.Namespace) -> int:
    """Measure a checkpoint on held-out images."""
    check_number("--seed", args.seed, 0, MAX_SEED)
    if args.limit is not None:
        check_number("--limit", args.limit, 1, sys.maxsize)
    tell = _teller(args)
    tell("reading")
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    images = load_for(args, checkpoint)
    has_test = bool((images.split == 2).any())
    test = images.subset("test") if has_test else images
    test = test.take(np.arange(min(len(test), args.limit or len(test))))
    if args.report:
        return _report(args, checkpoint, images, test, tell=tell)
    codes = encode_set(checkpoint.model, test)
    psnr = -10 * np.log10(np.maximum(codes.squared_error.astype(np.float64), 1e-12))
    figures: dict[str, Any] = {
        "checkpoint": str(args.checkpoint),
        "data": str(args.data),
        "split": "test" if has_test else "all",
        "n_images": len(test),
        "squared_error": float(codes.squared_error.astype(np.float64).mean()),
        "psnr_db": float(psnr.mean()),
        "active_units": int(codes.is_active.sum()),
    }
    if checkpoint.card["objective"]["name"] not in WITHOUT_EVIDENCE:
        with tqdm(total=len(test), desc="importance samples", disable=None, leave=False) as bar:
            bounds = evidence_bounds(
                checkpoint.model, test.images, importance_samples=args.importance_samples,
                seed=args.seed, mixture=mixture_of(checkpoint),
                progress=lambda done, _: bar.update(done - bar.n),
            )  # fmt: skip
        figures |= {name: value for name, value in asdict(bounds).items() if value is not None}
    answer(args, figures, table(figures))
    return 0


def _teller(args: argparse.Namespace) -> Callable[[str], None]:
    """Says that a section begins, in words or as a line for a program."""
    if not args.progress_lines:
        return lambda section: None if section == "reading" else say(f"measuring {section} …")
    started, names, total = time.monotonic(), list(SECONDS), sum(SECONDS.values())

    def line(section: str) -> None:
        done = names.index(section)
        share = sum(SECONDS[name] for name in names[:done]) / total
        passed = time.monotonic() - started
        left = passed * (1 - share) / share if share else total
        told = {"stage": f"measuring {section}" if done else section, "done": done,
                "total": len(names), "seconds_left": left, "share": share}  # fmt: skip
        say(json.dumps(told))
        sys.stderr.flush()

    return line


def _report(
    args: argparse.Namespace, checkpoint: Checkpoint, images: ImageSet, test: ImageSet,
    *, tell: Callable[[str], None],
) -> int:  # fmt: skip
    train = images.subset("train") if (images.split == 0).any() else images
    measured = Measured(
        checkpoint, train, test, importance_samples=args.importance_samples, seed=args.seed,
        against=_foreign_images(args, checkpoint),
    )  # fmt: skip
    report = measure_report(measured, tell=tell)
    folder: Path = args.out or args.checkpoint
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "report.json", report)
    page = folder / "report.html"
    with replace_file(page) as temporary:
        temporary.write_text(report_page(report), encoding="utf-8")
    answer(args, report, f"Saved {folder / 'report.json'} and {page}; open the page in a browser.")
    return 0


def _foreign_images(args: argparse.Namespace, checkpoint: Checkpoint) -> ImageSet | None:
    """The images of --against in the model's shape; folders and archives are resized to it."""
    if args.against is None:
        return None
    spec = checkpoint.model.spec
    named = args.against.strip().lower() in CATALOGUE
    options: dict[str, Any] = {} if named else {"size": spec.height, "channels": spec.channels}
    images = load_images(args.against, data_dir=args.data_dir, **options)
    fitted = fit_images(images.images, spec)
    rows = np.random.default_rng(args.seed).permutation(len(images))[:2_000]
    return ImageSet(images.name, fitted[rows], images.ids[rows], images.split[rows])
