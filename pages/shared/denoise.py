"""Denoise: take noise out of the picture in several ways, side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, models, show
from pages.shared.compress import PCA_IMAGES
from pages.shared.reconstruct import Item
from pages.shared.search_job import Search, SearchJob, show_job, start_job
from vae_core.apply.denoise import (
    PCA_COMPONENTS,
    Denoised,
    Noise,
    PrincipalAxes,
    add_noise,
    denoise_by_encoder,
    denoise_by_search,
    trained_noise,
)
from vae_core.apply.search import Progress
from vae_core.checkpoint import Checkpoint
from vae_core.evaluate.quality import image_quality
from vae_core.objectives.denoising import CORRUPTIONS

Floats = NDArray[np.float32]
_JOB = "denoise_job"


@dataclass(frozen=True)
class Task:
    """A noisy picture float `[C,H,W]`, its noise, and the clean one where it is known."""

    noisy: Floats
    noise: Noise
    clean: Floats | None
    name: str


@st.fragment
def section(checkpoint: Checkpoint, item: Item, items: list[Item]) -> None:  # noqa: ARG001
    """Controls, the ways that take no time at once, and the search when asked for."""
    task = _task(checkpoint, item)
    is_wanted = st.button(
        "Search for the clean picture", type="primary", icon=":material/auto_fix_high:",
        key="denoise_start", help="Looks for codes whose pictures explain what is seen, noise "
        "included, and shows their average.",
    )  # fmt: skip
    if is_wanted:
        start_job(_JOB, _search(task, checkpoint), subject=task.name)
    ways = _quick_ways(checkpoint, task)
    job: SearchJob[str, Denoised] | None = show_job(_JOB)
    if job is not None and job.result is not None and job.subject == task.name:
        ways.append((job.result.image, "posterior search"))
    _show(task, ways)


def _task(checkpoint: Checkpoint, item: Item) -> Task:
    left, middle, right = st.columns([4, 3, 2], vertical_alignment="bottom")
    kind = left.segmented_control(
        "Noise", CORRUPTIONS, default=CORRUPTIONS[0], required=True, key="denoise_kind"
    )
    words = "Standard deviation" if kind == "gaussian" else "Share of the pixels"
    amount = middle.slider(words, 0.05, 0.95, 0.5, 0.05, key="denoise_amount")
    seed = right.number_input("Seed", 0, 2**31, 0, key="denoise_seed")
    is_noisy = st.toggle(
        "The picture is noisy already", key="denoise_is_noisy",
        help="Then nothing is added, and the choices above say what noise it has.",
    )  # fmt: skip
    noise = Noise(str(kind), float(amount))
    given = (item.pixels / np.float32(255)).astype(np.float32)
    noisy = given if is_noisy else add_noise(given, noise, seed=int(seed))
    digest = hashlib.sha256(item.pixels.tobytes()).hexdigest()[:16]
    name = f"{checkpoint.key} {digest} {noise} {int(seed)} {is_noisy}"
    return Task(noisy, noise, None if is_noisy else given, name)


def _search(task: Task, checkpoint: Checkpoint) -> Search[Denoised]:
    anchors = cache.anchors(checkpoint)

    def search(progress: Progress, cancelled: Callable[[], bool]) -> Denoised:
        return denoise_by_search(
            checkpoint, task.noisy, task.noise, anchors=anchors,
            progress=progress, cancelled=cancelled,
        )  # fmt: skip

    return search


def _quick_ways(checkpoint: Checkpoint, task: Task) -> list[tuple[Floats, str]]:
    """PCA where the originals are at hand, this model's encoder, and models trained to denoise."""
    ways: list[tuple[Floats, str]] = []
    # The rows that Compress takes, too: one fit serves both.
    rows = tuple(sorted(cache.sample_rows(checkpoint, n=PCA_IMAGES, seed=1)))
    coder = cache.pca_coder(checkpoint, rows)
    if coder is not None:
        axes = PrincipalAxes(coder.mean, coder.components[:PCA_COMPONENTS])
        ways.append((axes.denoise(task.noisy), f"PCA, {len(axes.axes)} axes"))
    own = "its encoder, trained to denoise" if trained_noise(checkpoint.card) else "its encoder"
    ways.append((denoise_by_encoder(checkpoint, task.noisy).image, own))
    others = _denoisers(checkpoint)
    ways += [(denoise_by_encoder(other, task.noisy).image, other.name) for other in others]
    return ways


def _denoisers(checkpoint: Checkpoint) -> list[Checkpoint]:
    """Other models of the same data and size that were trained to take noise out."""
    names = [
        item.path.name
        for item in models.listed_checkpoints()
        if item.card is not None
        and item.path.name != checkpoint.name
        and trained_noise(item.card) is not None
        and item.card["data"]["source"] == checkpoint.card["data"]["source"]
        and item.card["model"]["spec"] == checkpoint.card["model"]["spec"]
    ]
    opened = [cache.open_checkpoint(name) for name in names]
    return [found for found in opened if found is not None]


def _show(task: Task, ways: list[tuple[Floats, str]]) -> None:
    shown = [(task.noisy, "noisy"), *ways]
    pictures = [(x, f"{name}{_quality(task.clean, x)}") for x, name in shown]
    if task.clean is not None:
        pictures.insert(0, (task.clean, "clean"))
    show.pictures(pictures, width=170, testids=("denoised",) * len(pictures))
    st.caption(
        "The encoder of a model that never saw noise is misled by it; the search asks the decoder "
        "alone and knows what the noise does."
        + (" PSNR in dB and SSIM compare with the clean picture." if task.clean is not None else "")
    )


def _quality(clean: Floats | None, x: Floats) -> str:
    if clean is None:
        return ""
    found = image_quality(clean[None], x[None])
    return f" · {found.psnr[0]:.1f} dB · SSIM {found.ssim[0]:.2f}"
