"""The verbs that put a trained model to work."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vae_core.apply.results import Result, results_csv
from vae_core.apply.verdict import (
    LEAST_HELD_OUT,
    calibrate_verdict,
    most_unusual_first,
    verdict,
)
from vae_core.checkpoint import (
    CALIBRATION,
    PRIOR,
    Checkpoint,
    add_part,
    load_checkpoint,
)
from vae_core.cli.common import (
    MAX_SEED,
    answer,
    check_number,
    is_own_data,
    load_for,
    say,
    table,
)
from vae_core.data.validation import with_validation
from vae_core.errors import DataError
from vae_core.evaluate.calibration import calibrate_model
from vae_core.files import replace_file
from vae_core.latent.prior_fit import choose_prior


def run_calibrate(args: argparse.Namespace) -> int:
    """Score held-out images and keep the scores with the checkpoint, for verdicts on others."""
    check_number("--seed", args.seed, 0, MAX_SEED)
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    images = with_validation(load_for(args, checkpoint), seed=int(checkpoint.card["split"]["seed"]))
    found = calibrate_model(checkpoint.model, images, seed=args.seed)
    if found is None:
        raise DataError(
            f"'{args.data}' holds no test or validation images, {LEAST_HELD_OUT} or more that the "
            "model was not trained on were expected; give the set it was trained on."
        )
    scale = calibrate_verdict(found.features)
    add_part(args.checkpoint, found)
    path = args.checkpoint / CALIBRATION
    figures = {
        "file": str(path),
        "bytes": path.stat().st_size,
        "n_images": len(found.ids),
        "unusual_false_alarms": scale.unusual.expected,
        "foreign_false_alarms": None if scale.foreign is None else scale.foreign.expected,
    }
    answer(args, figures, table(figures))
    return 0


def add_fit_prior_flags(verb: argparse.ArgumentParser) -> None:
    """The flags of `fit-prior` besides the checkpoint, --data and --seed."""
    verb.add_argument(
        "--components", type=int, nargs="+", default=[10, 30, 100], metavar="K",
        help="numbers of Gaussians to try; validation images choose (more take longer)",
    )  # fmt: skip
    verb.add_argument(
        "--draws", type=int, default=2, metavar="S",
        help="codes drawn for each training image; more let more Gaussians stay honest",
    )  # fmt: skip


def run_fit_prior(args: argparse.Namespace) -> int:
    """Fit mixtures to the codes of all training images and keep the best with the checkpoint."""
    check_number("--seed", args.seed, 0, MAX_SEED)
    check_number("--draws", args.draws, 1, 100)
    for k in args.components:
        check_number("--components", k, 1, 1_000)
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    images = with_validation(load_for(args, checkpoint), seed=int(checkpoint.card["split"]["seed"]))
    if not is_own_data(args.data, checkpoint):
        raise DataError(
            f"'{args.data}' is not what '{args.checkpoint}' was trained on, its training images "
            f"were expected; give --data {checkpoint.card['data'].get('source')}."
        )
    with tqdm(total=100, bar_format="{l_bar}{bar}| {remaining} left", disable=None) as bar:
        found = choose_prior(
            checkpoint.model, images, n_components=sorted(set(args.components)),
            n_draws=args.draws, seed=args.seed, tell=say,
            progress=lambda share: bar.update(100 * share - bar.n),
        )  # fmt: skip
    note = {"command": args.command_line, "held_out_nats": found.nats}
    add_part(args.checkpoint, found.prior, note=note)
    figures = {
        "file": str(args.checkpoint / PRIOR),
        "components": found.prior.n_components,
        "held_out_nats": max(found.nats.values()),
        "normal_nats": found.normal_nats,
    }
    answer(args, figures, table(figures))
    return 0


def write_results(path: Path, checkpoint: Checkpoint, results: Sequence[Result]) -> None:
    """Judge the pictures and write them to a CSV file, most unusual first.

    Without a calibration there are no verdicts, the order stays, and a line says so.
    """
    found = list(results)
    if checkpoint.calibration is None:
        say(f"'{checkpoint.name}' carries no calibration, so the table has no verdicts.")
    elif found:
        verdicts = verdict(checkpoint, np.stack([item.seen for item in found]))
        found = [replace(found[k], verdict=verdicts[k]) for k in most_unusual_first(verdicts)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as temporary:
        temporary.write_text(results_csv(found), encoding="utf-8")
