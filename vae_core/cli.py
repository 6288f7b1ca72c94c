"""The command line: one dict of verbs, flags generated from the dataclasses' fields."""

from __future__ import annotations

import argparse
import json
import math
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from vae_core.checkpoint import (
    CARD,
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    verify_checkpoint,
)
from vae_core.data.catalogue import CATALOGUE, load_images, source_record
from vae_core.data.imageset import ImageSet
from vae_core.data.pixels import prepare
from vae_core.errors import ConfigError, DataError, ExplorerError
from vae_core.evaluate.bounds import evidence_bounds
from vae_core.files import replace_file
from vae_core.grid import picture_grid, to_picture
from vae_core.latent.codes import encode_set
from vae_core.objectives.registry import OBJECTIVES, build_objective, objective_fields
from vae_core.pipeline import check_folder, train_checkpoint
from vae_core.train.config import TrainConfig
from vae_core.train.interrupt import stop_between_steps
from vae_core.train.loop import Interrupted, Progress
from vae_core.train.runtime import choose_runtime
from vae_core.train.state import FOLDER

BAD_INPUT, STOPPED = 2, 130
MAX_SEED = 2**63 - 1
_SHORT_NAMES = {"n_latent": "--latent"}


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _answer(args: argparse.Namespace, data: dict[str, Any], text: str) -> None:
    """Standard output gets one JSON object alone with --json, else the readable text."""
    # JSON knows no NaN: a number that does not exist is null.
    known = {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in data.items()
    }
    sys.stdout.write((json.dumps(known) if args.json else text) + "\n")


def _table(data: dict[str, Any]) -> str:
    shown = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in data.items()}
    width = max(map(len, shown), default=0)
    return "\n".join(f"{k:<{width}}  {v}" for k, v in shown.items())


def _load(args: argparse.Namespace, **options: Any) -> ImageSet:
    with tqdm(desc="reading images", unit="image", disable=None, leave=False) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        images = load_images(args.data, data_dir=args.data_dir, progress=report, **options)
    for skipped in images.skipped[:20]:
        _say(f"skipped {skipped.path}: {skipped.reason}")
    if len(images.skipped) > 20:
        _say(f"… and {len(images.skipped) - 20} more skipped files")
    return images


def _load_for(args: argparse.Namespace, checkpoint: Checkpoint) -> ImageSet:
    """The images of --data in the shape the checkpoint works on.

    For the data it was trained on: the same images in the same split, so that its test
    images are still unseen.
    """
    spec, record = checkpoint.model.spec, checkpoint.card["data"]
    name = args.data.strip().lower()
    named = name in CATALOGUE
    same = record["source"] == (name if named else str(Path(args.data).expanduser().resolve()))
    options: dict[str, Any] = {}
    if same:
        options["n_images"] = record.get("n_asked", record["n_images"])
    if same or not named:
        options["size"] = spec.height if spec.height == spec.width else None
        options["channels"] = spec.channels if spec.channels in (1, 3) else None
    images = _load(args, seed=int(checkpoint.card["split"]["seed"]), **options)
    if images.spec != spec:
        raise DataError(
            f"'{args.data}' holds {images.spec} images, the model in '{checkpoint.path}' was "
            f"trained on {spec}; choose the data it was made for, or a folder of images."
        )
    return images


def _train(args: argparse.Namespace) -> int:
    options = {n: getattr(args, n) for o in OBJECTIVES for n in objective_fields(o)}
    chosen = {k: v for k, v in options.items() if v is not None}
    names = [f.name for f in fields(TrainConfig) if f.name != "objective_options"]
    config = TrainConfig(**{n: getattr(args, n) for n in names}, objective_options=chosen)
    build_objective(config.objective, chosen)
    if args.overwrite and args.resume:
        raise ConfigError("--resume and --overwrite came together; give one of them.")
    if not args.overwrite:
        check_folder(args.out, resume=args.resume, config=config)
    runtime = choose_runtime(config.device, config.precision)
    chosen_data = {"n_images": args.images, "size": args.size, "channels": args.channels}
    images = _load(args, **chosen_data, seed=config.seed)
    record = {**source_record(args.data, images, seed=config.seed), "n_asked": args.images}
    _say(f"{len(images):,} {images.spec} images from '{args.data}'.")
    if args.overwrite:
        # Not before the new images are at hand: a misspelt --data must cost no checkpoint.
        shutil.rmtree(args.out / FOLDER, ignore_errors=True)
        (args.out / CARD).unlink(missing_ok=True)
    with tqdm(total=100, bar_format="{l_bar}{bar}| {postfix}", disable=None) as bar:

        def report(progress: Progress) -> None:
            bar.n = round(100 * progress.share, 1)
            minutes, seconds = divmod(int(progress.seconds_left), 60)
            bar.set_postfix_str(
                f"epoch {progress.epoch + 1}, loss {progress.loss:.1f}, "
                f"{progress.images_per_second:,.0f} images/s, {minutes}:{seconds:02d} left"
            )

        with stop_between_steps() as stopped:
            metrics = train_checkpoint(
                images, args.out, config=config, runtime=runtime, record=record,
                command=args.command_line, title=args.title, resume=args.resume,
                report=report, tell=bar.write if sys.stderr.isatty() else _say, cancelled=stopped,
            )  # fmt: skip
    text = f"{_table(metrics)}\nSaved in {args.out}; open it with: streamlit run app.py"
    _answer(args, {"checkpoint": str(args.out), **metrics}, text)
    return 0


def _check_number(flag: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ConfigError(f"{flag} {value} came, expected {least} to {most}; give another number.")


def _evaluate(args: argparse.Namespace) -> int:
    _check_number("--seed", args.seed, 0, MAX_SEED)
    if args.limit is not None:
        _check_number("--limit", args.limit, 1, sys.maxsize)
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    images = _load_for(args, checkpoint)
    has_test = bool((images.split == 2).any())
    test = images.subset("test") if has_test else images
    test = test.take(np.arange(min(len(test), args.limit or len(test))))
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
    if checkpoint.card["objective"]["name"] != "ae":
        with tqdm(total=len(test), desc="importance samples", disable=None, leave=False) as bar:
            bounds = evidence_bounds(
                checkpoint.model, test.images, importance_samples=args.importance_samples,
                seed=args.seed, progress=lambda done, _: bar.update(done - bar.n),
            )  # fmt: skip
        figures |= asdict(bounds)
    _answer(args, figures, _table(figures))
    return 0


def _encode(args: argparse.Namespace) -> int:
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    codes = encode_set(checkpoint.model, _load_for(args, checkpoint))
    arrays = {"ids": codes.ids, "split": codes.split, "mean": codes.mean, "log_std": codes.log_std}
    arrays |= {"squared_error": codes.squared_error, "kl_nats": codes.kl_nats}
    if codes.labels is not None:
        arrays |= {"labels": codes.labels, "label_names": np.array(codes.label_names)}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(args.out) as temporary, temporary.open("wb") as opened:
        np.savez_compressed(opened, **arrays)  # type: ignore[arg-type]
    figures = {"out": str(args.out), "n_images": len(codes), "n_latent": checkpoint.model.n_latent}
    _answer(args, figures, _table(figures))
    return 0


def _reconstruct(args: argparse.Namespace) -> int:
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    problems: list[str] = []
    for index, path in enumerate(args.image):
        try:
            ready = prepare(path, checkpoint.model.spec, name=str(path))
        except DataError as error:
            problems.append(str(error))
            _say(str(error))
            continue
        x = torch.from_numpy(ready.pixels)[None].to(checkpoint.model.device).float() / 255
        with torch.no_grad():
            rebuilt = checkpoint.model.decode(checkpoint.model.encode(x).mean)
        target = args.out / f"{path.stem}.png"
        if any(r["out"] == str(target) for r in results):
            target = args.out / f"{path.stem}-{index}.png"
        to_picture(rebuilt[0].cpu().numpy()).save(target)
        squared = float((rebuilt - x).square().mean())
        results.append({"image": str(path), "out": str(target), "squared_error": squared})
    lines = [f"{r['image']} → {r['out']}  squared error {r['squared_error']:.5f}" for r in results]
    _answer(args, {"results": results, "problems": problems}, "\n".join(lines))
    return BAD_INPUT if problems else 0


def _sample(args: argparse.Namespace) -> int:
    _check_number("--n", args.n, 1, 100_000)
    _check_number("--seed", args.seed, 0, MAX_SEED)
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    generator = torch.Generator().manual_seed(args.seed)
    images = checkpoint.model.sample(args.n, generator=generator).cpu().numpy()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    try:
        picture_grid(images).save(args.out)
    except ValueError as error:
        raise DataError(
            f"No picture can be written to '{args.out}' ({error}); let its name end in .png."
        ) from error
    _answer(args, {"out": str(args.out), "n": args.n, "seed": args.seed}, f"Saved {args.out}")
    return 0


def _list(args: argparse.Namespace) -> int:
    listed = list_checkpoints(args.folder)
    data = [
        {
            "path": str(e.path),
            "title": e.card.get("title", e.path.name) if e.card else None,
            "problem": e.problem,
        }
        for e in listed
    ]
    lines = [f"{d['path']}  {d['title'] or d['problem']}" for d in data]
    _answer(args, {"checkpoints": data}, "\n".join(lines) or f"No checkpoints in {args.folder}.")
    return 0


def _verify(args: argparse.Namespace) -> int:
    card = verify_checkpoint(args.checkpoint)
    load_checkpoint(args.checkpoint)
    figures = {"checkpoint": str(args.checkpoint), "ok": True, "files": len(card["files"])}
    _answer(args, figures, f"{args.checkpoint}: all {len(card['files'])} files are as written.")
    return 0


VERBS: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "train": (_train, "train a model on a named set or on any folder of images"),
    "evaluate": (_evaluate, "measure a checkpoint on held-out images"),
    "encode": (_encode, "write the codes of a set to an .npz file"),
    "reconstruct": (_reconstruct, "pass images through the model and save what comes out"),
    "sample": (_sample, "decode draws from the prior into one picture"),
    "list": (_list, "list the checkpoints in a folder"),
    "verify": (_verify, "check a checkpoint's files against their hashes"),
}


def _add_config_flags(verb: argparse.ArgumentParser) -> None:
    for item in fields(TrainConfig):
        if item.name == "objective_options":
            continue
        flag = _SHORT_NAMES.get(item.name, "--" + item.name.replace("_", "-"))
        kind = float if item.name == "minutes" else type(item.default)
        choices = tuple(OBJECTIVES) if item.name == "objective" else None
        help_text = f"{item.metadata['help']} (default: {item.default})"
        verb.add_argument(flag, dest=item.name, type=kind, default=item.default, choices=choices,
                          help=help_text)  # fmt: skip
    for objective in OBJECTIVES:
        for name, (kind, default, text) in objective_fields(objective).items():
            flag = "--" + name.replace("_", "-")
            verb.add_argument(flag, type=kind, help=f"{objective}: {text} (default: {default})")


def _add_data_flags(verb: argparse.ArgumentParser) -> None:
    known = ", ".join(CATALOGUE)
    verb.add_argument("--data", required=True, help=f"{known}; or a folder, zip, npz or IDX file")
    verb.add_argument("--data-dir", type=Path, help="where data sets are found or downloaded to")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = argparse.ArgumentParser(prog="python -m vae_core", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    made: dict[str, argparse.ArgumentParser] = {}
    for name, (_, text) in VERBS.items():
        made[name] = verbs.add_parser(name, help=text, description=text)
        made[name].add_argument("--json", action="store_true", help="print one JSON object alone")
    for name in ("evaluate", "encode", "reconstruct", "sample", "verify"):
        made[name].add_argument("checkpoint", type=Path, help="checkpoint folder")
        made[name].add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    for name in ("train", "evaluate", "encode"):
        _add_data_flags(made[name])
    for name in ("train", "encode", "reconstruct", "sample"):
        made[name].add_argument("--out", type=Path, required=True, help="where to write")
    _add_config_flags(made["train"])
    train_flags = made["train"]
    train_flags.add_argument("--images", type=int, help="use this many images")
    train_flags.add_argument("--size", type=int, help="side of the images in pixels (folders)")
    train_flags.add_argument("--channels", type=int, choices=(1, 3), help="1 grey, 3 colour")
    train_flags.add_argument("--title", default="", help="name shown in the app")
    train_flags.add_argument("--resume", action="store_true", help="go on with a stopped run")
    train_flags.add_argument("--overwrite", action="store_true", help="replace what --out holds")
    made["evaluate"].add_argument("--limit", type=int, help="use the first N test images")
    made["evaluate"].add_argument("--importance-samples", type=int, default=100, metavar="K")
    for name in ("evaluate", "sample"):
        made[name].add_argument("--seed", type=int, default=0)
    made["reconstruct"].add_argument("image", type=Path, nargs="+", help="image files")
    made["sample"].add_argument("--n", type=int, default=64, help="number of images")
    made["list"].add_argument("folder", type=Path, nargs="?", default=Path("checkpoints"))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 2 bad input, 130 stopped by hand."""
    given = list(sys.argv[1:] if argv is None else argv)
    args = build_parser().parse_args(given)
    args.command_line = shlex.join(["python", "-m", "vae_core", *given])
    try:
        return VERBS[args.verb][0](args)
    except Interrupted as stop:
        _say(str(stop))
        return STOPPED
    except KeyboardInterrupt:
        _say("Stopped; a run that was already training can go on with --resume.")
        return STOPPED
    except ExplorerError as error:
        _say(str(error))
        return BAD_INPUT
    except OSError as error:
        _say(f"A file could not be read or written ({error}); check the path, rights and space.")
        return BAD_INPUT
