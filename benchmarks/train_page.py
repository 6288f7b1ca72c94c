"""From a dropped zip to an explorable map on the real Train page, in headless Chromium.

    VAE_DATA_DIR=/path/to/data python benchmarks/train_page.py [--part faces cifar restart]

faces    a zip of 400 grey 64x64 faces, all defaults: seconds from the drop to the first
         reconstructions on the screen and to a map that can be clicked; clicks counted.
cifar    cifar10-5k.zip of VAE_DATA_DIR (5,000 JPEGs in class folders): seconds from the drop to
         the first training step; the visitor presses Start as soon as it is there.
restart  the app is killed (SIGKILL) and started again ten times in mid-run: how often the run is
         found at its link, alive and further than before.

Each part is merged into benchmarks/results/train_page.json.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.folder_two_minutes import N_FACES, write_faces  # noqa: E402  (the root comes first)
from benchmarks.machine import machine_facts  # noqa: E402
from tests.browser.driving import eventually, wait_for_query  # noqa: E402
from tests.browser.server import RunningApp, chromium, running_app  # noqa: E402
from vae_core.errors import ExplorerError  # noqa: E402
from vae_core.runs.store import RunView, ask, read_run  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "train_page.json"
BARS = {
    "first_reconstructions_seconds": 20, "explorable_map_seconds": 150, "clicks": 4,
    "cifar_training_seconds": 15, "found_of_10": 10,
}  # fmt: skip
N_RESTARTS = 10
PATIENCE_SECONDS = 400.0
PAINTED = "[data-testid=training-view][data-ready=true]"


class Visitor:
    """One tab on the Train page; counts what a person has to press."""

    def __init__(self, page: Page, app: RunningApp) -> None:
        self.page, self.clicks = page, 0
        page.set_default_timeout(1000 * PATIENCE_SECONDS)
        page.goto(f"{app.url}/train")
        page.locator("input[type=file]").first.wait_for(state="attached")
        # The visit begins when the page stands still.
        page.wait_for_timeout(3_000)

    def drop(self, path: Path) -> float:
        """Give a file to the drop zone, one act like a click; returns the moment."""
        self.clicks += 1
        began = time.monotonic()
        self.page.locator("input[type=file]").first.set_input_files(path)
        return began

    def drop_and_start(self, path: Path) -> tuple[float, float]:
        """Train on a file with all defaults; the moment of the drop, and seconds to Start."""
        began = self.drop(path)
        self.click(self.page.get_by_role("button", name="Start training"))
        return began, time.monotonic() - began

    def click(self, target: Locator) -> None:
        """Press what the visitor sees, as soon as it is there."""
        target.click()
        self.clicks += 1


def faces_zip(folder: Path) -> Path:
    """400 procedural faces as grey PNG files in one zip."""
    pictures, archive = folder / "faces", folder / "faces.zip"
    pictures.mkdir()
    write_faces(pictures)
    with zipfile.ZipFile(archive, "w") as opened:
        for path in sorted(pictures.iterdir()):
            opened.write(path, path.name)
    return archive


def measure_faces(folder: Path) -> dict[str, Any]:
    """The whole way with all defaults."""
    runs, archive = folder / "runs", faces_zip(folder)
    runs.mkdir()
    with running_app(runs) as app, chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        visitor = Visitor(page, app)
        began, pressed = visitor.drop_and_start(archive)
        page.locator(PAINTED).wait_for()
        first = time.monotonic() - began
        visitor.click(page.get_by_role("button", name="Explore", exact=False).first)
        page.locator("[data-testid=latent-map][data-ready=true]").wait_for()
        found = time.monotonic() - began
    card = json.loads((runs / "faces" / "card.json").read_text("utf-8"))
    return {
        "n_faces": N_FACES, "start_pressed_seconds": pressed,
        "first_reconstructions_seconds": first, "explorable_map_seconds": found,
        "clicks": visitor.clicks, "training_seconds": card["training"]["seconds"],
        "epochs_done": card["training"]["epoch"], "psnr_db": card["metrics"]["psnr_db"],
    }  # fmt: skip


def run_of(folder: Path) -> RunView | None:
    """The run as it stands, or None before there is one."""
    try:
        return read_run(folder)
    except ExplorerError:
        return None


def share_of(folder: Path) -> float:
    """How much of its time a run has used, by what it says once a second."""
    view = run_of(folder)
    return 0.0 if view is None else view.share


def is_training(folder: Path) -> bool:
    """Whether the first steps are done, by what the run says of itself."""
    view = run_of(folder)
    return view is not None and view.images_per_second > 0


def stop(folder: Path) -> None:
    """Leave nothing at work behind."""
    ask(folder, "pause")
    eventually(lambda: (view := run_of(folder)) is None or not view.is_alive, what="the end")


def measure_cifar(folder: Path) -> dict[str, Any]:
    """From the drop to training, Start pressed as soon as it is there."""
    source = Path(os.environ["VAE_DATA_DIR"]) / "cifar10-5k.zip"
    with running_app(folder) as app, chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        visitor = Visitor(page, app)
        began, pressed = visitor.drop_and_start(source)
        run = folder / wait_for_query(page, "run")
        eventually(lambda: is_training(run), what="training", seconds=PATIENCE_SECONDS)
        found = time.monotonic() - began
        stop(run)
    return {"cifar_start_pressed_seconds": pressed, "cifar_training_seconds": found}


def measure_restart(folder: Path) -> dict[str, Any]:
    """The app killed ten times while a run is at work."""
    with running_app(folder) as app, chromium() as browser:
        page = browser.new_page()
        visitor = Visitor(page, app)
        visitor.click(page.get_by_role("radio", name="A built-in set"))
        visitor.click(page.get_by_role("radio", name="30 minutes"))
        visitor.click(page.get_by_role("button", name="Start training"))
        run = folder / wait_for_query(page, "run")
        eventually(lambda: is_training(run), what="training", seconds=PATIENCE_SECONDS)
        os.kill(app.pid, signal.SIGKILL)
    try:
        found = [is_found(folder, run) for _ in range(N_RESTARTS)]
    finally:
        # It outlives its app by design, so it would outlive this measurement too.
        stop(run)
    return {"restarts": N_RESTARTS, "found_of_10": sum(found)}


def is_found(folder: Path, run: Path) -> bool:
    """Whether a fresh app shows the run at its link, alive and further than before."""
    before = share_of(run)
    with running_app(folder) as app, chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(1000 * PATIENCE_SECONDS)
        page.goto(f"{app.url}/train?run={run.name}")
        page.get_by_role("button", name="Finish now").wait_for()
        page.locator(PAINTED).wait_for()
        eventually(lambda: share_of(run) > before, what="further", seconds=PATIENCE_SECONDS)
        os.kill(app.pid, signal.SIGKILL)
        view = run_of(run)
    return view is not None and view.status == "running"


PARTS = {"faces": measure_faces, "cifar": measure_cifar, "restart": measure_restart}


def main() -> None:
    """Measure the parts asked for, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    before = json.loads(RESULT.read_text("utf-8")) if RESULT.is_file() else {}
    for part in parser.parse_args().part:
        with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as cache:
            # Nothing packed by an earlier run may help.
            os.environ["VAE_CACHE_DIR"] = cache
            before[part] = {**PARTS[part](Path(name)), "machine": machine_facts()}
        print(part, before[part], flush=True)
        RESULT.write_text(json.dumps({**before, "bars": BARS}, indent=1) + "\n")


if __name__ == "__main__":
    main()
