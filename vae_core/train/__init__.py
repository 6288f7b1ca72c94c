"""Training: configuration, device choice, one step, the loop, and its journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vae_core.train.config import TrainConfig
    from vae_core.train.loop import Progress, train

__all__ = ["Progress", "TrainConfig", "train"]


# Asked for by name only (PEP 562): `train.control` is for processes that have no torch yet.
def __getattr__(name: str) -> Any:
    if name == "TrainConfig":
        from vae_core.train.config import TrainConfig

        return TrainConfig
    if name in __all__:
        import vae_core.train.loop

        return getattr(vae_core.train.loop, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
