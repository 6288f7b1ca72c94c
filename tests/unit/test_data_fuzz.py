"""Over 2,000 damaged pictures: each is refused in a sentence or prepared, quickly and in bounds.

They run in a process of its own with a limit on its memory: what a decoder in C does to a process
no `except` can see.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures import ROOT
from tests.unit.fuzzing import N_FILES

TIME_LIMIT_SECONDS = 300


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    folder = tmp_path_factory.mktemp("empty")
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.fuzzing", str(folder)], cwd=ROOT,
        capture_output=True, text=True, timeout=TIME_LIMIT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr[-2_000:]}"
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    found["written"] = len(list(Path(folder).rglob("*")))
    return found


def test_no_damaged_file_crashes_the_process_or_escapes_as_another_error(
    outcome: dict[str, float],
) -> None:
    assert outcome["escaped"] == 0
    assert outcome["refused"] + outcome["prepared"] == outcome["files"] == N_FILES >= 2_000


def test_damage_of_all_kinds_was_met(outcome: dict[str, float]) -> None:
    # Mutations that all fail at the first byte would prove little.
    assert outcome["refused"] > 500
    assert outcome["prepared"] > 200


def test_none_hangs(outcome: dict[str, float]) -> None:
    assert outcome["slowest_cpu_seconds"] < 2


def test_memory_stays_bounded(outcome: dict[str, float]) -> None:
    assert outcome["grown_mb"] < 300


def test_nothing_is_written_anywhere(outcome: dict[str, float]) -> None:
    assert outcome["written"] == outcome["opened_for_writing"] == 0
