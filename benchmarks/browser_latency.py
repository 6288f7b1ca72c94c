"""How it feels, measured in Chromium on the loopback: clicks, drags, first and second visits.

Ours and the native Streamlit way run side by side in one run, on the same model and points.
A click counts from the press of the button until the frame after the new picture is painted.
Usage: python benchmarks/browser_latency.py [--model checkpoints/faces] [--grey checkpoints/mnist]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from tests.browser.driving import Slider, map_of  # noqa: E402
from tests.browser.server import RunningApp, chromium, running_app  # noqa: E402

Figures = dict[str, float]

# Notes the press; resolves with the milliseconds until the frame after the picture changed.
_WATCH = """
(kind) => {
  window.__bench = new Promise((done) => {
    let pressed = null;
    const press = () => { pressed = performance.now(); };
    addEventListener("pointerdown", press, { capture: true, once: true });
    const finish = () => requestAnimationFrame(() => requestAnimationFrame(
      () => done(performance.now() - pressed)));
    if (kind === "ours") {
      const canvas = document.querySelector("[data-testid=decoded-image]");
      const watcher = new MutationObserver(() => {
        if (pressed !== null) { watcher.disconnect(); finish(); } });
      watcher.observe(canvas, { attributes: true, attributeFilter: ["data-painted"] });
    } else {
      const before = document.querySelector("[data-testid=stImage] img").src;
      const look = () => {
        const image = document.querySelector("[data-testid=stImage] img");
        if (pressed !== null && image && image.src !== before && image.complete) finish();
        else requestAnimationFrame(look);
      };
      look();
    }
  });
}
"""
_POINT = """
([selector, share]) => {
  const gd = document.querySelector(selector), { xaxis, yaxis } = gd._fullLayout;
  const box = gd.getBoundingClientRect();
  // The full data: in gd.data arrays may still be packed as they came.
  const trace = gd._fullData[Math.floor(share[0] * gd._fullData.length)];
  const i = Math.floor(share[1] * trace.x.length);
  const x = box.x + xaxis._offset + xaxis.d2p(trace.x[i]);
  return [x, box.y + yaxis._offset + yaxis.d2p(trace.y[i])];
}
"""


def spread(milliseconds: list[float]) -> Figures:
    """Median, 95th percentile and count."""
    ordered = sorted(milliseconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return {"p50_ms": statistics.median(ordered), "p95_ms": p95, "n": len(ordered)}


def click_ours(page: Page, *, n: int, chance: random.Random) -> Figures:
    """Clicks anywhere on the map, on points and between them."""
    times = []
    for _ in range(n):
        box = map_of(page).bounding_box()
        assert box is not None
        x = box["x"] + box["width"] * chance.uniform(0.05, 0.95)
        y = box["y"] + box["height"] * chance.uniform(0.05, 0.95)
        times.append(_timed_click(page, "ours", x, y))
    return spread(times)


def click_native(page: Page, *, n: int, chance: random.Random) -> Figures:
    """Clicks on points, the only places that answer; misses of a covered point are left out."""
    times = []
    for _ in range(n):
        share = [chance.random(), chance.random()]
        x, y = page.evaluate(_POINT, [".js-plotly-plot", share])
        try:
            times.append(_timed_click(page, "native", x, y))
        except TimeoutError:
            continue
    return spread(times)


def _timed_click(page: Page, kind: str, x: float, y: float) -> float:
    page.evaluate(_WATCH, kind)
    page.mouse.move(x, y)
    page.wait_for_timeout(150)
    page.mouse.down()
    page.mouse.up()
    limit = "Promise.race([window.__bench, new Promise((r) => setTimeout(() => r(-1), 5000))])"
    took = float(page.evaluate(limit))
    if took < 0:
        raise TimeoutError(f"no new picture within 5 s of a click at {x:.0f}, {y:.0f}")
    # Let the server's part of a click end before the next one; a quick second click would also
    # be a double click.
    page.wait_for_timeout(700)
    return took


def drag_rate(page: Page, *, seconds: float = 4.0) -> Figures:
    """Pictures painted per second while a slider is dragged, and whether the last one stays."""
    slider = Slider(page)
    canvas = page.locator("[data-testid=decoded-image]")
    slider.grab()
    before, began, turn = int(canvas.get_attribute("data-painted") or 0), time.monotonic(), 0
    while time.monotonic() - began < seconds:
        turn += 1
        slider.move(abs((turn * 0.021) % 1.8 - 0.9) + 0.05, steps=1)
    elapsed = time.monotonic() - began
    painted = int(canvas.get_attribute("data-painted") or 0) - before
    slider.move(0.77, steps=1)
    page.mouse.up()
    page.wait_for_timeout(400)
    kept = abs(slider.share - 0.77) < 0.02
    return {"frames_per_second": painted / elapsed, "moves_per_second": turn / elapsed,
            "last_value_kept": float(kept)}  # fmt: skip


def input_to_paint(page: Page, *, n: int = 60) -> Figures:
    """From an input event inside the page to the frame after the picture."""
    script = """
    async (n) => {
      const input = document.querySelector("[data-testid=latent-slider-0]"), times = [];
      const canvas = document.querySelector("[data-testid=decoded-image]");
      for (let i = 0; i < n; i++) {
        const low = Number(input.min), high = Number(input.max);
        const before = canvas.dataset.painted, began = performance.now();
        input.value = low + (high - low) * ((i * 37) % 100) / 100;
        input.dispatchEvent(new Event("input", { bubbles: true }));
        while (canvas.dataset.painted === before && performance.now() - began < 2000)
          await new Promise(requestAnimationFrame);
        times.push(performance.now() - began);
      }
      return times;
    }
    """
    return spread(page.evaluate(script, n))


def time_to_map(page: Page, url: str) -> float:
    """Milliseconds from asking for the address until the map can be clicked."""
    began = time.monotonic()
    page.goto(url)
    map_of(page)
    return 1000 * (time.monotonic() - began)


def visits(app: RunningApp, browser: Browser, model: str, *, n: int = 5) -> Figures:
    """The very first page of this server; a later visit in a new tab; a return in the same tab."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    url = f"{app.url}/explore?model={model}"
    figures = {"cold_server_ms": 0.0}
    tabs, returns = [], []
    for index in range(n + 1):
        page = context.new_page()
        took = time_to_map(page, url)
        if index == 0:
            figures["cold_server_ms"] = took
        else:
            tabs.append(took)
            returns.append(_time_to_return(page))
        page.close()
    context.close()
    figures["second_visit_new_tab_ms"] = statistics.median(tabs)
    figures["second_visit_same_tab_ms"] = statistics.median(returns)
    return figures


def _time_to_return(page: Page) -> float:
    """From the click on Explore in the menu until the map can be clicked again."""
    page.get_by_role("link", name="Walk").first.click()
    page.locator("[data-testid=latent-walk][data-ready=true]").wait_for()
    page.wait_for_timeout(500)
    began = time.monotonic()
    page.get_by_role("link", name="Explore").first.click()
    map_of(page)
    return 1000 * (time.monotonic() - began)


def walk_figures(app: RunningApp, browser: Browser, model: str) -> dict[str, Figures]:
    """Dragging on the Walk page."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{app.url}/walk?model={model}")
    page.locator("[data-testid=latent-walk][data-ready=true]").wait_for()
    page.wait_for_timeout(2500)
    figures = {"drag": drag_rate(page), "slider_to_painted": input_to_paint(page)}
    page.close()
    return figures


def native_clicks(browser: Browser, model: Path, *, fragment: bool, n: int) -> Figures:
    """The same model and points in a plain Streamlit app."""
    os.environ |= {"BENCH_CHECKPOINT": str(model.resolve()), "BENCH_FRAGMENT": str(int(fragment))}
    script = str(ROOT / "benchmarks" / "native_app.py")
    with running_app(model.parent, command=("streamlit", "run", script)) as app:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(app.url)
        page.locator(".js-plotly-plot .gl-canvas").first.wait_for()
        page.wait_for_timeout(3000)
        figures = click_native(page, n=n, chance=random.Random(0))
        page.close()
    return figures


def main() -> None:
    """Run everything once, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "checkpoints" / "faces")
    parser.add_argument("--grey", type=Path, default=ROOT / "checkpoints" / "mnist")
    parser.add_argument("--clicks", type=int, default=40)
    parser.add_argument("--out", default="browser_latency.json", help="file name in results/")
    args = parser.parse_args()
    name, grey = args.model.name, args.grey.name
    result: dict[str, Any] = {}
    with chromium() as browser:
        with running_app(args.model.parent, args.grey.parent) as app:
            result["visits"] = visits(app, browser, name)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            time_to_map(page, f"{app.url}/explore?model={name}")
            page.wait_for_timeout(2000)
            result["click_ours"] = click_ours(page, n=args.clicks, chance=random.Random(0))
            page.close()
            result["walk_64"] = walk_figures(app, browser, name)
            result["walk_28"] = walk_figures(app, browser, grey)
        for fragment in (False, True):
            figures = native_clicks(browser, args.model, fragment=fragment, n=args.clicks)
            result["click_native_fragment" if fragment else "click_native"] = figures
    # Against the quicker of the two native ways.
    medians = {key: value["p50_ms"] for key, value in result.items() if key.startswith("click_")}
    ours = medians.pop("click_ours")
    result["native_over_ours"] = min(medians.values()) / ours
    result |= {"model": name, "grey": grey, "machine": machine_facts()}
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    target = ROOT / "benchmarks" / "results" / args.out
    target.parent.mkdir(exist_ok=True)
    target.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
