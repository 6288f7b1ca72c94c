"""How good a model do one minute and ten minutes of training give? MNIST, the default recipe.

Runs the command line a visitor would run, then scores the checkpoint: NLL from K = 100
importance samples on the first 1,000 test images, binarised dynamically, in nats.
Usage: python benchmarks/quality_per_second.py [--minutes 1 10] [--seeds 0] [-- more train flags]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)

OUT = ROOT / "benchmarks" / "results" / "quality_per_second.json"
N_IMAGES, N_SAMPLES = 1_000, 100
# The team's earlier measurements on a processor with AVX-512-bf16, same score, in nats.
KNOWN = {
    "mlp 2×200 tanh, z 50, float32, 60 cpu-seconds": 94.0,
    "mlp 2×512 gelu, bfloat16, 60 cpu-seconds": 90.4,
    "mlp 2×512 gelu, bfloat16, 600 cpu-seconds": 84.7,
    "unshuffle net, bfloat16, 60 cpu-seconds": 90.5,
}


def command(*words: object) -> tuple[dict[str, Any], float, float]:
    """One verb of the command line; its JSON answer, wall seconds and processor seconds."""
    began, before = time.monotonic(), os.times()
    done = subprocess.run(
        [sys.executable, "-m", "vae_core", *map(str, words), "--json"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer, time.monotonic() - began, cpu


def trained_steps(folder: Path) -> dict[str, Any]:
    """What the journal of a run says: epochs, images seen, seconds of the loop alone."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1])
    return {key: last[key] for key in ("epoch", "step", "images_seen", "seconds")}


def one_run(minutes: float, seed: int, flags: list[str]) -> dict[str, Any]:
    """Train, then evaluate; figures of both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        train = ["train", "--data", "mnist", "--minutes", minutes, "--seed", seed, *flags]
        _, wall, cpu = command(*train, "--out", folder)
        scores, _, _ = command(
            "evaluate", folder, "--data", "mnist", "--limit", N_IMAGES,
            "--importance-samples", N_SAMPLES,
        )  # fmt: skip
        loop = trained_steps(folder)
    kept = {key: value for key, value in scores.items() if isinstance(value, int | float)}
    return {
        "minutes": minutes,
        "seed": seed,
        # With encoding, the maps and the checkpoint; `seconds` is the loop alone.
        "train_wall_seconds": wall,
        "train_cpu_seconds": cpu,
        "images_per_second": loop["images_seen"] / max(1e-9, loop["seconds"]),
        **loop,
        **kept,
    }


def main() -> None:
    """Every length with every seed, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1.0, 10.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("flags", nargs="*", help="more flags for train, after --")
    args = parser.parse_args()
    runs = []
    for minutes in args.minutes:
        for seed in args.seeds:
            run = one_run(minutes, seed, args.flags)
            runs.append(run)
            sys.stdout.write(
                f"{minutes:5.1f} min  seed {seed}  NLL {run['nll']:7.2f} ± "
                f"{run['nll_standard_error']:.2f}  ELBO {run['elbo']:8.2f}  "
                f"epochs {run['epoch']:3}  {run['images_per_second']:,.0f} images/s\n"
            )
            sys.stdout.flush()
    result = {"n_images": N_IMAGES, "importance_samples": N_SAMPLES, "flags": args.flags}
    result |= {"runs": runs, "known": KNOWN, "machine": machine_facts()}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
