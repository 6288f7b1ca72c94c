"""Training speed from the page against the bare command line, both alive and taking turns.

Two runs on the same 400 grey faces: one as the page starts it, its live view open in Chromium,
and one from the bare command line. While one trains the other stands still (SIGSTOP); the page's
turn has app and browser beside it, the bare one nothing. Rounds of whole runs differ by a tenth
with what else the machine does; turns of a dozen seconds see the same machine. The figure is
images seen per second of training, after a few seconds in which threads and caches settle. New
runs begin every few turns, so that the page looks as often as it does at young runs.
Usage: python benchmarks/page_in_turns.py [--turns 5] [--generations 8] [--seconds 8] [--settle 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import psutil
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.folder_two_minutes import write_faces  # noqa: E402  (the project root comes first)
from benchmarks.machine import machine_facts  # noqa: E402
from tests.browser.driving import eventually  # noqa: E402
from tests.browser.server import chromium, live_page, running_app  # noqa: E402
from vae_core.runs.store import ask, read_run, start_run  # noqa: E402

VIEW = "[data-testid=training-view][data-ready=true]"
# Longer than any measurement: the runs are ended by hand.
ENDLESS = ["--minutes", "60", "--device", "cpu"]
wait_for = partial(eventually, seconds=120)


def tree(process: psutil.Process) -> list[psutil.Process]:
    """A process and all that it started."""
    return [process, *process.children(recursive=True)]


def named(word: str) -> list[psutil.Process]:
    """Processes whose command line holds a word."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(word in part for part in process.info["cmdline"] or ())
    ]


def stand_still(processes: Iterable[psutil.Process], *, still: bool) -> None:
    """Stop processes, or let them go on."""
    for process in processes:
        try:
            process.suspend() if still else process.resume()
        except psutil.NoSuchProcess:
            continue


def seen(folder: Path) -> tuple[float, float]:
    """Images seen and seconds of training at the end of the last epoch."""
    path = folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").rstrip("\n").splitlines() if path.is_file() else []
    if not lines:
        return 0.0, 0.0
    last = json.loads(lines[-1])
    return float(last["images_seen"]), float(last["seconds"])


def speed(folder: Path, *, settle: float, seconds: float) -> float:
    """Images per second over a window of a run that goes on."""
    time.sleep(settle)
    # An epoch that was under way while the run stood still must not count.
    before = seen(folder)
    wait_for(lambda: seen(folder) != before, what="the end of an epoch")
    images, began = seen(folder)
    time.sleep(seconds)
    more, ended = seen(folder)
    return (more - images) / (ended - began)


def generation(
    page: Page,
    url: str,
    faces: Path,
    place: Path,
    browser: list[psutil.Process],
    *,
    args: argparse.Namespace,
) -> list[dict[str, float]]:
    """Some turns of a young run from the page and of a bare one, as pairs."""
    alone = place / "alone"
    command = ["train", "--data", str(faces), "--out", str(alone), *ENDLESS]
    bare = subprocess.Popen(
        [sys.executable, "-m", "vae_core", *command], cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for(lambda: seen(alone)[0] > 0, what="the bare run")
    by_hand = tree(psutil.Process(bare.pid))
    stand_still(by_hand, still=True)
    run = start_run(place / "runs", "paged", arguments=["--data", str(faces), *ENDLESS])
    page.goto(f"{url}/?only={run.folder.name}")
    page.wait_for_function(f"() => Number(document.querySelector('{VIEW}')?.dataset.step) > 0")
    sides = {
        "bare": (alone, by_hand),
        "page": (run.folder, [*named(str(run.folder)), *browser]),
    }
    stand_still(sides["page"][1], still=True)
    pairs = []
    for turn in range(args.turns):
        pair = {}
        for name in ("bare", "page") if turn % 2 else ("page", "bare"):
            folder, processes = sides[name]
            stand_still(processes, still=False)
            pair[name] = speed(folder, settle=args.settle, seconds=args.seconds)
            stand_still(processes, still=True)
        pairs.append(pair)
        sys.stdout.write(f"{pair['page']:8,.0f} {pair['bare']:8,.0f} images/s, page and bare\n")
        sys.stdout.flush()
    bare.kill()
    bare.wait()
    stand_still(sides["page"][1], still=False)
    ask(run.folder, "pause")
    wait_for(lambda: not read_run(run.folder).is_alive, what="the end of the run")
    return pairs


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5, help="pairs of turns of each two runs")
    parser.add_argument("--generations", type=int, default=8, help="pairs of runs")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a window")
    parser.add_argument("--settle", type=float, default=5.0, help="seconds before each window")
    args = parser.parse_args()
    pairs = list[dict[str, float]]()
    with tempfile.TemporaryDirectory() as name:
        faces = Path(name) / "faces"
        faces.mkdir()
        write_faces(faces)
        for number in range(args.generations):
            place = Path(name) / str(number)
            (place / "runs").mkdir(parents=True)
            script = live_page(place / "page", place / "runs")
            with running_app(
                place / "runs", command=("streamlit", "run", str(script))
            ) as app, chromium() as web:  # fmt: skip
                page = web.new_page(viewport={"width": 1440, "height": 900})
                beside = [*tree(psutil.Process(app.pid)), *named("chromium")]
                pairs += generation(page, app.url, faces, place, beside, args=args)
    ratios = [pair["page"] / pair["bare"] for pair in pairs]
    result = {
        "data": "400 grey faces",
        "pairs": pairs,
        "page_over_bare": statistics.mean(ratios),
        "standard_error": statistics.stdev(ratios) / len(ratios) ** 0.5,
        "median": statistics.median(ratios),
        "sum_over_sum": sum(p["page"] for p in pairs) / sum(p["bare"] for p in pairs),
        "settings": vars(args),
        "machine": machine_facts(),
    }
    sys.stdout.write(json.dumps({k: v for k, v in result.items() if k != "pairs"}, indent=2) + "\n")
    target = ROOT / "benchmarks" / "results" / "page_in_turns.json"
    target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
