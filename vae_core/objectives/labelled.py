"""Objectives that use labels: the conditional VAE and the semi-supervised M2.

Both also learn what to do without a label (a vector of zeros), so that such models can be
explored like any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as functional
from torch import Tensor

from vae_core.errors import ConfigError
from vae_core.model import Autoencoder
from vae_core.objectives.base import Batch, Terms, gather_evidence, option


def _labels(model: Autoencoder, batch: Batch) -> Tensor:
    """The batch's labels; −1 everywhere when it has none. `ConfigError` without classes."""
    if not model.config.n_classes:
        raise ConfigError(
            "This objective needs labels but the model has no classes; train on a set with labels."
        )
    if batch.y is None:
        return torch.full((len(batch.x),), -1, device=batch.x.device)
    return batch.y


@dataclass(frozen=True)
class ConditionalVAE:
    """Conditional VAE p(x|z,y) (Sohn et al. 2015): −ELBO of x given its label.

    A share of the labels is hidden in training (as Ho & Salimans 2022 do for diffusion).
    """

    uses_labels: ClassVar[bool] = True
    beta: float = option(1.0, "weight of the KL term")
    label_dropout: float = option(0.1, "share of the labels that is hidden")

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:  # noqa: ARG002
        """Reconstruction + β · KL, both given the label."""
        y = _labels(model, batch)
        hidden = torch.rand(len(y), generator=batch.generator, device=y.device)
        y = torch.where(hidden < self.label_dropout, -1, y)
        found = gather_evidence(model, batch, y=y)
        return Terms(found.reconstruction + self.beta * found.kl.sum(1), found.parts)


@dataclass(frozen=True)
class SemiSupervised:
    """M2 (Kingma et al. 2014, arXiv:1406.5298, equations 6 to 9), the label summed out exactly.

    Labelled: −ELBO(x,y) + α · cross-entropy. Unlabelled: Σ_y q(y|x)·(−ELBO(x,y)) − H(q(y|x)).
    A few images of each batch are taken without any label, as a plain VAE.
    """

    uses_labels: ClassVar[bool] = True
    is_classifier: ClassVar[bool] = True
    classifier_weight: float = option(50.0, "weight alpha of the cross-entropy, labelled images")
    label_dropout: float = option(0.1, "share of the images taken without any label")

    def __call__(self, model: Autoencoder, batch: Batch, step: Tensor) -> Terms:  # noqa: ARG002
        """The semi-supervised bound per image."""
        y = _labels(model, batch)
        target = model.likelihood.target(batch.x, batch.generator)
        features = model.features(target)
        logits = torch.log_softmax(model.classify(features), 1)
        nll, kl = self._every_class(model, batch, features, target)
        # p(y) is uniform: each class costs log C.
        cost = nll + kl + math.log(model.config.n_classes)
        chances = logits.exp()
        unlabelled = (chances * (cost + logits)).sum(1)
        known, safe = y >= 0, y.clamp_min(0)[:, None]
        wrong = functional.nll_loss(logits, safe[:, 0], reduction="none")
        labelled = cost.gather(1, safe)[:, 0] + self.classifier_weight * wrong
        told = functional.one_hot(safe[:, 0], logits.shape[1])
        weight = torch.where(known[:, None], told, chances)
        # What the label costs: −log p(y) where it is known, KL(q(y|x) ‖ p(y)) where it is not.
        label = math.log(model.config.n_classes) + (chances * logits).sum(1) * ~known
        parts = {"reconstruction": (weight * nll).sum(1), "kl": (weight * kl).sum(1) + label}
        loss = torch.where(known, labelled, unlabelled)
        loss, parts = self._some_without(model, batch, loss, parts)
        parts["elbo"] = -(parts["reconstruction"] + parts["kl"])
        return Terms(loss, {**parts, "classification": wrong * known})

    @staticmethod
    def _every_class(
        model: Autoencoder, batch: Batch, features: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Reconstruction and KL of each image under each label: `[B,n_classes]` each."""
        n, n_classes = len(features), model.config.n_classes
        labels = torch.arange(n_classes, device=features.device).repeat_interleave(n)
        posterior = model.posterior_of(features.repeat(n_classes, 1), labels)
        z = posterior.sample(generator=batch.generator)[0]
        repeated = target.expand(n_classes, *target.shape).flatten(0, 1)
        nll = model.likelihood.nll(model.decode_raw(z, labels), repeated)
        kl = posterior.kl_terms().sum(1)
        return nll.view(n_classes, n).T, kl.view(n_classes, n).T

    def _some_without(
        self, model: Autoencoder, batch: Batch, loss: Tensor, parts: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Replace the first few images' terms by those of a VAE that is told no label."""
        n = math.ceil(self.label_dropout * len(loss))
        if n == 0:
            return loss, parts
        plain = gather_evidence(model, Batch(batch.x[:n], batch.generator)).parts
        joined = {k: torch.cat([plain[k], v[n:]]) for k, v in parts.items()}
        return torch.cat([-plain["elbo"], loss[n:]]), joined
