"""Which path between two pictures stays nearest to the data: straight, spherical, along the data?

Held-out codes are split in half: the paths start, end and pass among one half, and trust is
measured against the other, which no path has seen – else a path along real codes would be near
them by construction. Figures are means over the inner frames of a path (the ends are the same
for all kinds), then over pairs of pictures with different labels, with the standard error over
pairs. The bar: along the data better than both others in all three figures.
Usage: python benchmarks/path_trust.py [--checkpoint checkpoints/mnist] [--pairs 200]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from vae_core.checkpoint import load_checkpoint  # noqa: E402
from vae_core.latent.codes import Codes  # noqa: E402
from vae_core.latent.paths import along_data, path_graph, spherical, straight  # noqa: E402
from vae_core.latent.trust import (  # noqa: E402
    ON_DATA,
    Cycle,
    TrustScale,
    calibrate_trust,
    model_cycle,
    trust_of,
)

OUT = ROOT / "benchmarks" / "results" / "path_trust.json"
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Row = dict[str, Any]
# Name, short name in the table, whether more is better.
FIGURES = (
    ("distance_ratio", "distance", False),
    ("cycle_ratio", "cycle", False),
    ("on_data_share", "on the data", True),
)


def halves(codes: Codes, seed: int) -> tuple[Ints, Ints]:
    """Held-out rows in two random halves: one to walk among, one to judge by."""
    rows = np.random.default_rng(seed).permutation(codes.held_out)
    return rows[: len(rows) // 2], rows[len(rows) // 2 :]


def draw_pairs(labels: Ints | None, n_codes: int, n_pairs: int, seed: int) -> Ints:
    """Random pairs of places `[n_pairs,2]` in the walked half, of different labels if any."""
    random, pairs = np.random.default_rng([seed, 1]), []
    while len(pairs) < n_pairs:
        a, b = random.choice(n_codes, 2, replace=False)
        if labels is None or labels[a] != labels[b]:
            pairs.append((a, b))
    return np.array(pairs)


def figures(scale: TrustScale, frames: Floats, cycle: Cycle) -> tuple[float, ...]:
    """Mean distance ratio, mean cycle ratio and share on the data of the inner frames."""
    trust = trust_of(scale, frames[1:-1], cycle=cycle)
    assert trust.cycle is not None
    means = trust.distance.mean(), trust.cycle.mean(), (trust.verdict == ON_DATA).mean()
    return tuple(float(mean) for mean in means)


def summarise(kind: str, found: Sequence[tuple[float, ...]]) -> Row:
    """Mean, median and standard error over pairs of every figure."""
    row: Row = {"kind": kind, "n_pairs": len(found)}
    for (name, _, _), column in zip(FIGURES, np.array(found).T, strict=True):
        error = column.std(ddof=1) / len(column) ** 0.5 if len(column) > 1 else float("nan")
        row |= {name: column.mean(), f"{name}_median": np.median(column)}
        row[f"{name}_standard_error"] = error
    return {key: value if isinstance(value, str | int) else float(value)
            for key, value in row.items()}  # fmt: skip


def bar_is_met(rows: Sequence[Row]) -> bool:
    """Along the data is better than both others in the mean of every figure."""
    *others, along = rows
    return all(
        (along[name] > other[name]) == is_more_better
        for name, _, is_more_better in FIGURES
        for other in others
    )


def measure(args: argparse.Namespace) -> list[Row]:
    """One row per kind of path, along the data last."""
    checkpoint = load_checkpoint(args.checkpoint)
    codes, cycle = checkpoint.codes, model_cycle(checkpoint.model)
    walked, judging = halves(codes, args.seed)
    among, scale = codes.mean[walked], calibrate_trust(codes.mean[judging], cycle, seed=args.seed)
    graph = path_graph(among, args.neighbours, power=args.power)
    labels = None if codes.labels is None else codes.labels[walked]
    pairs = draw_pairs(labels, len(among), args.pairs, args.seed)
    kinds: dict[str, Callable[[int, int], Floats]] = {
        "straight": lambda a, b: straight(among[a], among[b], args.frames),
        "spherical": lambda a, b: spherical(among[a], among[b], args.frames),
        "along the data": lambda a, b: (
            along_data(among, (a, b), graph=graph, n=args.frames, n_smooth=args.smooth).frames
        ),
    }
    return [
        summarise(kind, [figures(scale, path(int(a), int(b)), cycle) for a, b in pairs])
        for kind, path in kinds.items()
    ]


def table(rows: Sequence[Row]) -> str:
    """Mean ± standard error (median) per kind and figure."""
    head = f"{'path':16}" + "".join(f"{short:>26}" for _, short, _ in FIGURES)
    lines = [head]
    for row in rows:
        cells = (
            f"{row[n]:.3f} ± {row[f'{n}_standard_error']:.3f} ({row[f'{n}_median']:.3f})"
            for n, _, _ in FIGURES
        )
        lines.append(f"{row['kind']:16}" + "".join(f"{cell:>26}" for cell in cells))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "checkpoints" / "mnist")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--neighbours", type=int, default=10, help="links per code")
    parser.add_argument("--power", type=float, default=2.0, help="a link of length d costs d^power")
    parser.add_argument("--smooth", type=int, default=1, help="rounds of corner cutting")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT, help="'-' writes nothing")
    args = parser.parse_args()
    rows = measure(args)
    sys.stdout.write(table(rows) + f"bar met: {'yes' if bar_is_met(rows) else 'no'}\n")
    options = ("frames", "neighbours", "power", "smooth", "seed")
    result = {
        "checkpoint": args.checkpoint.name,
        **{name: getattr(args, name) for name in options},
        "rows": rows,
        "bar_met": bar_is_met(rows),
        "machine": machine_facts(),
    }
    if str(args.out) != "-":
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
