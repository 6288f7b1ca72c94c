"""Which device and which precision, and the reason in words."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vae_core.device import choose_device
from vae_core.errors import ConfigError
from vae_core.train.cores import Cores


@dataclass(frozen=True)
class Runtime:
    """Where and in what precision training runs; `reason` is one sentence for the user.

    `cores` makes room for other work, where that was asked for and the training is on the CPU.
    """

    device: torch.device
    autocast: torch.dtype | None
    reason: str
    cores: Cores | None = None


def _bfloat16_is_fast(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # Without the instructions torch emulates bfloat16, ten times slower than float32.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def choose_runtime(
    device_name: str = "auto", precision: str = "auto", *, share_cores: bool = False
) -> Runtime:
    """Device and precision for training; `ConfigError` for names that make no sense."""
    device, why = choose_device(device_name)
    if precision not in ("auto", "float32", "bfloat16"):
        raise ConfigError(f"Precision '{precision}' is unknown; choose auto, float32 or bfloat16.")
    fast = _bfloat16_is_fast(device)
    half = precision == "bfloat16" or (precision == "auto" and fast)
    detail = (
        f"bfloat16 is {'fast' if fast else 'slow'} there" if precision == "auto" else "as asked"
    )
    reason = f"Training on {device} ({why}) in {'bfloat16' if half else 'float32'} ({detail})."
    cores = Cores() if share_cores and device.type == "cpu" else None
    return Runtime(device, torch.bfloat16 if half else None, reason, cores)
