"""The prior against what the codes really are: per dimension, in holes, and in samples."""

from __future__ import annotations

import streamlit as st

from pages.shared import cache, figures, frame, show, state
from vae_core.checkpoint import Checkpoint
from vae_core.examine import draw_codes, snap
from vae_core.latent.prior_match import MAX_REAL

MAX_DIMENSIONS = 12
N_SAMPLES = 12


def against_posterior(checkpoint: Checkpoint) -> None:
    """Densities, holes and samples, one below the other."""
    found = cache.prior_match(checkpoint)
    n_latent = checkpoint.model.n_latent
    st.subheader(f"{found.n_active} of {n_latent} dimensions are active")
    order = checkpoint.codes.dimension_order[:MAX_DIMENSIONS]
    kind = "histogram of the codes" if found.is_point else "average of all posteriors"
    st.caption(
        f"Filled: the {kind}, from {_of_all(checkpoint, found.n_images)} images. "
        "Line: the prior N(0, 1). "
        f"The {len(order)} dimensions with most information of {n_latent}."
    )
    if checkpoint.model.config.posterior == "full":
        st.caption(
            "This model's posteriors have a full covariance. The densities per dimension are exact "
            "all the same; the limit of a hole is drawn from posteriors taken as diagonal."
        )
    figure = figures.prior_figure(
        found.grid, found.density[order], found.prior_density, order, found.kl_nats[order]
    )
    st.plotly_chart(figure, key="prior_densities", config={"displayModeBar": False})
    _holes(checkpoint)
    _samples(checkpoint)


def _of_all(checkpoint: Checkpoint, n: int) -> str:
    """ "50,000 of 1,000,000", or the number alone where that is all."""
    n_all = len(checkpoint.codes)
    return f"{n:,}" if n == n_all else f"{n:,} of {n_all:,}"


def _holes(checkpoint: Checkpoint) -> None:
    found = cache.holes(checkpoint)
    n_known = min(MAX_REAL, len(checkpoint.codes))
    st.markdown(
        f"**Holes of the prior.** {found.text} Measured against "
        f"{_of_all(checkpoint, n_known)} codes."
    )
    if not len(found.codes):
        return
    images = cache.decoded(checkpoint, snap(found.codes))
    captions = [f"hole {i + 1} · {ratio:.1f}×" for i, ratio in enumerate(found.ratio)]
    show.pictures(list(zip(images, captions, strict=True)), width=76)
    st.caption("Number and distance to the nearest code, in typical distances.")
    choice = st.pills("Choose a hole", [str(i + 1) for i in range(len(images))], key="hole")
    if choice is None:
        return
    z = snap(found.codes[int(choice) - 1])
    left, right = st.columns([1, 4])
    if left.button("Show it on the map", icon=":material/my_location:", key="show_hole"):
        state.go_to(z=z)
        st.rerun(scope="fragment")
    if right.button("Walk from it", icon=":material/tune:", key="walk_hole"):
        state.keep_code(z, source=f"hole {choice} of the prior")
        frame.turn_to("pages/walk.py")


def _samples(checkpoint: Checkpoint) -> None:
    st.markdown("**Samples** from the prior, and from a mixture fitted to the codes")
    seed = st.number_input("Seed", 0, 10_000, 0, key="sample_seed", width=140)
    ways = [("N(0, I)", draw_codes(checkpoint, n=N_SAMPLES, seed=int(seed)))]
    if (fitted := checkpoint.prior) is not None:
        many = "a Gaussian" if fitted.n_components == 1 else f"{fitted.n_components} Gaussians"
        codes = draw_codes(checkpoint, n=N_SAMPLES, mixture=True, seed=int(seed))
        ways.append((f"{many} fitted to the codes", codes))
    for name, codes in ways:
        images = cache.decoded(checkpoint, snap(codes))
        st.caption(name)
        show.pictures([(image, "") for image in images], width=76)
    if checkpoint.prior is None:
        st.caption("This model carries no fitted mixture; models trained by this version do.")
