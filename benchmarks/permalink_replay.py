"""Does a link give a colleague identical pixels? 200 random actions, each tenth one replayed.

Slider drags, key nudges, random codes, undo and redo, the plane, stops of paths, clicks on the map
and the ways between the pages. A replay opens the address bar's link, and on Walk the permalink of
Export too, in a fresh tab and compares the decoded picture (`toDataURL`) with the one left behind.
Usage: python benchmarks/permalink_replay.py [--model checkpoints/faces] [--actions 200]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from tests.browser.driving import WALK  # noqa: E402
from tests.browser.server import chromium, running_app  # noqa: E402
from tests.browser.wandering import wander  # noqa: E402

OUT = ROOT / "benchmarks" / "results" / "permalink_replay.json"
EVERY, PATIENCE_MS = 10, 60_000


def measure(model: Path, *, n_actions: int, seed: int) -> dict[str, Any]:
    """Counts of one model's wander."""
    expect.set_options(timeout=PATIENCE_MS)
    errors: list[str] = []
    with running_app(model.parent) as app, chromium() as browser:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{app.url}/walk?model={model.name}")
        page.locator(WALK).wait_for()
        began = time.monotonic()
        found = wander(page, n=n_actions, every=EVERY, seed=seed)
        seconds = time.monotonic() - began
    return {
        "model": model.name, "seed": seed, "n_actions": n_actions, "every": EVERY,
        "actions": dict(found.actions), "links_opened": dict(found.replays),
        "n_links_opened": found.replays.total(), "n_differing": len(found.differing),
        "differing": found.differing, "script_errors": errors, "seconds": round(seconds, 1),
    }  # fmt: skip


def main() -> None:
    """Run the models named, print the counts, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = [ROOT / "checkpoints" / name for name in ("faces", "mnist-2d")]
    parser.add_argument("--model", type=Path, nargs="+", default=usual)
    parser.add_argument("--actions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    runs = []
    for model in args.model:
        runs.append(measure(model.resolve(), n_actions=args.actions, seed=args.seed))
        sys.stdout.write(json.dumps(runs[-1]) + "\n")
        sys.stdout.flush()
        text = json.dumps({"runs": runs, "machine": machine_facts()}, indent=2)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
