"""Mapping all images of a model: a process of its own, which outlives the visit that began it.

A process, because arranging takes minutes of all of Python and sets the number of threads for
everything beside it; and since it ends when its progress finds no reader, none is left over.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final, Literal

from vae_core.mapping import staging_folder

ROOT = Path(__file__).resolve().parents[2]
State = Literal["running", "done", "failed", "cancelled"]
# A polite request is noticed between two steps; while code is compiled there are none.
PATIENCE_SECONDS: Final = 4.0


class MapJob:
    """One run of the verb `map`; read `state`, `text`, `share` and `problem` at any time."""

    def __init__(self, command: list[str], *, folder: Path) -> None:
        self.folder = folder
        self.state: State = "running"
        self.share = 0.0
        self.text = "Starting"
        self.problem = ""
        self._is_unwanted = False
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "vae_core", *command, "--progress-lines"],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, encoding="utf-8",
        )  # fmt: skip
        threading.Thread(target=self._follow, daemon=True).start()

    def cancel(self) -> None:
        """Ask it to stop, and see to it; returns at once."""
        self._is_unwanted = True
        self.text = "Stopping"
        threading.Thread(target=self._stop, daemon=True).start()

    def _stop(self) -> None:
        for send in (self._process.terminate, self._process.terminate, self._process.kill):
            send()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE_SECONDS)
                return

    def _follow(self) -> None:
        """Read what it says until it ends."""
        last = ""
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                told = _json(line)
                if told is not None and "share" in told and not self._is_unwanted:
                    self.share, self.text = float(told["share"]), _words(told)
                elif told is None and line.strip():
                    last = line.strip()
        code = self._process.wait()
        shutil.rmtree(staging_folder(self.folder, process=self._process.pid), ignore_errors=True)
        if code == 0:
            self.share, self.state = 1.0, "done"
        elif self._is_unwanted:
            self.state = "cancelled"
        else:
            self.problem = last or f"Mapping ended with code {code}; run the command by hand."
            self.state = "failed"


class MapJobs:
    """All runs of this server by their folder; one at a time, since each takes all it can get."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[Path, MapJob] = {}

    def get(self, folder: Path) -> MapJob | None:
        """The last run into this folder."""
        return self._jobs.get(folder)

    @property
    def is_busy(self) -> bool:
        """Whether one is running."""
        return any(job.state == "running" for job in list(self._jobs.values()))

    def start(self, command: list[str], *, folder: Path) -> None:
        """Begin a run unless one is under way."""
        with self._lock:
            if not self.is_busy:
                self._jobs[folder] = MapJob(command, folder=folder)

    def forget(self, folder: Path) -> None:
        """Leave out a run that ended."""
        job = self._jobs.get(folder)
        if job is not None and job.state != "running":
            del self._jobs[folder]


def _json(line: str) -> dict[str, Any] | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _words(told: dict[str, Any]) -> str:
    stage = str(told["stage"]).capitalize()
    text = f"{stage} · {told['done']:,} of {told['total']:,}" if told["total"] > 1 else stage
    return f"{text} · {duration(float(told['seconds_left']))} left"


def duration(seconds: float) -> str:
    """A rough time in words."""
    if seconds < 50:
        return f"about {max(5, 5 * round(seconds / 5))} seconds"
    minutes = max(1, round(seconds / 60))
    return f"about {minutes} minute{'s' * (minutes > 1)}"
