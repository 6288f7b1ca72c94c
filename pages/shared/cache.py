"""The one place that holds `st.cache_*`: models, originals, published files, pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from scipy import sparse

from pages.shared import atlas, learn_payload, payload, show, walk_payload
from pages.shared.map_job import MapJobs
from pages.shared.model_strip import draw_strip
from pages.shared.models import listed_checkpoints
from vae_core.apply.anchors import Anchors, decode_anchors
from vae_core.apply.beside import PcaCoder, fit_pca_coder, rate_curve
from vae_core.apply.compress import Codec
from vae_core.apply.label_accuracy import feature_graphs
from vae_core.apply.labelling import Ground, ground_of
from vae_core.apply.understand import Understanding, understand
from vae_core.apply.verdict import Verdict, VerdictScale, scale_of, verdict
from vae_core.checkpoint import CARD, Checkpoint, load_checkpoint
from vae_core.data.catalogue import find_originals
from vae_core.errors import ExplorerError
from vae_core.evaluate.predict import Predictions, predict_labels
from vae_core.evaluate.rate import RatePoint
from vae_core.examine import Examination, decode, examine
from vae_core.export.atlas import AtlasPlan, Find
from vae_core.latent.directions import Direction
from vae_core.latent.naming import name_dimensions
from vae_core.latent.paths import PathGraph, path_graph
from vae_core.latent.prior_match import (
    PriorHoles,
    PriorMatch,
    is_point_posterior,
    match_prior,
    prior_holes,
)
from vae_core.latent.trust import Trust, TrustScale, calibrate_trust, model_cycle, trust_of
from vae_core.latent.trust_words import explain

# Real codes the trust limits come from: more make rarer false alarms and a later first map.
TRUST_HELD_OUT, CYCLE_HELD_OUT = 1_000, 500


@st.cache_resource(show_spinner=False)
def map_jobs() -> MapJobs:
    """The maps that are being made on this server, for all visitors."""
    return MapJobs()


def open_checkpoint(name: str | None) -> Checkpoint | None:
    """The checkpoint called `name`, loaded once; shows a sentence and gives None if it fails."""
    paths = {item.path.name: item.path for item in listed_checkpoints() if item.card is not None}
    if name is None or name not in paths:
        st.info(
            "There is no model to explore yet. Train one with "
            "`python -m vae_core train --data faces --out checkpoints/faces --minutes 5` "
            "and reload this page."
        )
        return None
    try:
        return _load(str(paths[name]), card_time=(paths[name] / CARD).stat().st_mtime_ns)
    except ExplorerError as error:
        st.error(show.plain(str(error)))
        return None


@st.cache_resource(max_entries=6, show_spinner="Loading the model…")
def _load(path: str, card_time: int) -> Checkpoint:  # noqa: ARG001  (another card, another model)
    checkpoint = load_checkpoint(path)
    # Codes and maps are read here, so that a damaged file is told before anything is drawn.
    _ = checkpoint.maps
    return checkpoint


def _hash_checkpoint(checkpoint: Checkpoint) -> str:
    return str(checkpoint.card["files"])


_BY_CHECKPOINT: dict[str | type[Any], Callable[[Any], Any]] = {Checkpoint: _hash_checkpoint}


@st.cache_resource(max_entries=6, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def originals(
    checkpoint: Checkpoint,
) -> Callable[[NDArray[np.int64]], NDArray[np.uint8]] | None:
    """Finds original pictures by id, or None when they are not on this machine."""
    return find_originals(checkpoint.card["data"])


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def originals_of(checkpoint: Checkpoint, rows: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Original pictures uint8 `[n,C,H,W]` of these rows of the codes, or None."""
    find = originals(checkpoint)
    if find is None:
        return None
    try:
        return find(checkpoint.codes.ids[list(rows)])
    except ExplorerError:
        return None


def atlas_part(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Where the map finds small originals, drawn in the background; None without originals."""
    find = originals(checkpoint)
    return None if find is None else _atlas(atlas.plan_of(checkpoint), checkpoint, find)


@st.cache_resource(show_spinner=False)
def _atlas(plan: AtlasPlan, _checkpoint: Checkpoint, _find: Find) -> dict[str, Any]:
    return atlas.start(_checkpoint, _find, plan)


# More than one visitor's two hundred pictures at once, or each run of a page computes all anew.
@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def examination(checkpoint: Checkpoint, pixels: NDArray[np.uint8]) -> Examination:
    """`vae_core.examine.examine`, remembered."""
    return examine(checkpoint, pixels)


@st.cache_data(max_entries=24, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def understanding(checkpoint: Checkpoint, pixels: NDArray[np.uint8], *, n: int) -> Understanding:
    """`vae_core.apply.understand.understand`, remembered."""
    return understand(checkpoint, pixels, n=n)


@st.cache_data(max_entries=500, show_spinner=False)
def model_strip(path: str, files: str, *, n: int) -> str:  # noqa: ARG001  (other files, other pictures)
    """`draw_strip`, remembered for these files."""
    return draw_strip(path, n=n)


@st.cache_resource(max_entries=12, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def _verdict_scale(checkpoint: Checkpoint) -> VerdictScale | str:
    try:
        return scale_of(checkpoint)
    except ExplorerError as error:
        return str(error)


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def judged(checkpoint: Checkpoint, pixels: NDArray[np.uint8]) -> Verdict | str:
    """The verdict on one picture uint8 `[C,H,W]`, or the sentence why there is none."""
    scale = _verdict_scale(checkpoint)
    return scale if isinstance(scale, str) else verdict(checkpoint, pixels[None], scale=scale)[0]


@st.cache_resource(max_entries=12, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def dimension_names(checkpoint: Checkpoint) -> dict[int, str]:
    """What the dimensions tell most about, those that have a name."""
    found = name_dimensions(checkpoint.codes.part)
    return {item.dimension: item.text for item in found if item.text and item.target}


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def decoded(checkpoint: Checkpoint, codes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images float32 `[B,C,H,W]` of codes `[B,D]`, remembered."""
    return decode(checkpoint, codes)


@st.cache_resource(max_entries=100, show_spinner="Preparing the map…", hash_funcs=_BY_CHECKPOINT)
def map_data(checkpoint: Checkpoint, projection: str, colour: str) -> dict[str, Any]:
    """The static part of the map element's data; files are published once."""
    return payload.map_data(checkpoint, projection, colour)


@st.cache_resource(
    max_entries=20,
    show_spinner="Fitting five classifiers to the codes…",
    hash_funcs=_BY_CHECKPOINT,
)
def predictions(checkpoint: Checkpoint, kinds: NDArray[np.int64]) -> Predictions | None:
    """What linear readers of the codes say of kinds `[N]` they did not see; None for too few."""
    try:
        return predict_labels(checkpoint.codes.mean, kinds)
    except ExplorerError:
        return None


@st.cache_resource(max_entries=20, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def walk_data(checkpoint: Checkpoint) -> dict[str, Any]:
    """The static part of the walk element's data."""
    return walk_payload.walk_data(checkpoint) | {"trust": trust_part(checkpoint)}


@st.cache_resource(max_entries=20, show_spinner="Measuring directions…", hash_funcs=_BY_CHECKPOINT)
def directions(checkpoint: Checkpoint, kind: walk_payload.Kind) -> tuple[Direction, ...]:
    """Directions to walk along, each with what it is worth."""
    return walk_payload.directions(checkpoint, kind)


@st.cache_resource(max_entries=20, show_spinner="Measuring directions…", hash_funcs=_BY_CHECKPOINT)
def walk_rows(checkpoint: Checkpoint, kind: walk_payload.Kind) -> dict[str, Any]:
    """The sliders along directions of a kind."""
    return walk_payload.rows_part(checkpoint, kind, directions(checkpoint, kind))


@st.cache_resource(
    max_entries=6,
    show_spinner="Linking each real code with its neighbours; once, a few seconds…",
    hash_funcs=_BY_CHECKPOINT,
)
def neighbour_graph(checkpoint: Checkpoint) -> PathGraph:
    """The links that paths along the data follow; of very many codes among a part."""
    return path_graph(checkpoint.codes.mean, rows=checkpoint.codes.part_rows)


@st.cache_resource(max_entries=200, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def trust_along(checkpoint: Checkpoint, codes: NDArray[np.float32]) -> Trust:
    """Distance, radius and verdict of codes `[M,D]`, without the cycle error."""
    return trust_of(_trust_scale(checkpoint, with_cycle=False), codes)


@st.cache_resource(max_entries=6, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def trust_part(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Limits by which the browser judges codes, from distance and radius."""
    rows = checkpoint.codes.part_rows
    return payload.trust_part(
        _trust_scale(checkpoint, with_cycle=False),
        rows=rows if len(rows) < len(checkpoint.codes) else None,
    )


@st.cache_resource(max_entries=12, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def _trust_scale(checkpoint: Checkpoint, *, with_cycle: bool) -> TrustScale:
    codes = checkpoint.codes.part
    return calibrate_trust(
        codes.mean,
        model_cycle(checkpoint.model) if with_cycle else None,
        log_std=None if is_point_posterior(codes) else codes.log_std,
        held_out=codes.held_out,
        max_held_out=CYCLE_HELD_OUT if with_cycle else TRUST_HELD_OUT,
    )


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def trust_words(checkpoint: Checkpoint, z: NDArray[np.float32]) -> str:
    """The verdict on one code `[D]` with its reasons, the cycle error among them."""
    scale = _trust_scale(checkpoint, with_cycle=True)
    found = trust_of(scale, z[None], cycle=model_cycle(checkpoint.model) if scale.limits else None)
    return explain(found, 0) + show.judged_by(checkpoint.codes)


@st.cache_resource(
    max_entries=6, show_spinner="Comparing with the prior…", hash_funcs=_BY_CHECKPOINT
)
def prior_match(checkpoint: Checkpoint) -> PriorMatch:
    """The aggregate posterior beside the prior."""
    return match_prior(checkpoint.codes.part)


@st.cache_resource(max_entries=6, show_spinner="Looking for holes…", hash_funcs=_BY_CHECKPOINT)
def holes(checkpoint: Checkpoint) -> PriorHoles:
    """Draws from the prior that lie far from every code."""
    return prior_holes(checkpoint.codes.part)


@st.cache_resource(max_entries=4, show_spinner="Decoding stored codes…", hash_funcs=_BY_CHECKPOINT)
def anchors(checkpoint: Checkpoint) -> Anchors:
    """Stored codes with their decodes, where searches begin."""
    return decode_anchors(checkpoint)


@st.cache_resource(
    max_entries=6,
    show_spinner="Linking each code with its neighbours; once, a few seconds…",
    hash_funcs=_BY_CHECKPOINT,
)
def label_ground(checkpoint: Checkpoint) -> Ground:
    """What labels of the codes spread on."""
    return ground_of(checkpoint.codes.mean)


@st.cache_resource(
    max_entries=3,
    show_spinner="Linking each picture with its neighbours, by PCA and by pixels; once…",
    hash_funcs=_BY_CHECKPOINT,
)
def label_graphs(checkpoint: Checkpoint) -> dict[str, sparse.csr_matrix]:
    """The graph of the codes and, with originals, those of PCA and raw pixels."""
    rows = tuple(range(len(checkpoint.codes)))
    return feature_graphs(checkpoint.codes.mean, originals_of(checkpoint, rows))


@st.cache_resource(max_entries=6, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def codec(checkpoint: Checkpoint) -> Codec:
    """Writes and reads pictures as files of their codes."""
    return Codec(checkpoint)


@st.cache_data(max_entries=200, show_spinner=False, hash_funcs=_BY_CHECKPOINT)
def compressed(checkpoint: Checkpoint, images: NDArray[np.uint8], *, bits: int) -> bytes:
    """The file of pictures uint8 `[N,C,H,W]` at a bit depth, remembered."""
    return codec(checkpoint).compress(images, bits=bits)


@st.cache_resource(max_entries=6, show_spinner="Fitting PCA…", hash_funcs=_BY_CHECKPOINT)
def pca_coder(checkpoint: Checkpoint, rows: tuple[int, ...]) -> PcaCoder | None:
    """PCA of the originals of these rows, or None where they are not at hand."""
    images = originals_of(checkpoint, rows)
    return None if images is None or len(images) < 2 else fit_pca_coder(images)


@st.cache_resource(max_entries=6, show_spinner="Measuring the curve…", hash_funcs=_BY_CHECKPOINT)
def compression_curve(
    checkpoint: Checkpoint, rows: tuple[int, ...], bits: tuple[int, ...]
) -> list[RatePoint]:
    """Size and quality by bit depth over the originals of these rows; none without them."""
    images = originals_of(checkpoint, rows)
    return [] if images is None else rate_curve(codec(checkpoint), images, bits=bits)


@st.cache_resource(max_entries=60, show_spinner="Comparing…", hash_funcs=_BY_CHECKPOINT)
def kept(_make: Callable[[], Any], *made_of: object) -> Any:  # noqa: ARG001
    """What `_make` gives, remembered under what it was made of: a name, checkpoints, arrays."""
    return _make()


@st.cache_resource(max_entries=1, show_spinner="Loading the small models of this page…")
def lesson(folder: Path) -> learn_payload.Lesson:
    """`pages.shared.learn_payload.read_lesson`, remembered; what it raises is not."""
    return learn_payload.read_lesson(folder)


def sample_rows(checkpoint: Checkpoint, *, n: int, seed: int) -> Sequence[int]:
    """n random rows the model was not trained on, the same for the same seed."""
    generator, rows = np.random.default_rng(seed), checkpoint.codes.held_out
    return [int(row) for row in generator.choice(rows, min(n, len(rows)), replace=False)]
