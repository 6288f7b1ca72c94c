"""The verbs that put a trained model to work."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from vae_core.apply.label_accuracy import accuracy_of, compare, feature_graphs, truth_in
from vae_core.apply.label_file import MAX_BYTES, labels_csv, read_labels
from vae_core.apply.labelling import (
    Labelling,
    Method,
    Propagated,
    classify,
    propagate,
    suggest_next,
    typicality,
)
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.cli.common import answer, check_number, load_for, table
from vae_core.data.catalogue import find_originals
from vae_core.errors import ConfigError, DataError
from vae_core.files import replace_file
from vae_core.latent.codes import MANY_CODES, Codes, encode_set

Images = NDArray[np.uint8]


# ---- label ---------------------------------------------------------------------------------------
def add_label_flags(verb: argparse.ArgumentParser) -> None:
    """The flags of `label` besides the checkpoint and --out."""
    verb.add_argument(
        "--labels", type=Path, required=True, help="CSV with the columns id and label, a few lines"
    )
    verb.add_argument("--data", help="the images to label; without it, those on the model's map")
    verb.add_argument("--data-dir", type=Path, help="where data sets are found or downloaded to")
    verb.add_argument(
        "--method", choices=get_args(Method), default="graph",
        help="along the graph of nearest codes, or by a linear classifier (for very many images)",
    )  # fmt: skip
    verb.add_argument("--suggest", type=int, default=10, help="name this many ids to label next")
    verb.add_argument(
        "--compare", action="store_true", help="also spread the labels over PCA and raw pixels"
    )


def run_label(args: argparse.Namespace) -> int:
    """Label all images of a set from a few of them; the result is a CSV."""
    check_number("--suggest", args.suggest, 0, 1_000)
    checkpoint = load_checkpoint(args.checkpoint, device=args.device)
    codes, images = _codes_to_label(args, checkpoint)
    labelling = read_labels(_read_few(args.labels), codes.ids)
    if args.method == "graph" and len(codes) > MANY_CODES:
        raise ConfigError(
            f"{len(codes):,} images came, the graph is drawn between {MANY_CODES:,} at most; "
            "use --method linear."
        )
    graphs = {}
    if args.method == "graph" or args.compare:
        graphs = feature_graphs(codes.mean, images if args.compare else None)
    is_graph = args.method == "graph"
    found = propagate(graphs["codes"], labelling) if is_graph else classify(codes.mean, labelling)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(args.out) as temporary:
        temporary.write_text(labels_csv(codes.ids, labelling, found), encoding="utf-8")
    figures: dict[str, Any] = {"out": str(args.out), "n_images": len(codes)}
    figures |= {"n_labels": len(labelling), "classes": list(labelling.names)}
    figures |= {"mean_confidence": float(found.confidence.mean())}
    figures |= _accuracies(codes, labelling, found, graphs if args.compare else {})
    figures["suggested_ids"] = _suggested(args, codes, labelling, found)
    answer(args, figures, table(figures))
    return 0


def _read_few(path: Path) -> bytes:
    if not path.is_file():
        raise DataError(f"'{path}' is no file, expected a CSV of labels; check its spelling.")
    with path.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _codes_to_label(
    args: argparse.Namespace, checkpoint: Checkpoint
) -> tuple[Codes, Images | None]:
    """The codes of --data and its images, or those stored with the model."""
    if args.data is not None:
        images = load_for(args, checkpoint)
        return encode_set(checkpoint.model, images), images.images
    codes = checkpoint.codes
    if not args.compare:
        return codes, None
    find = find_originals(checkpoint.card["data"], data_dir=args.data_dir)
    if find is None:
        raise DataError(
            "The originals of the map are not at hand, --compare needs their pixels; name the "
            "images with --data."
        )
    return codes, find(codes.ids)


def _accuracies(
    codes: Codes, labelling: Labelling, found: Propagated, graphs: dict[str, Any]
) -> dict[str, Any]:
    """Accuracy against the set's own labels, where the names given are among them."""
    if codes.labels is None:
        return {}
    truth = truth_in(labelling, codes.labels, codes.label_names)
    if truth is None:
        return {}
    told = {"accuracy_of_unlabelled": accuracy_of(found, labelling, truth).accuracy}
    others = compare({k: g for k, g in graphs.items() if k != "codes"}, labelling, truth=truth)
    return told | {f"accuracy_of_{other.features}": other.accuracy for other in others}


def _suggested(
    args: argparse.Namespace, codes: Codes, labelling: Labelling, found: Propagated
) -> list[int]:
    if not args.suggest:
        return []
    typical = typicality(codes.mean) if len(codes) <= MANY_CODES else None
    rows = suggest_next(codes.mean, labelling, n=args.suggest, propagated=found, typical=typical)
    return [int(number) for number in codes.ids[rows]]
