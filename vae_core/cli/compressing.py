"""The verbs that put a trained model to work on pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vae_core.apply.compress import MAX_BYTES, SUFFIX, Codec
from vae_core.checkpoint import load_checkpoint
from vae_core.cli.common import answer, say
from vae_core.data.pixels import prepare
from vae_core.errors import DataError
from vae_core.estimators import psnr
from vae_core.files import replace_file
from vae_core.grid import to_picture
from vae_core.types import ImageSpec

Images = NDArray[np.uint8]


def add_compress_flags(verb: argparse.ArgumentParser) -> None:
    """The flags of `compress` besides the checkpoint and --out."""
    verb.add_argument("image", type=Path, nargs="+", help="image files")
    verb.add_argument("--bits", type=int, default=8, help="bits per dimension (default: 8)")


def add_decompress_flags(verb: argparse.ArgumentParser) -> None:
    """The flags of `decompress` besides the checkpoint and --out."""
    verb.add_argument("file", type=Path, nargs="+", help=f"{SUFFIX} files that compress wrote")


def run_compress(args: argparse.Namespace) -> int:
    """Write pictures as their codes: into one file for an --out that ends in .lxc, or one each."""
    codec = Codec(load_checkpoint(args.checkpoint, device=args.device))
    names, images, problems = _prepared(args.image, codec.checkpoint.model.spec)
    in_one = args.out.suffix.lower() == SUFFIX
    (args.out.parent if in_one else args.out).mkdir(parents=True, exist_ok=True)
    targets = [args.out] if in_one else _targets(args.out, names, SUFFIX)
    groups = ([images] if len(images) else []) if in_one else [image[None] for image in images]
    results: list[dict[str, Any]] = []
    for target, group in zip(targets, groups, strict=False):
        data = codec.compress(group, bits=args.bits)
        _write(target, data)
        decoded = codec.decompress(data)
        results.append(
            {"out": str(target), "n_pictures": len(group), "bytes": len(data),
             "bits_per_pixel": 8 * len(data) / group[:, 0].size,
             "psnr_db": _decibels(decoded.pixels, group)}
        )  # fmt: skip
    lines = [
        f"{r['out']}  {r['n_pictures']} pictures, {r['bytes']:,} bytes, "
        f"{r['bits_per_pixel']:.4f} bits per pixel, {r['psnr_db']:.2f} dB"
        for r in results
    ]
    told = {"results": results, "images": names, "problems": problems, "bits": args.bits}
    answer(args, told, "\n".join(lines))
    return 2 if problems else 0


def _prepared(paths: list[Path], spec: ImageSpec) -> tuple[list[str], Images, list[str]]:
    """Names and pixels of the good files, and a sentence for each bad one."""
    names, images, problems = [], [], []
    for path in paths:
        try:
            images.append(prepare(path, spec, name=str(path)).pixels)
            names.append(str(path))
        except DataError as error:
            problems.append(str(error))
            say(str(error))
    return names, np.stack(images) if images else np.empty((0, *spec.shape), np.uint8), problems


def _targets(folder: Path, names: list[str], ending: str) -> list[Path]:
    """A place in the folder for each name; equal stems get a number."""
    found: list[Path] = []
    for index, name in enumerate(names):
        target = folder / f"{Path(name).stem}{ending}"
        found.append(folder / f"{Path(name).stem}-{index}{ending}" if target in found else target)
    return found


def _write(path: Path, data: bytes) -> None:
    with replace_file(path) as temporary:
        temporary.write_bytes(data)


def _decibels(one: Images, other: Images) -> float:
    gap = (one.astype(np.float64) - other) / 255
    return float(psnr(torch.tensor(np.square(gap).mean())))


def run_decompress(args: argparse.Namespace) -> int:
    """Write the pictures of files that compress wrote as PNG into the folder --out."""
    codec = Codec(load_checkpoint(args.checkpoint, device=args.device))
    args.out.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    problems: list[str] = []
    folders = _targets(args.out, [str(path) for path in args.file], "")
    for path, start in zip(args.file, folders, strict=True):
        try:
            decoded = codec.decompress(_bytes_of(path))
        except DataError as error:
            problems.append(f"'{path}': {error}")
            say(problems[-1])
            continue
        n = len(decoded.pixels)
        ends = [""] if n == 1 else [f"-{i:0{len(str(n - 1))}d}" for i in range(n)]
        targets = [start.with_name(f"{start.name}{end}.png") for end in ends]
        for target, image in zip(targets, decoded.pixels, strict=True):
            to_picture(image).save(target)
        found = {"file": str(path), "out": [str(t) for t in targets], "n_pictures": n}
        found |= {"bits": decoded.header.bits, "is_identical": decoded.is_identical}
        results.append(found)
    text = "\n".join(f"{r['file']} → {', '.join(r['out'][:3])}" for r in results)
    answer(args, {"results": results, "problems": problems}, text)
    return 2 if problems else 0


def _bytes_of(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise DataError(
            f"A file of {path.stat().st_size:,} bytes came, at most {MAX_BYTES:,} are read; give "
            f"a {SUFFIX} file that compress wrote."
        )
    return path.read_bytes()
