"""The verdict on a code, as a sentence for the reader."""

from __future__ import annotations

import numpy as np

from vae_core.latent.trust import LEAST_CODES, OFF, ON_DATA, Measure, Trust


def explain(trust: Trust, i: int) -> str:
    """The verdict on the i-th code with its reasons, as one sentence for the reader."""
    verdict, scale = str(trust.verdict[i]), trust.scale
    if not scale.limits:
        least = f"{LEAST_CODES} different real codes are needed to tell how far is far"
        here = "this is a real code, but" if verdict == ON_DATA else "this is no real code, and"
        return f"{verdict.capitalize()}: {here} {least}."
    reasons = {name: _in_words(trust, name, i) for name in trust.measures}
    if verdict == ON_DATA:
        return f"On the data: {', '.join(reasons.values())}, all as usual for real pictures."
    is_off = verdict == OFF
    limits = {name: limit.off if is_off else limit.between for name, limit in scale.limits.items()}
    broken = [
        f"{reasons[name]} (limit {_number(limits[name])})"
        for name, value in trust.measures.items()
        if value[i] > limits[name]
    ]
    rate = scale.false_alarms.off if is_off else scale.false_alarms.between
    return (
        f"{verdict.capitalize()}: {', '.join(broken)}, which at most {rate:.1%} of real pictures "
        "would show."
    )


def _in_words(trust: Trust, name: Measure, i: int) -> str:
    if name == "distance":
        return f"the nearest real code is {_number(trust.distance[i])} typical distances away"
    if name == "radius":
        return (
            f"the code lies at {_number(trust.radius[i])} of the usual radius, farther out than "
            f"{trust.radius_share[i]:.0%} of the real codes"
        )
    assert trust.cycle is not None
    if not np.isfinite(trust.cycle[i]):
        return "decoded and encoded again it is not finite"
    return f"decoded and encoded again it lands {_number(trust.cycle[i])} usual errors away"


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"
