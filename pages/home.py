"""What this is, a map to touch at once, and the models that are here."""

import streamlit as st

from pages.shared import frame

frame.require()

from pages.shared import cache, home, models, state

st.title("See what a variational autoencoder learned")
st.markdown(
    "Every point below is an image, placed by a model that had to describe it with a few "
    "numbers. **Click anywhere**, on a point or between points, and see what lives there."
)
checkpoint = cache.open_checkpoint(state.model_name())
if checkpoint is not None:
    home.small_map(checkpoint)
    home.first_steps()
home.models(models.listed_checkpoints())
