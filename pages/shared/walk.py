"""The sliders of the Walk page and what stays of them in the URL."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, state
from pages.shared.components import latent_walk
from vae_core.checkpoint import Checkpoint
from vae_core.examine import snap


@dataclass(frozen=True)
class Start:
    """The code a walk begins with, and where it comes from in words."""

    code: NDArray[np.float32]
    source: str


def start(checkpoint: Checkpoint) -> Start:
    """The code carried here or left here, else the one in the link, else the average code."""
    n_latent = checkpoint.model.n_latent
    kept, source = state.kept_code(n_latent)
    if kept is not None:
        return Start(snap(kept), source)
    asked = state.code_from_text(state.url_at_start().get("z", ""), n_latent=n_latent)
    if asked is not None:
        return Start(snap(asked), "the code in the link")
    return Start(snap(checkpoint.codes.mean.mean(0)), "the average code")


@st.fragment
def sliders(checkpoint: Checkpoint, begin: Start) -> None:
    """The element itself; releasing a slider puts the code into the URL."""
    st.caption(f"Started from {begin.source}. Drag a slider: the picture follows while you drag.")
    data = dict(cache.walk_data(checkpoint))
    digest = hashlib.sha256(checkpoint.key.encode() + begin.code.tobytes()).hexdigest()[:12]
    data |= {"z": begin.code.tolist(), "z_version": digest}
    moved = latent_walk(data=data, key=f"walk_{digest}")
    z = begin.code if moved is None else snap(np.array(moved["z"], np.float32))
    if len(z) != checkpoint.model.n_latent:
        return
    state.put_in_url(z=state.code_to_text(z))
    if moved is not None:
        state.keep_code(z, source="where you left off")
