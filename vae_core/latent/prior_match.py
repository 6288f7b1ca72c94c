"""Does the aggregate posterior fill the prior? Dimension by dimension, and where it has holes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.decomposition import AggregateReport, Discrepancy, compare_to_prior
from vae_core.latent.codes import Codes
from vae_core.latent.neighbours import nearest
from vae_core.posterior import POINT_LOG_STD

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

N_BINS: Final = 80
SPAN: Final = 5.0
MAX_HELD_OUT: Final = 2_000
MAX_REAL: Final = 10_000
# A draw is in a hole when it is farther from the data than all but 1 % of the data's own codes.
HOLE_QUANTILE: Final = 0.99
# Far out every code is alone: holes are shown within the radius that holds this much of the prior.
CORE_QUANTILE: Final = 0.9


@dataclass(frozen=True)
class PriorMatch:
    """The aggregate posterior q(z_d) of each dimension beside N(0,1), from `n_images` images.

    `grid` `[G]` are the bins' centres; `density` `[D,G]` and `prior_density` `[G]` average over
    a bin, `outside` `[D]` is the share of q(z_d) beyond the grid. `kl_nats` `[D]` is
    KL(q(z_d) ‖ N(0,1)) as far as it shows on the grid or in the moments, the larger of two
    lower bounds. `mean`, `std` `[D]` of q(z_d); `is_active` `[D]` as in `Codes`, for `is_point`
    codes too, whose density is a histogram. `discrepancy` is that of all dimensions together.
    """

    n_images: int
    grid: Floats
    density: Floats
    prior_density: Floats
    outside: Floats
    kl_nats: Floats
    mean: Floats
    std: Floats
    is_active: Bools
    is_point: bool
    discrepancy: Discrepancy

    @property
    def n_active(self) -> int:
        """Number of active units."""
        return int(self.is_active.sum())


@dataclass(frozen=True)
class PriorHoles:
    """Draws from N(0, I) far from every real code, and how many draws are.

    `codes` float32 `[n,D]`, farthest first, spread out; `ratio` `[n]` is the distance to the
    nearest real code (its row: `nearest_rows` `[n]`) over `typical_distance`, the median of what
    a held-out image's own code has to the nearest other image's. `share` of `n_draws` draws
    lie farther out than `hole_distance`, which `share_of_real` (about 1 %) of the held-out codes
    do: a prior without holes gives that much too. Distances are Euclidean over the dimensions in
    `is_used` `[D]`; the decoder hears nothing of the others.
    """

    codes: Floats
    ratio: Floats
    nearest_rows: Ints
    share: float
    share_of_real: float
    n_draws: int
    typical_distance: float
    hole_distance: float
    is_used: Bools

    @property
    def text(self) -> str:
        """One sentence with the share, for the screen."""
        return (
            f"{100 * self.share:.0f} % of draws from the prior land in holes, against "
            f"{100 * self.share_of_real:.0f} % of held-out codes."
        )


def is_point_posterior(codes: Codes) -> bool:
    """Whether the codes are points: a model without a width for its posterior."""
    return bool((codes.log_std <= POINT_LOG_STD).all())


def match_prior(
    codes: Codes, *, n_bins: int = N_BINS, span: float = SPAN, seed: int = 0
) -> PriorMatch:
    """Set q(z_d), the average of the posteriors of all images, beside N(0,1); see `PriorMatch`.

    The grid reaches from −span to span and bins hold exact masses of N(mean, exp(log_std)²).
    The KL of a histogram of N points is too high by about (filled bins − 1)/2N nats, which is
    taken off (Miller 1955). `seed` is for `discrepancy` alone. `DataError` for fewer than two
    images or numbers that are not finite, `ConfigError` for a grid that cannot be.
    """
    found = compare_to_prior(codes.mean, codes.log_std, n_bins=n_bins, span=span, seed=seed)
    is_point = is_point_posterior(codes)
    edges = found.edges
    return PriorMatch(
        n_images=found.n_images,
        grid=((edges[:-1] + edges[1:]) / 2).astype(np.float32),
        density=found.density,
        prior_density=found.prior_density,
        outside=found.outside,
        kl_nats=np.maximum(_grid_kl(found, is_point), found.gaussian_kl).astype(np.float32),
        mean=found.mean,
        std=found.std,
        is_active=codes.is_active,
        is_point=is_point,
        discrepancy=found.discrepancy,
    )


def _grid_kl(found: AggregateReport, is_point: bool) -> NDArray[np.float64]:
    """KL to N(0,1) of the masses in the bins and of what lies outside them `[D]`, nats.

    Masses of a partition never show more KL than there is (data processing inequality).
    """
    width = np.diff(found.edges.astype(np.float64))
    mass = np.column_stack([found.density * width, found.outside]).astype(np.float64)
    inside = found.prior_density * width
    prior = np.append(inside, 1 - inside.sum()).clip(1e-30)
    kl: NDArray[np.float64] = np.where(mass > 0, mass * np.log(mass.clip(1e-300) / prior), 0).sum(1)
    if is_point:
        kl -= ((mass > 0).sum(1) - 1) / (2 * found.n_images)
    return kl.clip(0)


def prior_holes(codes: Codes, *, n: int = 12, n_draws: int = 4_000, seed: int = 0) -> PriorHoles:
    """n draws from N(0, I) that lie farthest from all real codes, and the share of such draws.

    Real codes are the mean codes of up to 10,000 images; what "far" means is measured on one
    draw each from the posteriors of up to 2,000 held-out images, since these are what the
    decoder has learnt to decode. Holes are found among the 90 % of draws nearest the origin, one
    after the other, each as far as can be from real codes and from the holes before it
    (farthest-point traversal, Gonzalez 1985); the share is of all draws. Posteriors are taken as
    diagonal. `ConfigError` for n below 1 or above half of `n_draws`, `DataError` for fewer
    than three different codes or numbers that are not finite.
    """
    if not 1 <= n <= n_draws // 2:
        raise ConfigError(
            f"{n} holes out of {n_draws} draws were asked for, expected 1 or more and at most half "
            "as many as draws; 12 out of 4,000 are a page full."
        )
    is_used = _used(codes)
    random = np.random.default_rng(seed)
    real = random.permutation(len(codes))[:MAX_REAL]
    known = codes.mean[real][:, is_used]
    own = _held_out_distances(codes, real, is_used, random)
    typical, far = float(np.median(own)), float(np.quantile(own, HOLE_QUANTILE))
    draws = random.standard_normal((n_draws, codes.mean.shape[1])).astype(np.float32)
    rows, distances = nearest(draws[:, is_used], known, k=1)
    radius = np.linalg.norm(draws[:, is_used], axis=1)
    core = np.flatnonzero(radius <= np.quantile(radius, CORE_QUANTILE))
    chosen = core[_farthest(draws[core][:, is_used], distances[core, 0], n)]
    return PriorHoles(
        codes=draws[chosen],
        ratio=(distances[chosen, 0] / typical).astype(np.float32),
        nearest_rows=real[rows[chosen, 0]],
        share=float((distances > far).mean()),
        share_of_real=float((own > far).mean()),
        n_draws=n_draws,
        typical_distance=typical,
        hole_distance=far,
        is_used=is_used,
    )


def _used(codes: Codes) -> Bools:
    """Dimensions the decoder hears: active ones, or for points all that vary."""
    if not (np.isfinite(codes.mean).all() and np.isfinite(codes.log_std).all()):
        raise DataError(
            "The codes hold numbers that are not finite, expected finite means and log-stds; "
            "train again from an earlier checkpoint or with a smaller learning rate."
        )
    # A collapsed dimension's means stay near 0 while its posterior fills the prior: every draw
    # would seem far away in it. Points have no such excuse, whatever their scale.
    is_used = np.ptp(codes.mean, axis=0) > 0 if is_point_posterior(codes) else codes.is_active
    n_different = len(np.unique(codes.mean[:, is_used], axis=0)) if is_used.any() else 0
    if n_different < 3:
        raise DataError(
            f"{n_different} different codes in {int(is_used.sum())} used dimensions came, expected "
            "3 or more to tell what is far from them; encode more images or use a model whose "
            "latent dimensions have not collapsed."
        )
    return np.asarray(is_used, np.bool_)


def _held_out_distances(
    codes: Codes, real: Ints, is_used: Bools, random: np.random.Generator
) -> NDArray[np.float32]:
    """Distance of a draw from each held-out posterior to the nearest code of another image."""
    rows = random.permutation(codes.held_out)[:MAX_HELD_OUT]
    mean, std = codes.mean[rows][:, is_used], np.exp(codes.log_std[rows][:, is_used])
    draws = (mean + std * random.standard_normal(mean.shape)).astype(np.float32)
    # Equal codes are one code: a set with repeated images would have a typical distance of 0.
    known, number = np.unique(codes.mean[real][:, is_used], axis=0, return_inverse=True)
    own = np.full(len(codes), -1)
    own[real] = number.ravel()
    found, distances = nearest(draws, known, k=2)
    is_own = found[:, 0] == own[rows]
    return np.where(is_own, distances[:, 1], distances[:, 0])


def _farthest(draws: Floats, distances: Floats, n: int) -> Ints:
    """Rows of n draws `[M,D]`, each farthest from the data (`distances` `[M]`) and those before."""
    left, chosen = distances.astype(np.float64), []
    for _ in range(n):
        chosen.append(int(left.argmax()))
        gap = np.linalg.norm(draws - draws[chosen[-1]], axis=1)
        left = np.minimum(left, gap)
        left[chosen] = -1
    return np.array(chosen, np.int64)
