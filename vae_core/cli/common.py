"""What several verbs need: talking, loading images, the images for a checkpoint."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from vae_core.checkpoint import Checkpoint
from vae_core.data.catalogue import CATALOGUE, load_images
from vae_core.data.imageset import ImageSet
from vae_core.data.validation import split_as_trained
from vae_core.errors import ConfigError, DataError
from vae_core.files import replace_file

MAX_SEED = 2**63 - 1


def say(text: str) -> None:
    """One line for the person at the terminal, on standard error."""
    sys.stderr.write(text + "\n")


def answer(args: argparse.Namespace, data: dict[str, Any], text: str) -> None:
    """Standard output gets one JSON object alone with --json, else the readable text."""
    # JSON knows no NaN: a number that does not exist is null.
    known = {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in data.items()
    }
    sys.stdout.write((json.dumps(known) if args.json else text) + "\n")


def table(data: dict[str, Any]) -> str:
    """Names and values in two columns."""
    shown = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in data.items()}
    width = max(map(len, shown), default=0)
    return "\n".join(f"{k:<{width}}  {v}" for k, v in shown.items())


def check_number(flag: str, value: int, least: int, most: int) -> None:
    """`ConfigError` unless `value` lies in the range."""
    if not least <= value <= most:
        raise ConfigError(f"{flag} {value} came, expected {least} to {most}; give another number.")


def picture_format(path: Path) -> str:
    """The format that a picture's name ends in; `DataError` for an ending that is none."""
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise DataError(f"No picture can be written to '{path}'; let its name end in .png.")
    return kind


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture at once or not at all; `DataError` as `picture_format`."""
    kind = picture_format(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as temporary:
        picture.save(temporary, format=kind)


def load(
    args: argparse.Namespace,
    options: Mapping[str, Any],
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> ImageSet:
    """The images of --data, with a progress bar; skipped files are named.

    `options` are further arguments of `load_images`; `progress` hears what the bar shows.
    """
    with tqdm(desc="reading images", unit="image", disable=None, leave=False) as bar:

        def report(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)
            if progress:
                progress(done, total)

        images = load_images(
            args.data, data_dir=args.data_dir, progress=report, seed=seed, **options
        )
    for skipped in images.skipped[:20]:
        say(f"skipped {skipped.path}: {skipped.reason}")
    if len(images.skipped) > 20:
        say(f"… and {len(images.skipped) - 20} more skipped files")
    return images


def is_own_data(data: str, checkpoint: Checkpoint) -> bool:
    """Whether --data names the images a checkpoint was trained on."""
    name = data.strip().lower()
    source = name if name in CATALOGUE else str(Path(data).expanduser().resolve())
    return bool(checkpoint.card["data"]["source"] == source)


def load_for(args: argparse.Namespace, checkpoint: Checkpoint) -> ImageSet:
    """The images of --data in the shape the checkpoint works on.

    For the data it was trained on: the same images in the same split, so that its test
    images are still unseen.
    """
    spec, record = checkpoint.model.spec, checkpoint.card["data"]
    named, same = args.data.strip().lower() in CATALOGUE, is_own_data(args.data, checkpoint)
    options: dict[str, Any] = {}
    if same:
        options["n_images"] = record.get("n_asked", record["n_images"])
    if same or not named:
        options["size"] = spec.height if spec.height == spec.width else None
        options["channels"] = spec.channels if spec.channels in (1, 3) else None
    images = load(args, options, seed=int(checkpoint.card["split"]["seed"]))
    if images.spec != spec:
        raise DataError(
            f"'{args.data}' holds {images.spec} images, the model in '{checkpoint.path}' was "
            f"trained on {spec}; choose the data it was made for, or a folder of images."
        )
    return split_as_trained(images, checkpoint.card) if same else images
