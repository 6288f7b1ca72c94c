"""What β trades: one model per β with the same recipe, as points of rate against distortion.

Rate is the KL in bits per image, distortion the error of a decoded draw from the posterior
(Alemi et al. 2018, arXiv:1711.00464, section 2); PCA, PNG and WebP on the same images stand
beside it. Writes a table, JSON and a page with the chart.
Usage: python benchmarks/rate_distortion.py [--betas 0.25 0.5 1 2 4 8] [--minutes 1] [--seeds 0]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from vae_core.data.catalogue import load_images  # noqa: E402
from vae_core.data.imageset import ImageSet  # noqa: E402
from vae_core.data.validation import with_validation  # noqa: E402
from vae_core.evaluate.bounds import evidence_bounds  # noqa: E402
from vae_core.evaluate.rate import (  # noqa: E402
    RatePoint,
    codec_points,
    model_point,
    pca_code_points,
)
from vae_core.pipeline import plan_model  # noqa: E402
from vae_core.report.page import STYLE  # noqa: E402
from vae_core.report.plots import curves  # noqa: E402
from vae_core.train import TrainConfig, train  # noqa: E402
from vae_core.train.runtime import choose_runtime  # noqa: E402

OUT = ROOT / "benchmarks" / "results" / "rate_distortion.json"
N_IMAGES = 1_000
PCA_STEPS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)


def one_model(images: ImageSet, beta: float, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train one β-VAE and place it on both planes: rate and distortion, reconstruction and KL."""
    config = TrainConfig(
        objective="beta-vae", objective_options={"beta": beta}, n_latent=args.latent,
        preset=args.preset, minutes=args.minutes, seed=seed,
    )  # fmt: skip
    images = with_validation(images, seed=seed)
    plan, _ = plan_model(images, config)
    with tempfile.TemporaryDirectory() as name:
        model, position = train(
            images, Path(name), model_config=plan, config=config, runtime=choose_runtime()
        )
    test = images.subset("test").images[:N_IMAGES]
    bound = evidence_bounds(model, test, importance_samples=1)
    point = model_point(model, test, name=f"β = {beta:g}")
    return asdict(point) | {
        "beta": beta, "seed": seed, "elbo": bound.elbo, "kl_nats": bound.kl,
        "reconstruction_nats": bound.reconstruction, "images_seen": position.images_seen,
    }  # fmt: skip


def chart(rows: Sequence[Mapping[str, Any]], others: Sequence[RatePoint]) -> str:
    """PSNR over bits per image, in the look of the reports."""
    models = [(row["bits_per_image"], row["psnr_db"]) for row in rows]
    series = {"VAE, one dot per β": models}
    for kind in ("PCA", "WebP, quality"):
        points = [p for p in others if p.name.startswith(kind)]
        series[kind.split(",")[0]] = [(p.bits_per_image, p.psnr_db) for p in points]
    # Axes that begin where the models are: lossless files would squeeze everything else.
    svg = curves(series, x_label="bits per image", y_label="PSNR, dB", log_x=True)
    return f"<!doctype html><meta charset='utf-8'><style>{STYLE}</style><body>{svg}</body>\n"


def main() -> None:
    """Every β with every seed, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--betas", nargs="+", type=float, default=[0.25, 0.5, 1, 2, 4, 8])
    parser.add_argument("--minutes", type=float, default=1.0, help="training of one model")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--preset", default="auto")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    images = load_images(args.data)
    train_images, test = (images.subset(part).images for part in ("train", "test"))
    others = pca_code_points(train_images, test[:N_IMAGES], steps=PCA_STEPS)
    others += codec_points(test[:N_IMAGES])
    rows = []
    for beta in args.betas:
        for seed in args.seeds:
            row = one_model(images, beta, seed, args)
            rows.append(row)
            sys.stdout.write(
                f"β {beta:5g}  seed {seed}  {row['bits_per_image']:6.1f} bits  "
                f"{row['psnr_db']:5.2f} dB  ELBO {row['elbo']:8.2f}\n"
            )
            sys.stdout.flush()
    for point in others:
        sys.stdout.write(
            f"{point.name:20} {point.bits_per_image:8.1f} bits  {point.psnr_db:5.2f} dB\n"
        )
    result = {
        "data": args.data, "n_images": N_IMAGES, "minutes": args.minutes, "preset": args.preset,
        "n_latent": args.latent, "models": rows, "others": [asdict(p) for p in others],
        "machine": machine_facts(),
    }  # fmt: skip
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    args.out.with_suffix(".html").write_text(chart(rows, others), encoding="utf-8")


if __name__ == "__main__":
    main()
