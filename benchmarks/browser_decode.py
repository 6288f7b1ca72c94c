"""Does the browser draw what torch draws? 1,000 codes of every shipped model.

The figure is the largest pixel difference, in steps of 1/255.

Half of the codes are real ones, half draws from N(0, I); every tenth draw is six times as far out.
Usage: python benchmarks/browser_decode.py [--codes 1000]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from tests.browser.driving import Slider  # noqa: E402
from tests.browser.server import chromium, running_app  # noqa: E402
from tests.browser.test_decoder import decode_in  # noqa: E402
from vae_core.checkpoint import Checkpoint, list_checkpoints, load_checkpoint  # noqa: E402
from vae_core.examine import decode, snap  # noqa: E402

OUT = ROOT / "benchmarks" / "results" / "browser_decode.json"
BATCH = 50


def codes_of(checkpoint: Checkpoint, n: int) -> NDArray[np.float32]:
    """Real codes and draws `[n,D]`, with three decimals as they travel."""
    random, real = np.random.default_rng(0), checkpoint.codes.mean
    draws = random.standard_normal((n - n // 2, checkpoint.model.n_latent))
    draws[::10] *= 6
    rows = random.choice(len(real), n // 2, replace=len(real) < n // 2)
    return snap(np.concatenate([real[rows], draws]).astype(np.float32))


def largest_gap(page: Page, checkpoint: Checkpoint, z: NDArray[np.float32]) -> float:
    """In steps of 1/255."""
    gaps = [
        np.abs(decode_in(page, checkpoint, part) - decode(checkpoint, part)).max()
        for part in np.array_split(z, max(1, len(z) // BATCH))
    ]
    return 255 * float(max(gaps))


def main() -> None:
    """Every model in checkpoints/, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codes", type=int, default=1_000)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    rows = []
    with running_app(ROOT / "checkpoints") as app, chromium() as browser:
        for item in list_checkpoints(ROOT / "checkpoints"):
            checkpoint = load_checkpoint(item.path)
            page = browser.new_page()
            page.goto(f"{app.url}/walk?model={checkpoint.name}")
            Slider(page)
            gap = largest_gap(page, checkpoint, codes_of(checkpoint, args.codes))
            page.close()
            rows.append({"model": checkpoint.name, "n_codes": args.codes, "largest_of_255": gap})
            sys.stdout.write(f"{checkpoint.name:20} {gap:.4f}/255 over {args.codes:,} codes\n")
            sys.stdout.flush()
    result = {"models": rows, "machine": machine_facts()}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
