"""The map of the latent space: click anywhere and see what lives there."""

import streamlit as st

from pages.shared import frame

frame.require()

from pages.shared import cache, explore, explore_view, more, share_page, state

checkpoint = cache.open_checkpoint(state.model_name())
if checkpoint is not None:
    controls, share = st.columns([8, 1.9], vertical_alignment="bottom")
    with controls:
        view = explore_view.choose_view(checkpoint)
    with share:
        share_page.on_explore(checkpoint, view)
    with st.sidebar:
        more.all_images(checkpoint)
    explore.map_and_details(checkpoint, view)
