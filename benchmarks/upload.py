"""From handing over a 12-megapixel JPEG to everything on the screen, in headless Chromium.

    python benchmarks/upload.py --model checkpoints/faces --repeats 15

The clock starts when the file is given to the page's file input, and stops when the verdict, the
four pictures, the posterior, the draws, the neighbours (all images decoded) and the map with its
marks of this very file are there. Each upload is another picture, so nothing of it is remembered;
the first, which fills the model's caches, is told apart. Writes benchmarks/results/upload.json.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from tests.browser.server import RunningApp, chromium, running_app  # noqa: E402

SIZE = (4000, 3000)
BAR_SECONDS = 1.0
# Time from the file's first event to the frame in which all is there, by the page's own clock.
_WATCH = """
(name) => new Promise((done) => {
  const began = performance.now();
  const all = (selector) => [...document.querySelectorAll(selector)];
  const there = () => {
    const title = all("h3").some((node) => node.textContent.includes(name));
    const ids = ["original-image", "reconstructed-image", "difference-image", "spread-image"];
    const pictures = ids.every((id) => document.querySelector(`[data-testid=${id}] img`));
    const loaded = all(".lxs-picture img").every((img) => img.complete && img.naturalWidth > 0);
    const marks = all(".lx-mark-text").some((node) => node.textContent.startsWith(name));
    const map = document.querySelector("[data-testid=latent-map][data-ready=true]");
    const rest = ["verdict", "posterior"].every((id) => all(`[data-testid=${id}]`).length);
    const still = all("[data-stale=true]").length === 0;
    const running = document.querySelector("[data-testid=stStatusWidget]");
    return title && pictures && loaded && marks && map && rest && still && !running;
  };
  const look = () => there() ? done(performance.now() - began) : requestAnimationFrame(look);
  look();
})
"""


def photo(seed: int) -> bytes:
    """A 12-megapixel JPEG with detail of all sizes."""
    small = np.random.default_rng(seed).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    coarse = Image.fromarray(small[::75, ::100]).resize((400, 300), Image.Resampling.BICUBIC)
    mixed = Image.blend(coarse, Image.fromarray(small), 0.3)
    stream = io.BytesIO()
    mixed.resize(SIZE, Image.Resampling.BILINEAR).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def one_upload(page: Page, folder: Path, number: int) -> float:
    """Seconds for one file; the one before is taken away first."""
    path = folder / f"photo-{number:02d}.jpg"
    path.write_bytes(photo(number))
    delete = page.get_by_role("button", name="Remove photo-")
    if delete.count():
        delete.first.click()
        page.locator("h3", has_text="photo-").wait_for(state="detached")
        page.wait_for_timeout(1_500)
    page.locator("[data-testid=upload] input[type=file]").wait_for(state="attached")
    page.evaluate(f"(name) => {{ window.watched = ({_WATCH})(name) }}", path.name)
    began = time.perf_counter()
    page.locator("[data-testid=upload] input[type=file]").set_input_files(path)
    page.evaluate("() => window.watched")
    return time.perf_counter() - began


def cpu_seconds(pid: int) -> float:
    """Processor time the server has used: what a busy machine does not stretch."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(app: RunningApp, model: str, repeats: int) -> dict[str, Any]:
    """One visitor, many uploads."""
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(f"{app.url}/reconstruct?model={model}")
        page.get_by_test_id("original-image").wait_for()
        page.wait_for_timeout(3_000)
        first = one_upload(page, Path(folder), 0)
        before = cpu_seconds(app.pid)
        rest = [one_upload(page, Path(folder), n + 1) for n in range(repeats)]
        used = (cpu_seconds(app.pid) - before) / repeats
    rest.sort()
    return {
        "model": model, "uploads": len(rest), "first_seconds": first,
        "p50_seconds": statistics.median(rest), "p95_seconds": rest[int(0.95 * len(rest))],
        "least_seconds": rest[0], "server_cpu_seconds_with_removal": used,
        "bar_p50_seconds": BAR_SECONDS,
    }  # fmt: skip


def main() -> None:
    """Measure each model, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, nargs="+", default=[ROOT / "checkpoints" / "faces"])
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    rows = []
    with running_app(args.model[0].parent) as app:
        for path in args.model:
            rows.append(measure(app, path.name, args.repeats))
            print(rows[-1], flush=True)
    out = ROOT / "benchmarks" / "results" / "upload.json"
    out.write_text(json.dumps({"rows": rows, "machine": machine_facts()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
