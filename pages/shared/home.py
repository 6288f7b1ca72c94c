"""The parts of the home page."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.shared import cache, payload, show
from pages.shared.components import latent_map
from vae_core.checkpoint import Checkpoint, Listed

# (page, icon, name, what one does there), four to a row.
STEPS = (
    ("explore", "map", "Explore", "the map in full: colours, neighbours, why"),
    ("walk", "tune", "Walk", "one slider per dimension, a picture that follows"),
    ("reconstruct", "compare", "Reconstruct", "what the model makes of a picture of yours"),
    ("train", "model_training", "Train", "a map of your own pictures, in a minute or two"),
    ("learn", "school", "Learn", "what a VAE is, by touching one"),
    ("compare", "balance", "Compare", "models and PCA on the same images"),
    ("label", "label", "Label", "name a few points, the rest follow"),
    ("models", "inventory_2", "Models", "notes, reports, downloads, imports"),
)
PER_ROW = 4


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
    for begin in range(0, len(STEPS), PER_ROW):
        row = STEPS[begin : begin + PER_ROW]
        for column, (page, icon, label, text) in zip(st.columns(PER_ROW), row, strict=True):
            with column, st.container(border=True, height="stretch"):
                st.page_link(f"pages/{page}.py", label=f"**{label}**", icon=f":material/{icon}:")
                st.caption(text)


def models(listed: Sequence[Listed]) -> None:
    """One card per model with pictures it decodes."""
    st.subheader("Models here")
    for item in listed:
        checkpoint = cache.open_checkpoint(item.path.name) if item.card is not None else None
        if checkpoint is not None:
            with st.container(border=True):
                _model_card(checkpoint)
    st.page_link(
        "pages/train.py", label="Train a model on your own pictures", icon=":material/add_circle:"
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
