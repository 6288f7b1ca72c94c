"""What does the model make of my picture? Upload, see it rebuilt, measured and placed."""

import streamlit as st

from pages.shared import frame

frame.require()

from pages.shared import cache, reconstruct, state

checkpoint = cache.open_checkpoint(state.model_name())
if checkpoint is not None:
    st.markdown(f"The model sees **{checkpoint.model.spec}** pictures, whatever you give it.")
    options = reconstruct.choose_preparation()
    items = reconstruct.inputs(checkpoint, options)
    chosen = reconstruct.overview(checkpoint, items)
    if chosen is not None:
        reconstruct.result(checkpoint, chosen, items)
