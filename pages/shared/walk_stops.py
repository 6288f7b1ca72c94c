"""The codes that paths, sums and files can start from: this one, the shelf, held-out images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, groups, shelf, show, walk_code
from vae_core.checkpoint import Checkpoint
from vae_core.examine import snap

CURRENT: Final = "this code"
AVERAGE: Final = "average code"
PICKED: Final = "picked on the map"
N_IMAGES: Final = 6
THUMB_PIXELS: Final = 84
_SEED: Final = "walk_images_seed"


@dataclass(frozen=True)
class Stop:
    """A code `z` `[D]` by its name; `row` where it is a real one."""

    name: str
    z: NDArray[np.float32]
    row: int | None = None


def stops(checkpoint: Checkpoint) -> dict[str, Stop]:
    """All codes on offer by name: held-out images first, then the shelf and the current code."""
    found = [_image(checkpoint, row) for row in _rows(checkpoint)]
    found += [Stop(item.name, item.z) for item in shelf.kept(checkpoint.key)]
    found += [_average_of(checkpoint, group) for group in groups.kept(checkpoint)]
    picked = _picked(checkpoint)
    if picked is not None:
        found.append(Stop(PICKED, picked))
    found.append(Stop(CURRENT, walk_code.current(checkpoint).code))
    found.append(Stop(AVERAGE, snap(checkpoint.codes.mean.mean(0))))
    # The shelf comes later and wins should a kept code be called like an image.
    return {stop.name: stop for stop in found}


def far_apart(on_offer: dict[str, Stop]) -> list[str]:
    """The first code on offer and the real one farthest from it: a path worth a look."""
    first, *others = (stop for stop in on_offer.values() if stop.row is not None)
    if not others:
        return list(on_offer)[:2]
    last = max(others, key=lambda stop: float(np.linalg.norm(stop.z - first.z)))
    return [first.name, last.name]


def gallery(checkpoint: Checkpoint, on_offer: dict[str, Stop]) -> None:
    """What the names stand for, on demand."""
    with st.expander("See the codes on offer"):
        images = cache.decoded(checkpoint, np.stack([stop.z for stop in on_offer.values()]))
        show.pictures(list(zip(images, on_offer, strict=True)), width=THUMB_PIXELS)


def more_images_button(key: str) -> None:
    """Offer other held-out images as well; those chosen before stay on offer."""
    st.button(
        "More images",
        icon=":material/casino:",
        key=key,
        on_click=_more_images,
        help="Adds six held-out images to the choice.",
        width="stretch",
    )


def _more_images() -> None:
    st.session_state[_SEED] = st.session_state.get(_SEED, 0) + 1


def _rows(checkpoint: Checkpoint) -> list[int]:
    """One draw after another, so that more images never take away those chosen before."""
    seeds = range(1 + st.session_state.get(_SEED, 0))
    draws = [cache.sample_rows(checkpoint, n=N_IMAGES, seed=seed) for seed in seeds]
    return list(dict.fromkeys(row for draw in draws for row in draw))


def _average_of(checkpoint: Checkpoint, group: groups.Group) -> Stop:
    mean = checkpoint.codes.mean[group.rows].mean(0, dtype=np.float64)
    return Stop(f"average of {group.name}", snap(mean.astype(np.float32)))


def _picked(checkpoint: Checkpoint) -> NDArray[np.float32] | None:
    """The code `[D]` last picked on this model's map, if any."""
    # Written by the Explore page: the model's key and the pick as the map told it.
    key, pick = st.session_state.get("explore_pick", ("", None))
    if key != checkpoint.codes_key or pick is None:
        return None
    return snap(np.array(pick["z"], np.float32))


def _image(checkpoint: Checkpoint, row: int) -> Stop:
    codes, label = checkpoint.codes, ""
    if codes.labels is not None and 0 <= codes.labels[row] < len(codes.label_names):
        label = f" ({codes.label_names[codes.labels[row]]})"
    return Stop(f"image {codes.ids[row]}{label}", codes.mean[row], row)
