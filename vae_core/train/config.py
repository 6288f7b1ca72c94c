"""`TrainConfig`: every choice of a training run, as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from vae_core.errors import ConfigError
from vae_core.likelihoods import LIKELIHOODS
from vae_core.nets.architecture import PRESETS
from vae_core.objectives.registry import OBJECTIVES


def _help(default: Any, text: str, *, choices: tuple[str, ...] = ()) -> Any:
    """A field whose sentence becomes the help of its flag and its widget; `choices` if closed."""
    return field(default=default, metadata={"help": text, "choices": choices})


@dataclass(frozen=True)
class TrainConfig:
    """A run ends after `epochs`, or after `minutes` when that is given."""

    objective: str = _help("vae", "what is minimised", choices=tuple(OBJECTIVES))
    objective_options: Mapping[str, Any] = field(default_factory=dict)
    n_latent: int = _help(32, "latent dimensions")
    preset: str = _help("auto", f"network: {', '.join(PRESETS)}", choices=PRESETS)
    likelihood: str = _help(
        "auto", "auto, bernoulli, bernoulli-continuous, gaussian or logistic",
        choices=("auto", *LIKELIHOODS),
    )  # fmt: skip
    posterior: str = _help(
        "diagonal", "covariance of q(z|x): diagonal or full (ae and wae: point)",
        choices=("diagonal", "full"),
    )  # fmt: skip
    epochs: int = _help(20, "passes over the training images")
    minutes: float | None = _help(None, "stop after this many minutes instead of after epochs")
    batch_size: int = _help(0, "images per step; 0 = 128, fewer for small sets")
    learning_rate: float = _help(5e-3, "peak of the one-cycle schedule")
    weight_decay: float = _help(1e-4, "decoupled weight decay of AdamW")
    ema_decay: float = _help(0.0, "keep a moving average of the weights with this decay; 0 = off")
    patience_epochs: int = _help(
        0, "stop after this many epochs without a better validation loss; 0 = never"
    )
    n_validation: int = _help(
        0, "images to choose the best epoch by, which are not trained on; 0 = as the source has "
        "them or a tenth, at most 5,000"
    )  # fmt: skip
    n_labels: int = _help(0, "labels the objective may see, balanced over the classes; 0 = all")
    seed: int = _help(0, "seed of the weights, the batches and the noise")
    device: str = _help("auto", "auto, cuda, mps or cpu", choices=("auto", "cuda", "mps", "cpu"))
    precision: str = _help(
        "auto", "auto, float32 or bfloat16", choices=("auto", "float32", "bfloat16")
    )
    compile: bool = _help(False, "run the step through torch.compile (slow first step)")
    tensorboard: bool = _help(False, "also log to OUT/tensorboard")

    def __post_init__(self) -> None:
        positive = {"latent": self.n_latent, "epochs": self.epochs}
        if self.batch_size:
            positive["batch-size"] = self.batch_size
        for name, value in positive.items():
            if value < 1:
                raise ConfigError(f"--{name} {value} came, expected 1 or more; give a larger one.")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(
                f"--seed {self.seed} came, expected a whole number from 0 to 2**63 - 1; "
                "give another one."
            )
        if self.minutes is not None and not 0 < self.minutes < 100_000:
            raise ConfigError(
                f"--minutes {self.minutes:g} came, expected a positive number of minutes; "
                "give for example --minutes 5."
            )
        for name, share in (("ema-decay", self.ema_decay), ("weight-decay", self.weight_decay)):
            if not 0 <= share < 1:
                raise ConfigError(
                    f"--{name} {share:g} came, expected a number from 0 to below 1; "
                    "leave it out for the default."
                )
        for name in ("patience_epochs", "n_validation", "n_labels"):
            count = getattr(self, name)
            if count < 0:
                raise ConfigError(
                    f"--{name.replace('_', '-')} {count} came, expected 0 or more; "
                    "leave it out for the default."
                )
        if not 0 < self.learning_rate < 1:
            raise ConfigError(
                f"--learning-rate {self.learning_rate:g} came, expected a number between "
                "0 and 1; 0.005 suits most images."
            )

    def batch_for(self, n_images: int) -> int:
        """Images per step for a training set of this size.

        A small set is cut into at least twenty steps per epoch: in a short run the number
        of updates matters more than their exactness.
        """
        wanted = self.batch_size or max(16, min(128, n_images // 20))
        return min(wanted, n_images)

    def to_json(self) -> dict[str, Any]:
        """Plain data for the card and for the training state."""
        return asdict(self)


def one_cycle(progress: float, *, peak: float, warmup_share: float = 0.1) -> float:
    """Learning rate at `progress` in [0,1]: linear up to the peak, then cosine to nearly 0.

    Source: Smith & Topin 2017 (arXiv:1708.07120), with a cosine descent.
    """
    if progress < warmup_share:
        return peak * (0.04 + 0.96 * progress / warmup_share)
    descent = min(1.0, (progress - warmup_share) / (1 - warmup_share))
    return peak * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * descent)))
