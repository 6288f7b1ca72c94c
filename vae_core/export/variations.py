"""Random variations of codes: which codes, how many, how far, drawn by which seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from vae_core.errors import ConfigError, DataError
from vae_core.latent.codes import Codes

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Noise = Literal["posterior", "set"]

MAX_VARIATIONS, MAX_SPREAD, MAX_SEED = 10_000, 100.0, 2**63 - 1
# A dimension that never varies has log-std −∞, and 0·∞ is no number.
LEAST_STD: Final = 1e-12
# exp(20) is far beyond what any posterior says, and stays finite times any spread.
MAX_LOG_STD: Final = 20.0


@dataclass(frozen=True)
class Sources:
    """M codes to vary: `ids` int64 `[M]` of their images, `z` `[M,D]`, `log_std` as in `vary`.

    `labels` int64 `[M]` index `label_names`, −1 where unknown; `split` uint8 `[M]` says whether
    the image was in train (0), val (1) or test (2).
    """

    ids: Ints
    z: Floats
    log_std: Floats | None = None
    labels: Ints | None = None
    label_names: tuple[str, ...] = ()
    split: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Plan:
    """How codes are varied: `n` variations each, `spread` times the std, drawn by `seed`."""

    n: int
    spread: float
    seed: int

    def __post_init__(self) -> None:
        _check_range("variations", self.n, 1, MAX_VARIATIONS)
        _check_range("as the seed", self.seed, 0, MAX_SEED)
        _check_range("times the std as the spread", self.spread, 0, MAX_SPREAD)


def _check_range(name: str, value: float, least: float, most: float) -> None:
    # Written so that NaN fails too.
    if not least <= value <= most:
        raise ConfigError(f"{value} {name} came, expected {least} to {most}; give another number.")


def sources_of(codes: Codes, rows: Ints, *, noise: Noise = "posterior") -> Sources:
    """Rows of stored codes as sources.

    Noise `posterior` varies each code by its own std per dimension (a checkpoint stores no more:
    of a full covariance the correlations are left out), `set` every code by the per-dimension std
    of all stored codes, which reaches further and also serves models without a posterior's width.
    """
    spread = np.log(np.maximum(codes.mean.std(0), LEAST_STD)).astype(np.float32)
    return Sources(
        ids=codes.ids[rows],
        z=codes.mean[rows],
        log_std=codes.log_std[rows] if noise == "posterior" else spread,
        labels=None if codes.labels is None else codes.labels[rows],
        label_names=codes.label_names,
        split=codes.split[rows],
    )


def vary(
    z: Floats,
    *,
    n: int,
    spread: float,
    seed: int,
    log_std: Floats | None = None,
    ids: Ints | None = None,
) -> Floats:
    """Draw z + spread·std·ε, ε ~ N(0, I), n times for each code `[M,D]`: float32 `[M,n,D]`.

    `log_std` is `[M,D]` (each posterior's own) or `[D]` (one for all), None means std 1. The
    draws depend on the seed and on `ids` (0 … M−1 by default) alone: the same id gives the same
    variations beside whatever other codes, and a larger n begins with those of a smaller one.
    `ConfigError` for n, spread or seed out of range, `DataError` for shapes that do not fit or
    numbers that are not finite.
    """
    Plan(n, spread, seed)
    ids = np.arange(len(z)) if ids is None else ids
    check_codes(z, log_std, ids)
    std = np.exp(np.float64(0) if log_std is None else log_std.astype(np.float64))
    width = np.broadcast_to(spread * std, z.shape)
    noise = [np.random.default_rng([seed, i]).standard_normal((n, z.shape[1])) for i in ids]
    drawn = np.reshape(noise, (len(z), n, z.shape[1]))
    varied: Floats = (z[:, None] + width[:, None] * drawn).astype(np.float32)
    return varied


def check_codes(z: Floats, log_std: Floats | None, ids: Ints) -> None:
    """`DataError` unless codes `[M,D]`, log_std and ids can be varied together."""
    if z.ndim != 2 or z.size == 0 or len(ids) != len(z) or int(ids.min()) < 0:
        raise DataError(
            f"Codes of shape {z.shape} came with {len(ids)} ids, expected [M, D] with an id from "
            "0 for each; give one row per image."
        )
    if log_std is not None and log_std.shape not in (z.shape, z.shape[1:]):
        raise DataError(
            f"log_std of shape {log_std.shape} came with codes {z.shape}, expected the same shape "
            f"or ({z.shape[1]},); give the posterior's own or one per dimension."
        )
    sane = log_std is None or bool((log_std <= MAX_LOG_STD).all())
    if not np.isfinite(z).all() or not sane:
        raise DataError(
            "Codes or log_std came with numbers that are not finite or a std beyond exp(20), "
            "expected those of a trained model; encode the images again."
        )
