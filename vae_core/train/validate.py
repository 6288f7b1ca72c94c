"""What is measured on the validation images after each epoch."""

from __future__ import annotations

import torch
from torch import Tensor

from vae_core.estimators import active_units
from vae_core.objectives import Batch
from vae_core.train.journal import Value
from vae_core.train.run import Run
from vae_core.train.step import ImageFeed, TrainStep

AT_ONCE_IMAGES = 500


@torch.no_grad()
def validate(run: Run, feed: ImageFeed) -> dict[str, Value]:
    """Mean of every term over the images, KL per dimension, and the active units.

    The terms are those of the objective after its warm-up. A semi-supervised run is given
    no labels here, so that they cannot help to choose the best epoch; with a classifier its
    accuracy is reported beside.
    """
    sums: dict[str, float] = {}
    means, kls, hits = list[Tensor](), list[Tensor](), 0
    generator = torch.Generator(run.runtime.device).manual_seed(run.config.seed)
    step = torch.tensor(float("inf"), device=run.runtime.device)
    model = run.shown_model
    terms_of = TrainStep(model, run.step_module.objective)
    at_once = max(1, AT_ONCE_IMAGES // run.position.n_pieces)
    for rows in torch.split(torch.arange(len(feed)), at_once):
        x, y = feed.batch(rows), feed.labels_of(rows)
        given = None if model.config.is_classifier else y
        known = feed.attributes_of(rows)
        batch = Batch(x, generator, given, run.position.n_train_images, known)
        terms = terms_of(batch, step)
        features = model.features(x)
        posterior = model.posterior_of(features, given)
        means.append(posterior.mean)
        kls.append(posterior.kl_terms().sum(0))
        if model.config.is_classifier and y is not None:
            hits += int((model.classify(features).argmax(1) == y).sum())
        for name, values in {"loss": terms.loss, **terms.parts}.items():
            sums[name] = sums.get(name, 0.0) + float(values.double().sum())
    record: dict[str, Value] = {f"val_{k}": v / len(feed) for k, v in sums.items()}
    record["active_units"] = int(active_units(torch.cat(means)).sum())
    if "kl" in sums:
        per_dimension = torch.stack(kls).double().sum(0) / len(feed)
        record["kl_per_dimension"] = [round(v, 4) for v in per_dimension.tolist()]
    if model.config.is_classifier and feed.labels is not None:
        record["val_accuracy"] = hits / len(feed)
    return record
