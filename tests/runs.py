"""Runs for tests of pages: made in this process, so that nobody waits for another torch."""

from __future__ import annotations

from pathlib import Path

from vae_core.cli import main
from vae_core.runs.queue import join_queue
from vae_core.runs.record import End, Record, begin_anew, write_end, write_record

# So few images that there is no UMAP to be compiled.
TINY = "train --data digits --images 15 --latent 2 --preset mlp --epochs 3 --device cpu --watch"


def finished_run(runs: Path, name: str, *, title: str) -> Path:
    """The folder of a run below `runs` that trained for three epochs and is done."""
    folder = runs / name
    folder.mkdir(parents=True)
    arguments = (*TINY.split(), "--out", str(folder), "--title", title)
    write_record(folder, Record(arguments, title, "cpu"))
    join_queue(runs, name, device="cpu").leave()
    begin_anew(folder)
    write_end(folder, End(main(arguments), ""))
    return folder
