"""The verb `compare`: two to four models, and PCA, on the same held-out images."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from vae_core.apply.compare import (
    MAX_MODELS,
    MIN_MODELS,
    Likeness,
    Linear,
    ModelCoder,
    Seen,
    common_images,
    fit_linear,
    likeness,
    see,
)
from vae_core.apply.compare_sheet import comparison_sheet
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.cli.common import (
    MAX_SEED,
    answer,
    check_number,
    is_own_data,
    load_for,
    picture_format,
    save_picture,
    say,
)
from vae_core.data.imageset import ImageSet
from vae_core.errors import ConfigError, DataError

LEAST_IMAGES: Final = 4
MAX_IMAGES: Final = 2_000
PCA_IMAGES: Final = 5_000


def add_compare_flags(verb: argparse.ArgumentParser) -> None:
    """The flags of `compare` besides --data."""
    verb.add_argument("checkpoints", type=Path, nargs="+", help="two to four checkpoint folders")
    verb.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    verb.add_argument("--limit", type=int, default=500, metavar="N", help="images to compare on")
    verb.add_argument("--out", type=Path, help="also a picture of the reconstructions (.png)")


def run_compare(args: argparse.Namespace) -> int:
    """Reconstructions, shared neighbours and alignment on images of --data."""
    check_number("--seed", args.seed, 0, MAX_SEED)
    check_number("--limit", args.limit, LEAST_IMAGES, MAX_IMAGES)
    if not MIN_MODELS <= len(args.checkpoints) <= MAX_MODELS:
        raise ConfigError(
            f"{len(args.checkpoints)} checkpoints came, expected {MIN_MODELS} to {MAX_MODELS}; "
            "name that many folders."
        )
    if len(set(args.checkpoints)) < len(args.checkpoints):
        raise ConfigError("A checkpoint was named twice; compare different ones.")
    if args.out is not None:
        picture_format(args.out)  # before minutes of measuring
    checkpoints = [load_checkpoint(path, device=args.device) for path in args.checkpoints]
    # Those trained on these data: they know the split, and which of the images they have seen.
    own = [checkpoint for checkpoint in checkpoints if is_own_data(args.data, checkpoint)]
    images = load_for(args, (own or checkpoints)[0])
    test = _held_out(own, images, limit=args.limit, seed=args.seed)
    coders = [
        ModelCoder(c, str(path)) for c, path in zip(checkpoints, args.checkpoints, strict=True)
    ]
    seen: list[Seen] = [see(coder, test.images) for coder in coders]
    sizes = sorted({coder.n_latent for coder in coders}, reverse=True)
    seen += [see(linear, test.images) for linear in _fitted(images, sizes)]
    pixels = (test.images.reshape(len(test), -1) / 255).astype(np.float32)
    alike = likeness({**{s.coder.name: s.codes for s in seen}, "pixels": pixels})
    if args.out is not None:
        save_picture(comparison_sheet(seen, test.images), args.out)
    models = [_figures(item) for item in seen]
    data = {"n_images": len(test), "data": str(args.data), "models": models, **_alike(alike)}
    answer(args, data | {"out": None if args.out is None else str(args.out)}, _text(models, alike))
    return 0


def _held_out(own: Sequence[Checkpoint], images: ImageSet, *, limit: int, seed: int) -> ImageSet:
    """Images that none of the models `own`, those of these data, was trained on, if known."""
    test = images.subset("test") if (images.split == 2).any() else images
    rows = np.arange(len(test))
    if own:
        common = common_images(own)
        unseen = np.flatnonzero(np.isin(test.ids, common.ids))
        if len(unseen) >= LEAST_IMAGES and common.is_held_out:
            rows = unseen
        else:
            say("The models have no held-out images in common: some may have learnt from these.")
    if len(rows) < LEAST_IMAGES:
        raise DataError(
            f"{len(rows)} images came, expected {LEAST_IMAGES} or more to compare on; give more."
        )
    order = np.random.default_rng(seed).permutation(rows)[:limit]
    return test.take(np.sort(order))


def _fitted(images: ImageSet, sizes: Sequence[int]) -> list[Linear]:
    train = images.subset("train") if (images.split == 0).any() else images
    rows = np.random.default_rng(0).permutation(len(train))[:PCA_IMAGES]
    whole = fit_linear(train.images[rows], sizes[0])
    found = {item.n_latent: item for item in map(whole.with_dimensions, sizes)}
    return list(found.values())


def _figures(seen: Seen) -> dict[str, Any]:
    report = seen.quality.report()
    kl = None if seen.kl_nats is None else float(seen.kl_nats.sum(1, dtype=np.float64).mean())
    return {
        "name": seen.coder.name,
        "n_latent": seen.coder.n_latent,
        "psnr_db": report.psnr,
        "psnr_std": report.psnr_std,
        "ssim": report.ssim,
        "kl_nats": kl,
        "active_units": int((seen.codes.var(0) > 0.01).sum()),
    }


def _alike(alike: Likeness) -> dict[str, Any]:
    return {
        "compared": list(alike.names),
        "neighbours": {str(k): v.round(6).tolist() for k, v in alike.agreement.items()},
        "chance": {str(k): v for k, v in alike.chance.items()},
        # JSON knows no NaN: the alignment of a constant code is null.
        "cka": [[v if np.isfinite(v) else None for v in row] for row in alike.cka.tolist()],
    }


def _text(models: Sequence[dict[str, Any]], alike: Likeness) -> str:
    width = max(len(name) for name in alike.names)
    lines = [f"{'':<{width}}  numbers  PSNR, dB  SSIM    KL, nats"]
    for m in models:
        kl = "–" if m["kl_nats"] is None else f"{m['kl_nats']:.1f}"
        lines.append(
            f"{m['name']:<{width}}  {m['n_latent']:>7}  {m['psnr_db']:>8.2f}  {m['ssim']:.4f}  "
            f"{kl:>8}"
        )
    chances = ", ".join(f"{share:.1%} of {k}" for k, share in alike.chance.items())
    counts = "  ".join(f"{f'{k} nearest':>10}" for k in alike.agreement)
    lines += ["", f"neighbours in common (by chance {chances}), and linear CKA"]
    lines.append(f"{'':<{2 * width + 3}}  {counts}   CKA")
    for i, a in enumerate(alike.names):
        for j, b in enumerate(alike.names[:i]):
            shares = "  ".join(f"{found[i, j]:>10.1%}" for found in alike.agreement.values())
            pair = f"{b:<{width}} – {a:<{width}}"
            lines.append(f"{pair}  {shares}  {alike.cka[i, j]:>4.2f}")
    return "\n".join(lines)
