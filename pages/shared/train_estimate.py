"""How long a run will take and how much memory: measured by the verb `estimate`, beside Start.

A process of its own, so that the memory is that of a training process and the app stays free; it
is stopped as soon as its answer is no longer wanted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from pages.shared import show

ROOT = Path(__file__).resolve().parents[2]
VERB = ("-m", "vae_core", "estimate")
_JOB = "train_estimate"
State = Literal["running", "done", "failed"]


@lru_cache(maxsize=1)
def _place() -> threading.Semaphore:
    """One measurement at a time on this server: two at once would slow each other down."""
    return threading.Semaphore(1)


class EstimateJob:
    """One measurement; read `state`, `figures` and `problem` at any time."""

    def __init__(self, arguments: tuple[str, ...]) -> None:
        self.arguments = arguments
        self.state: State = "running"
        self.figures: Mapping[str, Any] = {}
        self.problem = ""
        self._unwanted = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No longer wanted: give the processor back at once."""
        self._unwanted.set()
        if self._process is not None:
            self._process.kill()

    def _run(self) -> None:
        with _place():
            if self._unwanted.is_set():
                return
            try:
                self._process = subprocess.Popen(
                    # As the run itself will have it.
                    [sys.executable, *VERB, *self.arguments, "--share-cores", "--json"],
                    cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True, encoding="utf-8",
                )  # fmt: skip
            except OSError as error:
                self.problem = f"The measurement could not be started ({error})."
                self.state = "failed"
                return
            if self._unwanted.is_set():
                self._process.kill()
            out, said = self._process.communicate()
        try:
            self.figures = json.loads(out)
            self.state = "done"
        except ValueError:
            lines = [line for line in said.splitlines() if line.strip()]
            self.problem = lines[-1] if lines else "The measurement ended without an answer."
            self.state = "failed"


class Estimate:
    """The visitor's last measurement: a new one ends it, so that none is left at work unseen."""

    def __init__(self) -> None:
        self._job: EstimateJob | None = None

    def of(self, arguments: tuple[str, ...]) -> EstimateJob:
        """The measurement for these arguments of `train`: the last one, or a new one."""
        if self._job is None or self._job.arguments != arguments:
            self.stop()
            self._job = EstimateJob(arguments)
        return self._job

    def known_seconds(self, arguments: tuple[str, ...]) -> float | None:
        """What the run takes in all, if that has been measured already."""
        job = self._job
        if job is None or job.arguments != arguments or job.state != "done":
            return None
        return float(job.figures["seconds_total"])

    def stop(self) -> None:
        """No longer wanted."""
        if self._job is not None:
            self._job.stop()
        self._job = None


def own_estimate() -> Estimate:
    """The visitor's own: one object, since a rerun may come before each look into the session."""
    found: Estimate = st.session_state.setdefault(_JOB, Estimate())
    return found


def show_estimate(arguments: tuple[str, ...]) -> None:
    """One line that says what the run will take, as soon as it is known."""
    job = own_estimate().of(arguments)
    is_running = job.state == "running"
    st.fragment(_line, run_every="0.5s" if is_running else None)(job, is_running)


def _line(job: EstimateJob, was_running: bool) -> None:
    if was_running and job.state != "running":
        # The sweep's total is known now too, and the ticking ends.
        st.rerun()
    if job.state == "running":
        st.caption(":material/hourglass_top: Measuring how long it will take; you need not wait.")
    elif job.state == "failed":
        st.caption(f":material/info: No estimate: {show.plain(job.problem)}")
    else:
        st.caption(in_words(job.figures))


def in_words(figures: Mapping[str, Any]) -> str:
    """The measured figures in one sentence."""
    total = duration(float(figures["seconds_total"]))
    speed = float(figures["images_per_second"])
    passes = float(figures["seconds_training"]) / max(1e-9, float(figures["seconds_per_epoch"]))
    memory = float(figures["memory_bytes"]) / 1e9
    held = f", {memory:.1f} GB of memory" if memory else ""
    return (
        f":material/timer: About **{total}** in all{held}: {speed:,.0f} pictures per second, "
        f"each seen about {max(1, round(passes)):,} times, then the map."
    )


def duration(seconds: float) -> str:
    """A time as it is spoken: 45 s, 1 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{max(5, 5 * round(seconds / 5))} s"
    if seconds < 600:
        minutes, rest = divmod(10 * round(seconds / 10), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
