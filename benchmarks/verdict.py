"""Foreign pictures caught by the verdict of MNIST models, and what it costs in false alarms.

    python benchmarks/verdict.py checkpoints/mnist checkpoints/mnist-ae …

1,000 MNIST test images that no calibration has seen, 1,000 of Omniglot in both polarities (its
files are dark ink on white, MNIST is white on black) and 1,000 of CIFAR-10 greyed and shrunk. The
score was chosen with the model `mnist` on the 2,000 Omniglot images that `permutation(seed 0)`
puts first; the other 720 are also reported alone. Writes benchmarks/results/verdict.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from vae_core.apply.verdict import scale_of, verdict  # noqa: E402
from vae_core.checkpoint import Checkpoint, load_checkpoint  # noqa: E402
from vae_core.data.catalogue import load_images  # noqa: E402

N_EACH, N_LOOKED_AT = 1_000, 2_000
Images = NDArray[np.uint8]


def parts_of(data: Path) -> dict[str, Images]:
    """The foreign pictures, by name."""
    omniglot = load_images(data / "omniglot-small1.zip", size=28, channels=1).images
    order = np.random.default_rng(0).permutation(len(omniglot))
    cifar = load_images(data / "cifar10-5k.zip", size=28, channels=1).images
    # The last ones first: all that were never looked at are among them.
    unseen, reported = omniglot[order[N_LOOKED_AT:]], omniglot[order[::-1][:N_EACH]]
    rows = np.random.default_rng(1).permutation(len(cifar))[:N_EACH]
    return {
        "omniglot, white on black as MNIST": 255 - reported,
        "of these never looked at": 255 - unseen,
        "omniglot, dark on white as filed": reported,
        "cifar-10, greyed": cifar[rows],
    }


def fresh_digits(checkpoint: Checkpoint) -> Images:
    """MNIST test images outside the calibration."""
    assert checkpoint.calibration is not None
    test = load_images("mnist").subset("test")
    rows = np.flatnonzero(~np.isin(test.ids, checkpoint.calibration.ids))
    return test.images[np.random.default_rng(2).permutation(rows)[:N_EACH]]


def rates(checkpoint: Checkpoint, images: Images) -> dict[str, float]:
    """Shares of the pictures that are called at least unusual, and foreign."""
    levels = [v.level for v in verdict(checkpoint, images, scale=scale_of(checkpoint))]
    foreign = levels.count("foreign") / len(levels)
    return {"n": len(levels), "unusual or more": foreign + levels.count("unusual") / len(levels),
            "not this kind": foreign}  # fmt: skip


def main() -> None:
    """Judge all sets with each model, print and write the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, nargs="+")
    default = os.environ.get("VAE_DATA_DIR", ROOT.parent / "shared" / "data")
    parser.add_argument("--data-dir", type=Path, default=Path(default))
    args = parser.parse_args()
    foreign, rows = parts_of(args.data_dir), list[dict[str, Any]]()
    for path in args.checkpoint:
        checkpoint = load_checkpoint(path)
        for name, images in {"mnist, fresh": fresh_digits(checkpoint), **foreign}.items():
            rows.append({"checkpoint": path.name, "images": name, **rates(checkpoint, images)})
            print(rows[-1], flush=True)
    promise = {"unusual or more": 0.05, "not this kind": 0.005}
    result = {"rows": rows, "promised_false_alarms": promise, "machine": machine_facts()}
    out = ROOT / "benchmarks" / "results" / "verdict.json"
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
