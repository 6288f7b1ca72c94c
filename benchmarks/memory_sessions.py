"""Does the server give back what visitors took? Memory after each of 20 sessions.

One session: open Explore, click five spots, walk with three drags, reconstruct a sample, leave.
Usage: python benchmarks/memory_sessions.py [--model checkpoints/faces] [--sessions 20]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from tests.browser.driving import Slider, click_map, map_of, places_on  # noqa: E402
from tests.browser.server import RunningApp, chromium, running_app  # noqa: E402

SETTLED_AFTER, BAR = 5, 0.10


def visit(app: RunningApp, browser: Browser, model: str) -> None:
    """One person comes, looks around and leaves."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{app.url}/explore?model={model}")
    places = places_on(page)
    for place in (*places.points[:4], places.empty):
        click_map(page, place)
        page.wait_for_timeout(500)
    page.get_by_role("link", name="Walk").first.click()
    slider = Slider(page)
    for share in (0.2, 0.8, 0.5):
        slider.drag(share)
        page.wait_for_timeout(400)
    page.get_by_role("link", name="Reconstruct").first.click()
    page.get_by_test_id("reconstructed-image").wait_for()
    map_of(page)
    context.close()


def memory_per_session(model: Path, *, n: int) -> list[float]:
    """Resident megabytes of the server after each session."""
    sizes: list[float] = []
    with running_app(model.parent) as app, chromium() as browser:
        pause = browser.new_page()
        for index in range(n):
            visit(app, browser, model.name)
            # Streamlit keeps a lost session for a while in case the visitor comes back.
            pause.wait_for_timeout(3000)
            sizes.append(app.memory_mb())
            sys.stdout.write(f"session {index + 1:3}  {sizes[-1]:8.1f} MB\n")
            sys.stdout.flush()
    return sizes


def main() -> None:
    """Run, print, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "checkpoints" / "faces")
    parser.add_argument("--sessions", type=int, default=20)
    args = parser.parse_args()
    sizes = memory_per_session(args.model, n=args.sessions)
    settled = sizes[min(SETTLED_AFTER, len(sizes)) - 1]
    growth = sizes[-1] / settled - 1
    result = {
        "model": args.model.name,
        "memory_mb": [round(size, 1) for size in sizes],
        "growth_after_five": growth,
        "within_bar": growth < BAR,
        "machine": machine_facts(),
    }
    sys.stdout.write(f"growth after session {SETTLED_AFTER}: {100 * growth:.1f} % (bar: 10 %)\n")
    target = ROOT / "benchmarks" / "results" / "memory_sessions.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
