"""The frame of Latent Explorer: page settings, sidebar, navigation. Run: streamlit run app.py"""

import streamlit as st

from pages.shared import frame, memory, sign_in

memory.share_arenas()
st.set_page_config(page_title="Latent Explorer", page_icon="🧭", layout="wide")
page = frame.navigation()
frame.tighten()
sign_in.require()
with st.sidebar:
    st.markdown("### Latent Explorer")

# torch comes with these: the frame is on screen meanwhile.
from pages.shared import models, state

state.model_picker(models.listed_checkpoints())
page.run()
memory.settle()
