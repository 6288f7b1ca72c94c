"""What the mixture is fitted to: draws from the posteriors of training images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from vae_core.data.imageset import ImageSet
from vae_core.errors import DataError
from vae_core.estimators import log_standard_normal
from vae_core.latent.mixture import MixturePrior, fit_mixture
from vae_core.model import Autoencoder

Floats = NDArray[np.float32]

# A few images give several draws each, so that the posteriors' own widths fill the covariances.
LEAST_DRAWS: Final = 1_000


@dataclass(frozen=True)
class PriorChoice:
    """The mixture that held-out codes like best, and how much they like each.

    `nats` maps a number of Gaussians to the average log density of the held-out codes under
    that mixture; `normal_nats` is theirs under N(0, I).
    """

    prior: MixturePrior
    nats: dict[int, float]
    normal_nats: float


@torch.no_grad()
def posterior_draws(
    model: Autoencoder,
    images: NDArray[np.uint8],
    rows: NDArray[np.int64],
    *,
    n: int = 1,
    seed: int = 0,
) -> Floats:
    """n codes z ~ q(z|x) for each of N `rows` of uint8 images: float32 `[n,N,D]`.

    The encoder sees what it saw in training: images are tossed into black and white afresh
    where the likelihood does so. Only the rows in work are read from a memory map.
    """
    generator = torch.Generator(model.device).manual_seed(seed)
    pieces = []
    for start in range(0, len(rows), 500):
        piece = np.ascontiguousarray(images[rows[start : start + 500]])
        x = torch.from_numpy(piece).to(model.device).float() / 255
        if model.config.posterior != "point":
            x = model.likelihood.target(x, generator)
        pieces.append(model.encode(x).sample(n=n, generator=generator).cpu().numpy())
    if not pieces:
        return np.empty((n, 0, model.n_latent), np.float32)
    return np.concatenate(pieces, 1)


def fit_prior(
    model: Autoencoder,
    images: ImageSet,
    *,
    n_components: int = 10,
    limit: int | None = None,
    seed: int = 0,
) -> MixturePrior:
    """A mixture fitted to codes of training images: all, or `limit` taken at random.

    Held-out images stay unseen, so that what is measured on them is not flattered; a set
    that names no training images gives all it has. Errors as in `fit_mixture`.
    """
    draws = _training_draws(model, images, n=1, limit=limit, seed=seed)
    return fit_mixture(draws, n_components=n_components, seed=seed)


def _training_draws(
    model: Autoencoder, images: ImageSet, *, n: int, limit: int | None, seed: int
) -> Floats:
    """n codes of each training image, more where these are few: `[n,N,D]`."""
    train = np.flatnonzero(images.split == 0)
    known = train if len(train) else np.arange(len(images))
    rows = np.sort(np.random.default_rng(seed).permutation(known)[:limit])
    n = max(n, -(-LEAST_DRAWS // max(1, len(rows))))
    return posterior_draws(model, images.images, rows, n=n, seed=seed)


def choose_prior(
    model: Autoencoder,
    images: ImageSet,
    *,
    n_components: Sequence[int],
    n_draws: int = 1,
    seed: int = 0,
    tell: Callable[[str], None] = lambda _: None,
    progress: Callable[[float], None] = lambda _: None,
) -> PriorChoice:
    """Fit mixtures of several sizes to all training images; validation images choose.

    `tell` hears of each, `progress` the share that is done. `DataError` without validation
    images; other errors as in `fit_mixture`.
    """
    held_out = np.flatnonzero(images.split == 1)
    if not len(held_out):
        raise DataError(
            f"'{images.name}' has no validation images, some were expected to choose the number "
            "of Gaussians by; give the set that the model was trained on."
        )
    z = torch.from_numpy(posterior_draws(model, images.images, held_out, seed=seed + 1)[0])
    draws = _training_draws(model, images, n=n_draws, limit=None, seed=seed)
    found: dict[int, tuple[float, MixturePrior]] = {}
    for index, k in enumerate(n_components):
        # A step takes as long as there are Gaussians.
        before, after = (sum(n_components[:i]) / sum(n_components) for i in (index, index + 1))
        prior = fit_mixture(
            draws, n_components=k, seed=seed, progress=partial(_between, progress, before, after)
        )
        nats = float(prior.log_density(z).mean())
        found[prior.n_components] = (nats, prior)
        tell(f"{prior.n_components} Gaussians: {nats:.2f} nats for a held-out code.")
    best = max(found.values(), key=lambda pair: pair[0])[1]
    scores = {k: nats for k, (nats, _) in found.items()}
    return PriorChoice(best, scores, float(log_standard_normal(z).mean()))


def _between(progress: Callable[[float], None], low: float, high: float, share: float) -> None:
    progress(low + (high - low) * share)
