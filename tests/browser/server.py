"""The app as a real process, and a real Chromium: for browser tests and benchmarks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.fixtures import ROOT

CHROMIUM = Path("/usr/bin/chromium")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A camera that films a moving pattern, for the test of the camera.
    "--use-fake-device-for-media-stream",
)


@dataclass(frozen=True)
class RunningApp:
    """A server that answers: its address and process id."""

    url: str
    pid: int

    def healthy(self) -> bool:
        """Whether the health endpoint says ok."""
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as answer:
                return bool(answer.read() == b"ok")
        except (urllib.error.URLError, OSError):
            return False

    def memory_mb(self) -> float:
        """Resident memory of the server process."""
        status = Path(f"/proc/{self.pid}/status").read_text("utf-8")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


def free_port() -> int:
    """A port of the loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_app(
    *folders: Path,
    command: Sequence[str] = ("streamlit", "run", "app.py"),
    arguments: Sequence[str] = (),
    patience_seconds: float = 60,
) -> Iterator[RunningApp]:
    """`streamlit run app.py` with these checkpoint folders; stopped at the end."""
    port = free_port()
    options = ["--server.port", str(port), "--server.headless", "true", *arguments]
    environment = {**os.environ, "VAE_CHECKPOINTS": os.pathsep.join(map(str, folders))}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, *options],
            cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        app = RunningApp(f"http://127.0.0.1:{port}", process.pid)
        try:
            until = time.monotonic() + patience_seconds
            while not app.healthy():
                if process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    raise RuntimeError(f"The server did not start: {log.read().decode()}")
                time.sleep(0.1)
            yield app
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def live_page(folder: Path, runs: Path) -> Path:
    """A script in `folder` that shows the runs of a folder and nothing else: `?only=` names one."""
    folder.mkdir(parents=True)
    # Streamlit serves the files beside the script it was started with.
    (folder / "static").symlink_to(ROOT / "static")
    script = folder / "live.py"
    script.write_text(
        "from pathlib import Path\n\nimport streamlit as st\n\n"
        "from pages.shared import memory, train_live\n\n"
        "st.set_page_config(layout='wide')\n"
        f"train_live.show_runs(Path({str(runs)!r}), only=st.query_params.get('only'))\n"
        "memory.settle()\n",
        encoding="utf-8",
    )
    return script


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()
