"""Training: configuration, device choice, one step, the loop, and its journal."""

from vae_core.train.config import TrainConfig
from vae_core.train.loop import Progress, train

__all__ = ["Progress", "TrainConfig", "train"]
