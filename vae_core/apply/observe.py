"""Observation models: log p(what was seen | z) from raw decoder output, one per damage.

Each takes raw output `[B,C,H,W]` and gives `[B]` in nats, up to a constant that z cannot change,
always with the model's own likelihood of the undamaged picture inside.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from vae_core.errors import ConfigError
from vae_core.likelihoods import AnyLikelihood, Bernoulli, DiscretisedLogistic, Gaussian
from vae_core.objectives.denoising import CORRUPTIONS

Evidence = Callable[[Tensor], Tensor]

# A density on [0,1] becomes the mass of one of 256 levels beside probabilities of damage.
_LOG_LEVELS = math.log(255)
# Below this the noise is finer than a grey level.
_LEAST_AMOUNT = 1 / 255


def see_visible(likelihood: AnyLikelihood, x: Tensor, visible: Tensor) -> Evidence:
    """log p of the visible pixels of the picture `x` `[C,H,W]`; `visible` bool `[H,W]`."""
    seen = x[:, visible][None]

    def log_p(raw: Tensor) -> Tensor:
        shown = raw[:, :, visible]
        return -likelihood.nll(shown, seen.expand_as(shown))

    return log_p


def see_noisy(likelihood: AnyLikelihood, noisy: Tensor, kind: str, *, amount: float) -> Evidence:
    """log p of a picture `noisy` `[C,H,W]` spoilt as by `objectives.denoising.corrupt`.

    `ConfigError` for another kind of noise or an amount outside [0,1].
    """
    if kind not in CORRUPTIONS or not 0 <= amount <= 1:
        raise ConfigError(
            f"Noise '{kind}' of amount {amount:g} came, expected one of {', '.join(CORRUPTIONS)} "
            "and an amount from 0 to 1; choose for example gaussian 0.5."
        )
    if kind == "gaussian":
        return _see_gaussian(likelihood, noisy, max(amount, _LEAST_AMOUNT))
    share = min(max(amount, 1e-4), 1 - 1e-4)
    return _see_replaced(likelihood, noisy, share, values=(0,) if kind == "masking" else (0, 1))


def _see_gaussian(likelihood: AnyLikelihood, noisy: Tensor, sigma: float) -> Evidence:
    """Gaussian noise that was cut to [0,1]: a value at an end stands for all beyond it.

    The model's own variance adds to the noise's; a Bernoulli's coin is summed over both sides.
    """
    is_low, is_high = noisy <= 0, noisy >= 1

    def log_density(mean: Tensor, deviation: float) -> Tensor:
        scaled = (noisy - mean) / deviation
        inside = -0.5 * scaled.square() - math.log(deviation)
        ends = torch.where(is_low, scaled, -scaled)
        return torch.where(is_low | is_high, torch.special.log_ndtr(ends), inside)

    if isinstance(likelihood, Bernoulli):
        black = log_density(torch.zeros_like(noisy), sigma)
        white = log_density(torch.ones_like(noisy), sigma)

        def log_coin(raw: Tensor) -> Tensor:
            sides = torch.nn.functional.logsigmoid
            return torch.logaddexp(sides(raw) + white, sides(-raw) + black).flatten(1).sum(1)

        return log_coin
    deviation = math.hypot(sigma, _own_deviation(likelihood))
    return lambda raw: log_density(raw, deviation).flatten(1).sum(1)


def _own_deviation(likelihood: Gaussian | DiscretisedLogistic) -> float:
    if isinstance(likelihood, Gaussian):
        return likelihood.sigma
    return math.pi / math.sqrt(3) * likelihood.scale


def _see_replaced(
    likelihood: AnyLikelihood, noisy: Tensor, share: float, *, values: tuple[int, ...]
) -> Evidence:
    """A share of the pixels was replaced by one of `values`, in all channels alike."""
    chance = torch.zeros_like(noisy[0])
    for value in values:
        chance += (noisy == value).all(0) * (share / len(values))
    log_replaced = chance.log()
    log_kept = math.log1p(-share)

    def log_p(raw: Tensor) -> Tensor:
        pairs = raw.reshape(-1, 1), noisy.expand_as(raw).reshape(-1, 1)
        kept = -likelihood.nll(*pairs).reshape(raw.shape)
        if not likelihood.is_discrete and not isinstance(likelihood, Bernoulli):
            kept = kept - _LOG_LEVELS
        kept = kept.sum(1) + log_kept
        return torch.logaddexp(kept, log_replaced.expand_as(kept)).flatten(1).sum(1)

    return log_p
