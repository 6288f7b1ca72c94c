"""A mixture of Gaussians fitted to a model's codes, to sample from in place of N(0, I).

Draws from the prior fall where no image was encoded; a density fitted to the aggregate
posterior afterwards does not. Source: Ghosh et al. 2020 (arXiv:1903.12436), section 4.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from vae_core.errors import ConfigError, DataError
from vae_core.estimators import LOG_2_PI

Floats = NDArray[np.float32]

LEAST_CODES: Final = 10
# A component has D(D + 3)/2 numbers to learn: give each some images of its own.
LEAST_PER_COMPONENT: Final = 20
# Added to every variance: a dimension that never varies keeps a finite density.
VARIANCE_FLOOR: Final = 1e-5
# A part of many draws places the Gaussians, a few steps on all of them give their covariances.
MANY_DRAWS: Final = 20_000
FIRST_STEPS: Final = 200
LAST_STEPS: Final = 20
STEPS_AT_ONCE: Final = 5
NAMES: Final = ("weights", "means", "cholesky")


@dataclass(frozen=True)
class MixturePrior:
    """K Gaussians: `weights` `[K]`, `means` `[K,D]`, lower `cholesky` `[K,D,D]`, float32."""

    weights: Floats
    means: Floats
    cholesky: Floats

    @property
    def n_components(self) -> int:
        """Number of Gaussians K."""
        return len(self.weights)

    @property
    def n_latent(self) -> int:
        """Number of latent dimensions D."""
        return int(self.means.shape[1])

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw n codes, float32 `[n,D]`, ready to decode (on the CPU, as the generator is)."""
        weights, means, cholesky = self._tensors()
        which = torch.multinomial(weights, n, replacement=True, generator=generator)
        noise = torch.randn((n, self.n_latent), generator=generator)
        return means[which] + (cholesky[which] @ noise[..., None])[..., 0]

    def log_density(self, z: Tensor) -> Tensor:
        """log p(z) of codes `[M,D]`: `[M]`, nats; `DataError` for codes of another size."""
        if z.ndim != 2 or z.shape[1] != self.n_latent:
            raise DataError(
                f"Codes of shape {tuple(z.shape)} came, the mixture expects [M, {self.n_latent}]; "
                "give codes of the model that it was fitted to."
            )
        weights, means, cholesky = self._tensors()
        log_weights = weights.log() - cholesky.diagonal(0, 1, 2).log().sum(1)
        rows = []
        # Memory grows with K·M·D: long lists go in pieces.
        for part in torch.split(z.cpu().float(), 1_000):
            away = (part - means[:, None]).mT
            scaled = torch.linalg.solve_triangular(cholesky, away, upper=False)
            exponents = -0.5 * (scaled.square() + LOG_2_PI).sum(1)
            rows.append(torch.logsumexp(exponents + log_weights[:, None], 0))
        return torch.cat(rows)

    def to_arrays(self) -> dict[str, Floats]:
        """Plain arrays to be saved under these names; `from_arrays` takes them back."""
        return {"weights": self.weights, "means": self.means, "cholesky": self.cholesky}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.floating]]) -> MixturePrior:
        """Inverse of `to_arrays`; `DataError` when an array is missing, misshapen or not finite."""
        missing = [name for name in NAMES if name not in arrays]
        if missing:
            raise DataError(
                f"The fitted prior lacks {', '.join(missing)}, expected {', '.join(NAMES)}; "
                "fit it again."
            )
        weights, means, cholesky = (np.asarray(arrays[name], np.float32) for name in NAMES)
        _check(weights, means, cholesky)
        return cls(weights, means, cholesky)

    def _tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        weights, means, cholesky = (
            torch.from_numpy(np.array(array)) for array in (self.weights, self.means, self.cholesky)
        )
        return weights, means, cholesky


def _check(weights: Floats, means: Floats, cholesky: Floats) -> None:
    is_shaped = means.ndim == 2 and weights.shape == means.shape[:1] and 0 not in means.shape
    if not is_shaped or cholesky.shape != (*means.shape, means.shape[1]):
        raise DataError(
            f"The fitted prior holds weights {weights.shape}, means {means.shape} and factors "
            f"{cholesky.shape}, expected [K], [K,D] and [K,D,D]; fit it again."
        )
    is_finite = all(np.isfinite(array).all() for array in (weights, means, cholesky))
    is_weight = is_finite and weights.min() >= 0 and abs(weights.sum() - 1) < 1e-3
    is_triangle = is_finite and not np.triu(cholesky, 1).any()
    if not (is_weight and is_triangle and (np.diagonal(cholesky, 0, 1, 2) > 0).all()):
        raise DataError(
            "The fitted prior holds numbers that describe no mixture, expected weights that sum "
            "to 1 and lower triangles with a positive diagonal; fit it again."
        )


def fit_mixture(
    draws: NDArray[np.floating],
    *,
    n_components: int = 10,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
) -> MixturePrior:
    """Fit full-covariance Gaussians to S draws from each of N posteriors, `[S,N,D]`.

    Draws, not means: the decoder has learnt what the posteriors cover. Fewer components are
    fitted when there are not max(20, 2·D) images for each. `progress` hears the share that is
    done, in [0,1], and may raise to stop. `DataError` for fewer than 10 images, another shape
    or numbers that are not finite; `ConfigError` for less than one component.
    """
    if n_components < 1:
        raise ConfigError(f"{n_components} components were asked for; give 1 or more.")
    _check_draws(draws)
    _, n_images, n_latent = draws.shape
    per_component = max(LEAST_PER_COMPONENT, 2 * n_latent)
    k = int(np.clip(n_images // per_component, 1, n_components))
    fitted = GaussianMixture(k, reg_covar=VARIANCE_FLOOR, random_state=seed, warm_start=True)
    z = draws.reshape(-1, n_latent).astype(np.float64)
    part = z[np.random.default_rng(seed).permutation(len(z))[:MANY_DRAWS]]
    # Time grows with the draws that a step looks at.
    last = len(z) * LAST_STEPS if len(z) > len(part) else 0
    first_share = len(part) * FIRST_STEPS / (len(part) * FIRST_STEPS + last)
    _iterate(fitted, part, FIRST_STEPS, lambda share: progress(share * first_share))
    if last:
        rest = 1 - first_share
        _iterate(fitted, z, LAST_STEPS, lambda share: progress(first_share + share * rest))
    cholesky = np.linalg.cholesky(fitted.covariances_)
    arrays = (fitted.weights_, fitted.means_, cholesky)
    return MixturePrior(*(np.ascontiguousarray(part, np.float32) for part in arrays))


def _iterate(
    fitted: GaussianMixture, z: NDArray[np.float64], most: int, tick: Callable[[float], None]
) -> None:
    """Up to `most` steps of expectation maximisation from where the last ones ended."""
    fitted.max_iter = STEPS_AT_ONCE
    with warnings.catch_warnings():
        # Equal codes make empty clusters, slow ones stop early: both leave a usable density.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for done in range(STEPS_AT_ONCE, most + 1, STEPS_AT_ONCE):
            fitted.fit(z)
            tick(done / most)
            if fitted.converged_:
                break
    tick(1.0)


def _check_draws(draws: NDArray[np.floating]) -> None:
    if draws.ndim != 3 or 0 in draws.shape:
        raise DataError(
            f"Draws of shape {draws.shape} came, expected [S,N,D]: some codes for each image."
        )
    if draws.shape[1] < LEAST_CODES:
        raise DataError(
            f"Codes of {draws.shape[1]} images came, a prior needs {LEAST_CODES} or more to be "
            "fitted to; encode more images."
        )
    if not np.isfinite(draws).all():
        raise DataError(
            "The codes hold numbers that are not finite, expected finite means and log-stds; "
            "train again from an earlier checkpoint or with a smaller learning rate."
        )
