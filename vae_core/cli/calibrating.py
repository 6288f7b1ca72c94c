"""The verbs that put a trained model to work."""

from __future__ import annotations

import argparse

from vae_core.apply.verdict import LEAST_HELD_OUT, calibrate_verdict
from vae_core.checkpoint import CALIBRATION, add_calibration, load_checkpoint
from vae_core.cli.common import MAX_SEED, answer, check_number, load_for, table
from vae_core.errors import DataError
from vae_core.evaluate.calibration import calibrate_model
from vae_core.pipeline import with_validation


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
    add_calibration(args.checkpoint, found)
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
