"""The verb `estimate`: how long `train` would take, and how much memory, without training."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from typing import Any, Final

from vae_core.cli.common import answer, load, say, table
from vae_core.cli.training import config_of
from vae_core.data.validation import deal_validation
from vae_core.latent.codes import MAX_CODES
from vae_core.mapping import ENCODING, expected_seconds
from vae_core.pipeline import plan_model
from vae_core.train.malloc import keep_freed_memory
from vae_core.train.probe import estimate
from vae_core.train.runtime import choose_runtime

# Measured on a 2020s server core: what a process takes to begin, apart from reading images.
SECONDS_TO_START: Final = 4.0
# The libraries that arrange the map come on top of what training needed.
MAP_BYTES: Final = 190 * 2**20


def run_estimate(args: argparse.Namespace) -> int:
    """Measure a few steps and tell what a whole run with these flags takes."""
    config = config_of(args)
    keep_freed_memory()
    runtime = choose_runtime(config.device, config.precision, share_cores=args.share_cores)
    began = time.monotonic()
    chosen = {"n_images": args.images, "size": args.size, "channels": args.channels}
    images = load(args, chosen, seed=config.seed)
    images = deal_validation(images, seed=config.seed, n=config.n_validation)
    seconds_before = SECONDS_TO_START + time.monotonic() - began
    model_config, told = plan_model(images, config)
    for sentence in (runtime.reason, *told):
        say(sentence)
    stages = expected_seconds(min(MAX_CODES, len(images)))
    found = estimate(
        images, config, model_config=model_config, runtime=runtime,
        map_seconds=sum(seconds for stage, seconds in stages.items() if stage != ENCODING),
    )  # fmt: skip
    figures: dict[str, Any] = {"n_images": len(images), **asdict(found)}
    figures["seconds_before"] = seconds_before
    figures["seconds_total"] = seconds_before + found.seconds_training + found.seconds_after
    if runtime.device.type != "cuda" and found.memory_bytes:
        figures["memory_bytes"] = found.memory_bytes + MAP_BYTES
    answer(args, figures, table(figures))
    return 0
