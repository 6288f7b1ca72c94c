"""Names of the objectives, and building one from a name and options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from vae_core.errors import ConfigError
from vae_core.objectives.base import Objective
from vae_core.objectives.elbo import AE, VAE, BetaVAE

OBJECTIVES: Mapping[str, Callable[..., Objective]] = {"ae": AE, "vae": VAE, "beta-vae": BetaVAE}


def objective_fields(name: str) -> dict[str, tuple[type, Any, str]]:
    """Options of an objective: field name → (type, default, sentence)."""
    maker = _maker(name)
    if not is_dataclass(maker):
        return {}
    return {f.name: (type(f.default), f.default, f.metadata.get("help", "")) for f in fields(maker)}


def _maker(name: str) -> Callable[..., Objective]:
    if name not in OBJECTIVES:
        raise ConfigError(f"Objective '{name}' is unknown; choose one of {', '.join(OBJECTIVES)}.")
    return OBJECTIVES[name]


def build_objective(name: str, options: Mapping[str, Any]) -> Objective:
    """Make the objective called `name`; `ConfigError` for a name or option it has not."""
    known = objective_fields(name)
    foreign = sorted(set(options) - set(known))
    if foreign:
        raise ConfigError(
            f"Objective '{name}' has no option {', '.join(foreign)}, it knows "
            f"{', '.join(known) or 'none'}; leave it out or choose another objective."
        )
    return _maker(name)(**options)


def describe_objective(name: str, objective: Objective) -> dict[str, Any]:
    """Plain data for the card: the name and every option's value."""
    options: dict[str, Any] = {}
    if is_dataclass(objective) and not isinstance(objective, type):
        options = asdict(objective)
    return {"name": name, **options}
