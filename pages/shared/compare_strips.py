"""What lies between two images, what random codes give, and one code given to several decoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import streamlit as st

from pages.shared import cache, components, payload, show
from pages.shared.acts import presses
from pages.shared.compare_choice import Comparison, colour_of, pca_of
from pages.shared.compare_payload import linear_part
from pages.shared.compare_rows import PictureRow, show_rows
from vae_core.apply.compare import Coder, Linear, ModelCoder, blend, traverse
from vae_core.apply.compare_report import number_in, read_report
from vae_core.examine import draw_codes

STEPS: Final = 11
DRAWS: Final = 12
WALKED: Final = 9
REACH: Final = 3.0


def section(comparison: Comparison) -> None:
    """Interpolation between the same two images, then random draws, for every model and PCA."""
    coders: list[Coder] = [*comparison.coders, *pca_of(comparison)]
    _between(comparison, coders)
    st.divider()
    _drawn(comparison, coders)


# ---- between two images -------------------------------------------------------------------------
@st.fragment
def _between(comparison: Comparison, coders: Sequence[Coder]) -> None:
    number = _headed(
        "**Half-way between two images.** Each model codes the two ends, walks the straight line "
        "between the codes and decodes what it meets.", "Another pair", key="compare_pair_next",
    )  # fmt: skip
    ends = _pair(comparison, number)
    if ends is None:
        st.info("Two images are needed to go from one to the other; give another one above.")
        return
    fading = blend(*(end.reshape(-1) / np.float32(255) for end in ends), n=STEPS)
    rows = [PictureRow("Fading over", list(fading.reshape(STEPS, *ends.shape[1:])),
                       ["pixels alone, no model"])]  # fmt: skip
    for place, coder in enumerate(coders):
        codes = coder.encode(ends)
        images = coder.decode(blend(codes[0], codes[1], n=STEPS))
        rows.append(PictureRow(coder.name, list(images), _kind(coder), colour=colour_of(
            comparison, place)))  # fmt: skip
    show_rows(rows, testid="compare-between")
    st.caption(_between_words(comparison))


def _headed(words: str, label: str, *, key: str) -> int:
    """What stands below, and beside it a button for other ones; how often that was pressed."""
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    left.markdown(words)
    with right:
        return presses(label, key=key, icon=":material/casino:")


def _pair(comparison: Comparison, number: int) -> np.ndarray | None:
    """Two of the compared images uint8 `[2,C,H,W]`, of two kinds where kinds are known."""
    n = len(comparison.images)
    if n < 2:
        return None
    start = (2 * number) % (n - 1)
    labels = comparison.first.codes.labels
    rows = comparison.common.rows[0]
    other = start + 1
    if comparison.places is not None and labels is not None and rows is not None:
        kinds = labels[rows[comparison.places]]
        different = np.flatnonzero(kinds[start + 1 :] != kinds[start])
        other = start + 1 + int(different[0]) if len(different) else other
    return comparison.images[[start, other]]


def _between_words(comparison: Comparison) -> str:
    plain = [coder.name for coder in comparison.coders if coder.is_plain]
    said = (
        "PCA can only fade one image out and the other in, because it is linear. A good latent "
        "space bends one image into the other, and every step is an image of its own."
    )
    if plain and len(plain) < len(comparison.coders):
        said += (
            f" **{show.plain(plain[0])}** is a plain autoencoder: nothing in its training asked "
            "the places between its codes to mean anything, so steps in the middle may be smudged."
        )
    return said


def _kind(coder: Coder) -> list[str]:
    if isinstance(coder, ModelCoder):
        word = "plain autoencoder" if coder.is_plain else "variational"
        return [f"{word}, {coder.n_latent} numbers"]
    return ["linear"]


# ---- draws --------------------------------------------------------------------------------------
@st.fragment
def _drawn(comparison: Comparison, coders: Sequence[Coder]) -> None:
    seed = _headed(
        "**Random codes decoded.** The codes are drawn from N(0, I), the prior, without looking "
        "at any image.", "Draw again", key="compare_draw_next",
    )  # fmt: skip
    from_mixture = st.toggle(
        "Draw from a mixture fitted to each model's own codes instead", key="compare_mixture",
        disabled=not any(c.checkpoint.prior for c in comparison.coders),
        help="A mixture of Gaussians fitted after training to where the codes really lie.",
    )  # fmt: skip
    rows = []
    for place, coder in enumerate(coders):
        is_fitted = from_mixture and isinstance(coder, ModelCoder) and coder.checkpoint.prior
        codes = _codes(coder, seed, is_fitted=bool(is_fitted))
        notes = _draw_notes(coder, is_fitted=bool(is_fitted))
        rows.append(PictureRow(coder.name, list(coder.decode(codes)), notes,
                               colour=colour_of(comparison, place)))  # fmt: skip
    show_rows(rows, testid="compare-draws")
    st.caption(_draw_words(comparison))


def _codes(coder: Coder, seed: int, *, is_fitted: bool) -> np.ndarray:
    if is_fitted and isinstance(coder, ModelCoder):
        return draw_codes(coder.checkpoint, n=DRAWS, mixture=True, seed=seed)
    return coder.draw(DRAWS, seed=seed)


def _draw_notes(coder: Coder, *, is_fitted: bool) -> list[str]:
    if isinstance(coder, Linear):
        return ["from its own Gaussian"]
    assert isinstance(coder, ModelCoder)
    notes = [] if is_fitted else [_radii(coder)]
    checkpoint = coder.checkpoint
    report = read_report(checkpoint.path, key=checkpoint.key)
    kind = "drawn_from_mixture" if is_fitted else "drawn_from_normal"
    drawn, real = (number_in(report, "samples", n, "distance") for n in (kind, "held_out"))
    if drawn is not None and real is not None:
        notes.append(f"Fréchet {drawn:.2f} (real {real:.2f})")
    return notes


def _radii(coder: ModelCoder) -> str:
    """How far from 0 the codes of images lie, and how far draws do."""
    codes = coder.checkpoint.codes.part
    spread = np.exp(codes.log_std) if not coder.is_plain else np.zeros_like(codes.mean)
    own = float(np.sqrt((np.square(codes.mean) + np.square(spread)).sum(1)).mean())
    return f"images at {own:.1f} from 0, draws at {coder.n_latent**0.5:.1f}"


def _draw_words(comparison: Comparison) -> str:
    plain = [coder.name for coder in comparison.coders if coder.is_plain]
    said = (
        "Training a variational autoencoder pulls the codes of all images together until they "
        "fill N(0, I), so a random code lands where the decoder has learnt something."
    )
    if plain:
        said += (
            f" **{show.plain(plain[0])}** had no such pull: its codes lie wherever they fell, "
            "draws miss them, and the decoder makes up what it never saw."
        )
    return said + (
        " Fréchet is the distance of 2,000 draws from real images in random convolutional "
        "features, where a report was made; smaller is better."
    )


# ---- one code, several decoders -----------------------------------------------------------------
def walks(comparison: Comparison) -> None:
    """Sliders that move the same code in all models with as many numbers."""
    sizes = list(dict.fromkeys(coder.n_latent for coder in comparison.coders))
    groups = {size: [c for c in comparison.coders if c.n_latent == size] for size in sizes}
    size = max(sizes, key=lambda n: len(groups[n]))
    if len(sizes) > 1:
        said = ", ".join(f"{show.plain(c.name)} {c.n_latent}" for c in comparison.coders)
        st.info(
            f"A code fits only decoders with as many numbers ({said}), so models of one size are "
            "moved together, beside PCA of that size."
        )
        size = st.segmented_control("Numbers per code", sizes, default=size, required=True,
                                    key="compare_size") or size  # fmt: skip
    linear = next((item for item in pca_of(comparison) if item.n_latent == size), None)
    data = cache.kept(
        lambda: _walk_data(comparison, groups[size], linear),
        "same code", [c.name for c in comparison.coders], size, *comparison.checkpoints, linear,
    )  # fmt: skip
    components.latent_same(data=data, key="compare_same")
    st.caption(
        "Every picture is decoded from the very same numbers. Only the first model's sliders are "
        "sorted by use: a dimension that turns a stroke in one model does something else, or "
        "nothing, in another, for each model finds its own directions. Models trained on from one "
        "another (as an IWAE started from a VAE) are the exception. PCA's numbers count standard "
        "deviations along its components."
    )
    st.divider()
    _fullest(comparison)


@st.fragment
def _fullest(comparison: Comparison) -> None:
    """Each model along its own n-th fullest dimension, whatever its number."""
    st.markdown(
        "**Each model's own directions.** The dimension that carries most is another one in each; "
        "here each walks along its own, from its average code."
    )
    n = min(coder.n_latent for coder in comparison.coders)
    place = (
        st.slider("Which dimension, the fullest first", 1, n, key="compare_place") if n > 1 else 1
    )
    steps = np.linspace(-REACH, REACH, WALKED)
    rows = []
    for number, coder in enumerate(comparison.coders):
        codes = coder.checkpoint.codes
        dimension = int(codes.dimension_order[place - 1])
        centre, std = codes.part.mean.mean(0), float(codes.part.mean[:, dimension].std())
        walked = traverse(centre, dimension, (centre[dimension] + std * steps).tolist())
        kl = float(codes.kl_per_dimension[dimension])
        notes = [f"z{dimension}" + ("" if coder.is_plain else f", {kl:.2f} nats")]
        rows.append(PictureRow(coder.name, list(coder.decode(walked)), notes,
                               colour=colour_of(comparison, number)))  # fmt: skip
    linear = pca_of(comparison)[0]
    if place <= linear.n_latent:
        flat = np.zeros(linear.n_latent, np.float32)
        walked = traverse(flat, place - 1, (linear.std[place - 1] * steps).tolist())
        rows.append(PictureRow("PCA", list(linear.decode(walked)), [f"component {place}"],
                               colour=colour_of(comparison, len(comparison.coders))))  # fmt: skip
    show_rows(rows, testid="compare-fullest")
    st.caption(
        f"From −{REACH:g} to +{REACH:g} standard deviations of the codes along the dimension; all "
        "other numbers stay. Fullest by KL, by variance in a plain autoencoder; dimensions that "
        "stand for attributes come first."
    )


def _walk_data(
    comparison: Comparison, coders: Sequence[ModelCoder], linear: Linear | None
) -> dict[str, object]:
    codes = coders[0].checkpoint.codes
    shown: list[dict[str, Any]] = [
        {"name": coder.name, "colour": colour_of(comparison, comparison.coders.index(coder)),
         "model": payload.model_part(coder.checkpoint)}
        for coder in coders
    ]  # fmt: skip
    if linear is not None:
        grey = colour_of(comparison, len(comparison.coders))
        part = linear_part(linear)
        shown.append({"name": linear.name, "colour": grey, "model": part})
    order = [int(d) for d in codes.dimension_order]
    return {"models": shown, "order": order, "n_live": min(6, len(order)), "reach": REACH,
            "version": "|".join(str(item["model"]["key"]) for item in shown)}  # fmt: skip
