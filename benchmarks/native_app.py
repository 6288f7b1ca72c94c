"""The usual way in Streamlit, for comparison: a chart with on_select, torch, st.image.

Environment: BENCH_CHECKPOINT names the checkpoint folder, BENCH_FRAGMENT=1 uses a fragment.
"""

import os
import sys
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from vae_core import Checkpoint, load_checkpoint
from vae_core.examine import decode

st.set_page_config(layout="wide")


@st.cache_resource
def opened() -> Checkpoint:
    """The model, loaded once."""
    return load_checkpoint(os.environ["BENCH_CHECKPOINT"])


def view() -> None:
    """A scatter of the stored map and the decoded picture of the selected point."""
    checkpoint = opened()
    xy = next(iter(checkpoint.maps.values())).xy
    figure = go.Figure(go.Scattergl(x=xy[:, 0], y=xy[:, 1], mode="markers", marker={"size": 4}))
    figure.update_layout(height=620)
    left, right = st.columns([2, 1])
    with left:
        event = st.plotly_chart(figure, on_select="rerun", selection_mode="points", key="map")
    rows = event["selection"]["point_indices"]
    row = rows[0] if rows else 0
    image = decode(checkpoint, checkpoint.codes.mean[row : row + 1])[0]
    right.image(image.transpose(1, 2, 0).squeeze(), width=320)
    right.caption(f"row {row}")


if os.environ.get("BENCH_FRAGMENT") == "1":
    st.fragment(view)()
else:
    view()
