"""Which optimiser? The same network, data, order, noise and schedule, one after the other.

Each contender gets the same number of epochs at each of its learning rates; its best one
counts. Score: validation −ELBO in nats, mean over the seeds. MNIST, binarised dynamically.
Usage: python benchmarks/optimisers.py [--preset mlp] [--epochs 6] [--seeds 0 1]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import vae_core.train.run as training_run  # noqa: E402  (the project root comes first)
from benchmarks.machine import machine_facts  # noqa: E402
from vae_core.data.catalogue import load_images  # noqa: E402
from vae_core.data.imageset import ImageSet  # noqa: E402
from vae_core.data.validation import with_validation  # noqa: E402
from vae_core.model import Autoencoder  # noqa: E402
from vae_core.pipeline import plan_model  # noqa: E402
from vae_core.train import TrainConfig, train  # noqa: E402
from vae_core.train.runtime import Runtime, choose_runtime  # noqa: E402

OUT = ROOT / "benchmarks" / "results" / "optimisers.json"
Build = Callable[[Any, float], torch.optim.Optimizer]
CONTENDERS: dict[str, tuple[Build, tuple[float, ...]]] = {
    "AdamW, weight decay 1e-4": (
        lambda p, lr: torch.optim.AdamW(p, lr, weight_decay=1e-4, fused=True),
        (1e-3, 3e-3, 6e-3),
    ),
    "Adam": (lambda p, lr: torch.optim.Adam(p, lr, fused=True), (1e-3, 3e-3, 6e-3)),
    "NAdam": (lambda p, lr: torch.optim.NAdam(p, lr), (1e-3, 3e-3, 6e-3)),
    "RAdam": (lambda p, lr: torch.optim.RAdam(p, lr), (1e-3, 3e-3, 6e-3)),
    "Adamax": (lambda p, lr: torch.optim.Adamax(p, lr), (3e-3, 6e-3, 1.2e-2)),
    "SGD, Nesterov 0.9": (
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True, fused=True),
        (0.1, 0.3, 0.9),
    ),
}


def one_run(images: ImageSet, build: Build, rate: float, seed: int, args: Any) -> dict[str, float]:
    """Best validation loss and seconds of the loop with this optimiser."""
    config = TrainConfig(
        preset=args.preset, n_latent=args.latent, epochs=args.epochs, learning_rate=rate, seed=seed
    )
    plan, _ = plan_model(images, config)

    def optimiser(
        model: Autoencoder, config: TrainConfig, _runtime: Runtime
    ) -> torch.optim.Optimizer:
        return build(training_run._parameter_groups(model), config.learning_rate)

    began = time.process_time()
    with (
        tempfile.TemporaryDirectory() as name,
        mock.patch.object(training_run, "build_optimizer", optimiser),
    ):
        _, position = train(
            images, Path(name), model_config=plan, config=config, runtime=choose_runtime()
        )
    return {
        "learning_rate": rate, "seed": seed, "loss": position.best_loss,
        "cpu_seconds": time.process_time() - began,
    }  # fmt: skip


def main() -> None:
    """All contenders at all rates, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="mlp")
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    images, rows = with_validation(load_images("mnist"), seed=0), []
    for name, (build, rates) in CONTENDERS.items():
        for rate in rates:
            runs = [one_run(images, build, rate, seed, args) for seed in args.seeds]
            losses = [run["loss"] for run in runs]
            spread = statistics.stdev(losses) if len(losses) > 1 else None
            rows.append(
                {"optimiser": name, "learning_rate": rate, "loss": statistics.mean(losses)}
                | {"standard_deviation": spread, "runs": runs}
            )
            sys.stdout.write(
                f"{name:26} {rate:7g}  {statistics.mean(losses):7.2f} nats  "
                f"{statistics.mean(run['cpu_seconds'] for run in runs):6.1f} cpu-seconds\n"
            )
            sys.stdout.flush()
    result = {
        "preset": args.preset,
        "epochs": args.epochs,
        "rows": rows,
        "machine": machine_facts(),
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
