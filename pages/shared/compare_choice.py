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
HELD_OUT, OWN, DRAWN = "Held-out images", "My own", "Drawn"
# Pictures above this many values cost tens of milliseconds each to draw, code and measure.
LARGE_VALUES: Final = 4_096
COLOURS: Final = ("#4c6ef5", "#e8590c", "#2b8a3e", "#ae3ec9")
GREY: Final = "#868e96"


@dataclass(frozen=True)
class Comparison:
    """The models and the images they are compared on: `images` uint8 `[N,C,H,W]`.

    `places` are those of the images in `common.ids`, None for images from elsewhere. `seed`
    changes with the visitor's wish for other images.
    """

    coders: tuple[ModelCoder, ...]
    common: Common
    images: Images
    places: NDArray[np.int64] | None
    seed: int

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
    return _with_images(coders, common)


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
    has_originals = cache.originals(coders[0].checkpoint) is not None
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    with left:
        kinds = [HELD_OUT, OWN] if has_originals else [DRAWN, OWN]
        kind = st.segmented_control(
            "Compared on", kinds, default=kinds[0], required=True, persist_state="session",
            key=f"compare_images_{kinds[0]}",
        )  # fmt: skip
    with right:
        seed = _other_images() if kind != OWN else 0
    if kind == OWN:
        return _own(coders, common)
    found = (
        _held_out(coders, common, seed)
        if kind == HELD_OUT
        else Comparison(coders, common, _drawn(coders[0], seed), None, seed)
    )
    _say(found, str(kind))
    return found


def _other_images() -> int:
    """A number that changes with each wish for other images."""
    if st.button("Other images", icon=":material/casino:", key="compare_other", width="stretch"):
        st.session_state["compare_seed"] = st.session_state.get("compare_seed", 0) + 1
    return int(st.session_state.get("compare_seed", 0))


def _held_out(coders: tuple[ModelCoder, ...], common: Common, seed: int) -> Comparison:
    first = coders[0].checkpoint
    n = 64 if first.model.spec.n_values > LARGE_VALUES else 200
    order = np.random.default_rng(seed).permutation(len(common.ids))
    places = order[:n].astype(np.int64)
    assert common.rows[0] is not None
    images = cache.originals_of(first, tuple(common.rows[0][places].tolist()))
    if images is None:
        st.warning("The original images could not be read, so drawn ones are shown instead.")
        return Comparison(coders, common, _drawn(coders[0], seed), None, seed)
    return Comparison(coders, common, images, places, seed)


def _drawn(coder: ModelCoder, seed: int) -> Images:
    def draw() -> Images:
        return to_bytes(coder.decode(coder.draw(64, seed=seed)))

    images: Images = cache.kept(draw, "drawn", coder.checkpoint, seed)
    return images


def _own(coders: tuple[ModelCoder, ...], common: Common) -> Comparison | None:
    items = inputs.choose(coders[0].checkpoint)
    if not items:
        return None
    return Comparison(coders, common, np.stack([item.pixels for item in items]), None, 0)


def _say(found: Comparison, kind: str) -> None:
    """Where the images come from, who may have seen them, and what was converted."""
    first, n = found.first, len(found.images)
    words = [f"{n} images of '{show.source_name(first.card)}'"]
    if kind == DRAWN or found.places is None:
        words = [
            f"{n} pictures drawn from **{show.plain(found.coders[0].name)}** itself, because its "
            "data are not on this machine: an easy test for the model they come from"
        ]
    elif found.common.is_held_out:
        words.append("that no compared model of these data was trained on")
    else:
        words.append("the first model was not trained on; others may have been")
    said = ", ".join(words) + "."
    strangers = [c for c, rows in zip(found.coders, found.common.rows, strict=True) if rows is None]
    for coder in strangers:
        source = show.source_name(coder.checkpoint.card)
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
    """Images for PCA: originals not compared by default, else decoded codes."""
    first = comparison.first
    n = 300 if comparison.is_large else 2_000
    held = first.codes.held_out
    rows = np.random.default_rng(10_000).permutation(held)[:n]
    if comparison.places is not None:
        assert comparison.common.rows[0] is not None
        compared = comparison.common.rows[0][comparison.places]
        apart = np.setdiff1d(rows, compared)
        rows = apart if len(apart) >= len(rows) // 2 else rows
    images = cache.originals_of(first, tuple(rows.tolist()))
    if images is not None:
        return images
    return to_bytes(comparison.coders[0].decode(first.codes.mean[rows]))


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
