"""The verbs that put a model to work: `complete` and `denoise`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from vae_core.apply.complete import SIDES, complete, half_hidden
from vae_core.apply.denoise import METHODS, Noise, add_noise, denoise_by_encoder, denoise_by_search
from vae_core.apply.search import Progress
from vae_core.checkpoint import load_checkpoint
from vae_core.cli.common import MAX_SEED, answer, check_number, save_picture, table
from vae_core.data.pixels import open_image, prepare
from vae_core.errors import DataError
from vae_core.evaluate.quality import image_quality
from vae_core.files import replace_file
from vae_core.grid import to_picture
from vae_core.objectives.denoising import CORRUPTIONS

Floats = NDArray[np.float32]


def run_complete(args: argparse.Namespace) -> int:
    """Several completions of one picture, as pictures, codes and a map of their spread."""
    check_number("--seed", args.seed, 0, MAX_SEED)
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    spec = checkpoint.model.spec
    pixels = prepare(args.image, spec, name=str(args.image)).pixels
    hidden = _mask_of(args.hide, (spec.height, spec.width))
    with tqdm(desc="searching", unit="step", disable=None, leave=False) as bar:
        found = complete(
            checkpoint, pixels, hidden, n=args.n, seed=args.seed, progress=_shown(bar)
        )  # fmt: skip
    args.out.mkdir(parents=True, exist_ok=True)
    for place, image in enumerate(found.images, start=1):
        to_picture(image).save(args.out / f"completion-{place}.png")
    to_picture(np.clip(2 * found.spread, 0, 1)[None]).save(args.out / "spread.png")
    with replace_file(args.out / "completions.npz") as temporary, temporary.open("wb") as opened:
        np.savez_compressed(opened, codes=found.codes, log_joint=found.log_joint, hidden=hidden)
    figures: dict[str, Any] = {
        "out": str(args.out), "n": args.n, "hidden_pixels": int(hidden.sum()),
        "log_joint": [round(float(v), 2) for v in found.log_joint],
        "weights": [round(float(v), 4) for v in found.weights],
        "mean_spread": float(found.spread[hidden].mean()) if hidden.any() else 0.0,
    }  # fmt: skip
    answer(args, figures, table(figures))
    return 0


def _shown(bar: Any) -> Progress:
    def told(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    return told


def _mask_of(hide: str, size: tuple[int, int]) -> NDArray[np.bool_]:
    """A half by its name, or the white part of a picture of the model's size."""
    if hide in SIDES:
        return half_hidden(size, hide)
    picture = open_image(Path(hide), name=hide).convert("L")
    if (picture.height, picture.width) != size:
        raise DataError(
            f"The mask '{hide}' is {picture.width}×{picture.height}, expected {size[1]}×{size[0]} "
            f"as the model's pictures are, white where hidden, or one of {', '.join(SIDES)}; "
            "resize it."
        )
    return np.asarray(picture) > 127


def run_denoise(args: argparse.Namespace) -> int:
    """One picture without its noise; with --add-noise also how near it comes to the clean one."""
    check_number("--seed", args.seed, 0, MAX_SEED)
    noise = Noise(args.noise, args.amount)
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    clean = prepare(args.image, checkpoint.model.spec, name=str(args.image)).pixels
    given = (clean / np.float32(255)).astype(np.float32)
    noisy = add_noise(given, noise, seed=args.seed) if args.add_noise else given
    if args.method == "encoder":
        image = denoise_by_encoder(checkpoint, noisy).image
    else:
        with tqdm(desc="searching", unit="step", disable=None, leave=False) as bar:
            image = denoise_by_search(
                checkpoint, noisy, noise, seed=args.seed, progress=_shown(bar)
            ).image
    save_picture(to_picture(image), args.out)
    figures: dict[str, Any] = {"out": str(args.out), "method": args.method}
    if args.add_noise:
        for name, x in (("noisy", noisy), ("denoised", image)):
            quality = image_quality(given[None], x[None])
            figures |= {f"{name}_psnr_db": float(quality.psnr[0])}
            figures |= {f"{name}_ssim": float(quality.ssim[0])}
    answer(args, figures, table(figures))
    return 0


def add_complete_flags(verb: argparse.ArgumentParser) -> None:
    """What `complete` takes besides a checkpoint."""
    verb.add_argument("image", type=Path, help="image file")
    verb.add_argument(
        "--hide", required=True,
        help=f"{', '.join(SIDES)}, or a picture of the model's size that is white where hidden",
    )  # fmt: skip
    verb.add_argument("--n", type=int, default=5, help="number of completions")


def add_denoise_flags(verb: argparse.ArgumentParser) -> None:
    """What `denoise` takes besides a checkpoint."""
    verb.add_argument("image", type=Path, help="image file")
    verb.add_argument("--noise", choices=CORRUPTIONS, default="gaussian", help="kind of noise")
    verb.add_argument(
        "--amount", type=float, default=0.5,
        help="standard deviation on [0,1] (gaussian) or share of the pixels (others)",
    )  # fmt: skip
    verb.add_argument(
        "--method", choices=METHODS, default="search",
        help="search the code behind the picture, or pass it through an encoder trained on noise",
    )  # fmt: skip
    verb.add_argument(
        "--add-noise", action="store_true", help="the image is clean: spoil it first and compare"
    )
