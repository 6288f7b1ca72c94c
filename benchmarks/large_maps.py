"""Does the app hold for 10,000, 70,000 and 1,000,000 codes? Seconds and memory of each step.

The codes are draws from the posteriors of a model's stored images, their labels and scores
repeated, and placed on the stored maps near the image they come from: no image is needed.
Each size runs in a process of its own, so that its memory is its own.
Usage: python benchmarks/large_maps.py [--model checkpoints/faces] [--sizes 10000 70000 1000000]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from vae_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint  # noqa: E402
from vae_core.latent.projection import NeighbourProjection, fit_pca  # noqa: E402


def make(source: Path, folder: Path, *, n: int) -> None:
    """A checkpoint of n codes that looks like `source`."""
    checkpoint, random = load_checkpoint(source), np.random.default_rng(0)
    rows = np.arange(n) % len(checkpoint.codes)
    codes = checkpoint.codes.take(rows)
    noise = random.standard_normal(codes.mean.shape, np.float32)
    mean = codes.mean if n <= len(checkpoint.codes) else codes.mean + np.exp(codes.log_std) * noise
    codes = replace(codes, ids=np.arange(n), mean=mean.astype(np.float32), n_total=n)
    xy = next(iter(checkpoint.maps.values())).xy[rows]
    xy = xy + 0.05 * xy.std(0) * random.standard_normal(xy.shape, np.float32)
    maps = {"pca": fit_pca(mean), "umap": NeighbourProjection(xy.astype(np.float32), mean)}
    save_checkpoint(
        folder, checkpoint.model, card=checkpoint.card, codes=codes, maps=maps,
        prior=checkpoint.prior,
    )  # fmt: skip


def steps(checkpoint: Checkpoint) -> dict[str, Callable[[], Any]]:
    """What Explore and Walk do with the codes, by name, in the order a visit does it."""
    # Here, so that the process that measures opens the checkpoint before it imports the app.
    from pages.shared import assets, cache, lenses, payload, walk_payload
    from vae_core.examine import nearest_codes
    from vae_core.latent.paths import along_data
    from vae_core.latent.region import describe_region, region_table

    # Files of an earlier run would be found and not be made.
    assets.STATIC_DIR = checkpoint.path / "static"
    z, n = checkpoint.codes.mean[5] + np.float32(0.1), len(checkpoint.codes)
    tenth = np.arange(0, n, 10)
    colour = payload.colour_choices(checkpoint)[0]

    def path() -> object:
        graph = cache.neighbour_graph(checkpoint)
        return along_data(checkpoint.codes.mean, [3, n - 3], graph=graph, n=60)

    return {
        "first map message": lambda: payload.map_data(checkpoint, "umap", colour),
        "trust limits": lambda: cache.trust_part(checkpoint),
        "second map message": lambda: payload.map_data(checkpoint, "pca", payload.ERROR),
        "pick: nearest codes": lambda: nearest_codes(checkpoint, z),
        "pick: verdict": lambda: cache.trust_words(checkpoint, z),
        "find by place": lambda: checkpoint.maps["umap"].inverse(np.zeros((1, 2), np.float32)),
        "region of a tenth": lambda: describe_region(checkpoint.codes, tenth),
        "table of that region": lambda: region_table(checkpoint.codes, tenth),
        "ranking": lambda: lenses._first(lenses.measure_of(checkpoint, "lowest ELBO"), 24),
        "prior and posterior": lambda: cache.prior_match(checkpoint),
        "holes": lambda: cache.holes(checkpoint),
        "walk: message": lambda: walk_payload.walk_data(checkpoint),
        "walk: dimensions": lambda: cache.walk_rows(checkpoint, "Dimensions"),
        "walk: principal axes": lambda: cache.walk_rows(checkpoint, "Principal axes"),
        "walk: attributes": lambda: cache.walk_rows(checkpoint, "Attributes"),
        "neighbour graph and a path": path,
        "trust of 60 frames": lambda: cache.trust_along(checkpoint, checkpoint.codes.mean[:60]),
    }


def megabytes() -> float:
    """The most this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(folder: Path) -> dict[str, Any]:
    """Seconds of each step in this process, and megabytes of it."""
    before, start, cpu_start = megabytes(), time.perf_counter(), time.process_time()
    checkpoint = load_checkpoint(folder)
    _ = checkpoint.maps
    opened, cpu_opened = time.perf_counter() - start, time.process_time() - cpu_start
    seconds, cpu = {"open": round(opened, 3)}, {"open": round(cpu_opened, 3)}
    memory = {"before": round(before), "opened": round(megabytes())}
    for name, step in steps(checkpoint).items():
        start, cpu_start = time.perf_counter(), time.process_time()
        step()
        seconds[name] = round(time.perf_counter() - start, 3)
        cpu[name] = round(time.process_time() - cpu_start, 3)
        memory[name] = round(megabytes())
        sys.stderr.write(
            f"  {seconds[name]:8.2f} s {cpu[name]:8.2f} s CPU {memory[name]:6} MB  {name}\n"
        )
    size = sum(path.stat().st_size for path in folder.glob("*.*")) / 1e6
    return {
        "n": len(checkpoint.codes),
        "folder_mb": round(size, 1),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "most_memory_mb": memory,
    }


def main() -> None:
    """Make, measure, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "checkpoints" / "faces")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 70_000, 1_000_000])
    parser.add_argument("--measure", type=Path, help="measure this checkpoint alone")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/large_maps.json")
    args = parser.parse_args()
    if args.measure:
        sys.stdout.write(json.dumps(measure(args.measure)))
        return
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for n in args.sizes:
            folder, start = Path(scratch) / f"codes-{n}", time.perf_counter()
            make(args.model, folder, n=n)
            sys.stderr.write(f"{n:,} codes, written in {time.perf_counter() - start:.1f} s\n")
            command = [sys.executable, __file__, "--measure", str(folder)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            found.append(json.loads(done.stdout))
    result = {"model": args.model.name, "sizes": found, "machine": machine_facts()}
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
