"""A map shows a part of the images; here it is made again of all of them."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path

import streamlit as st

from pages.shared import cache, job_line, models, show, state
from pages.shared.map_job import MapJob, duration
from vae_core.checkpoint import Checkpoint
from vae_core.mapping import expected_seconds


def all_images(checkpoint: Checkpoint) -> None:
    """A quiet line where images are missing from the map, and the way to have them."""
    if len(checkpoint.codes) >= checkpoint.codes.n_total:
        return
    folder = models.folder_for_runs() / f"{checkpoint.name}-all"
    job_line.follow(folder, partial(_at_rest, checkpoint, folder), key="map_all_cancel")


def _at_rest(checkpoint: Checkpoint, folder: Path, job: MapJob | None) -> None:
    if job is not None and job.state == "failed":
        st.error(f"The map of all images was not made: {show.plain(job.problem)}")
    made = models.map_of_all(checkpoint)
    if made is not None:
        _open(made)
    elif cache.originals(checkpoint) is None:
        _explain(checkpoint, folder)
    else:
        _offer(checkpoint, folder)


def _shown(checkpoint: Checkpoint) -> str:
    codes = checkpoint.codes
    return f"The map shows {len(codes):,} of {codes.n_total:,} images"


def _offer(checkpoint: Checkpoint, folder: Path) -> None:
    n = checkpoint.codes.n_total
    has_umap = "umap" in checkpoint.maps
    needed = duration(sum(expected_seconds(n, with_umap=has_umap).values()))
    if st.button(
        f"Map all {n:,}",
        icon=":material/blur_on:",
        key="map_all",
        width="stretch",
        disabled=cache.map_jobs().is_busy,
        help=f"Encodes every image and arranges them; {needed} on one core, in the background. "
        "It becomes a model of its own; this one stays as it is.",
    ):
        cache.map_jobs().forget(folder)
        cache.map_jobs().start(_command(checkpoint, folder), folder=folder)
        st.rerun()


def _open(made: str) -> None:
    st.caption("A map of all images is ready.")
    # A callback: the model list above this line is drawn before it.
    st.button("Open it", icon=":material/map:", key="map_all_open", width="stretch",
               on_click=state.open_model, args=(made,))  # fmt: skip


def _explain(checkpoint: Checkpoint, folder: Path) -> None:
    command = shlex.join(["python", "-m", "vae_core", *_command(checkpoint, folder)])
    st.caption(
        f"{_shown(checkpoint)}; the data '{_data(checkpoint)}' are not on this "
        f"machine (or have changed). Where they are, this maps all of them: `{command}`"
    )


def _data(checkpoint: Checkpoint) -> str:
    return show.plain(show.source_name(checkpoint.card))


def _command(checkpoint: Checkpoint, folder: Path) -> list[str]:
    """Arguments of the verb that writes the same kinds of map of all images."""
    source = str(checkpoint.card["data"]["source"])
    command = ["map", _short(checkpoint.path), "--data", source, "--out", _short(folder)]
    if folder.exists():
        command.append("--overwrite")
    return command if "umap" in checkpoint.maps else [*command, "--no-umap"]


def _short(path: Path) -> str:
    """A path as it is typed in the project's folder."""
    path = path.resolve()
    return str(path.relative_to(models.ROOT)) if path.is_relative_to(models.ROOT) else str(path)
