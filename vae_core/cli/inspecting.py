"""The verb `inspect`: what a source holds and what would become of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from vae_core.cli.common import answer, picture_format, save_picture
from vae_core.data.advice import times
from vae_core.data.inspection import Inspection, inspect_source
from vae_core.errors import DataError
from vae_core.grid import picture_grid

N_SHOWN = 12


def add_inspect_flags(verb: argparse.ArgumentParser) -> None:
    """All flags of `inspect`."""
    verb.add_argument("data", help="a set's name, a folder, zip, tar, npz or IDX file")
    verb.add_argument("--data-dir", type=Path, help="where data sets are found")
    verb.add_argument("--size", type=int, help="side of the images in pixels")
    verb.add_argument("--channels", type=int, choices=(1, 3), help="1 grey, 3 colour")
    verb.add_argument("--seed", type=int, default=0)
    verb.add_argument("--sheet", type=Path, help="write examples, as a model sees them, as .png")


def run_inspect(args: argparse.Namespace) -> int:
    """Look at a source without training on it; nothing is downloaded."""
    if args.sheet is not None:
        picture_format(args.sheet)  # before minutes of looking
    with tqdm(desc="looking at images", unit="step", disable=None, leave=False) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = inspect_source(
            args.data, size=args.size, channels=args.channels, data_dir=args.data_dir,
            seed=args.seed, progress=report,
        )  # fmt: skip
    if args.sheet is not None:
        _write_sheet(args.sheet, found)
    sheet = None if args.sheet is None else str(args.sheet)
    answer(args, found.to_json() | {"sheet": sheet}, _in_words(found))
    return 0


def _write_sheet(path: Path, found: Inspection) -> None:
    if len(found.sheet) == 0:
        raise DataError(
            f"There are no pictures of '{found.source}' to write to '{path}' before it is "
            "downloaded; train on it once, or leave --sheet out."
        )
    save_picture(picture_grid(found.sheet, gap=1), path)


def _in_words(found: Inspection) -> str:
    lines = [f"{found.source}: {found.headline}", ""]
    if len(found.sizes) > 1:
        lines.append(f"sizes    {_listed({times(s): n for s, n in found.sizes.items()})}")
    lines.append(f"pixels   {_listed(found.modes)}")
    if found.classes:
        lines.append(f"classes  {_listed(found.classes)}")
    lines += ["", *found.plan]
    lines += ["", *(f"Beware: {sentence}" for sentence in found.warnings)] if found.warnings else []
    lines += [f"copies   {' = '.join(group[:4])}" for group in found.duplicates[:N_SHOWN]]
    lines += [f"skipped  {item.path}: {item.reason}" for item in found.skipped[:N_SHOWN]]
    hidden = max(0, len(found.skipped) - N_SHOWN)
    return "\n".join(lines + ([f"… and {hidden:,} more skipped files"] if hidden else []))


def _listed(counts: Mapping[str, int]) -> str:
    items = list(counts.items())
    more = f", … ({len(items):,} in all)" if len(items) > N_SHOWN else ""
    return ", ".join(f"{name} {n:,}" for name, n in items[:N_SHOWN]) + more
