"""Training speed started from the page, live view open in Chromium, against the bare command line.

Both train the same model on the same images for the same time, in turns; the figure is images
seen per second of training. Also: seconds from the start to the first reconstructions on disk
and on the screen, and whether runs outlive the process that started them.
Without --data the images are 400 grey faces, made here.
Usage: python benchmarks/page_training.py [--seconds 30] [--rounds 3] [--restarts 10]
    [--data mnist] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.folder_two_minutes import write_faces  # noqa: E402  (the project root comes first)
from benchmarks.machine import machine_facts  # noqa: E402
from tests.browser.driving import eventually  # noqa: E402
from tests.browser.server import chromium, live_page, running_app  # noqa: E402
from vae_core.runs.store import ask, list_runs, read_run, start_run  # noqa: E402
from vae_core.train.snapshots import list_snapshots  # noqa: E402

VIEW = "[data-testid=training-view][data-ready=true]"
wait_for = partial(eventually, seconds=600)


def speed_of(folder: Path) -> float:
    """Images seen per second of training."""
    position = json.loads((folder / "training" / "state.json").read_text())["position"]
    return float(position["images_seen"]) / float(position["seconds"])


def bare(data: Path | str, out: Path, *, minutes: float) -> float:
    """The command line alone."""
    command = ["train", "--data", data, "--out", out, "--minutes", minutes, "--device", "cpu"]
    subprocess.run(
        [sys.executable, "-m", "vae_core", *map(str, command)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return speed_of(out)


def paged(
    page: Page, url: str, data: Path | str, runs: Path, *, minutes: float
) -> dict[str, float]:
    """Started as the page starts it, watched until it is done."""
    arguments = ["--data", str(data), "--minutes", str(minutes)]
    began = time.monotonic()
    run = start_run(runs, "paged", arguments=arguments, device="cpu")
    page.goto(f"{url}/?only={run.folder.name}")
    wait_for(lambda: any(note.step for note in list_snapshots(run.folder)), what="a moment")
    on_disk = time.monotonic() - began
    page.wait_for_function(f"() => Number(document.querySelector('{VIEW}')?.dataset.step) > 0")
    on_screen = time.monotonic() - began
    # A look each second: looking all the time would take from the training, as nothing does bare.
    while read_run(run.folder).is_alive:
        page.wait_for_timeout(1_000)
    ready = time.monotonic() - began
    return {
        "images_per_second": speed_of(run.folder),
        "first_reconstructions_on_disk_seconds": on_disk,
        "first_reconstructions_on_screen_seconds": on_screen,
        "map_ready_seconds": ready,
    }


def survives(data: Path | str, runs: Path) -> bool:
    """Whether a run goes on, and is found, when the process that started it is killed."""
    code = (
        "import sys, time; from pathlib import Path; from vae_core.runs.store import start_run\n"
        "run = start_run(Path(sys.argv[1]), 'kept', arguments=['--data', sys.argv[2]])\n"
        "print(run.folder, flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(runs), str(data)], cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    folder = Path(process.stdout.readline().decode().strip())
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    wait_for(lambda: read_run(folder).phase == "Training", what="training")
    found = next(run for run in list_runs(runs) if run.folder == folder)
    ask(folder, "pause")
    wait_for(lambda: not read_run(folder).is_alive, what="the end")
    return found.status == "running" and read_run(folder).status == "stopped"


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument("--data", help="a set of the catalogue, or a path")
    parser.add_argument("--out", type=Path, help="the JSON to write")
    args = parser.parse_args()
    minutes, alone, watched = args.seconds / 60, list[float](), list[dict[str, float]]()
    with tempfile.TemporaryDirectory() as name:
        runs, made = Path(name) / "runs", Path(name) / "faces"
        runs.mkdir()
        if not args.data:
            made.mkdir()
            write_faces(made)
        data = args.data or made
        script = live_page(Path(name) / "page", runs)
        with running_app(runs, command=("streamlit", "run", str(script))) as app, chromium() as web:
            page = web.new_page(viewport={"width": 1440, "height": 900})
            for number in range(args.rounds):
                # The bare command line has no page beside it, not even an idle one.
                page.goto("about:blank")
                alone.append(bare(data, Path(name) / f"bare-{number}", minutes=minutes))
                watched.append(paged(page, app.url, data, runs, minutes=minutes))
        kept = sum(survives(data, runs) for _ in range(args.restarts))
    page_speed = statistics.median(one["images_per_second"] for one in watched)
    result = {
        "data": args.data or "400 grey faces",
        "seconds": args.seconds,
        "bare_images_per_second": alone,
        "page": watched,
        "speed_of_page_over_bare": page_speed / statistics.median(alone),
        "runs_that_outlived_a_kill": f"{kept} of {args.restarts}",
        "omp_threads": os.environ.get("OMP_NUM_THREADS"),
        "machine": machine_facts(),
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    own = f"_{Path(args.data).name}" if args.data else ""
    target = args.out or ROOT / "benchmarks" / "results" / f"page_training{own}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
