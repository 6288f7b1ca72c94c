"""The parts of the home page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.shared import cache, payload, show
from pages.shared.components import latent_map
from vae_core.checkpoint import Checkpoint, Listed

STEPS = (
    ("pages/explore.py", ":material/map:", "Explore", "the map in full: colours, neighbours, why"),
    (
        "pages/walk.py",
        ":material/tune:",
        "Walk",
        "one slider per dimension, a picture that follows",
    ),
    (
        "pages/reconstruct.py",
        ":material/compare:",
        "Reconstruct",
        "what the model makes of a picture of yours",
    ),
    ("pages/label.py", ":material/label:", "Label", "name a few points, the rest follow"),
)


@st.fragment
def small_map(checkpoint: Checkpoint) -> None:
    """The model's default map, ready to click."""
    projection = payload.projection_choices(checkpoint)[0]
    colour = payload.colour_choices(checkpoint)[0]
    data = dict(cache.map_data(checkpoint, projection, colour))
    data["select"] = {"row": 0}
    data |= {"trust": cache.trust_part(checkpoint), "tools": False}
    latent_map(data=data, key="home_map", height=460)


def first_steps() -> None:
    """Links to the pages with a line on each."""
    for column, (page, icon, label, text) in zip(st.columns(len(STEPS)), STEPS, strict=True):
        with column, st.container(border=True):
            st.page_link(page, label=f"**{label}**", icon=icon)
            st.caption(text)


def models(listed: Sequence[Listed]) -> None:
    """One card per model with pictures it decodes."""
    st.subheader("Models here")
    for item in listed:
        checkpoint = cache.open_checkpoint(item.path.name) if item.card is not None else None
        if checkpoint is not None:
            with st.container(border=True):
                _model_card(checkpoint)
    st.caption(
        "An own model: `python -m vae_core train --data FOLDER --out runs/mine --minutes 5`, "
        "then reload this page."
    )


def _model_card(checkpoint: Checkpoint) -> None:
    card = checkpoint.card
    metrics = card["metrics"]
    used = metrics.get("active_units", "?")
    said = [f"{checkpoint.model.n_latent} latent dimensions, {used} in use"]
    said.append(str(checkpoint.model.spec))
    if "psnr_db" in metrics:
        said.append(
            f"reconstruction {metrics['psnr_db']:.1f} dB on {metrics.get('n_test_images', 0):,} "
            f"held-out images of {show.plain(show.source_name(card))}"
        )
    st.markdown(f"**{show.plain(card['title'])}** · {' · '.join(said)}")
    rows = cache.sample_rows(checkpoint, n=10, seed=3)
    decoded = cache.decoded(checkpoint, checkpoint.codes.mean[list(rows)])
    show.pictures([(image, "") for image in decoded], width=72)
