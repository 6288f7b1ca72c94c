"""Search for the codes behind an observation: climb log p(seen | z) + log p(z), draw there.

Many chains go in one batch. Adam climbs to a mode each; Metropolis-adjusted Langevin steps then
draw from the posterior around it. Source: Roberts & Tweedie 1996 (Exponential convergence of
Langevin distributions), section 1.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae_core.apply.observe import Evidence
from vae_core.errors import DataError, ExplorerError
from vae_core.estimators import LOG_2_PI
from vae_core.latent.codes import Codes
from vae_core.latent.prior_match import is_point_posterior
from vae_core.model import Autoencoder

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]

CLIMB_STEPS, DRAW_STEPS = 60, 60
LEARNING_RATE: Final = 0.15
MARGIN_DEVIATIONS: Final = 3.0
# Langevin proposals mix fastest when this share is accepted (Roberts & Rosenthal 1998).
WANTED_ACCEPTANCE: Final = 0.574


class SearchCancelledError(ExplorerError):
    """The search was stopped by the one who asked for it."""


@dataclass(frozen=True)
class LatentPrior:
    """N(`mean`, L·Lᵀ) over codes: `mean` `[D]` and `factor` L `[D,D]`, lower; N(0, I) for a VAE.

    The search moves in u with z = mean + L·u, so that the prior of u is N(0, I).
    """

    mean: Tensor
    factor: Tensor

    def to_z(self, u: Tensor) -> Tensor:
        """Codes `[B,D]` of whitened ones."""
        return self.mean + u @ self.factor.T

    def to_u(self, z: Tensor) -> Tensor:
        """Whitened codes `[B,D]`."""
        u: Tensor = torch.linalg.solve_triangular(self.factor, (z - self.mean).T, upper=False)
        return u.T


def prior_for(model: Autoencoder, codes: Codes) -> LatentPrior:
    """N(0, I), or a Gaussian fitted to the codes where the model has points and no prior."""
    d = model.n_latent
    if not is_point_posterior(codes):
        return LatentPrior(torch.zeros(d, device=model.device), torch.eye(d, device=model.device))
    mean = codes.part.mean.astype(np.float64)
    covariance = np.cov(mean.T).reshape(d, d)
    # A dimension that never varies keeps a finite density.
    covariance += 1e-6 * max(float(np.trace(covariance)) / d, 1e-6) * np.eye(d)
    factor = torch.from_numpy(np.linalg.cholesky(covariance)).float()
    return LatentPrior(
        torch.from_numpy(mean.mean(0)).float().to(model.device), factor.to(model.device)
    )


@dataclass(frozen=True)
class Found:
    """Where the chains ended: `codes` `[B,D]`, raw decoder output `raw` `[B,C,H,W]`.

    `log_joint` in nats is log p(seen | z) + log p(z) under the prior of the whitened codes.
    `acceptance` `[B]` is the share of the counted draws that were accepted, NaN without draws.
    `mean_images` `[B,C,H,W]` in [0,1] is each chain's average picture over its counted draws,
    the second half; without draws the picture of its code.
    """

    codes: Tensor
    raw: Tensor
    log_joint: Tensor
    acceptance: Tensor
    mean_images: Tensor


def search_codes(
    model: Autoencoder,
    evidence: Evidence,
    starts: Tensor,
    *,
    prior: LatentPrior,
    climb_steps: int = CLIMB_STEPS,
    draw_steps: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Found:
    """Chains from the codes `starts` `[B,D]`: `climb_steps` of Adam, then `draw_steps` of Langevin.

    Without draws each chain gives the best code it saw; with draws its last state, a draw from
    p(z | seen) as far as the chain has mixed. `DataError` for starts of another size,
    `SearchCancelledError` as soon as `cancelled()` says so.
    """
    if starts.ndim != 2 or starts.shape[1] != model.n_latent or not len(starts):
        raise DataError(
            f"Starts of shape {tuple(starts.shape)} came, expected [B, {model.n_latent}] with B "
            "of 1 or more; give one row of that many numbers per chain."
        )
    n_steps = climb_steps + draw_steps
    target = _Target(model, evidence, prior)

    def tick(done: int) -> None:
        if cancelled is not None and cancelled():
            raise SearchCancelledError("The search was cancelled before its end; start it again.")
        if progress is not None:
            progress(done, n_steps)

    u = _climb(target, prior.to_u(starts.to(model.device)), climb_steps, tick)
    state = target.at(u)
    acceptance = torch.full((len(u),), math.nan)
    means = model.likelihood.mean(state.raw)
    if draw_steps:
        generator = torch.Generator().manual_seed(seed)
        state, acceptance, means = _draw(
            target, state, draw_steps, generator, lambda done: tick(climb_steps + done)
        )
    tick(n_steps)
    return Found(prior.to_z(state.u), state.raw, state.log_joint, acceptance, means)


def is_near_best(log_joint: Tensor, n_latent: int) -> Tensor:
    """Which chains `[B]` lie no further below the best than draws of one mode would."""
    # Under a Gaussian posterior the log density of a draw deviates by √(D/2) nats.
    return log_joint >= log_joint.max() - MARGIN_DEVIATIONS * math.sqrt(n_latent / 2)


@dataclass(frozen=True)
class _State:
    u: Tensor
    raw: Tensor
    log_joint: Tensor
    gradient: Tensor


@dataclass(frozen=True)
class _Target:
    """The log density that is climbed, over whitened codes."""

    model: Autoencoder
    evidence: Evidence
    prior: LatentPrior

    def at(self, u: Tensor) -> _State:
        with torch.enable_grad():
            u = u.detach().requires_grad_(True)
            raw = self.model.decode_raw(self.prior.to_z(u))
            log_joint = self.evidence(raw) - 0.5 * (u.square() + LOG_2_PI).sum(1)
            (gradient,) = torch.autograd.grad(log_joint.sum(), u)
        return _State(u.detach(), raw.detach(), log_joint.detach(), gradient)


def _climb(target: _Target, u: Tensor, n_steps: int, tick: Callable[[int], None]) -> Tensor:
    """Adam with a rate that falls along a half cosine; each chain's best place."""
    best, best_log = u.clone(), torch.full((len(u),), -math.inf, device=u.device)
    first, second = torch.zeros_like(u), torch.zeros_like(u)
    for step in range(n_steps):
        tick(step)
        state = target.at(u)
        better = state.log_joint > best_log
        best = torch.where(better[:, None], u, best)
        best_log = torch.where(better, state.log_joint, best_log)
        first = 0.9 * first + 0.1 * state.gradient
        second = 0.95 * second + 0.05 * state.gradient.square()
        scaled = first / (1 - 0.9 ** (step + 1))
        spread = (second / (1 - 0.95 ** (step + 1))).sqrt()
        rate = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / n_steps))
        u = u + rate * scaled / (spread + 1e-8)
    return best


def _draw(
    target: _Target,
    state: _State,
    n_steps: int,
    generator: torch.Generator,
    tick: Callable[[int], None],
) -> tuple[_State, Tensor, Tensor]:
    """Langevin proposals, accepted or not; each chain finds its own step in the first half."""
    n, d = state.u.shape
    log_step = torch.full((n,), math.log(0.3 * d ** (-1 / 6)), device=state.u.device)
    accepted = torch.zeros(n)
    total = torch.zeros_like(state.raw)
    half = n_steps // 2
    for step in range(n_steps):
        tick(step)
        noise = torch.randn((n, d), generator=generator).to(state.u)
        toss = torch.rand(n, generator=generator).to(state.u)
        size = log_step.exp()[:, None]
        there = target.at(state.u + 0.5 * size**2 * state.gradient + size * noise)
        back = (state.u - there.u - 0.5 * size**2 * there.gradient) / size
        log_ratio = (
            there.log_joint - state.log_joint
            - 0.5 * back.square().sum(1) + 0.5 * noise.square().sum(1)
        )  # fmt: skip
        chance = log_ratio.clamp(max=0).exp().nan_to_num(0)
        state = _choose(toss < chance, there, state)
        if step < half:
            # Steps that change for ever would not leave the posterior as it is.
            log_step = log_step + 0.3 * (chance - WANTED_ACCEPTANCE)
        else:
            accepted += (toss < chance).cpu()
            total += target.model.likelihood.mean(state.raw)
    n_kept = n_steps - half
    return state, accepted / n_kept, total / n_kept


def _choose(take: Tensor, new: _State, old: _State) -> _State:
    def pick(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(take.view(-1, *[1] * (a.ndim - 1)), a, b)

    return _State(
        pick(new.u, old.u), pick(new.raw, old.raw),
        pick(new.log_joint, old.log_joint), pick(new.gradient, old.gradient),
    )  # fmt: skip
