"""How training scales: image size, batch, preset, processes, and on a GPU against its peak.

Each CPU figure comes from a fresh process, so that its peak memory is its own. The images
are noise: speed does not depend on what they show.
Usage: python benchmarks/scaling.py [--seconds 5] [--processes 1 2] [--skip sizes ...]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)

OUT = ROOT / "benchmarks" / "results" / "scaling.json"
SIZES, BATCHES = (28, 32, 48, 64, 96, 128), (32, 64, 128, 256, 512)
PRESETS = ("auto", "mlp", "burgess", "conv-s", "conv-m")
GPU_BATCHES, MNIST_EPOCHS, MNIST_IMAGES = (128, 512, 2048), 100, 55_000
PARTS = ("sizes", "batches", "presets", "processes", "cuda")


def stepper(preset: str, channels: int, size: int, batch: int, device: str) -> Callable[[], Any]:
    """A function that takes one step of the real training path; returns its `Run`."""
    import numpy as np
    import torch

    from vae_core.model import ModelConfig
    from vae_core.nets.architecture import architecture_for
    from vae_core.train.config import TrainConfig
    from vae_core.train.processes import Processes
    from vae_core.train.run import start_run
    from vae_core.train.runtime import choose_runtime
    from vae_core.train.step import ImageFeed
    from vae_core.train.update import update
    from vae_core.types import ImageSpec

    spec, n = ImageSpec(channels, size, size), max(2 * batch, 1024)
    likelihood = "bernoulli" if channels == 1 else "gaussian"
    config = TrainConfig(n_latent=32, preset=preset, likelihood=likelihood, batch_size=batch)
    model = ModelConfig(spec, 32, architecture_for(preset, spec), likelihood)
    run = start_run(
        Path(tempfile.gettempdir()), model, config, choose_runtime(device),
        processes=Processes(), resume=False, initial=None,
    )  # fmt: skip
    pixels = np.random.default_rng(0).integers(0, 256, (n, *spec.shape), np.uint8)
    feed, generator = ImageFeed(pixels, run.runtime.device), torch.Generator(run.runtime.device)
    draw = np.random.default_rng(1)

    def step() -> Any:
        rows = torch.from_numpy(draw.integers(0, n, batch))
        update(run, feed.known_batch(rows, generator), learning_rate=1e-3)
        return run

    return step


def measure(preset: str, channels: int, size: int, batch: int, seconds: float) -> dict[str, Any]:
    """Images per second and peak memory of this very process, on the CPU, one thread."""
    import torch

    torch.set_num_threads(1)
    step = stepper(preset, channels, size, batch, "cpu")
    step()
    n_steps, wall, cpu = 0, time.perf_counter(), time.process_time()
    while n_steps < 2 or time.process_time() - cpu < seconds:
        step()
        n_steps += 1
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    # Kilobytes on Linux.
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"images_per_second": n_steps * batch / wall, "peak_mb": peak_mb}
    figures["images_per_cpu_second"] = n_steps * batch / cpu
    about = {"preset": preset, "channels": channels, "size": size, "batch": batch}
    return about | {"n_steps": n_steps} | figures


def in_fresh_process(
    preset: str, *, channels: int, size: int, batch: int, seconds: float
) -> dict[str, Any]:
    """`measure` in a process of its own."""
    words = map(str, (preset, channels, size, batch, seconds))
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), "--worker", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    say(
        f"{preset:8} {channels}×{size}×{size}  batch {batch:4}  "
        f"{found['images_per_cpu_second']:9,.0f} images/cpu-s  {found['peak_mb']:7,.0f} MB"
    )
    return found


def say(line: str) -> None:
    """One line of the table, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def over_processes(n: int, *, preset: str, batch: int, images: int) -> dict[str, Any]:
    """One epoch of `python -m vae_core train`, alone or by torchrun, one thread each.

    The journal's own seconds count, so neither start-up nor the maps do.
    """
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "model"
        verb = ["-m", "vae_core", "train", "--data", "mnist", "--preset", preset, "--epochs", "1"]
        verb += ["--images", str(images), "--batch-size", str(batch), "--out", str(out)]
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n}"]
        done = subprocess.run(
            [sys.executable, *(launch if n > 1 else []), *verb, "--device", "cpu"],
            cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stderr)
        journal = (out / "metrics.jsonl").read_text(encoding="utf-8")
    last = json.loads(journal.splitlines()[-1])
    speed = last["images_seen"] / last["seconds"]
    say(f"{preset:8} MNIST  {n} process(es)  batch {batch}  {speed:9,.0f} images/s")
    about = {"processes": n, "preset": preset, "batch": batch, "images_seen": last["images_seen"]}
    return about | {"seconds": last["seconds"], "images_per_second": speed}


def gpu_seconds(work: Callable[[], Any], *, n: int = 20) -> float:
    """Seconds of one call on the GPU, median of five groups of n."""
    import statistics

    import torch

    for _ in range(5):
        work()
    groups = []
    for _ in range(5):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(n):
            work()
        torch.cuda.synchronize()
        groups.append((time.perf_counter() - began) / n)
    return statistics.median(groups)


def gpu_peaks() -> dict[str, float]:
    """Measured TFLOP/s in bfloat16: an 8192³ product, and a 3×3 convolution with 256 channels."""
    import torch

    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    conv = torch.nn.Conv2d(256, 256, 3, padding=1).cuda().bfloat16()
    conv = conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(256, 256, 32, 32, device="cuda", dtype=torch.bfloat16)
    x = x.to(memory_format=torch.channels_last)
    with torch.no_grad():
        product, convolution = gpu_seconds(lambda: a @ a), gpu_seconds(lambda: conv(x))
    flops = 2 * 256 * 256 * 9 * 256 * 32 * 32
    return {"matmul": 2 * 8192**3 / product / 1e12, "conv": flops / convolution / 1e12}


def gpu_figures(preset: str, channels: int, size: int, batch: int) -> dict[str, Any]:
    """Speed of a step on the GPU, its arithmetic, and its peak memory."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    step = stepper(preset, channels, size, batch, "cuda")
    step()
    with FlopCounterMode(display=False) as counter:
        step()
    torch.cuda.reset_peak_memory_stats()
    seconds = gpu_seconds(step)
    return {
        "preset": preset, "channels": channels, "size": size, "batch": batch,
        "images_per_second": batch / seconds,
        "tflop_per_second": counter.get_total_flops() / seconds / 1e12,
        "peak_mb": torch.cuda.max_memory_allocated() / 2**20,
    }  # fmt: skip


def on_cuda() -> dict[str, Any] | str:
    """28×28 grey and 64×64 colour against the measured peak; a sentence without CUDA."""
    import torch

    if not torch.cuda.is_available():
        reason = "no CUDA device here: GPU figures skipped"
        say(reason)
        return reason
    peaks, rows = gpu_peaks(), []
    say("peak bf16 TFLOP/s: " + ", ".join(f"{k} {v:.0f}" for k, v in peaks.items()))
    shapes = [(p, c, s) for p in ("auto", "conv-s", "conv-m") for c, s in ((1, 28), (3, 64))]
    for preset, channels, size in shapes:
        for batch in GPU_BATCHES:
            row = gpu_figures(preset, channels, size, batch)
            row["share_of_peak"] = row["tflop_per_second"] / peaks["conv"]
            if size == 28:
                row["mnist_100_epochs_seconds"] = (
                    MNIST_EPOCHS * MNIST_IMAGES / row["images_per_second"]
                )
            rows.append(row)
            say(
                f"{preset:8} {channels}×{size}×{size}  batch {batch:4}  "
                f"{row['images_per_second']:9,.0f} images/s  {row['share_of_peak']:.1%} of peak"
            )
    return {"device": torch.cuda.get_device_name(), "peak_tflop_per_second": peaks, "rows": rows}


def cpu_table(part: str, seconds: float) -> list[dict[str, Any]]:
    """Over sizes, batches or presets, one thread."""
    rows: dict[str, list[tuple[str, int, int, int]]] = {
        "sizes": [("auto", 1 if size == 28 else 3, size, 32) for size in SIZES],
        "batches": [("auto", 1, 28, batch) for batch in BATCHES],
        "presets": [(preset, 1, 28, 64) for preset in PRESETS],
    }
    return [
        in_fresh_process(preset, channels=channels, size=size, batch=batch, seconds=seconds)
        for preset, channels, size, batch in rows[part]
    ]


def process_table(counts: list[int], *, rounds: int, images: int) -> list[dict[str, Any]]:
    """Each number of processes in turns, so that other load hits all alike; no averages."""
    return [
        over_processes(n, preset="auto", batch=128, images=images)
        for _ in range(rounds)
        for n in counts
    ]


def main() -> None:
    """Every part that is not skipped, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="processor time of a figure")
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3, help="turns of the processes part")
    parser.add_argument("--images", type=int, default=10_000, help="for the processes part")
    parser.add_argument("--skip", nargs="+", default=[], choices=PARTS)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--worker", nargs=5, metavar=("PRESET", "C", "SIZE", "BATCH", "SECONDS"))
    args = parser.parse_args()
    if args.worker:
        preset, channels, size, batch, seconds = args.worker
        found = measure(preset, int(channels), int(size), int(batch), float(seconds))
        sys.stdout.write(json.dumps(found))
        return
    result: dict[str, Any] = {"machine": machine_facts()}
    for part in (part for part in PARTS if part not in args.skip):
        if part == "cuda":
            result[part] = on_cuda()
        elif part == "processes":
            result[part] = process_table(args.processes, rounds=args.rounds, images=args.images)
        else:
            result[part] = cpu_table(part, args.seconds)
        # After each part: a run of minutes that is stopped half-way leaves what it has.
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
