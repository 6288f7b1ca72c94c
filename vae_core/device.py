"""Which device to run on, and why, in words."""

from __future__ import annotations

import torch

from vae_core.errors import ConfigError


def choose_device(name: str = "auto") -> tuple[torch.device, str]:
    """The device called `name`, or the best there is, and why.

    `ConfigError` for an unknown name or a device this machine or this torch has not.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        found = next(device for device, there in available.items() if there)
        why = {
            "cuda": "a CUDA GPU was found",
            "mps": "an Apple GPU was found",
            "cpu": "no GPU was found",
        }[found]
        return torch.device(found), why
    kind = name.split(":")[0]
    if kind not in available:
        raise ConfigError(f"Device '{name}' is unknown; choose auto, cuda, mps or cpu.")
    if not available[kind]:
        raise ConfigError(
            f"Device '{name}' was asked for but torch {torch.__version__} sees none here; "
            "use --device auto or cpu."
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(
            f"Device '{name}' is no device torch knows; choose auto, cuda, cuda:0, mps or cpu."
        ) from error
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"Device '{name}' was asked for, this machine has {torch.cuda.device_count()} CUDA "
            "device(s) counted from 0; choose one of them or auto."
        )
    return device, "it was asked for"
