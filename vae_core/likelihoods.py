"""How a picture is scored against the decoder's raw output.

A likelihood turns raw output `[B,C,H,W]` into a distribution over images: `nll` in nats
per image, `mean` in [0,1] for showing, `sample`, and `target`, the data it is scored on;
`is_discrete` tells whether the nll is a code length, which a density is not.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from vae_core.errors import ConfigError
from vae_core.estimators import LOG_2_PI

LOG_SIGMA_FLOOR: Final = -6.0


class Likelihood(Protocol):
    """What every likelihood can do; see the module's text for shapes."""

    def target(self, x: Tensor, generator: torch.Generator | None) -> Tensor: ...
    def nll(self, raw: Tensor, target: Tensor) -> Tensor: ...
    def mean(self, raw: Tensor) -> Tensor: ...
    def sample(self, raw: Tensor, generator: torch.Generator | None) -> Tensor: ...
    def raw_of_mean(self, mean: Tensor) -> Tensor: ...


class Bernoulli(nn.Module):
    """Pixels are coins with probability sigmoid(raw): the cross-entropy loss.

    With `binarise` each grey value is tossed into 0 or 1 anew whenever it is scored
    (dynamic binarisation, Salakhutdinov & Murray 2008); without it grey values are
    scored as they are, which is not a normalised density: such scores have a floor
    above zero and compare only among themselves.
    """

    shown_by: Final = "sigmoid"

    def __init__(self, *, binarise: bool = True) -> None:
        super().__init__()
        self.binarise = binarise
        self.is_discrete = binarise

    def target(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """The values that are scored, `[B,C,H,W]`."""
        if not self.binarise:
            return x
        return (torch.rand(x.shape, generator=generator, device=x.device) < x).to(x.dtype)

    def nll(self, raw: Tensor, target: Tensor) -> Tensor:
        """−log p(target | raw) per image `[B]`, nats."""
        losses = functional.binary_cross_entropy_with_logits(raw, target, reduction="none")
        return losses.flatten(1).sum(1)

    def mean(self, raw: Tensor) -> Tensor:
        """Expected image in [0,1]."""
        return torch.sigmoid(raw)

    def sample(self, raw: Tensor, generator: torch.Generator | None) -> Tensor:
        """One random image of zeros and ones."""
        chance = torch.rand(raw.shape, generator=generator, device=raw.device)
        return (chance < torch.sigmoid(raw)).to(raw.dtype)

    def raw_of_mean(self, mean: Tensor) -> Tensor:
        """Raw output whose mean is `mean`: the logit, used to start the output bias."""
        return torch.logit(mean.clamp(1e-3, 1 - 1e-3))


def _above(floor: float, parameter: Tensor) -> Tensor:
    """A soft floor: the gradient never dies, yet the value stays above the bound."""
    return floor + functional.softplus(parameter.float() - floor)


class Gaussian(nn.Module):
    """Pixels are N(raw, σ²) with one learned σ per model: squared error, well weighted.

    log σ ≥ −6. A fixed σ = 1 on [0,1] data would weigh the KL about a hundredfold;
    learning σ removes that knob (Rybkin et al. 2021, arXiv:2006.13202).
    """

    shown_by: Final = "clamp01"
    is_discrete: Final = False

    def __init__(self) -> None:
        super().__init__()
        self.log_sigma = nn.Parameter(torch.tensor(-1.0))

    def target(self, x: Tensor, generator: torch.Generator | None) -> Tensor:  # noqa: ARG002
        """The image itself."""
        return x

    def _log_sigma(self) -> Tensor:
        return _above(LOG_SIGMA_FLOOR, self.log_sigma)

    def nll(self, raw: Tensor, target: Tensor) -> Tensor:
        """−log p(target | raw) per image `[B]`, nats (a density on [0,1]: may be negative)."""
        log_sigma = self._log_sigma()
        scaled = (target - raw) * (-log_sigma).exp()
        return (0.5 * (scaled.square() + LOG_2_PI) + log_sigma).flatten(1).sum(1)

    def mean(self, raw: Tensor) -> Tensor:
        """Expected image, cut to [0,1] for showing."""
        return raw.clamp(0, 1)

    def sample(self, raw: Tensor, generator: torch.Generator | None) -> Tensor:
        """One random image, noise included."""
        noise = torch.randn(raw.shape, generator=generator, device=raw.device)
        return (raw + noise * self._log_sigma().exp()).clamp(0, 1)

    def raw_of_mean(self, mean: Tensor) -> Tensor:
        """Raw output whose mean is `mean`: itself."""
        return mean

    @property
    def sigma(self) -> float:
        """The learned standard deviation of a pixel."""
        return math.exp(float(self._log_sigma().detach()))


class DiscretisedLogistic(nn.Module):
    """Pixels are one of 256 levels: a logistic around raw with one learned scale per model.

    The probability of a level is the logistic's mass over its 1/255-wide bin, the first
    and last bins reaching to ±∞: a true code length, comparable in bits per dimension.
    Source: Kingma et al. 2016 (arXiv:1606.04934), section 4; Salimans et al. 2017.
    """

    shown_by: Final = "clamp01"
    is_discrete: Final = True

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-2.0))

    def target(self, x: Tensor, generator: torch.Generator | None) -> Tensor:  # noqa: ARG002
        """The image itself; its values count as multiples of 1/255."""
        return x

    def _inverse_scale(self) -> Tensor:
        # A bin is 1/255 wide: a scale far finer than that helps nobody.
        return (-_above(LOG_SIGMA_FLOOR - 1, self.log_scale)).exp()

    def nll(self, raw: Tensor, target: Tensor) -> Tensor:
        """−log P(target | raw) per image `[B]`, nats, never below zero."""
        inverse, half = self._inverse_scale(), 0.5 / 255
        above = (target - raw + half) * inverse
        below = (target - raw - half) * inverse
        # log(σ(a) − σ(b)) = log σ(a) + log σ(−b) + log(1 − e^(b − a)), exact in the tails.
        gap = torch.log(-torch.expm1(below - above))
        middle = functional.logsigmoid(above) + functional.logsigmoid(-below) + gap
        log_mass = torch.where(target < half, functional.logsigmoid(above), middle)
        log_mass = torch.where(target > 1 - half, functional.logsigmoid(-below), log_mass)
        return -log_mass.flatten(1).sum(1)

    def mean(self, raw: Tensor) -> Tensor:
        """The logistic's centre, cut to [0,1] for showing."""
        return raw.clamp(0, 1)

    @property
    def scale(self) -> float:
        """The learned scale of a pixel; its standard deviation is π/√3 of this."""
        return 1 / float(self._inverse_scale().detach())

    def sample(self, raw: Tensor, generator: torch.Generator | None) -> Tensor:
        """One random image of multiples of 1/255."""
        chance = torch.rand(raw.shape, generator=generator, device=raw.device)
        noise = torch.logit(chance.clamp(1e-6, 1 - 1e-6)) / self._inverse_scale()
        return ((raw + noise).clamp(0, 1) * 255).round() / 255

    def raw_of_mean(self, mean: Tensor) -> Tensor:
        """Raw output whose mean is `mean`: itself."""
        return mean


LIKELIHOODS: Final = ("bernoulli", "bernoulli-continuous", "gaussian", "logistic")
AnyLikelihood = Bernoulli | Gaussian | DiscretisedLogistic


def build_likelihood(name: str) -> AnyLikelihood:
    """Make a likelihood by its name in `LIKELIHOODS`; `ConfigError` for another."""
    if name == "bernoulli":
        return Bernoulli(binarise=True)
    if name == "bernoulli-continuous":
        return Bernoulli(binarise=False)
    if name == "gaussian":
        return Gaussian()
    if name == "logistic":
        return DiscretisedLogistic()
    raise ConfigError(f"Likelihood '{name}' is unknown; choose one of {', '.join(LIKELIHOODS)}.")
