"""All models that are here: look, rename, note, report, take along, bring, delete."""

import streamlit as st

from pages.shared import frame

frame.require()

from pages.shared import models, models_details, models_list

found = models_list.all_models(models.listed_checkpoints())
opened = [model for model in found if model.name == st.query_params.get(models_list.OPEN)]
if opened:
    models_details.details(opened[0])
else:
    st.markdown("## Models")
    models_list.overview(found)
