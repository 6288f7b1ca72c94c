"""The verb `map`: a checkpoint's map made again, of all images of a set."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict

from tqdm import tqdm

from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.cli.common import MAX_SEED, answer, check_number, load_for, say, table
from vae_core.data.catalogue import source_record
from vae_core.data.imageset import ImageSet
from vae_core.mapping import MapProgress, remap_checkpoint
from vae_core.train.interrupt import stop_between_steps

MAX_IMAGES = 10_000_000


def add_map_flags(verb: argparse.ArgumentParser) -> None:
    """The flags of `map` besides the checkpoint, --data and --out."""
    verb.add_argument("--limit", type=int, help="this many images, held-out ones first")
    verb.add_argument("--no-umap", action="store_true", help="PCA alone, which takes no time")
    verb.add_argument(
        "--half-precision", action="store_true", help="round the weights to 16 bits: half the file"
    )  # fmt: skip
    verb.add_argument("--overwrite", action="store_true", help="replace the checkpoint in --out")
    verb.add_argument(
        "--progress-lines", action="store_true",
        help="progress as JSON lines on standard error, for other programs",
    )  # fmt: skip


def run_map(args: argparse.Namespace) -> int:
    """Encode a set with a checkpoint's model and write a checkpoint with a map of all of it."""
    check_number("--seed", args.seed, 0, MAX_SEED)
    if args.limit is not None:
        check_number("--limit", args.limit, 1, MAX_IMAGES)
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    with stop_between_steps() as stopped:
        images = load_for(args, checkpoint)
        with tqdm(total=100, bar_format="{l_bar}{bar}| {postfix}", disable=_quiet(args)) as bar:
            remap_checkpoint(
                checkpoint, images, args.out, record=_record(args, checkpoint, images),
                command=args.command_line, limit=args.limit, seed=args.seed,
                with_umap=not args.no_umap, half_precision=args.half_precision,
                overwrite=args.overwrite, tell=_teller(args, bar),
                report=_reporter(args, bar), cancelled=stopped,
            )  # fmt: skip
    made = load_checkpoint(args.out)
    figures = {"checkpoint": str(args.out), "n_codes": len(made.codes), "n_images": len(images)}
    figures["maps"] = ", ".join(made.maps)
    answer(args, figures, f"{table(figures)}\nOpen it with: streamlit run app.py -- {args.out}")
    return 0


def _record(
    args: argparse.Namespace, checkpoint: Checkpoint, images: ImageSet
) -> dict[str, str | int | list[int] | None]:
    seed = int(checkpoint.card["split"]["seed"])
    return {**source_record(args.data, images, seed=seed), "n_asked": None}


def _quiet(args: argparse.Namespace) -> bool | None:
    return True if args.progress_lines else None


def _teller(args: argparse.Namespace, bar: tqdm[int]) -> Callable[[str], None]:
    if args.progress_lines:
        return lambda sentence: say(json.dumps({"text": sentence}))
    return bar.write if sys.stderr.isatty() else say


def _reporter(args: argparse.Namespace, bar: tqdm[int]) -> Callable[[MapProgress], None]:
    def line(progress: MapProgress) -> None:
        say(json.dumps({**asdict(progress), "share": progress.share}))
        sys.stderr.flush()

    def draw(progress: MapProgress) -> None:
        minutes, seconds = divmod(int(progress.seconds_left), 60)
        bar.n = round(100 * progress.share, 1)
        bar.set_postfix_str(
            f"{progress.stage} {progress.done:,} of {progress.total:,}, "
            f"{minutes}:{seconds:02d} left"
        )

    return line if args.progress_lines else draw
