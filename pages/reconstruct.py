"""What does the model make of my picture? Upload, see it rebuilt, measured and placed."""

import streamlit as st

from pages.shared import frame

frame.require()

from pages.shared import (
    cache,
    complete,
    compress,
    denoise,
    edit,
    inputs,
    reconstruct,
    state,
    understand,
)

SECTIONS = {
    "Understand": understand.section,
    "Denoise": denoise.section,
    "Complete": complete.section,
    "Compress": compress.section,
    "Edit": edit.section,
}

checkpoint = cache.open_checkpoint(state.model_name())
if checkpoint is not None:
    st.caption(f"The model sees **{checkpoint.model.spec}** pictures, whatever you give it.")
    items = inputs.choose(checkpoint)
    chosen = reconstruct.overview(checkpoint, items)
    name = frame.choose_section(list(SECTIONS), key="reconstruct_section")
    if chosen is not None:
        SECTIONS[name](checkpoint, chosen, items)
