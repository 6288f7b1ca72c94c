"""Few labels on MNIST: codes beside PCA and raw pixels, and suggested labels beside random ones.

    VAE_DATA_DIR=… python benchmarks/few_labels.py --checkpoint checkpoints/mnist

The images are those on the model's map (10,000 test images of MNIST, which it was not trained
on). Labels are drawn among them; accuracy is over the rest. All features get the same labels and
the same method. Part one draws equally many labels per class; part two starts without any label
and takes ten at a time, at random or as `suggest_next` says, so that classes have to be found.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import itertools

from benchmarks.machine import machine_facts
from vae_core.apply.label_accuracy import accuracy_of, feature_graphs
from vae_core.apply.labelling import (
    Labelling,
    Propagated,
    classify,
    propagate,
    suggest_next,
    typicality,
)
from vae_core.checkpoint import load_checkpoint
from vae_core.data.catalogue import find_originals
from vae_core.evaluate.features import feature_sets

Ints = NDArray[np.int64]
Row = dict[str, Any]
PER_CLASS = (1, 2, 5, 10, 20)
AT_ONCE, LABELS = 10, (20, 50, 100)
CONFIDENCES = (0.0, 0.5, 0.8, 0.95, 1.01)


def balanced(labels: Ints, per_class: int, *, draw: int) -> Labelling:
    """The same number of labels of every class."""
    given = {}
    for kind in range(int(labels.max()) + 1):
        pile = np.random.default_rng([draw, kind]).permutation(np.flatnonzero(labels == kind))
        given |= {int(row): kind for row in pile[:per_class]}
    return Labelling(tuple(map(str, range(int(labels.max()) + 1))), given)


def summary(values: Sequence[float]) -> Row:
    """Mean, spread (n − 1) and the worst draw of accuracies."""
    return {
        "accuracy": statistics.mean(values),
        "std": statistics.stdev(values),
        "worst": min(values),
        "n_draws": len(values),
    }


def by_features(
    readers: dict[str, Callable[[Labelling], Propagated]], labels: Ints, *, n_draws: int
) -> list[Row]:
    """Every reader at every number of labels per class, on the same draws."""
    rows = []
    for per_class in PER_CLASS:
        few = [balanced(labels, per_class, draw=draw) for draw in range(n_draws)]
        for name, read in readers.items():
            right = [accuracy_of(read(one), one, labels).accuracy for one in few]
            rows.append({"reader": name, "per_class": per_class, **summary(right)})
            say(rows[-1])
    return rows


def by_choice(
    graph: sparse.csr_matrix, codes: NDArray[np.float32], labels: Ints, *, n_draws: int
) -> list[Row]:
    """Suggested labels, ten at a time, beside random ones."""
    typical = typicality(codes)
    names, n = tuple(map(str, range(int(labels.max()) + 1))), len(codes)
    found: dict[tuple[str, int], list[float]] = {}
    classes: dict[tuple[str, int], list[int]] = {}
    for draw in range(n_draws):
        order = np.random.default_rng(draw).permutation(n)
        for choice in ("suggested", "random"):
            few, said = Labelling(names, {}), None
            while len(few) < max(LABELS):
                rows = order[len(few) : len(few) + AT_ONCE]
                if choice == "suggested":
                    rows = suggest_next(
                        codes, few, n=AT_ONCE, propagated=said, typical=typical, seed=draw
                    )
                few = Labelling(names, few.given | {int(row): int(labels[row]) for row in rows})
                said = propagate(graph, few)
                if len(few) in LABELS:
                    key = (choice, len(few))
                    found.setdefault(key, []).append(accuracy_of(said, few, labels).accuracy)
                    classes.setdefault(key, []).append(sum(map(bool, few.counts())))
    table = []
    for (choice, n_labels), right in found.items():
        n_classes = statistics.mean(classes[choice, n_labels])
        table.append({"choice": choice, "n_labels": n_labels, "classes_found": n_classes})
        table[-1] |= summary(right)
        say(table[-1])
    return table


def honesty(graph: sparse.csr_matrix, labels: Ints) -> list[Row]:
    """How often predictions of a stated confidence are right, at ten labels per class."""
    few = balanced(labels, 10, draw=0)
    found, rest = propagate(graph, few), few.kinds(len(labels)) < 0
    rows = []
    for low, high in itertools.pairwise(CONFIDENCES):
        inside = rest & (found.confidence >= low) & (found.confidence < high)
        right = float((found.predicted == labels)[inside].mean()) if inside.any() else None
        mean = float(found.confidence[inside].mean()) if inside.any() else None
        rows.append({"from": low, "n": int(inside.sum()), "confidence": mean, "right": right})
        say(rows[-1])
    return rows


def timing(codes: NDArray[np.float32], graph: sparse.csr_matrix, labels: Ints) -> Row:
    """Wall and processor seconds on one thread, the median of five runs of each step."""
    few = balanced(labels, 10, draw=0)
    steps: dict[str, Callable[[], object]] = {
        "graph": lambda: feature_graphs(codes),
        "propagate": lambda: propagate(graph, few),
    }
    found = {}
    for name, step in steps.items():
        wall, processor = [], []
        for _ in range(5):
            before = time.perf_counter(), time.process_time()
            step()
            wall.append(time.perf_counter() - before[0])
            processor.append(time.process_time() - before[1])
        found[name] = {
            "wall": statistics.median(wall),
            "processor": statistics.median(processor),
        }
        say({name: found[name]})
    return found


def write(path: Path, result: Row) -> None:
    """The result as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def say(row: Row) -> None:
    """One line of progress."""
    print(json.dumps(row), flush=True)


def main() -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/mnist"))
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--only-timing", action="store_true", help="renew the seconds in --out")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/few_labels.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(args.checkpoint)
    codes, find = checkpoint.codes, find_originals(checkpoint.card["data"])
    assert codes.labels is not None and find is not None, "set VAE_DATA_DIR to where the data lie"
    images = find(codes.ids)
    graphs = {"codes": feature_graphs(codes.mean)["codes"]}
    seconds = timing(codes.mean, graphs["codes"], codes.labels)
    if args.only_timing:
        known = json.loads(args.out.read_text(encoding="utf-8"))
        write(args.out, known | {"seconds": seconds, "machine_of_seconds": machine_facts()})
        return
    graphs |= feature_graphs(codes.mean, images)
    readers: dict[str, Callable[[Labelling], Propagated]] = {
        f"graph of {name}": lambda one, graph=graph: propagate(graph, one)
        for name, graph in graphs.items()
    }
    sets = feature_sets(codes.mean, images, train=np.arange(len(codes)))
    readers |= {f"linear on {name}": lambda one, x=x: classify(x, one) for name, x in sets.items()}
    result = {
        "checkpoint": args.checkpoint.name,
        "n_images": len(codes),
        "seconds": seconds,
        "per_class": by_features(readers, codes.labels, n_draws=args.draws),
        "chosen": by_choice(graphs["codes"], codes.mean, codes.labels, n_draws=args.draws),
        "confidence": honesty(graphs["codes"], codes.labels),
        "machine": machine_facts(),
    }
    write(args.out, result)


if __name__ == "__main__":
    main()
