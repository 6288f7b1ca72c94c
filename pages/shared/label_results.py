"""What the labels are worth: accuracy beside PCA and raw pixels, and files of them."""

from __future__ import annotations

import streamlit as st

from pages.shared import cache, groups, label_state, show
from pages.shared.label_state import Follows
from vae_core.apply.label_accuracy import Comparison, accuracy_of, compare, truth_in
from vae_core.apply.label_file import labels_csv, read_labels
from vae_core.apply.labelling import Ints, Labelling, give_name
from vae_core.checkpoint import Checkpoint
from vae_core.errors import ExplorerError

_UPLOAD = "label_upload"


def accuracy(checkpoint: Checkpoint, now: Follows) -> None:
    """How many of the other points are right, where that is known or can be tried out."""
    if now.found is None:
        if now.labelling.given:
            st.info(
                "One class has a name so far. Name a point of another one, and all others follow."
            )
        return
    is_large = cache.label_ground(checkpoint).graph is None
    truth = _truth(checkpoint, now.labelling)
    st.markdown("**How good is it?**")
    has_pixels = cache.originals(checkpoint) is not None and not is_large
    against = st.toggle(
        "Beside PCA and raw pixels" if has_pixels else "Try the names out on each other",
        key="label_compare",
        disabled=is_large,
        help="The same labels spread in the same way over PCA of the pictures and over their "
        "pixels. The first time links all pictures with their neighbours."
        if has_pixels else "Each named point is predicted from the others, in five parts.",
    )  # fmt: skip
    try:
        results = _results(checkpoint, now, truth, against=against and not is_large)
    except ExplorerError as error:
        st.info(show.plain(str(error)))
        return
    if results:
        show.shares([(_feature(checkpoint, r.features), r.accuracy, "") for r in results])
    st.caption(_explained(checkpoint, now, results))


def _truth(checkpoint: Checkpoint, labelling: Labelling) -> Ints | None:
    codes = checkpoint.codes
    if codes.labels is None:
        return None
    names = codes.label_names or tuple(str(kind) for kind in range(int(codes.labels.max()) + 1))
    return truth_in(labelling, codes.labels, names)


def _results(
    checkpoint: Checkpoint, now: Follows, truth: Ints | None, *, against: bool
) -> tuple[Comparison, ...]:
    assert now.found is not None
    if against:
        return compare(cache.label_graphs(checkpoint), now.labelling, truth=truth)
    return () if truth is None else (accuracy_of(now.found, now.labelling, truth),)


def _feature(checkpoint: Checkpoint, name: str) -> str:
    if name == "codes":
        return f"codes of this model ({checkpoint.model.n_latent} numbers)"
    if name.startswith("pca-"):
        return f"PCA ({name.removeprefix('pca-')} numbers)"
    return "raw pixels" + name.removeprefix("pixels").replace("-", ", averaged over ")


def _explained(checkpoint: Checkpoint, now: Follows, results: tuple[Comparison, ...]) -> str:
    is_large = cache.label_ground(checkpoint).graph is None
    how = "a linear classifier on the codes" if is_large else "label spreading"
    n = len(now.labelling)
    if results and results[0].judged_by == "truth":
        named = len(set(now.labelling.given.values()))
        known = len(set(checkpoint.codes.labels.tolist()) - {-1})  # type: ignore[union-attr]
        missing = "" if named >= known else (
            f" {named} of its {known} classes have a name yet; points of the others count as wrong."
        )  # fmt: skip
        return (
            f"Share of the {results[0].n_judged:,} unnamed points that get the data set's own "
            f"label from {n:,} named ones, by {how}.{missing}"
        )
    if results:
        return (
            f"Share of {results[0].n_judged:,} named points that are right when predicted from "
            f"the other names, by {how}."
        )
    if checkpoint.codes.labels is None:
        return "This data set has no labels of its own to compare with."
    return (
        "The names are your own, so there is no truth to compare with; with the data set's names "
        f"({show.plain(_some(checkpoint.codes.label_names))}) the share of right ones stands here."
    )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(show.plain(name) for name in names[:4]) + (" …" if len(names) > 4 else "")


# ---- files --------------------------------------------------------------------------------------
def files(checkpoint: Checkpoint, now: Follows) -> None:
    """The labels as a CSV, out and in; groups kept on Explore as classes."""
    with st.expander("Labels as a file", icon=":material/table:"):
        left, right = st.columns(2)
        left.download_button(
            f"All {len(checkpoint.codes):,} with predictions"
            if now.found is not None else f"The {len(now.labelling):,} named points",
            lambda: labels_csv(checkpoint.codes.ids, now.labelling, now.found),
            file_name=f"{checkpoint.name}-labels.csv", mime="text/csv", key="label_download",
            on_click="ignore", icon=":material/download:", width="stretch",
            disabled=not now.labelling.given,
            help="Columns: id, label (as you gave it), predicted, confidence.",
        )  # fmt: skip
        kept = groups.kept(checkpoint)
        if kept:
            left.button(
                f"Take the {len(kept)} groups kept on Explore as classes", key="label_groups",
                icon=":material/lasso_select:", width="stretch", on_click=_take_groups,
                args=(checkpoint,),
            )  # fmt: skip
        right.file_uploader(
            "Take up labels from a CSV with the columns id and label", type=["csv", "txt"],
            key=_UPLOAD, on_change=_take_file, args=(checkpoint,),
        )  # fmt: skip


def _take_file(checkpoint: Checkpoint) -> None:
    uploaded = st.session_state.get(_UPLOAD)
    if uploaded is not None:
        ids = checkpoint.codes.ids
        label_state.change(checkpoint, lambda _: read_labels(uploaded.getvalue(), ids))


def _take_groups(checkpoint: Checkpoint) -> None:
    def add(now: Labelling) -> Labelling:
        for group in groups.kept(checkpoint):
            now = give_name(now, group.name, rows=group.rows)
        return now

    label_state.change(checkpoint, add)
