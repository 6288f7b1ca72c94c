"""What the search for a code is worth: half-hidden digits read again, noise taken out.

    python benchmarks/complete_denoise.py complete CHECKPOINT   200 MNIST test digits, half hidden
    python benchmarks/complete_denoise.py denoise CHECKPOINT    200 MNIST test digits, noise of 0.5

Complete: left, right, top or bottom hidden, 50 digits each. A small network trained here on MNIST's
own training images reads the completions. "Any of 5" is right when one of the five reads as the
digit, "first" when the most plausible one does, "by weight" when the digit with the largest sum of
weights is. The bar: any of 5 at 85 % or more, the reader itself at 98 % or more.

Denoise: Gaussian noise clipped to [0,1], PSNR of the mean squared error over all pictures, as in
quality_bars.py; beside it PCA with 50 components of the clean training images. The bar: 18 dB.

Each writes benchmarks/results/complete_denoise_PART_CHECKPOINT.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from vae_core.apply.anchors import decode_anchors  # noqa: E402
from vae_core.apply.complete import complete, half_hidden  # noqa: E402
from vae_core.apply.denoise import (  # noqa: E402
    Noise,
    denoise_by_encoder,
    denoise_by_search,
    fit_axes,
)
from vae_core.checkpoint import Checkpoint, load_checkpoint  # noqa: E402
from vae_core.data.catalogue import load_images  # noqa: E402
from vae_core.data.imageset import ImageSet  # noqa: E402
from vae_core.evaluate.quality import image_quality  # noqa: E402
from vae_core.objectives.denoising import corrupt  # noqa: E402

Floats = NDArray[np.float32]
SIDES = ("left", "right", "top", "bottom")
READER_BATCH, READER_RATE = 128, 4e-3


def train_reader(images: ImageSet, *, epochs: int, seed: int = 0) -> tuple[nn.Module, float]:
    """A small convolutional classifier of training digits, and its accuracy on test digits."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 49, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    train = images.take(np.flatnonzero(images.split != 2))
    assert train.labels is not None
    x, y = torch.from_numpy(train.images), torch.from_numpy(train.labels)
    n_steps, order = epochs * (len(x) // READER_BATCH), torch.randperm(len(x))
    optimiser = torch.optim.AdamW(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, READER_RATE, total_steps=n_steps)
    for step in range(n_steps):
        at = step % (len(x) // READER_BATCH)
        order = torch.randperm(len(x)) if at == 0 and step else order
        rows = order[at * READER_BATCH : (at + 1) * READER_BATCH]
        loss = nn.functional.cross_entropy(net(x[rows].float() / 255), y[rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    test = images.subset("test")
    said = read(net, (test.images / np.float32(255)).astype(np.float32))
    return net.eval(), float((said == test.labels).mean())


@torch.no_grad()
def read(net: nn.Module, pictures: Floats) -> NDArray[np.int64]:
    """The digit the reader sees in each picture `[N,1,28,28]`."""
    found: NDArray[np.int64] = net(torch.from_numpy(pictures)).argmax(1).numpy()
    return found


def completions(checkpoint: Checkpoint, args: argparse.Namespace) -> dict[str, Any]:
    """Rates of correct reading by the side that was hidden, and seconds per picture."""
    images = load_images("mnist")
    net, accuracy = train_reader(images, epochs=args.reader_epochs)
    test, anchors = images.subset("test"), decode_anchors(checkpoint)
    assert test.labels is not None
    chosen = np.random.default_rng(0).permutation(len(test.images))[: args.limit]
    rows: list[dict[str, Any]] = []
    for place, row in enumerate(chosen):
        side, label, pixels = SIDES[place % 4], int(test.labels[row]), test.images[row]
        hidden = half_hidden(pixels.shape[1:], side)
        start, cpu = time.perf_counter(), time.process_time()
        found = complete(checkpoint, pixels, hidden, n=5, anchors=anchors, seed=args.seed)
        rows.append(
            {
                "side": side,
                "seconds": time.perf_counter() - start,
                "cpu_seconds": time.process_time() - cpu,
                **_readings(net, found.images, found.weights, label),
                "hidden_black": _is(
                    net, np.where(hidden, 0, pixels / np.float32(255))[None], label
                ),
                "n_readings": len(set(read(net, found.images).tolist())),
            }
        )
    return {
        "reader_accuracy": accuracy,
        "n_pictures": len(rows),
        "by_side": {side: _means([r for r in rows if r["side"] == side]) for side in SIDES},
        "all": _means(rows),
        "seconds_p50": float(np.median([r["seconds"] for r in rows])),
        "seconds_p95": float(np.quantile([r["seconds"] for r in rows], 0.95)),
    }


def _is(net: nn.Module, pictures: Floats, label: int) -> bool:
    return bool((read(net, pictures.astype(np.float32)) == label).any())


def _readings(net: nn.Module, pictures: Floats, weights: Floats, label: int) -> dict[str, bool]:
    said = read(net, pictures)
    by_weight = int(np.bincount(said, weights, minlength=10).argmax())
    return {
        "any_of_5": label in said, "first": bool(said[0] == label), "by_weight": by_weight == label
    }  # fmt: skip


def _means(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {k: float(np.mean([r[k] for r in rows])) for k in rows[0] if k != "side"}


def denoising(checkpoint: Checkpoint, args: argparse.Namespace) -> dict[str, Any]:
    """PSNR and SSIM of every way, and seconds per picture."""
    images, noise = load_images("mnist"), Noise("gaussian", args.amount)
    test = images.subset("test").images
    chosen = np.random.default_rng(0).permutation(len(test))[: args.limit]
    clean = (test[chosen] / np.float32(255)).astype(np.float32)
    spoilt = corrupt(
        torch.from_numpy(clean), "gaussian", amount=noise.amount,
        generator=torch.Generator().manual_seed(args.seed),
    ).numpy()  # fmt: skip
    axes, anchors = fit_axes(images.subset("train").images), decode_anchors(checkpoint)
    start, cpu = time.perf_counter(), time.process_time()
    mean = [
        denoise_by_search(checkpoint, y, noise, anchors=anchors, seed=args.seed).image
        for y in spoilt
    ]
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    climbed = [
        denoise_by_search(checkpoint, y, noise, anchors=anchors, climb_steps=60, draw_steps=0).image
        for y in spoilt
    ]
    ways = {
        "noisy": spoilt,
        "PCA-50": np.stack([axes.denoise(y) for y in spoilt]),
        "encoder": np.stack([denoise_by_encoder(checkpoint, y).image for y in spoilt]),
        "search, most plausible": np.stack(climbed),
        "search, average of draws": np.stack(mean),
    }
    return {
        "noise": args.amount,
        "n_pictures": len(clean),
        "rows": [{"way": way, **_quality(clean, x)} for way, x in ways.items()],
        "seconds_per_picture": seconds / len(clean),
        "cpu_seconds_per_picture": cpu / len(clean),
    }


def _quality(clean: Floats, x: Floats) -> dict[str, float]:
    report = image_quality(clean, x.clip(0, 1)).report()
    pooled = -10 * np.log10(np.square(clean - x, dtype=np.float64).mean())
    return {"psnr_db": float(pooled), "psnr_mean_db": report.psnr, "ssim": report.ssim}


PARTS = {"complete": completions, "denoise": denoising}


def main() -> None:
    """Run one part, print it, write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=tuple(PARTS))
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--limit", type=int, default=200, help="number of pictures")
    parser.add_argument("--amount", type=float, default=0.5, help="the noise's deviation")
    parser.add_argument("--reader-epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    found = PARTS[args.part](load_checkpoint(args.checkpoint), args)
    text = json.dumps({**found, "torch_threads": torch.get_num_threads(),
                       "machine": machine_facts()}, indent=1)  # fmt: skip
    name = f"complete_denoise_{args.part}_{args.checkpoint.name}".replace("-", "_")
    (ROOT / "benchmarks" / "results" / f"{name}.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
