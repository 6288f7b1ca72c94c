"""From a set of images to a finished checkpoint folder: plan, train, encode, map, card."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vae_core.card import MAX_NOTES, MAX_TITLE
from vae_core.checkpoint import CARD, own_words, save_checkpoint, versions
from vae_core.data.imageset import ImageSet
from vae_core.data.targets import named_targets, some_of
from vae_core.data.validation import deal_validation
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.bounds import evidence_bounds
from vae_core.evaluate.calibration import calibrate_model
from vae_core.files import write_json
from vae_core.latent.codes import MANY_CODES, MAX_CODES, Codes, encode_set, held_out_first
from vae_core.latent.mixture import MixturePrior
from vae_core.latent.prior_fit import fit_prior
from vae_core.latent.projection import Projection, fit_pca, fit_umap
from vae_core.likelihoods import Gaussian
from vae_core.model import Autoencoder, ModelConfig
from vae_core.nets import architecture_for
from vae_core.objectives import Objective, build_objective
from vae_core.objectives.attributes import check_room
from vae_core.objectives.registry import (
    WITHOUT_EVIDENCE,
    attribute_names,
    describe_objective,
    is_classifier,
    uses_labels,
)
from vae_core.train.config import TrainConfig
from vae_core.train.control import read_json
from vae_core.train.loop import Progress, train
from vae_core.train.processes import Processes
from vae_core.train.runtime import Runtime
from vae_core.train.state import FOLDER as STATE_FOLDER
from vae_core.train.state import Position, has_state, read_note
from vae_core.train.watcher import Watcher

BOUND_IMAGES = 1_000
# What a resumed run may be given anew: how long it goes on, and where.
MAY_CHANGE = ("epochs", "minutes", "patience_epochs", "device")


def suggest_likelihood(images: ImageSet) -> tuple[str, str]:
    """A likelihood for these images and why: Bernoulli for near-binary grey, else Gaussian."""
    sample = images.images[:: max(1, len(images) // 500)]
    extreme = float(((sample < 26) | (sample > 229)).mean())
    if images.spec.channels == 1 and extreme > 0.8:
        return "bernoulli", f"{extreme:.0%} of the pixels are nearly black or white"
    return "gaussian", f"only {extreme:.0%} of the pixels are nearly black or white"


def plan_model(images: ImageSet, config: TrainConfig) -> tuple[ModelConfig, list[str]]:
    """The model for these images and the sentences that explain what was chosen."""
    name, told = config.likelihood, []
    if name == "auto":
        name, why = suggest_likelihood(images)
        told.append(f"Likelihood: {name} ({why}).")
    architecture = architecture_for(config.preset, images.spec)
    told.append(f"Network: {architecture.kind} for {images.spec} images, {config.n_latent}-d code.")
    objective = build_objective(config.objective, config.objective_options)
    # Where nothing is sampled in training, a width would be a number without a meaning.
    posterior = "point" if config.objective in WITHOUT_EVIDENCE else config.posterior
    n_classes = _count_classes(images, config) if uses_labels(objective) else 0
    if named := _attributes(images, objective, n_latent=config.n_latent):
        last = len(named) - 1
        which = f"Dimensions 0 to {last} stand" if last else "Dimension 0 stands"
        told.append(f"{which} for {some_of(named)}.")
    return ModelConfig(
        images.spec, config.n_latent, architecture, name,
        posterior=posterior, n_classes=n_classes, is_classifier=is_classifier(objective),
    ), told  # fmt: skip


def _attributes(images: ImageSet, objective: Objective, *, n_latent: int) -> list[str]:
    """What the first dimensions stand for, in order; none where the objective has no such."""
    names = attribute_names(objective)
    if names is None:
        return []
    # One pixel of each: only what is known of them matters here.
    known = replace(images, images=images.images[:, :, :1, :1]).subset("train")
    found = [target.name for target in named_targets(known, names)]
    check_room(len(found), n_latent)
    return found


def _count_classes(images: ImageSet, config: TrainConfig) -> int:
    if images.labels is None or len(np.unique(images.labels)) < 2:
        raise DataError(
            f"'{images.name}' has no two classes but the objective '{config.objective}' needs "
            "labels; sort the images into one folder per class, or choose another objective."
        )
    return int(images.labels.max()) + 1


def check_folder(folder: Path, *, resume: bool, config: TrainConfig) -> None:
    """Refuse to overwrite a finished checkpoint or to resume with other options."""
    if resume and has_state(folder):
        # What is newer than the run was not chosen then: the default.
        before = TrainConfig().to_json() | dict(read_note(folder)["config"])
        now = {k: before.get(k) if k in MAY_CHANGE else v for k, v in config.to_json().items()}
        changed = sorted(k for k, v in now.items() if before.get(k) != v)
        if changed:
            raise ConfigError(
                f"--resume continues a run in '{folder}' whose {', '.join(changed)} differ(s) from "
                "the options given now; give the same options, or another --out."
            )
    elif resume:
        raise ConfigError(
            f"--resume was given but '{folder}' holds no interrupted run; leave --resume out."
        )
    elif (folder / CARD).exists() or has_state(folder):
        raise ConfigError(
            f"'{folder}' already holds a run; add --resume to go on with it, --overwrite to "
            "replace it, or choose another --out."
        )


def check_images(folder: Path, images: ImageSet, *, resume: bool) -> None:
    """Note which images a run in `folder` sees; `ConfigError` when it is resumed with others."""
    note = folder / STATE_FOLDER / "images.json"
    rows = images.images[:: max(1, len(images) // 100)]
    digest = hashlib.sha256(f"{images.images.shape}".encode())
    for part in (images.ids, images.split, rows):
        digest.update(np.ascontiguousarray(part).tobytes())
    before = read_json(note).get("sha256")
    if resume and before not in (None, digest.hexdigest()):
        raise ConfigError(
            f"--resume continues a run in '{folder}' that was started with other images than "
            f"'{images.name}' holds now; give the same --data, or another --out."
        )
    note.parent.mkdir(parents=True, exist_ok=True)
    write_json(note, {"sha256": digest.hexdigest()})


def build_maps(
    codes: Codes,
    *,
    seed: int,
    tell: Callable[[str], None],
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Projection]:
    """PCA always; UMAP when there are enough codes. `progress` as in `fit_umap`."""
    maps: dict[str, Projection] = {"pca": fit_pca(codes.mean)}
    tell("Arranging the map (UMAP)…")

    def report(sentence: str) -> None:
        if len(codes) > MANY_CODES:
            tell(sentence[0].upper() + sentence[1:] + ".")

    umap = fit_umap(codes.mean, seed=seed, report=report, progress=progress)
    if umap is None:
        tell(f"Only {len(codes)} images: too few for UMAP, the map shows PCA.")
    else:
        maps["umap"] = umap
    return maps


def _prior_of(model: Autoencoder, images: ImageSet, *, seed: int) -> MixturePrior | None:
    """Up to ten Gaussians over training codes; None when there are too few for one."""
    n_train = int((images.split == 0).sum()) or len(images)
    n_components = max(1, min(10, n_train // (20 * model.n_latent)))
    try:
        return fit_prior(model, images, n_components=n_components, limit=MAX_CODES, seed=seed)
    except DataError:
        return None


def measure(
    model: Autoencoder, codes: Codes, images: ImageSet, config: TrainConfig
) -> dict[str, Any]:
    """The figures of the card: held-out errors, KL, active units, and the ELBO if there is one."""
    test = codes.held_out
    error = codes.squared_error[test].astype(np.float64)
    figures: dict[str, Any] = {
        "n_test_images": len(test),
        "squared_error": float(error.mean()),
        "psnr_db": float((-10 * np.log10(np.maximum(error, 1e-12))).mean()),
        "kl_nats": float(codes.kl_nats[test].sum(1).mean()),
        "active_units": int(codes.is_active.sum()),
    }
    if isinstance(model.likelihood, Gaussian):
        figures["sigma"] = model.likelihood.sigma
    if config.objective not in WITHOUT_EVIDENCE:
        part = 2 if (images.split == 2).any() else 1
        held_out = images.take(np.flatnonzero(images.split == part)[:BOUND_IMAGES])
        bounds = evidence_bounds(model, held_out.images, importance_samples=1, seed=config.seed)
        figures["elbo_nats"] = bounds.elbo
    return figures


def train_checkpoint(
    images: ImageSet,
    folder: Path,
    *,
    config: TrainConfig,
    runtime: Runtime,
    record: Mapping[str, Any],
    command: str,
    title: str = "",
    resume: bool = False,
    report: Callable[[Progress], None] | None = None,
    tell: Callable[[str], None] = lambda _: None,
    cancelled: Callable[[], bool] | None = None,
    initial: Autoencoder | None = None,
    processes: Processes | None = None,
    watcher: Watcher | None = None,
) -> dict[str, Any]:
    """Train, encode the held-out images, make the maps and write the checkpoint.

    `record` says where the images come from, `command` how to do this again. Returns the
    card's metrics. Under torchrun every process calls this and the first one writes; the
    others return {}. Errors as in `train`.
    """
    processes = processes or Processes()
    images = deal_validation(images, seed=config.seed, n=config.n_validation)
    model_config, told = plan_model(images, config)
    for sentence in (runtime.reason, *told):
        tell(sentence)
    if processes.is_main:
        check_images(folder, images, resume=resume)
    model, position = train(
        images, folder, model_config=model_config, config=config, runtime=runtime,
        resume=resume, report=report, tell=tell, cancelled=cancelled, initial=initial,
        processes=processes, watcher=watcher,
    )  # fmt: skip
    if not processes.is_main:
        return {}
    model = model.cpu()
    tell("Encoding the held-out images…")
    follow = _stages(watcher)
    codes = encode_set(
        model, held_out_first(images, seed=config.seed), n_total=len(images),
        progress=partial(follow, "Encoding the images"),
    )  # fmt: skip
    maps = build_maps(codes, seed=config.seed, tell=tell, progress=follow)
    follow("Measuring and saving", 0, 1)
    metrics = measure(model, codes, images, config)
    card = _card(images, config, position, record, metrics, command=command, title=title)
    prior = _prior_of(model, images, seed=config.seed)
    if prior is not None:
        card["prior"] = {"command": card["command"], "components": prior.n_components}
    calibration = calibrate_model(model, images, seed=config.seed)
    # Last of all: they may be written while this run is at work.
    card |= own_words(folder) if resume else {}
    save_checkpoint(
        folder, model, card=card, codes=codes, maps=maps, prior=prior, calibration=calibration
    )
    return metrics


# What follows the training, and roughly where in it each part begins and ends.
_STAGES = {"Encoding the images": (0.0, 0.2), "Measuring and saving": (0.9, 1.0)}


def _stages(watcher: Watcher | None) -> Callable[[str, int, int], None]:
    """Tells the watcher how far the parts after the training are."""

    def follow(stage: str, done: int, total: int) -> None:
        low, high = _STAGES.get(stage, (0.2, 0.9))
        if watcher:
            share = low + (high - low) * done / max(1, total)
            watcher.after(stage[0].upper() + stage[1:], share, done=done, total=total)

    return follow


def _card(
    images: ImageSet,
    config: TrainConfig,
    position: Position,
    record: Mapping[str, Any],
    metrics: Mapping[str, Any],
    *,
    command: str,
    title: str,
) -> dict[str, Any]:
    objective = build_objective(config.objective, config.objective_options)
    title = title.strip() or f"{images.name} · {config.objective} · {config.n_latent}-d"
    return {
        # Names of folders may be longer than a card may hold.
        "title": title[:MAX_TITLE],
        "command": command[:MAX_NOTES],
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data": dict(record),
        "preprocessing": {
            "size": [images.spec.height, images.spec.width],
            "channels": images.spec.channels,
            "range": "0..255 to 0..1",
            "fit": "centre crop, Lanczos",
        },
        "split": {
            "seed": config.seed,
            "n_validation": config.n_validation,
            "test_images": int((images.split == 2).sum()),
        },
        "objective": describe_objective(config.objective, objective),
        "attributes": _attributes(images, objective, n_latent=config.n_latent),
        "training": {**config.to_json(), **asdict(position)},
        "versions": versions(),
        "metrics": dict(metrics),
    }
