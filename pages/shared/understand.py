"""The section "Understand": what the model makes of one picture, and whether it knows its kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, frame, payload, posterior_chart, show, state
from pages.shared.components import latent_map
from pages.shared.turns import turn
from vae_core.apply.results import Result, results_csv, results_zip
from vae_core.apply.understand import Understanding
from vae_core.apply.verdict import Verdict, most_unusual_first
from vae_core.checkpoint import Checkpoint
from vae_core.examine import Examination, nearest_codes

DRAWS, NEIGHBOURS = 16, 8
RANKED_AT_ONCE = 50
# Two hundred take some seconds.
BAR_ABOVE = 20
# In latent space; rounding alone is far below it.
SAME = 1e-4
# Stars of a batch on the map.
PLACES = 50


class Pictured(Protocol):
    """A picture ready for the model, as `pages.shared.reconstruct.Item` is."""

    @property
    def name(self) -> str: ...
    @property
    def pixels(self) -> NDArray[np.uint8]: ...
    @property
    def steps(self) -> tuple[str, ...]: ...


def section(checkpoint: Checkpoint, item: Pictured, items: Sequence[Pictured]) -> None:
    """All that is known of one picture, and the batch it came in ranked by how unusual it is."""
    with turn():
        _one(checkpoint, item, items)
    if len(items) > 1:
        _ranking(checkpoint, items)
    _downloads(checkpoint, items)


def _one(checkpoint: Checkpoint, item: Pictured, items: Sequence[Pictured]) -> None:
    seen = cache.examination(checkpoint, item.pixels)
    found = cache.understanding(checkpoint, item.pixels, n=DRAWS)
    with st.container(border=True):
        st.subheader(show.plain(item.name))
        st.caption(" → ".join(item.steps))
        _pictures(seen, found)
        _verdict(cache.judged(checkpoint, item.pixels))
    with st.container(border=True):
        _posterior(checkpoint, found)
    with st.container(border=True):
        _draws(found)
        _place(checkpoint, seen, found, item, items)


def _pictures(seen: Examination, found: Understanding) -> None:
    show.pictures(
        [
            (seen.seen, "what the model sees"),
            (seen.rebuilt, "reconstruction"),
            (show.heat(seen.difference), "difference ×3"),
            (show.heat(found.spread, times=10), f"std over {DRAWS} draws ×10"),
        ],
        width=180,
        testids=("original-image", "reconstructed-image", "difference-image", "spread-image"),
    )


def _verdict(found: Verdict | str) -> None:
    st.markdown("**Is it like the training data?**")
    if isinstance(found, str):
        st.info(found)
    else:
        st.html(posterior_chart.verdict_card(found))


def _posterior(checkpoint: Checkpoint, found: Understanding) -> None:
    names = cache.dimension_names(checkpoint)
    order = [int(dim) for dim in checkpoint.codes.dimension_order]
    # A stable sort: among named dimensions, and among the rest, the larger KL stays first.
    order.sort(key=lambda dim: dim not in names)
    st.markdown("**Posterior** of each dimension (blue) over the prior N(0, 1) (grey)")
    st.caption(found.describe())
    first, rest = posterior_chart.dimensions(found.mean, found.std, order, names)
    st.html(first)
    if rest:
        with st.expander(f"{len(order) - posterior_chart.SHOWN} more dimensions"):
            st.html(rest)
    if found.correlation is not None:
        st.caption("Correlations within the posterior: orange together, blue against each other")
        st.html(posterior_chart.correlation(found.correlation, order))


def _draws(found: Understanding) -> None:
    st.markdown(f"**{DRAWS} draws** from the posterior, decoded: the same picture to the model")
    show.pictures([(picture, "") for picture in found.pictures], width=72, light=True)


def _place(
    checkpoint: Checkpoint,
    seen: Examination,
    found: Understanding,
    item: Pictured,
    items: Sequence[Pictured],
) -> None:
    projection = payload.projection_choices(checkpoint)[0]
    colour = payload.colour_choices(checkpoint)[0]
    others = [other for other in items if other is not item][:PLACES]
    stars = np.stack([*(cache.examination(checkpoint, o.pixels).mean for o in others), seen.mean])
    projection_of = payload.projection_of(checkpoint, projection)
    rows, distances = nearest_codes(checkpoint, seen.mean, k=NEIGHBOURS)
    st.markdown("**Its place on the map**, a star, and the draws around it, dots")
    data = dict(cache.map_data(checkpoint, projection, colour))
    data["select"] = {"row": int(rows[0])}
    cloud = [_mark(at, kind="draw") for at in projection_of.transform(found.codes)]
    # The stars last, above the cloud, and this picture's own above the others.
    named = zip(projection_of.transform(stars), [*others, item], strict=True)
    data["marks"] = cloud + [_mark(at, kind="star", text=one.name[:24]) for at, one in named]
    data |= {"trust": cache.trust_part(checkpoint), "tools": False}
    latent_map(data=data, key="understand_map", height=420)
    _neighbours(checkpoint, [int(row) for row in rows], distances)
    if st.button("Walk from here", icon=":material/tune:", key="walk_from_upload"):
        state.keep_code(seen.mean, source=item.name)
        frame.turn_to("pages/walk.py")


def _mark(at: NDArray[np.float32], *, kind: str, text: str = "") -> dict[str, object]:
    return {"x": float(at[0]), "y": float(at[1]), "text": text, "kind": kind}


def _neighbours(checkpoint: Checkpoint, rows: list[int], distances: NDArray[np.float32]) -> None:
    st.markdown(f"**The {len(rows)} nearest images** in latent space, by distance")
    images: NDArray[np.generic] | None = cache.originals_of(checkpoint, tuple(rows))
    if images is None:
        images = cache.decoded(checkpoint, checkpoint.codes.mean[rows])
        st.caption("The data set is not on this machine: these are reconstructions.")
    captions = [_distance(float(distance)) for distance in distances]
    show.pictures(list(zip(images, captions, strict=True)), width=88, light=True)


def _distance(distance: float) -> str:
    """A sample out of the stored images is its own nearest neighbour."""
    return "this very image" if distance < SAME else f"{distance:.2f}"


def _verdicts(checkpoint: Checkpoint, items: Sequence[Pictured]) -> list[Verdict | str]:
    """The verdict on each, with a bar where that takes a while."""
    bar = st.empty() if len(items) > BAR_ABOVE else None
    found = []
    for done, item in enumerate(items, start=1):
        found.append(cache.judged(checkpoint, item.pixels))
        if bar is not None and done % 10 == 0:
            bar.progress(done / len(items), text=f"Judged {done} of {len(items)} pictures")
    if bar is not None:
        bar.empty()
    return found


def _ranking(checkpoint: Checkpoint, items: Sequence[Pictured]) -> None:
    verdicts = _verdicts(checkpoint, items)
    known = [(item, v) for item, v in zip(items, verdicts, strict=True) if not isinstance(v, str)]
    if not known:
        return
    order = most_unusual_first([v for _, v in known])
    with st.container(border=True):
        st.markdown(f"**{len(known)} pictures, the most unusual first**")
        rows = [known[place] for place in order[:RANKED_AT_ONCE]]
        table = [(show.data_uri(item.pixels), item.name, found) for item, found in rows]
        st.html(posterior_chart.ranking(table))
        if len(order) > RANKED_AT_ONCE:
            st.caption(f"The first {RANKED_AT_ONCE}; the CSV below has all {len(order)}.")


def _results(checkpoint: Checkpoint, items: Sequence[Pictured]) -> list[Result]:
    made = []
    for item in items:
        seen, found = (
            cache.examination(checkpoint, item.pixels),
            cache.judged(checkpoint, item.pixels),
        )
        known = None if isinstance(found, str) else found
        made.append(
            Result(
                item.name, seen.seen, seen.rebuilt, seen.squared_error, known,
                code=seen.mean, steps=item.steps,
            )
        )  # fmt: skip
    places = most_unusual_first([r.verdict for r in made if r.verdict])
    return [made[place] for place in places] if len(places) == len(made) else made


def _downloads(checkpoint: Checkpoint, items: Sequence[Pictured]) -> None:
    # Functions: nothing is packed before somebody asks for it. While the page is under way to a
    # new batch the old button stands: the number says which batch it would give.
    pictures = "1 picture" if len(items) == 1 else f"{len(items):,} pictures"
    with st.container(horizontal=True):
        st.download_button(
            f"Results of {pictures} as CSV", lambda: results_csv(_results(checkpoint, items)),
            "results.csv", "text/csv", icon=":material/table:", key="results_csv",
            on_click="ignore",
        )  # fmt: skip
        st.download_button(
            f"{pictures} and results as ZIP", lambda: results_zip(_results(checkpoint, items)),
            "results.zip", "application/zip", icon=":material/folder_zip:", key="results_zip",
            on_click="ignore",
        )  # fmt: skip
