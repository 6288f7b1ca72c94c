"""Pictures and small pieces of page."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from vae_core.grid import to_picture
from vae_core.latent.codes import Codes

STYLE = """<style>
.lxs-row {display:flex; flex-wrap:wrap; gap:.75rem; align-items:flex-start}
.lxs-picture {margin:0; text-align:center}
.lxs-picture img {display:block; width:100%; border-radius:8px; background:#8882;
  border:1px solid #8884}
.lxs-picture figcaption {font-size:.8rem; opacity:.75; padding-top:.25rem; line-height:1.25}
.lxs-sharp img {image-rendering:pixelated}
.lxs-shares {display:grid; grid-template-columns:minmax(4rem,max-content) 1fr max-content;
  gap:.2rem .6rem; align-items:center; font-size:.85rem; max-width:34rem}
.lxs-bar {height:.6rem; border-radius:.3rem; background:#8883; overflow:hidden}
.lxs-bar i {display:block; height:100%; border-radius:.3rem; background:#4c6ef5}
.lxs-shares small {opacity:.75; font-variant-numeric:tabular-nums}
</style>"""


@dataclass(frozen=True)
class _Html:
    """HTML that Streamlit takes as it is: in a string it looks for indents, in pictures as well."""

    text: str

    def _repr_html_(self) -> str:
        return self.text


def data_uri(image: NDArray[Any]) -> str:
    """A PNG data URI of one image `[C,H,W]`, uint8 or float in [0,1]."""
    buffer = BytesIO()
    # A page shows dozens: packing them harder costs more than it saves on the way.
    to_picture(image).save(buffer, "PNG", compress_level=1)
    return "data:image/png;base64," + b64encode(buffer.getvalue()).decode()


def _light_uri(image: NDArray[Any]) -> str:
    """As `data_uri`, a JPEG of about 41 dB: a quarter of the time and half the size."""
    buffer = BytesIO()
    to_picture(image).save(buffer, "JPEG", quality=95, subsampling=0)
    return "data:image/jpeg;base64," + b64encode(buffer.getvalue()).decode()


def _picture(
    image: NDArray[Any], caption: str, *, width: str, testid: str = "", light: bool = False
) -> str:
    mark = f' data-testid="{escape(testid)}"' if testid else ""
    # Small pictures are enlarged with hard edges: smoothing would invent detail.
    is_sharp = image.shape[-1] <= 40
    source = _light_uri(image) if light and not is_sharp else data_uri(image)
    return (
        f'<figure class="lxs-picture{" lxs-sharp" * is_sharp}" style="width:{width}"{mark}>'
        f'<img src="{source}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def pictures(
    images: list[tuple[NDArray[Any], str]],
    *,
    width: int,
    testids: tuple[str, ...] = (),
    light: bool = False,
) -> None:
    """A row of pictures with captions that wraps on small screens.

    `light` sends those above 40 pixels as JPEG: for rows of many small views.
    """
    # At phone width up to three stay side by side.
    beside = min(3, len(images))
    limit = f"min({width}px, calc((100% - {0.75 * (beside - 1)}rem) / {beside}))"
    marks = [*testids, *[""] * (len(images) - len(testids))]
    parts = [
        _picture(image, caption, width=limit, testid=mark, light=light)
        for (image, caption), mark in zip(images, marks, strict=True)
    ]
    st.html(_Html(f'{STYLE}<div class="lxs-row">{"".join(parts)}</div>'))


def shares(rows: Sequence[tuple[str, float, str]]) -> None:
    """Bars of (name, share in [0,1], note), one below the other."""
    parts = "".join(
        f"<span>{escape(name)}</span><span class='lxs-bar'><i style='width:{share:.1%}'></i></span>"
        f"<small>{share:.0%} {escape(note)}</small>"
        for name, share, note in rows
    )
    st.html(f"{STYLE}<div class='lxs-shares'>{parts}</div>")


def heat(difference: NDArray[np.float32], *, times: float = 3) -> NDArray[np.float32]:
    """A difference `[H,W]` in [0,1] as a colour picture `[3,H,W]`: black, red, yellow, white."""
    level = np.clip(difference * times, 0, 3)
    return np.stack([np.clip(level - step, 0, 1) for step in (0, 1, 2)]).astype(np.float32)


def plain(text: str) -> str:
    """A visitor's words inside Markdown: nothing in them formats, links or colours."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~:$^=&])", r"\\\1", text)


def source_name(checkpoint_card: Mapping[str, Any]) -> str:
    """The data a model was trained on: a set's name, or a path's last part."""
    return Path(str(checkpoint_card["data"]["source"])).name


def judged_by(codes: Codes) -> str:
    """ " Judged by 50,000 of 1,000,000 codes." where a part stands for all, else nothing."""
    n = len(codes.part_rows)
    return "" if n == len(codes) else f" Judged by {n:,} of {len(codes):,} codes."


def share_in_words(share: float) -> str:
    """0.83 → "larger than 83 % of the held-out images"."""
    if share >= 1:
        return "larger than all held-out images"
    if share <= 0:
        return "smaller than all held-out images"
    return f"larger than {100 * share:.0f} % of the held-out images"
