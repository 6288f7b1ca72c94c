"""Frames per second under the hand: panning, decoding under the pointer, sliders; hover latency.

The moves are made inside the page, one per animation frame, so that the browser's driver does not
limit them. Requests and websocket messages sent meanwhile are counted: there should be none.

Usage: python benchmarks/map_frames.py [--seconds 4]
Writes benchmarks/results/map_frames.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from tests.browser.driving import map_of  # noqa: E402
from tests.browser.server import RunningApp, chromium, running_app  # noqa: E402

SIZES = (10_000, 70_000, 150_000, 1_000_000)
# Repeats the map's points with noise until there are n, then pans and zooms for some seconds.
_PAN = """
async ([n, seconds]) => {
  const chart = document.querySelector("[data-testid=latent-map]").lxChart;
  const real = (window.__real ??= { xy: chart.xy, colour: chart.colouring.colour });
  const xy = new Float32Array(2 * n), values = new Uint8Array(n), n_real = real.xy.length / 2;
  const noise = () => 0.4 * (Math.random() + Math.random() + Math.random() - 1.5);
  for (let i = 0; i < n; i++) {
    const row = i % n_real, far = i < n_real ? 0 : 1;
    for (const axis of [0, 1]) xy[2 * i + axis] = real.xy[2 * row + axis] + far * noise();
    values[i] = real.colour.values[row];
  }
  const colour = { ...real.colour, values }, projection = { id: `made ${n}` };
  await chart.draw({ xy, colour, projection, backdrop: null, look: chart.look });
  const costs = [], began = performance.now();
  let now = began;
  for (let k = 0; now - began < 1000 * seconds; k++) {
    chart.panBy(4 * Math.cos(k / 20), 4 * Math.sin(k / 20));
    if (k % 3 === 0) chart.zoomAt(300, 300, 1 + 0.01 * Math.sin(k / 30));
    now = await new Promise(requestAnimationFrame);
    costs.push(Number(chart.canvas.dataset.ms));
  }
  costs.sort((a, b) => a - b);
  const [p50, p95] = [0.5, 0.95].map((share) => costs[Math.floor(share * costs.length)]);
  return { frames_per_second: 1000 * costs.length / (now - began),
           kind: chart.canvas.dataset.kind, paint_p50_ms: p50, paint_p95_ms: p95 };
}
"""
_POINTER = """
async (seconds) => {
  const map = document.querySelector("[data-testid=latent-map]");
  const box = map.getBoundingClientRect();
  const canvas = document.querySelector("[data-testid=decoded-image]");
  document.querySelector("[data-testid=decode-under-pointer]").click();
  const before = Number(canvas.dataset.painted), began = performance.now();
  let now = began, frames = 0;
  for (; now - began < 1000 * seconds; frames++) {
    const at = { clientX: box.x + box.width * (0.5 + 0.35 * Math.cos(frames / 40)),
                 clientY: box.y + box.height * (0.5 + 0.35 * Math.sin(frames / 31)) };
    map.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, isPrimary: true, ...at }));
    now = await new Promise(requestAnimationFrame);
  }
  document.querySelector("[data-testid=decode-under-pointer]").click();
  const painted = Number(canvas.dataset.painted) - before;
  const took = (now - began) / 1000;
  return { pictures_per_second: painted / took, frames_per_second: frames / took };
}
"""
_HOVER = """
async (n) => {
  const map = document.querySelector("[data-testid=latent-map]");
  const box = map.getBoundingClientRect();
  const thumb = document.querySelector("[data-testid=hover-card] canvas");
  const { xy, view } = map.lxChart, times = [];
  const frame = () => new Promise(requestAnimationFrame);
  const move = (x, y) => map.dispatchEvent(new PointerEvent("pointermove",
    { bubbles: true, isPrimary: true, clientX: box.x + x, clientY: box.y + y }));
  for (let i = 0; times.length < n && i < 20 * n; i++) {
    const row = (i * 7919) % (xy.length / 2), [x, y] = view.toPixel(xy[2 * row], xy[2 * row + 1]);
    if (x < 5 || y < 70 || x > box.width - 5 || y > box.height - 5) continue;
    move(-50, -50);
    await frame(); await frame();
    const painted = thumb.dataset.painted, began = performance.now();
    move(x, y);
    while (thumb.dataset.painted === painted && performance.now() - began < 2000) await frame();
    await frame();
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  const [p50, p95] = [0.5, 0.95].map((share) => times[Math.floor(share * times.length)]);
  return { p50_ms: p50, p95_ms: p95, n: times.length };
}
"""
_SLIDER = """
async (seconds) => {
  const input = document.querySelector("[data-testid=latent-slider-0]");
  const canvas = document.querySelector("[data-testid=decoded-image]");
  const low = Number(input.min), high = Number(input.max);
  const before = Number(canvas.dataset.painted), began = performance.now();
  let now = began, k = 0;
  for (; now - began < 1000 * seconds; k++) {
    input.value = low + (high - low) * (0.5 + 0.45 * Math.sin(k / 25));
    input.dispatchEvent(new Event("input", { bubbles: true }));
    now = await new Promise(requestAnimationFrame);
  }
  const painted = Number(canvas.dataset.painted) - before;
  return { pictures_per_second: 1000 * painted / (now - began) };
}
"""


class Traffic:
    """Counts what a page sends to the server."""

    def __init__(self, page: Page) -> None:
        self.n = 0
        page.on("request", lambda _: self.more())
        page.on("websocket", lambda socket: socket.on("framesent", lambda _: self.more()))

    def more(self) -> None:
        self.n += 1

    def during(self, page: Page, script: str, argument: Any) -> dict[str, Any]:
        """What the script returns, and how many messages went out while it ran."""
        page.wait_for_timeout(1500)
        before = self.n
        found = dict(page.evaluate(script, argument))
        return found | {"sent_to_the_server": self.n - before}


def measure(app: RunningApp, browser: Browser, model: str, *, seconds: float) -> dict[str, Any]:
    """All figures of one model."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(90_000)
    traffic, result = Traffic(page), {}
    page.goto(f"{app.url}/explore?model={model}")
    map_of(page)
    page.wait_for_timeout(3000)
    result["hover_to_painted"] = traffic.during(page, _HOVER, 60)
    result["decode_under_the_pointer"] = traffic.during(page, _POINTER, seconds)
    for n in SIZES:
        result[f"pan_and_zoom_{n}"] = traffic.during(page, _PAN, [n, seconds])
    page.goto(f"{app.url}/walk?model={model}")
    page.locator("[data-testid=latent-walk][data-ready=true]").wait_for()
    page.wait_for_timeout(3000)
    # The code goes to Python 250 ms after the last move, not while the slider moves.
    result["slider"] = traffic.during(page, _SLIDER, seconds)
    page.close()
    return result


def main() -> None:
    """Measure both shipped sizes, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    args = parser.parse_args()
    result: dict[str, Any] = {}
    with chromium() as browser, running_app(ROOT / "checkpoints") as app:
        for size, model in (("28x28", "mnist"), ("64x64", "faces")):
            result[size] = measure(app, browser, model, seconds=args.seconds)
    result["machine"] = machine_facts()
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    target = ROOT / "benchmarks" / "results" / "map_frames.json"
    target.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
