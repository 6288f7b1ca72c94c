"""Verdicts said in words."""

from __future__ import annotations

from typing import Final, Literal, Protocol

from vae_core.evaluate.threshold import Threshold

TITLES: Final = {
    "typical": "In distribution",
    "unusual": "Unusual",
    "foreign": "Not this kind of picture",
}


class Placed(Protocol):
    """A value and the share of held-out pictures below it."""

    @property
    def value(self) -> float: ...

    @property
    def percentile(self) -> float: ...


def explain_verdict(
    level: Literal["typical", "unusual", "foreign"], *, missed: Placed, code: Placed
) -> str:
    """What speaks for the level: the share missed, and the place of the code."""
    others = f"for {_share(missed.percentile)} of held-out pictures"
    share = f"{missed.value:.1%} of what the picture shows"
    lost = f"The reconstruction misses {share}, more than {others}"
    if missed.value >= 1:
        lost = "The reconstruction is farther from the picture than an even grey would be, and "
        lost += f"misses more than {others}"
    if level == "typical":
        return f"{lost}; its code lies among those of real ones."
    return f"{lost}; its code is farther from real codes than {_share(code.percentile)} of theirs."


def rate_in_words(level: Literal["typical", "unusual", "foreign"], limit: Threshold) -> str:
    """The promised false-alarm rate as a sentence."""
    rate = _per(limit.expected)
    if level == "typical":
        return f"Of pictures like the training data {rate} would be called unusual by mistake."
    return f"Of pictures like the training data {rate} would be judged so by mistake."


def _share(percentile: float) -> str:
    if percentile >= 0.9995:
        return "all"
    return f"{percentile:.1%}" if percentile > 0.99 else f"{percentile:.0%}"


def _per(rate: float) -> str:
    return f"{rate * 100:.0f} in 100" if rate >= 0.0095 else f"{rate * 1000:.0f} in 1,000"
