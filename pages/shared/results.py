"""What the model made of the visitor's pictures, as files to take away."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence

import streamlit as st

from pages.shared import cache
from pages.shared.reconstruct import Item
from vae_core.checkpoint import Checkpoint
from vae_core.grid import to_picture


def take_away(checkpoint: Checkpoint, items: Sequence[Item]) -> None:
    """A table as CSV, and a zip of it with what the model saw and made of it."""
    with st.expander(f"Take away the results of {len(items)} picture{'s' * (len(items) != 1)}"):
        left, right = st.columns(2)
        left.download_button(
            "Table as CSV", lambda: table(checkpoint, items).encode(), file_name="results.csv",
            mime="text/csv", key="results_csv", on_click="ignore", width="stretch",
            icon=":material/table:",
        )  # fmt: skip
        right.download_button(
            "Pictures and table as zip", lambda: archive(checkpoint, items),
            file_name="results.zip", mime="application/zip", key="results_zip", on_click="ignore",
            width="stretch", icon=":material/folder_zip:",
        )  # fmt: skip


def table(checkpoint: Checkpoint, items: Sequence[Item]) -> str:
    """One row per picture: error, KL, their shares among held-out images, the code."""
    text = io.StringIO()
    writer = csv.writer(text)
    codes = [f"z{dim}" for dim in range(checkpoint.model.n_latent)]
    writer.writerow(
        ["number", "name", "squared_error", "error_share", "kl_nats", "kl_share", "done", *codes]
    )
    for number, item in enumerate(items, start=1):
        seen = cache.examination(checkpoint, item.pixels)
        figures = (seen.squared_error, seen.error_share, float(seen.kl_nats.sum()), seen.kl_share)
        writer.writerow(
            [number, _harmless(item.name), *(f"{value:.6g}" for value in figures),
             " → ".join(item.steps), *(f"{value:.4f}" for value in seen.mean)]
        )  # fmt: skip
    return text.getvalue()


def _harmless(name: str) -> str:
    """Spreadsheets run a cell that starts like a formula."""
    return f"'{name}" if name[:1] in ("=", "+", "-", "@", "\t", "\r") else name


def archive(checkpoint: Checkpoint, items: Sequence[Item]) -> bytes:
    """A zip: results.csv, seen/ and rebuilt/ with the table's numbers as names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as zipped:
        zipped.writestr("results.csv", table(checkpoint, items))
        for number, item in enumerate(items, start=1):
            seen = cache.examination(checkpoint, item.pixels)
            for folder, image in (("seen", seen.seen), ("rebuilt", seen.rebuilt)):
                png = io.BytesIO()
                to_picture(image).save(png, "PNG")
                zipped.writestr(f"{folder}/{number:03d}.png", png.getvalue())
    return buffer.getvalue()
