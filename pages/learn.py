"""What a variational autoencoder is, learnt by touching one."""

import streamlit as st

from pages.shared import frame

frame.require()

from pages.shared import learn

st.title("Learn what a VAE is by touching one")
learn.opening()
lesson = learn.open_lesson()
for chapter in learn.CHAPTERS:
    learn.show(chapter, lesson)
learn.closing()
