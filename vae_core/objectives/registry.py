"""Names of the objectives, and building one from a name and options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from vae_core.errors import ConfigError
from vae_core.objectives.aggregate import WAE, BetaTCVAE, InfoVAE
from vae_core.objectives.attributes import AttributeVAE
from vae_core.objectives.base import Objective
from vae_core.objectives.denoising import DenoisingAE, DenoisingVAE
from vae_core.objectives.elbo import AE, VAE, BetaVAE, CapacityVAE
from vae_core.objectives.importance import IWAE
from vae_core.objectives.labelled import ConditionalVAE, SemiSupervised

OBJECTIVES: Mapping[str, Callable[..., Objective]] = {
    "ae": AE,
    "denoising-ae": DenoisingAE,
    "vae": VAE,
    "beta-vae": BetaVAE,
    "capacity-vae": CapacityVAE,
    "beta-tcvae": BetaTCVAE,
    "info-vae": InfoVAE,
    "wae": WAE,
    "iwae": IWAE,
    "denoising-vae": DenoisingVAE,
    "conditional-vae": ConditionalVAE,
    "m2": SemiSupervised,
    "attribute-vae": AttributeVAE,
}
# Objectives without sampling have no posterior worth the name, so no evidence bound.
WITHOUT_EVIDENCE = frozenset({"ae", "denoising-ae", "wae"})


def objective_fields(name: str) -> dict[str, tuple[type, Any, str]]:
    """Options of an objective: field name → (type, default, sentence)."""
    maker = _maker(name)
    if not is_dataclass(maker):
        return {}
    return {f.name: (type(f.default), f.default, f.metadata.get("help", "")) for f in fields(maker)}


def option_choices(name: str) -> dict[str, tuple[str, ...]]:
    """The values an objective's options may have, of those that have few: field name → values."""
    maker = _maker(name)
    if not is_dataclass(maker):
        return {}
    return {f.name: f.metadata["choices"] for f in fields(maker) if f.metadata.get("choices")}


def _maker(name: str) -> Callable[..., Objective]:
    if name not in OBJECTIVES:
        raise ConfigError(f"Objective '{name}' is unknown; choose one of {', '.join(OBJECTIVES)}.")
    return OBJECTIVES[name]


def build_objective(name: str, options: Mapping[str, Any]) -> Objective:
    """Make the objective called `name`; `ConfigError` for a name, option or value it has not."""
    known = objective_fields(name)
    foreign = sorted(set(options) - set(known))
    if foreign:
        raise ConfigError(
            f"Objective '{name}' has no option {', '.join(foreign)}, it knows "
            f"{', '.join(known) or 'none'}; leave it out or choose another objective."
        )
    for option, value in options.items():
        if isinstance(value, float | int) and not value >= 0:
            raise ConfigError(
                f"--{option.replace('_', '-')} {value} came, expected a number of 0 or more; "
                f"the usual value is {known[option][1]}."
            )
    return _maker(name)(**options)


def uses_labels(objective: Objective) -> bool:
    """Whether the objective needs labels, so that the model needs classes."""
    return bool(getattr(objective, "uses_labels", False))


def is_classifier(objective: Objective) -> bool:
    """Whether the objective also trains q(y|x)."""
    return bool(getattr(objective, "is_classifier", False))


def attribute_names(objective: Objective) -> tuple[str, ...] | None:
    """The attributes an objective asks for, empty for all; None when it uses none."""
    return objective.names if isinstance(objective, AttributeVAE) else None


def sees_labels(objective: Objective) -> bool:
    """Whether what is known of an image reaches the objective: its label or its attributes."""
    return uses_labels(objective) or attribute_names(objective) is not None


def settling_steps(objective: Objective) -> int:
    """Steps until the objective stops changing: before them losses cannot be compared."""
    ramps = ("warmup_steps", "capacity_steps")
    return max((int(getattr(objective, name, 0)) for name in ramps), default=0)


def describe_objective(name: str, objective: Objective) -> dict[str, Any]:
    """Plain data for the card: the name and every option's value."""
    options: dict[str, Any] = {}
    if is_dataclass(objective) and not isinstance(objective, type):
        options = asdict(objective)
    return {"name": name, **options}
