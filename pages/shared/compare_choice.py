"""Which models are compared, and on which images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.shared import cache, inputs, models, show, state
from pages.shared.acts import presses
from vae_core.apply.compare import (
    MAX_MODELS,
    MIN_MODELS,
    Coder,
    Common,
    Linear,
    ModelCoder,
    Seen,
    common_images,
    fit_linear,
    see,
)
from vae_core.checkpoint import Checkpoint, Listed
from vae_core.errors import ExplorerError
from vae_core.grid import to_bytes

Images = NDArray[np.uint8]
# Models of the same data whose difference is worth a first look.
FIRST_SEEN: Final = ("mnist-ae", "mnist")
HELD_OUT, OWN = "Held-out images", "My own"
LEAST_IMAGES: Final = 4
# Pictures above this many values cost tens of milliseconds each to draw, code and measure.
LARGE_VALUES: Final = 4_096
COLOURS: Final = ("#4c6ef5", "#e8590c", "#2b8a3e", "#ae3ec9")
GREY: Final = "#868e96"


@dataclass(frozen=True)
class Comparison:
    """The models and the images they are compared on: `images` uint8 `[N,C,H,W]`.

    `places` are those of the images in `common.ids`, None for images from elsewhere.
    `is_original` is False for reconstructions of the first model, shown where its data are
    not at hand.
    """

    coders: tuple[ModelCoder, ...]
    common: Common
    images: Images
    places: NDArray[np.int64] | None
    is_original: bool = True

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The compared models in their order."""
        return tuple(coder.checkpoint for coder in self.coders)

    @property
    def first(self) -> Checkpoint:
        """The model whose data and image shape the comparison uses."""
        return self.coders[0].checkpoint

    @property
    def is_large(self) -> bool:
        """Whether pictures cost so much that fewer of them are measured."""
        return self.first.model.spec.n_values > LARGE_VALUES


def colour_of(comparison: Comparison, place: int) -> str:
    """The colour of the coder at a place; PCA comes after the models and is grey."""
    return COLOURS[place] if place < len(comparison.coders) else GREY


def choose() -> Comparison | None:
    """Ask for models and images; None, with a sentence, while there is nothing to compare."""
    good = {i.path.name: i for i in models.listed_checkpoints() if i.card is not None}
    names = _choose_models(good)
    if len(names) < MIN_MODELS:
        st.info(
            f"Choose {MIN_MODELS} to {MAX_MODELS} models above to see them side by side."
            if len(good) >= MIN_MODELS
            else "There is only one model here, and a comparison needs two; train another, for "
            "example with `--objective ae`, and reload this page."
        )
        return None
    opened = [cache.open_checkpoint(name) for name in names]
    checkpoints = [item for item in opened if item is not None]
    if len(checkpoints) < MIN_MODELS:
        return None
    titles = _titles(good)
    coders = tuple(ModelCoder(c, titles[c.name]) for c in checkpoints)
    common = cache.kept(lambda: common_images(checkpoints), "common", *checkpoints)
    problem = _problem(coders, common)
    if problem:
        st.error(show.plain(problem))
        return None
    return _with_images(coders, common)


def _problem(coders: Sequence[ModelCoder], common: Common) -> str:
    """Why these models cannot be compared, in a sentence, or nothing."""
    first = coders[0]
    if len(common.ids) < LEAST_IMAGES:
        return (
            f"'{first.checkpoint.name}' has {len(common.ids)} held-out images, a comparison needs "
            f"{LEAST_IMAGES} or more; put a model of more images first."
        )
    for coder in coders:
        channels = {coder.spec.channels, first.spec.channels}
        if coder.spec != first.spec and not channels <= {1, 3}:
            return (
                f"'{coder.checkpoint.name}' works on {coder.spec} images, which cannot be made of "
                f"{first.spec} ones; compare models of the same kind of image."
            )
    return ""


def _choose_models(good: Mapping[str, Listed]) -> list[str]:
    asked = [name for name in state.url_at_start().get("models", "").split(",") if name]
    missing = [name for name in asked if name not in good]
    if missing:
        st.warning(f"There is no model '{show.plain(missing[0])}' here; it was left out.")
    chosen: list[str] = st.multiselect(
        "Models",
        list(good),
        default=_at_first(list(good), asked),
        # The browser tells options apart by what they are called.
        format_func=_titles(good).__getitem__,
        max_selections=MAX_MODELS,
        key="compare_models",
        persist_state="session",
        help="Their reconstructions, codes and figures are set side by side. The first one's "
        "data are used; the others get the same images in their own size and colours.",
    )
    state.put_in_url(models=",".join(chosen) or None)
    return chosen


def _at_first(names: Sequence[str], asked: Sequence[str]) -> list[str]:
    """What a link asks for; else a plain autoencoder beside a variational one; else two."""
    for wanted in (asked, FIRST_SEEN):
        known = [name for name in dict.fromkeys(wanted) if name in names][:MAX_MODELS]
        if len(known) >= MIN_MODELS:
            return known
    return list(names[:MIN_MODELS])


def _titles(good: Mapping[str, Listed]) -> dict[str, str]:
    """Titles by folder name, with that name where several models have the same one."""
    titles = {name: str((item.card or {}).get("title") or name) for name, item in good.items()}
    n_called = Counter(titles.values())
    return {n: f"{title} ({n})" if n_called[title] > 1 else title for n, title in titles.items()}


# ---- images -------------------------------------------------------------------------------------
def _with_images(coders: tuple[ModelCoder, ...], common: Common) -> Comparison | None:
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    with left:
        kind = st.segmented_control(
            "Compared on", [HELD_OUT, OWN], default=HELD_OUT, required=True,
            persist_state="session", key="compare_images",
        )  # fmt: skip
    if kind == OWN:
        return _own(coders, common)
    with right:
        seed = presses("Other images", key="compare_other", icon=":material/casino:")
    found = _held_out(coders, common, seed)
    _say(found)
    return found


def _held_out(coders: tuple[ModelCoder, ...], common: Common, seed: int) -> Comparison:
    """Some of the common images, or what the first model rebuilds where they are not at hand."""
    first = coders[0].checkpoint
    n = 64 if first.model.spec.n_values > LARGE_VALUES else 200
    places = np.random.default_rng(seed).permutation(places_apart(first, common))[:n]
    images, is_original = images_at(coders[0], common, places)
    return Comparison(coders, common, images, places, is_original=is_original)


def images_at(coder: ModelCoder, common: Common, places: NDArray[np.int64]) -> tuple[Images, bool]:
    """Originals uint8 `[n,C,H,W]` at places in `common.ids`, and True.

    Where they are not at hand: the first model's reconstructions, and False.
    """
    rows, checkpoint = common.rows[0], coder.checkpoint
    assert rows is not None
    images = cache.originals_of(checkpoint, tuple(rows[places].tolist()))
    if images is not None:
        return images, True
    return to_bytes(coder.decode(checkpoint.codes.mean[rows[places]])), False


def places_apart(first: Checkpoint, common: Common) -> NDArray[np.int64]:
    """Places of `common.ids` that PCA was not fitted to, so that it is tested as models are."""
    rows = common.rows[0]
    assert rows is not None
    apart = np.flatnonzero(~np.isin(rows, fitted_rows(first))).astype(np.int64)
    return apart if len(apart) >= LEAST_IMAGES // 2 else np.arange(len(rows))


def fitted_rows(first: Checkpoint) -> NDArray[np.int64]:
    """The held-out rows PCA is fitted to: at most half of them."""
    n = 300 if first.model.spec.n_values > LARGE_VALUES else 2_000
    held = first.codes.held_out
    return np.random.default_rng(10_000).permutation(held)[: min(n, len(held) // 2)]


def _own(coders: tuple[ModelCoder, ...], common: Common) -> Comparison | None:
    items = inputs.choose(coders[0].checkpoint)
    if not items:
        return None
    return Comparison(coders, common, np.stack([item.pixels for item in items]), None)


def _say(found: Comparison) -> None:
    """Where the images come from, who may have seen them, and what was converted."""
    first, n = found.first, len(found.images)
    words = f"{n} images of '{show.plain(show.source_name(first.card))}', "
    if not found.is_original:
        words = (
            f"{n} images as **{show.plain(found.coders[0].name)}** rebuilds them, because the "
            "originals are not on this machine: an easy test for that model"
        )
    elif found.common.is_held_out:
        words += "that no compared model of these data was trained on"
    else:
        words += "the first model was not trained on; others may have been"
    said = words + "."
    strangers = [c for c, rows in zip(found.coders, found.common.rows, strict=True) if rows is None]
    for coder in strangers:
        source = show.plain(show.source_name(coder.checkpoint.card))
        said += f" **{show.plain(coder.name)}** learnt from '{source}'"
        changed = coder.spec != first.model.spec
        said += f" and gets them as {coder.spec}." if changed else "."
    for coder in found.coders:
        if coder not in strangers and coder.spec != first.model.spec:
            said += f" **{show.plain(coder.name)}** gets them as {coder.spec}."
    st.caption(said)


# ---- what the coders make of them ---------------------------------------------------------------
def pca_of(comparison: Comparison) -> tuple[Linear, ...]:
    """PCA for each number of dimensions that occurs, fitted to other images of the set."""
    sizes = sorted({coder.n_latent for coder in comparison.coders}, reverse=True)
    whole: Linear = cache.kept(
        lambda: fit_linear(_to_fit(comparison), sizes[0]),
        "pca", comparison.first, sizes[0], *comparison.checkpoints,
    )  # fmt: skip
    found = [whole.with_dimensions(size) for size in sizes]
    # Few images have few components: equal ones are one row.
    return tuple({linear.n_latent: linear for linear in found}.values())


def _to_fit(comparison: Comparison) -> Images:
    """Images for PCA: originals, else decoded codes; never among the compared ones."""
    first, rows = comparison.first, fitted_rows(comparison.first)
    images = cache.originals_of(first, tuple(rows.tolist()))
    return (
        images
        if images is not None
        else to_bytes(comparison.coders[0].decode(first.codes.mean[rows]))
    )


def seen_by_models(comparison: Comparison) -> list[Seen]:
    """What each model makes of the images."""
    images = comparison.images
    return [_seen(c, images, c.checkpoint, c.name) for c in comparison.coders]


def seen_by_all(comparison: Comparison) -> list[Seen]:
    """What each model and then each PCA makes of the images."""
    checkpoints = comparison.checkpoints
    linear = [
        _seen(item, comparison.images, "pca", item.n_latent, *checkpoints)
        for item in pca_of(comparison)
    ]
    return [*seen_by_models(comparison), *linear]


def _seen(coder: Coder, images: Images, *made_of: object) -> Seen:
    found: Seen = cache.kept(lambda: see(coder, images), "seen", images, *made_of)
    return found


def safe(comparison: Comparison) -> list[Seen] | None:
    """As `seen_by_all`, or None after the sentence why not."""
    try:
        return seen_by_all(comparison)
    except ExplorerError as error:
        st.error(str(error))
        return None
