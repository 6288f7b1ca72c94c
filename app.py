"""The frame of Latent Explorer: page settings, sidebar, navigation. Run: streamlit run app.py"""

import streamlit as st

from pages.shared import components, frame

st.set_page_config(page_title="Latent Explorer", page_icon="🧭", layout="wide")
page = frame.navigation()
frame.tighten()
with st.sidebar:
    st.markdown("### Latent Explorer")
    components.warm_up()

# torch comes with these: the browser has something to do meanwhile.
from pages.shared import cache, state

state.model_picker(cache.listed_checkpoints())
page.run()
cache.settle_memory()
