"""The frame of Latent Explorer: page settings, sidebar, navigation. Run: streamlit run app.py"""

import streamlit as st

st.set_page_config(page_title="Latent Explorer", page_icon="🧭", layout="wide")

from pages.shared import cache, frame, state  # noqa: E402  (the page settings come first)

page = frame.navigation()
frame.tighten()
state.model_picker(cache.listed_checkpoints())
page.run()
cache.settle_memory()
