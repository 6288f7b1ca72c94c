"""5,000 JPEGs in class folders: dropped, inspected, packed, training; as a zip and as a folder.

The inspection runs in this process, as it does in the app; training is the command line's own
process, timed from its start until the images are packed and the first step is due. Processor
seconds stand beside wall seconds, since the latter depend on what else the machine does.
Usage: python benchmarks/folder_inspection.py [--data cifar10-5k.zip] [--times 3]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from vae_core.data.incoming import keep_upload  # noqa: E402
from vae_core.data.inspection import inspect_source  # noqa: E402

BAR_SECONDS = 15


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of something done here."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def keep(source: Path, folder: Path) -> float:
    """Seconds to check what was dropped and to write it down."""
    content = source.read_bytes()
    return timed(lambda: keep_upload([(source.name, content)], folder / "up"))[0]


def start_training(source: Path, out: Path, cache: Path) -> tuple[float, float]:
    """Wall seconds until a training process has packed its images and begins; its CPU seconds."""
    command = [sys.executable, "-m", "vae_core", "train", "--data", source, "--out", out]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    process = subprocess.Popen(
        [*map(str, command), "--minutes", "1", "--device", "cpu"],
        cwd=ROOT, env={**os.environ, "VAE_CACHE_DIR": str(cache)}, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    # Written once the images are at hand, right before the first step.
    while not list(out.glob("*/images.json")):
        if process.poll() is not None:
            raise SystemExit(f"Training on {source} ended before it began.")
        time.sleep(0.02)
    wall = time.perf_counter() - began
    process.kill()
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(source: Path, folder: Path) -> dict[str, float]:
    """One pass over a source with nothing remembered."""
    inspected, inspected_cpu = timed(lambda: inspect_source(source))
    begun, begun_cpu = start_training(source, folder / "model", folder / "cache")
    return {
        "inspected_seconds": inspected, "inspected_cpu_seconds": inspected_cpu,
        "packed_and_training_seconds": begun, "packed_and_training_cpu_seconds": begun_cpu,
        "all_seconds": inspected + begun,
    }  # fmt: skip


def main() -> None:
    """Measure the zip and the folder, print and save medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    usual = Path(os.environ.get("VAE_DATA_DIR", "data")) / "cifar10-5k.zip"
    parser.add_argument("--data", type=Path, default=usual)
    parser.add_argument("--times", type=int, default=3)
    args = parser.parse_args()
    passes: dict[str, list[dict[str, float]]] = {"zip": [], "folder": []}
    kept: list[float] = []
    for _ in range(args.times):
        with tempfile.TemporaryDirectory() as name:
            kept.append(keep(args.data, Path(name)))
            passes["zip"].append(measure(args.data, Path(name) / "zip"))
            with zipfile.ZipFile(args.data) as archive:
                archive.extractall(Path(name) / "pictures")
            passes["folder"].append(measure(Path(name) / "pictures", Path(name) / "folder"))
    result = {
        kind: {key: statistics.median(one[key] for one in each) for key in each[0]}
        for kind, each in passes.items()
    }
    found = inspect_source(args.data)
    answer = {"headline": found.headline, "kept_seconds": statistics.median(kept), **result}
    answer |= {"times": args.times, "bar_seconds": BAR_SECONDS, "machine": machine_facts()}
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    target = ROOT / "benchmarks" / "results" / "folder_inspection.json"
    target.write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
