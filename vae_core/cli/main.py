"""The verbs and their parser."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from vae_core.apply.results import Result
from vae_core.checkpoint import Checkpoint, list_checkpoints, load_checkpoint, verify_checkpoint
from vae_core.cli.calibrating import (
    add_fit_prior_flags,
    run_calibrate,
    run_fit_prior,
    write_results,
)
from vae_core.cli.common import (
    MAX_SEED,
    answer,
    check_number,
    load_for,
    save_picture,
    say,
    table,
)
from vae_core.cli.comparing import add_compare_flags, run_compare
from vae_core.cli.completing import (
    add_complete_flags,
    add_denoise_flags,
    run_complete,
    run_denoise,
)
from vae_core.cli.compressing import (
    add_compress_flags,
    add_decompress_flags,
    run_compress,
    run_decompress,
)
from vae_core.cli.estimating import run_estimate
from vae_core.cli.exporting import add_augment_flags, add_walk_flags, run_augment, run_walk
from vae_core.cli.inspecting import add_inspect_flags, run_inspect
from vae_core.cli.labelling import add_label_flags, run_label
from vae_core.cli.library import add_export_flags, add_import_flags, run_export, run_import
from vae_core.cli.mapping import add_map_flags, run_map
from vae_core.cli.reporting import add_evaluate_flags, run_evaluate
from vae_core.cli.training import add_train_flags, run_train
from vae_core.data.catalogue import CATALOGUE
from vae_core.data.pixels import prepare
from vae_core.errors import ConfigError, DataError, ExplorerError
from vae_core.files import replace_file
from vae_core.grid import picture_grid, to_picture
from vae_core.latent.codes import Codes, encode_set
from vae_core.latent.table import write_code_table
from vae_core.train.loop import Interrupted
from vae_core.train.processes import current_processes

BAD_INPUT, STOPPED = 2, 130


def _encode(args: argparse.Namespace) -> int:
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    processes = current_processes()
    images = load_for(args, checkpoint)
    if processes.world > 1 or args.out.suffix == ".parquet":
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with tqdm(total=len(images), desc="encoding", unit="image", disable=None) as bar:
            written = write_code_table(
                args.out, checkpoint.model, images, rank=processes.rank, world=processes.world,
                progress=lambda done, _: bar.update(done - bar.n), model_key=checkpoint.key,
            )  # fmt: skip
    else:
        written = _write_npz(args.out, encode_set(checkpoint.model, images))
    figures = {"out": str(written), "n_images": len(images), "n_latent": checkpoint.model.n_latent}
    answer(args, figures, table(figures))
    return 0


def _write_npz(out: Path, codes: Codes) -> Path:
    arrays = {"ids": codes.ids, "split": codes.split, "mean": codes.mean, "log_std": codes.log_std}
    arrays |= {"squared_error": codes.squared_error, "kl_nats": codes.kl_nats}
    if codes.labels is not None:
        arrays |= {"labels": codes.labels, "label_names": np.array(codes.label_names)}
    out.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(out) as temporary, temporary.open("wb") as opened:
        np.savez_compressed(opened, **arrays)  # type: ignore[arg-type]
    return out


def _reconstruct(args: argparse.Namespace) -> int:
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    problems: list[str] = []
    kept: list[Result] = []
    for index, path in enumerate(args.image):
        try:
            ready = prepare(path, checkpoint.model.spec, name=str(path))
        except DataError as error:
            problems.append(str(error))
            say(str(error))
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
        kept.append(Result(str(path), ready.pixels, rebuilt[0].cpu().numpy(), squared, None))
    lines = [f"{r['image']} → {r['out']}  squared error {r['squared_error']:.5f}" for r in results]
    if args.csv is not None:
        write_results(args.csv, checkpoint, kept)
    answer(args, {"results": results, "problems": problems}, "\n".join(lines))
    return BAD_INPUT if problems else 0


def _sample(args: argparse.Namespace) -> int:
    check_number("--n", args.n, 1, 100_000)
    check_number("--seed", args.seed, 0, MAX_SEED)
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    y = _label_of(args, checkpoint)
    generator = torch.Generator().manual_seed(args.seed)
    z = _draw_codes(checkpoint, args.n, prior=args.prior, generator=generator)
    pieces = [
        checkpoint.model.decode(
            part.to(checkpoint.model.device), None if y is None else y[: len(part)]
        )
        for part in torch.split(z, 500)
    ]
    images = torch.cat([piece.detach().cpu() for piece in pieces]).numpy()
    save_picture(picture_grid(images), args.out)
    answer(args, {"out": str(args.out), "n": args.n, "seed": args.seed}, f"Saved {args.out}")
    return 0


def _first(y: torch.Tensor | None, n: int) -> torch.Tensor | None:
    return None if y is None else y[:n]


def _draw_codes(
    checkpoint: Checkpoint, n: int, *, prior: str, generator: torch.Generator
) -> torch.Tensor:
    if prior == "normal":
        return torch.randn((n, checkpoint.model.n_latent), generator=generator)
    if checkpoint.prior is None:
        raise ConfigError(
            f"'{checkpoint.path}' holds no fitted mixture; use --prior normal, or train it again "
            "with this version."
        )
    return checkpoint.prior.sample(n, generator=generator)


def _label_of(args: argparse.Namespace, checkpoint: Checkpoint) -> torch.Tensor | None:
    """The class of --label, by name or number, as many times as images are wanted."""
    if args.label is None:
        return None
    names = [str(name) for name in checkpoint.card.get("label_names", [])]
    n_classes = checkpoint.model.config.n_classes
    found = names.index(args.label) if args.label in names else -1
    if found < 0 and args.label.isdecimal():
        found = int(args.label)
    if not 0 <= found < n_classes:
        known = ", ".join(names[:n_classes]) or "none: it was trained without labels"
        raise ConfigError(f"--label {args.label} came, this model knows {known}; give one of them.")
    return torch.full((args.n,), found, device=checkpoint.model.device)


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
    answer(args, {"checkpoints": data}, "\n".join(lines) or f"No checkpoints in {args.folder}.")
    return 0


def _verify(args: argparse.Namespace) -> int:
    card = verify_checkpoint(args.checkpoint)
    load_checkpoint(args.checkpoint)
    figures = {"checkpoint": str(args.checkpoint), "ok": True, "files": len(card["files"])}
    answer(args, figures, f"{args.checkpoint}: all {len(card['files'])} files are as written.")
    return 0


VERBS: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "inspect": (run_inspect, "look at a set of images: what it holds and what becomes of it"),
    "train": (run_train, "train a model on a named set or on any folder of images"),
    "estimate": (run_estimate, "tell how long a training run would take, and how much memory"),
    "evaluate": (run_evaluate, "measure a checkpoint on held-out images"),
    "encode": (_encode, "write the codes of a set to an .npz or .parquet file"),
    "map": (run_map, "write the checkpoint again with a map of all images of a set"),
    "reconstruct": (_reconstruct, "pass images through the model and save what comes out"),
    "sample": (_sample, "decode draws from the prior into one picture"),
    "walk": (run_walk, "walk between codes and write a .gif, .mp4, .png or .npz"),
    "augment": (run_augment, "write decoded variations of chosen images as a .zip set"),
    "label": (run_label, "label all images of a set from a few labelled ones"),
    "compress": (run_compress, "write images as their codes: an .lxc file, or a folder of them"),
    "decompress": (run_decompress, "write the pictures of .lxc files as PNG"),
    "complete": (run_complete, "fill in the hidden part of a picture in several ways"),
    "denoise": (run_denoise, "take the noise out of a picture"),
    "calibrate": (run_calibrate, "learn from held-out images what is usual, for verdicts"),
    "fit-prior": (run_fit_prior, "fit a mixture of Gaussians to a model's codes, to sample from"),
    "compare": (run_compare, "set two to four models side by side on the same images"),
    "list": (_list, "list the checkpoints in a folder"),
    "export-model": (run_export, "write a checkpoint's files as one zip"),
    "import-model": (run_import, "check such a zip and unpack it as a new model"),
    "verify": (_verify, "check a checkpoint's files against their hashes"),
}


# Verbs on a checkpoint with an --out, and what adds their other flags.
APPLYING = {
    "complete": add_complete_flags,
    "denoise": add_denoise_flags,
    "compress": add_compress_flags,
    "decompress": add_decompress_flags,
    "label": add_label_flags,
}


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
    on_checkpoint = (
        "evaluate",
        "encode",
        "map",
        "reconstruct",
        "sample",
        "walk",
        "augment",
        "calibrate",
        "fit-prior",
        "verify",
    )
    for name in (*on_checkpoint, *APPLYING):
        made[name].add_argument("checkpoint", type=Path, help="checkpoint folder")
        made[name].add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    for name in (
        "train", "estimate", "evaluate", "encode", "map", "calibrate", "fit-prior", "compare"
    ):  # fmt: skip
        _add_data_flags(made[name])
    for name in ("train", "encode", "map", "reconstruct", "sample", "walk", "augment", *APPLYING):
        made[name].add_argument("--out", type=Path, required=True, help="where to write")
    add_inspect_flags(made["inspect"])
    for name in ("train", "estimate"):
        add_train_flags(made[name])
    add_evaluate_flags(made["evaluate"])
    add_map_flags(made["map"])
    add_fit_prior_flags(made["fit-prior"])
    add_export_flags(made["export-model"])
    add_import_flags(made["import-model"])
    add_walk_flags(made["walk"])
    add_augment_flags(made["augment"])
    add_compare_flags(made["compare"])
    for name, add_flags in APPLYING.items():
        add_flags(made[name])
    for name in (
        "evaluate",
        "map",
        "sample",
        "augment",
        "calibrate",
        "fit-prior",
        "compare",
        "complete",
        "denoise",
    ):
        made[name].add_argument("--seed", type=int, default=0)
    made["reconstruct"].add_argument(
        "--csv", type=Path, help="also a table with a verdict on each image, most unusual first"
    )
    made["reconstruct"].add_argument("image", type=Path, nargs="+", help="image files")
    made["sample"].add_argument(
        "--prior", choices=("normal", "mixture"), default="normal",
        help="draw codes from N(0, I) or from the fitted mixture",
    )  # fmt: skip
    made["sample"].add_argument("--label", help="class to draw, for models that take labels")
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
        say(str(stop))
        return STOPPED
    except KeyboardInterrupt:
        say("Stopped; a run that was already training can go on with --resume.")
        return STOPPED
    except ExplorerError as error:
        say(str(error))
        return BAD_INPUT
    except OSError as error:
        say(f"A file could not be read or written ({error}); check the path, rights and space.")
        return BAD_INPUT
