"""Sets of posteriors whose information measures are known exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def linear_gaussian(
    n: int, covariance: NDArray[np.float64], std: float, *, seed: int = 0
) -> tuple[Floats, Floats]:
    """Posteriors N(m, std²·I) with m ~ N(0, covariance): mean and log_std `[n,D]`.

    The aggregate is N(0, covariance + std²·I), so that every measure has a closed form.
    """
    random = np.random.default_rng(seed)
    zero = np.zeros(len(covariance))
    mean = random.multivariate_normal(zero, covariance, size=n, method="eigh")
    return mean.astype(np.float32), np.full(mean.shape, np.log(std), np.float32)


def gaussian_correlation(covariance: NDArray[np.float64]) -> float:
    """Total correlation of a Gaussian: −½·log det of its correlation matrix, nats."""
    return float(-0.5 * (np.linalg.slogdet(covariance)[1] - np.log(np.diag(covariance)).sum()))


def tc_toy(n: int, seed: int = 0) -> tuple[Floats, Floats, float]:
    """Ten dimensions that copy one cause, with noise: mean, log_std `[n,10]`, true TC in nats.

    The TC of about 6.79 nats is large although the index-code information is small (1.93
    nats, far below log n), so a few thousand posteriors show it without bias.
    """
    shared, std = np.ones((10, 10)), 0.4597
    mean, log_std = linear_gaussian(n, shared, std, seed=seed)
    return mean, log_std, gaussian_correlation(shared + std**2 * np.eye(10))
