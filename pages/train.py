"""From own pictures to an own map: choose pictures, say what for, press Start, watch it learn."""

import streamlit as st

from pages.shared import frame

frame.require()

from pages.shared import (
    models,
    train_data,
    train_live,
    train_start,
    train_sweep,
)
from pages.shared.train_settings import choose_settings

runs, watched = models.folder_for_runs(), train_start.shown_run()
if watched is not None:
    train_start.back_row()
    train_live.show_runs(runs, only=watched)
else:
    st.title("Train a model on your pictures")
    left, right = st.columns([3, 2], gap="large")
    with left:
        chosen = train_data.choose_data()
    with right:
        if chosen is None:
            train_start.first_words()
        elif (settings := choose_settings(chosen)) is not None:
            train_start.start(chosen, settings)
            train_sweep.plan(chosen, settings)
    train_sweep.results(runs)
    train_live.show_runs(runs)
