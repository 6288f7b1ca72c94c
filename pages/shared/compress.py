"""The section Compress: a picture as its code in a file, beside other ways to store it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from pages.shared import cache, models, show, state
from pages.shared.reconstruct import Item
from vae_core.apply.beside import Stored, stored, usual_formats
from vae_core.apply.compress import FRAME_BYTES, SUFFIX, read_header
from vae_core.checkpoint import Checkpoint
from vae_core.errors import DataError, ExplorerError
from vae_core.evaluate.rate import RatePoint

DEPTHS: Final = tuple(range(1, 11))
MAX_DECODED: Final = 200
# On faces 2,000 pictures instead of 500 gave PCA 0.1 dB more and took four times as long.
PCA_IMAGES, CURVE_IMAGES = 500, 40
_CODE, _QUIET, _COLOURS = "#4c6ef5", "rgba(128,128,140,.9)", ("#e8590c", "#2b8a3e", "#9c36b5")


def section(checkpoint: Checkpoint, item: Item, items: Sequence[Item]) -> None:
    """The picture's code at a bit depth: its bytes, its quality, its file, and what else could."""
    codec = cache.codec(checkpoint)
    n_used, n_latent = len(codec.dimensions), checkpoint.model.n_latent
    st.caption(
        f"The picture is stored as the {n_used} numbers of its code that this model uses"
        + (f" (of {n_latent})" if n_used < n_latent else "")
        + ", each rounded to a level and packed by how common that level is."
    )
    bits = st.slider(
        "Bits per dimension", min(DEPTHS), max(DEPTHS), 6, key="compress_bits",
        persist_state="session",
        help="Each dimension is stored as one of 2^bits levels between the least and the greatest "
        "value among the stored codes.",
    )  # fmt: skip
    data = cache.compressed(checkpoint, item.pixels[None], bits=bits)
    ways = _ways(checkpoint, item, data)
    _figures(ways[0], item)
    _pictures(item, ways)
    with st.expander("Quality by size", expanded=True):
        _chart(checkpoint, item, bits, ways)
    _downloads(checkpoint, items, bits, data)
    _decode_again(checkpoint)


def _ways(checkpoint: Checkpoint, item: Item, data: bytes) -> list[Stored]:
    """The code first, then what else stores the picture in as many bytes."""
    decoded = cache.codec(checkpoint).decompress(data)
    code = stored("the code", len(data), decoded.pixels[0], original=item.pixels)
    coder = cache.pca_coder(checkpoint, _some_rows(checkpoint, PCA_IMAGES))
    pca = [] if coder is None else [coder.store(item.pixels, n_bytes=len(data))]
    return [code, *pca, *usual_formats(item.pixels, n_bytes=len(data))]


def _some_rows(checkpoint: Checkpoint, n: int) -> tuple[int, ...]:
    return tuple(sorted(cache.sample_rows(checkpoint, n=n, seed=1)))


def _figures(code: Stored, item: Item) -> None:
    n_pixels = item.pixels[0].size
    left, middle, right = st.columns(3)
    left.metric("File", f"{code.n_bytes} bytes")
    left.caption(f"{code.n_bytes - FRAME_BYTES} of them the code, {FRAME_BYTES} the file's frame")
    middle.metric("Bits per pixel", f"{8 * code.n_bytes / n_pixels:.3f}")
    middle.caption(f"{8 * (code.n_bytes - FRAME_BYTES) / n_pixels:.3f} without the frame")
    right.metric("PSNR", _decibels(code.psnr_db))
    right.caption(f"{item.pixels.size / code.n_bytes:,.0f} times smaller than its raw bytes")


def _decibels(value: float) -> str:
    return "nothing lost" if math.isinf(value) else f"{value:.1f} dB"


def _pictures(item: Item, ways: Sequence[Stored]) -> None:
    raw = (item.pixels, f"the picture · {item.pixels.size:,} bytes raw")
    rest = [(w.pixels, f"{w.name} · {w.n_bytes:,} bytes · {_decibels(w.psnr_db)}") for w in ways]
    testids = ("stored-original", "stored-code", *("stored-other" for _ in ways[1:]))
    show.pictures([raw, *rest], width=150, testids=testids)
    larger = [w.name.partition(",")[0] for w in ways[1:] if w.n_bytes > ways[0].n_bytes]
    if larger:
        st.caption(
            f"{', '.join(larger)}: no file of {ways[0].n_bytes} bytes is possible, so the smallest "
            "there is is shown. PCA has the same frame as the code and chooses its own bits."
        )


def _chart(checkpoint: Checkpoint, item: Item, bits: int, ways: Sequence[Stored]) -> None:
    rows = _some_rows(checkpoint, CURVE_IMAGES)
    average = cache.compression_curve(checkpoint, rows, DEPTHS)
    own = [
        stored(
            f"{depth} bits",
            len(data := cache.compressed(checkpoint, item.pixels[None], bits=depth)),
            cache.codec(checkpoint).decompress(data).pixels[0],
            original=item.pixels,
        )
        for depth in DEPTHS
    ]
    figure = rate_figure(own, average, ways[1:], chosen=DEPTHS.index(bits))
    st.plotly_chart(figure, key="rate", config={"displayModeBar": False})
    st.caption(
        (f"Average: {len(rows)} held-out pictures. " if average else "")
        + "Beyond a few bits per dimension the curve is flat: what is lost then was lost by the "
        "model, not by the rounding."
    )


def rate_figure(
    own: Sequence[Stored], average: Sequence[RatePoint], others: Sequence[Stored], *, chosen: int
) -> go.Figure:
    """PSNR over file size: this picture, the model's average, and other ways to store it."""
    figure = go.Figure()
    if average:
        figure.add_scatter(
            x=[p.bits_per_image / 8 for p in average], y=[p.psnr_db for p in average],
            text=[p.name for p in average], name="average picture", mode="lines",
            line={"color": _QUIET, "dash": "dot"}, hovertemplate=_HOVER,
        )  # fmt: skip
    figure.add_scatter(
        x=[s.n_bytes for s in own], y=[s.psnr_db for s in own], text=[s.name for s in own],
        name="this picture", mode="lines+markers", line={"color": _CODE}, hovertemplate=_HOVER,
        marker={"size": [14 if i == chosen else 7 for i in range(len(own))]},
    )  # fmt: skip
    lossy = [other for other in others if not math.isinf(other.psnr_db)]
    for other, colour in zip(lossy, _COLOURS, strict=False):
        figure.add_scatter(
            x=[other.n_bytes], y=[other.psnr_db], text=[other.name],
            name=other.name.partition(",")[0], mode="markers", hovertemplate=_HOVER,
            marker={"size": 11, "symbol": "diamond", "color": colour},
        )  # fmt: skip
    figure.update_xaxes(title="bytes of the file", type="log", tickvals=_TICKS)
    figure.update_yaxes(title="PSNR, dB")
    figure.update_layout(
        height=360, margin={"l": 8, "r": 8, "t": 8, "b": 8}, paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)", legend={"orientation": "h", "y": -0.25},
    )  # fmt: skip
    return figure


_TICKS: Final = (30, 40, 50, 70, 100, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 50_000)
_HOVER: Final = "%{text}: %{x:,.0f} bytes, %{y:.1f} dB<extra></extra>"


def _downloads(checkpoint: Checkpoint, items: Sequence[Item], bits: int, data: bytes) -> None:
    left, right = st.columns(2)
    left.download_button(
        f"This picture, {len(data)} bytes", data, file_name=f"picture{SUFFIX}", width="stretch",
        mime="application/octet-stream", icon=":material/download:", key="compress_one",
        on_click="ignore",
    )  # fmt: skip
    if len(items) > 1:
        together = cache.compressed(checkpoint, np.stack([i.pixels for i in items]), bits=bits)
        right.download_button(
            f"All {len(items)} in one file, {len(together):,} bytes "
            f"({len(together) / len(items):.1f} each)",
            together, file_name=f"pictures{SUFFIX}", mime="application/octet-stream",
            icon=":material/download:", key="compress_all", on_click="ignore", width="stretch",
        )  # fmt: skip


def _decode_again(checkpoint: Checkpoint) -> None:
    file = st.file_uploader(f"Decode a {SUFFIX} file again", key="compress_upload")
    if file is None:
        return
    try:
        header = read_header(file.getvalue())
        if header.n_pictures > MAX_DECODED:
            raise DataError(
                f"The file holds {header.n_pictures:,} pictures, at most {MAX_DECODED} are shown "
                "here; use `python -m vae_core decompress`."
            )
        codec = cache.codec(checkpoint)
        fits = header.key == checkpoint.key and header.table == codec.table_check(header.bits)
        if not fits and _offer_model(header.key, besides=checkpoint.name):
            return
        decoded = codec.decompress(file.getvalue())
    except ExplorerError as error:
        st.error(str(error))
        return
    n = len(decoded.pixels)
    st.markdown(
        f"**{n} picture{'s' * (n != 1)}** at {decoded.header.bits} bits per dimension, "
        + ("identical to the last bit to what was stored." if decoded.is_identical else
           "but **not** identical to what was stored: this machine computes differently.")
    )  # fmt: skip
    captions = [f"decoded {i + 1}" if n > 1 else "decoded" for i in range(n)]
    marks = ("decoded-again",) * n
    show.pictures(list(zip(decoded.pixels, captions, strict=True)), width=110, testids=marks)


def _offer_model(key: str, *, besides: str) -> bool:
    """Other models of those weights that are at hand: say so, and a button that opens each."""
    listed = [item for item in models.listed_checkpoints() if item.key == key and item.card]
    found = {i.path.name: str((i.card or {}).get("title", "")) or i.path.name for i in listed}
    found.pop(besides, None)
    if found:
        titles = " or ".join(show.plain(title) for title in found.values())
        st.info(f"This file was written with another model, **{titles}**.")
    for index, (name, title) in enumerate(found.items()):
        st.button(
            f"Open {show.plain(title)}", key=f"compress_open{index or ''}",
            icon=":material/folder_open:", on_click=state.open_model, args=(name,),
        )  # fmt: skip
    return bool(found)
