"""400 grey 64×64 faces in a folder, two minutes of training, held-out reconstruction.

Runs the command line a visitor would run, in its own process, and prints what came out.
Usage: python benchmarks/folder_two_minutes.py [--minutes 2]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.machine import machine_facts  # noqa: E402  (the project root comes first)
from vae_core.data.faces import render_faces  # noqa: E402
from vae_core.grid import to_picture  # noqa: E402

# Far from the ids any shipped model was trained on.
FIRST_ID, N_FACES = 500_000, 400
LUMA = np.array([0.299, 0.587, 0.114])[None, :, None, None]


def write_faces(folder: Path) -> None:
    """400 procedural faces as grey PNG files."""
    faces = render_faces(np.arange(FIRST_ID, FIRST_ID + N_FACES))
    grey = (faces * LUMA).sum(1, keepdims=True).astype(np.uint8)
    for index, face in enumerate(grey):
        to_picture(face).save(folder / f"{index:03}.png")


def main() -> None:
    """Train, evaluate, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name:
        faces, out = Path(name) / "faces", Path(name) / "model"
        faces.mkdir()
        write_faces(faces)
        command = ["train", "--data", faces, "--out", out, "--minutes", minutes, "--json"]
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "vae_core", *map(str, command)],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        result = json.loads(done.stdout)
        result |= {"minutes": minutes, "wall_seconds": time.monotonic() - began}
        result |= {"has_map": (out / "map.npz").is_file(), "machine": machine_facts()}
    result.pop("checkpoint")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    target = ROOT / "benchmarks" / "results" / "folder_two_minutes.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
