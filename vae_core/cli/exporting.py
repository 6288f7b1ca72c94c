"""The verbs `walk` and `augment`: what a checkpoint's codes make, as files for elsewhere."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.cli.common import answer, check_number, say, table
from vae_core.errors import ConfigError
from vae_core.examine import decode, snap
from vae_core.export import (
    Plan,
    augmentation_zip,
    gif_bytes,
    mp4_bytes,
    npz_bytes,
    read_permalink,
    sheet_bytes,
    sources_of,
    write_permalink,
)
from vae_core.export.augment import about_model
from vae_core.export.variations import Noise
from vae_core.files import replace_file
from vae_core.latent.paths import Kind, Stop, along_data, path_graph, through

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
ALONG_DATA = "along-data"
MAX_FRAMES = 2_000
BATCH = 64


def add_walk_flags(verb: argparse.ArgumentParser) -> None:
    """The flags of `walk` besides the checkpoint and --out."""
    stop = "id of an image among the checkpoint's codes, or a link to a code"
    verb.add_argument("--from", dest="start", required=True, metavar="ID", help=stop)
    verb.add_argument("--to", dest="end", required=True, metavar="ID", help=stop)
    verb.add_argument("--through", nargs="+", default=[], metavar="ID", help="stops on the way")
    verb.add_argument(
        "--kind", choices=(*get_args(Kind), ALONG_DATA), default="straight",
        help="line, great circle, or from real code to real code (default: straight)",
    )  # fmt: skip
    verb.add_argument("--frames", type=int, default=48, help="number of pictures (default: 48)")
    verb.add_argument("--frames-per-second", type=float, default=12.5, help="of .gif and .mp4")
    verb.add_argument("--scale", type=int, help="whole factor of enlargement (default: by size)")
    verb.add_argument("--columns", type=int, default=8, help="pictures side by side in a .png")
    verb.add_argument("--bounce", action="store_true", help="also walk back (.gif and .mp4)")


def run_walk(args: argparse.Namespace) -> int:
    """Walk from code to code and write what the decoder makes of it."""
    if args.out.suffix.lower() not in _WRITERS:
        endings = ", ".join(_WRITERS)
        raise ConfigError(
            f"--out '{args.out}' came, expected a name that ends in {endings}; give such a name."
        )
    check_number("--frames", args.frames, 2, MAX_FRAMES)
    if args.frames_per_second <= 0:
        raise ConfigError(
            f"--frames-per-second {args.frames_per_second:g} came, expected more than 0; raise it."
        )
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    stops = [_stop(checkpoint, text) for text in (args.start, *args.through, args.end)]
    z = snap(_walk(checkpoint, stops, args.frames, args.kind))
    frames = np.concatenate([decode(checkpoint, z[i : i + BATCH]) for i in range(0, len(z), BATCH)])
    written = _WRITERS[args.out.suffix.lower()](args, checkpoint, z, frames)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(args.out) as temporary:
        temporary.write_bytes(written)
    figures: dict[str, Any] = {"out": str(args.out), "kind": args.kind, "n_frames": len(z)}
    figures |= {"from": write_permalink(checkpoint.key, z[0])}
    figures |= {"to": write_permalink(checkpoint.key, z[-1])}
    answer(args, figures, table(figures))
    return 0


def _stop(checkpoint: Checkpoint, text: str) -> Stop:
    """The row of an image id among the stored codes, or the code `[D]` that a link names."""
    if text.isascii() and text.isdigit():
        return int(_rows_of(checkpoint, [int(text)])[0])
    n_latent = checkpoint.model.n_latent
    return read_permalink(text, model_key=checkpoint.key, n_latent=n_latent)[1]


def _rows_of(checkpoint: Checkpoint, ids: list[int]) -> Ints:
    """The rows of these image ids among the stored codes."""
    stored = checkpoint.codes.ids
    row_of = {int(i): row for row, i in enumerate(stored)}
    missing = [i for i in ids if i not in row_of]
    if missing:
        some = ", ".join(map(str, stored[:3]))
        raise ConfigError(
            f"Image {missing[0]} came, which is not among the {len(stored):,} images whose codes "
            f"'{checkpoint.path}' holds; give one of them, such as {some}."
        )
    return np.array([row_of[i] for i in ids], np.int64)


def _walk(checkpoint: Checkpoint, stops: list[Stop], n: int, kind: str) -> Floats:
    codes = checkpoint.codes.mean
    if kind == ALONG_DATA:
        graph = path_graph(codes, rows=checkpoint.codes.part_rows)
        return along_data(codes, stops, graph=graph, n=n).frames
    points = np.stack([codes[stop] if isinstance(stop, int) else stop for stop in stops])
    return through(points, n, "spherical" if kind == "spherical" else "straight")


_Writer = Callable[[argparse.Namespace, Checkpoint, Floats, Floats], bytes]


def _gif(args: argparse.Namespace, _: Checkpoint, __: Floats, frames: Floats) -> bytes:
    delay = 1000 / args.frames_per_second
    return gif_bytes(frames, milliseconds_per_frame=delay, scale=args.scale, bounce=args.bounce)


def _mp4(args: argparse.Namespace, _: Checkpoint, __: Floats, frames: Floats) -> bytes:
    rate = args.frames_per_second
    return mp4_bytes(frames, frames_per_second=rate, scale=args.scale, bounce=args.bounce)


def _png(args: argparse.Namespace, _: Checkpoint, __: Floats, frames: Floats) -> bytes:
    return sheet_bytes(frames, n_columns=args.columns, scale=args.scale)


def _npz(args: argparse.Namespace, checkpoint: Checkpoint, z: Floats, frames: Floats) -> bytes:
    stops = [args.start, *args.through, args.end]
    about = about_model(checkpoint, command=args.command_line)
    return npz_bytes(z, frames, {**about, "kind": args.kind, "stops": stops})


_WRITERS: dict[str, _Writer] = {".gif": _gif, ".mp4": _mp4, ".png": _png, ".npz": _npz}


def add_augment_flags(verb: argparse.ArgumentParser) -> None:
    """The flags of `augment` besides the checkpoint, --seed and --out."""
    chosen = verb.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--ids", type=int, nargs="+", metavar="ID",
                        help="images among the checkpoint's codes")  # fmt: skip
    chosen.add_argument("--label", help="all images of this class among the checkpoint's codes")
    verb.add_argument("--n", type=int, default=10, help="variations of each (default: 10)")
    verb.add_argument(
        "--spread", type=float, default=1.0, help="how far, as a multiple of the std (default: 1)"
    )
    verb.add_argument(
        "--noise", choices=get_args(Noise),
        help="whose std: each code's own, or that of all codes (default: its own if it has one)",
    )  # fmt: skip


def run_augment(args: argparse.Namespace) -> int:
    """Write decoded variations of chosen codes as a zip of class folders."""
    if args.out.suffix.lower() != ".zip":
        raise ConfigError(f"--out '{args.out}' came, expected a name that ends in .zip; give one.")
    plan = Plan(n=args.n, spread=args.spread, seed=args.seed)
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    rows = _labelled(checkpoint, args.label) if args.ids is None else _rows_of(checkpoint, args.ids)
    is_point = checkpoint.model.config.posterior == "point"
    noise: Noise = args.noise or ("set" if is_point else "posterior")
    if noise == "posterior" and is_point:
        raise ConfigError(
            "--noise posterior came for a model whose codes have no width; give --noise set."
        )
    sources = sources_of(checkpoint.codes, rows, noise=noise)
    about = about_model(checkpoint, command=args.command_line) | {"noise": noise}
    total = len(rows) * plan.n
    with tqdm(total=total, desc="decoding", unit="image", disable=None, leave=False) as bar:
        augmentation_zip(
            args.out, _decoder(checkpoint), sources, plan=plan, about=about, batch_size=BATCH,
            progress=lambda done, _: bar.update(done - bar.n),
        )  # fmt: skip
    n_test = int((checkpoint.codes.split[rows] == 2).sum())
    if n_test:
        say(f"{n_test:,} of {len(rows):,} sources are test images: do not train on this and test "
            "on those.")  # fmt: skip
    figures = {"out": str(args.out), "n_sources": len(rows), "n_images": total, "noise": noise}
    figures |= {"n_test_sources": n_test, "seed": plan.seed}
    answer(args, figures, table(figures))
    return 0


def _labelled(checkpoint: Checkpoint, label: str) -> Ints:
    """Rows of the class, given by its name or its number."""
    codes = checkpoint.codes
    names = list(codes.label_names)
    number = names.index(label) if label in names else -1
    if number < 0 and label.isascii() and label.isdigit():
        number = int(label)
    rows = np.empty(0, np.int64) if codes.labels is None else np.flatnonzero(codes.labels == number)
    if number < 0 or not len(rows):
        known = ", ".join(names) or "none: it was trained without labels"
        raise ConfigError(
            f"--label {label} came, the codes of '{checkpoint.path}' know {known}; give one of "
            "them, or --ids."
        )
    return rows


def _decoder(checkpoint: Checkpoint) -> Callable[[Floats, Ints], Floats]:
    """Decode with each image's own label where the model takes labels."""
    model = checkpoint.model
    n_classes = model.config.n_classes

    @torch.no_grad()
    def decoded(z: Floats, labels: Ints) -> Floats:
        y = np.where(labels < n_classes, labels, -1)
        images = model.decode(
            torch.from_numpy(z).to(model.device), torch.from_numpy(y).to(model.device)
        )
        found: Floats = images.cpu().numpy()
        return found

    return decoded
