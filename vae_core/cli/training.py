"""The verb `train`, and its flags: those of the configuration and of every objective."""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from vae_core.checkpoint import CARD, load_checkpoint
from vae_core.cli.common import answer, load, say, table
from vae_core.data.catalogue import source_record
from vae_core.errors import ConfigError
from vae_core.latent.codes import MAX_CODES
from vae_core.mapping import expected_seconds
from vae_core.objectives.registry import OBJECTIVES, build_objective, objective_fields
from vae_core.pipeline import check_folder, train_checkpoint
from vae_core.train.arguments import flag_of
from vae_core.train.config import TrainConfig
from vae_core.train.interrupt import stop_between_steps
from vae_core.train.loop import Progress
from vae_core.train.malloc import keep_freed_memory
from vae_core.train.processes import Processes, current_processes, joined, main_first
from vae_core.train.runtime import choose_runtime
from vae_core.train.state import FOLDER
from vae_core.train.watcher import Watcher


def add_train_flags(verb: argparse.ArgumentParser) -> None:
    """All flags of `train` besides --data and --out."""
    for item in fields(TrainConfig):
        if item.name != "objective_options":
            _add_config_flag(verb, item.name, item.default, item.metadata["help"])
    for name, owners in _objective_flags().items():
        kind, _, text = next(iter(owners.values()))
        defaults = ", ".join(f"{owner} {default}" for owner, (_, default, _) in owners.items())
        flag, help_text = flag_of(name), f"{text} (default: {defaults})"
        if kind is bool:
            verb.add_argument(flag, action=argparse.BooleanOptionalAction, help=help_text)
        else:
            verb.add_argument(flag, type=kind, help=help_text)
    verb.add_argument("--images", type=int, help="use this many images")
    verb.add_argument("--size", type=int, help="side of the images in pixels (folders)")
    verb.add_argument("--channels", type=int, choices=(1, 3), help="1 grey, 3 colour")
    verb.add_argument("--title", default="", help="name shown in the app")
    verb.add_argument(
        "--start-from", type=Path,
        help="checkpoint whose weights to begin with: of the same shape, or of diagonal posteriors "
        "for --posterior full",
    )  # fmt: skip
    verb.add_argument("--resume", action="store_true", help="go on with a stopped run")
    verb.add_argument("--overwrite", action="store_true", help="replace what --out holds")
    verb.add_argument(
        "--share-cores", action="store_true",
        help="use fewer threads while others need cores (which changes how results are rounded)",
    )  # fmt: skip
    verb.add_argument(
        "--watch", action="store_true",
        help="write progress and snapshots to OUT/training, and listen to what is asked there",
    )  # fmt: skip


def _add_config_flag(verb: argparse.ArgumentParser, name: str, default: Any, sentence: str) -> None:
    flag = flag_of(name)
    if isinstance(default, bool):
        verb.add_argument(flag, dest=name, action="store_true", help=sentence)
        return
    kind = float if name == "minutes" else type(default)
    choices = tuple(OBJECTIVES) if name == "objective" else None
    verb.add_argument(flag, dest=name, type=kind, default=default, choices=choices,
                      help=f"{sentence} (default: {default})")  # fmt: skip


def _objective_flags() -> dict[str, dict[str, tuple[type, Any, str]]]:
    """Option name → the objectives that have it: objectives may share a name."""
    found: dict[str, dict[str, tuple[type, Any, str]]] = {}
    for objective in OBJECTIVES:
        for name, described in objective_fields(objective).items():
            found.setdefault(name, {})[objective] = described
    return found


def config_of(args: argparse.Namespace) -> TrainConfig:
    """The configuration of flags as `add_train_flags` makes them; `ConfigError` for bad ones."""
    options = {name: getattr(args, name) for name in _objective_flags()}
    chosen = {k: v for k, v in options.items() if v is not None}
    names = [f.name for f in fields(TrainConfig) if f.name != "objective_options"]
    config = TrainConfig(**{n: getattr(args, n) for n in names}, objective_options=chosen)
    build_objective(config.objective, chosen)
    if args.overwrite and args.resume:
        raise ConfigError("--resume and --overwrite came together; give one of them.")
    return config


def run_train(args: argparse.Namespace) -> int:
    """Train a model and write its checkpoint; under torchrun with all its processes."""
    config, processes = config_of(args), current_processes()
    if not args.overwrite:
        check_folder(args.out, resume=args.resume, config=config)
    keep_freed_memory()
    runtime = choose_runtime(
        _device_name(config.device, processes), config.precision, share_cores=args.share_cores
    )
    initial = load_checkpoint(args.start_from).model if args.start_from else None
    chosen_data = {"n_images": args.images, "size": args.size, "channels": args.channels}
    quiet = not processes.is_main
    watcher = _watcher(args) if args.watch and not quiet else None
    with joined(processes, device=runtime.device):
        # One process fills the cache, the others find it.
        with main_first(processes):
            images = load(
                args, chosen_data, seed=config.seed,
                progress=partial(watcher.phase, "Reading images") if watcher else None,
            )  # fmt: skip
        if watcher:
            watcher.after_seconds = sum(expected_seconds(min(len(images), MAX_CODES)).values())
        record = {**source_record(args.data, images, seed=config.seed), "n_asked": args.images}
        if not quiet:
            say(f"{len(images):,} {images.spec} images from '{args.data}'.")
        if args.overwrite and not quiet:
            # Not before the new images are at hand: a misspelt --data must cost no checkpoint.
            shutil.rmtree(args.out / FOLDER, ignore_errors=True)
            (args.out / CARD).unlink(missing_ok=True)
        with tqdm(total=100, bar_format="{l_bar}{bar}| {postfix}", disable=quiet or None) as bar:

            def report(progress: Progress) -> None:
                bar.n = round(100 * progress.share, 1)
                bar.set_postfix_str(_in_words(progress))

            def tell(sentence: str) -> None:
                if not quiet:
                    (bar.write if sys.stderr.isatty() else say)(sentence)

            with stop_between_steps() as stopped:
                metrics = train_checkpoint(
                    images, args.out, config=config, runtime=runtime, record=record,
                    command=args.command_line, title=args.title, resume=args.resume,
                    report=report, tell=tell, cancelled=stopped, initial=initial,
                    processes=processes, watcher=watcher,
                )  # fmt: skip
    if not quiet:
        text = f"{table(metrics)}\nSaved in {args.out}; open it with: streamlit run app.py"
        answer(args, {"checkpoint": str(args.out), **metrics}, text)
    return 0


def _watcher(args: argparse.Namespace) -> Watcher:
    watcher = Watcher(args.out)
    watcher.phase("Reading images")
    return watcher


def _device_name(asked: str, processes: Processes) -> str:
    """Each process of a machine takes a GPU of its own."""
    if processes.world > 1 and asked in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{processes.local_rank}"
    return asked


def _in_words(progress: Progress) -> str:
    minutes, seconds = divmod(int(progress.seconds_left), 60)
    return (
        f"epoch {progress.epoch + 1}, loss {progress.loss:.1f}, "
        f"{progress.images_per_second:,.0f} images/s, {minutes}:{seconds:02d} left"
    )
