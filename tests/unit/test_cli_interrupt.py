"""Ctrl-C on a real process: it ends between steps, says how to go on, and can be resumed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.fixtures import ROOT, quick_maps
from vae_core.cli import STOPPED, main
from vae_core.train.state import read_note

RUN = ["train", "--data", "digits", "--latent", "2", "--preset", "mlp", "--epochs", "80"]


def stop_after_first_epoch(out: Path) -> tuple[int, str]:
    """Start the command line, press Ctrl-C once it has trained a little; exit code and stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vae_core", *RUN, "--out", str(out)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not (out / "metrics.jsonl").is_file() and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    return process.returncode, told


def test_ctrl_c_saves_says_how_to_resume_and_the_run_goes_on(tmp_path: Path) -> None:
    code, told = stop_after_first_epoch(tmp_path / "run")
    assert code == STOPPED
    assert "--resume" in told and "Traceback" not in told
    before = read_note(tmp_path / "run")["position"]
    assert before["step"] > 0 and before["epoch"] < 80
    with quick_maps():
        again = [*RUN, "--out", str(tmp_path / "run")]
        assert main([*again, "--resume"]) == 0
    assert read_note(tmp_path / "run")["position"]["epoch"] == 80
    assert (tmp_path / "run" / "card.json").is_file()
