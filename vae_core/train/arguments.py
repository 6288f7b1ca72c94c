"""A configuration as the command line that stands for it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from vae_core.objectives.registry import objective_fields
from vae_core.train.config import TrainConfig

_SHORT_NAMES = {"n_latent": "--latent"}


def flag_of(name: str) -> str:
    """The flag of a field of `TrainConfig` or of an objective."""
    return _SHORT_NAMES.get(name, "--" + name.replace("_", "-"))


def arguments_of(config: TrainConfig) -> tuple[str, ...]:
    """Flags of the verb `train` that make this configuration; none for what is default."""
    found: list[str] = []
    for item in fields(TrainConfig):
        value = getattr(config, item.name)
        if item.name != "objective_options" and value != item.default:
            found += _flag(item.name, value)
    usual = objective_fields(config.objective)
    for name, value in config.objective_options.items():
        if value != usual[name][1]:
            found += _flag(name, value)
    return tuple(found)


def _flag(name: str, value: Any) -> list[str]:
    if value is True:
        return [flag_of(name)]
    if value is False:
        return [flag_of(name).replace("--", "--no-", 1)]
    return [flag_of(name), f"{value:.12g}" if isinstance(value, float) else str(value)]
