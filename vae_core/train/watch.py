"""What goes wrong in a run, in words: collapsed dimensions, over-fitting, skipped steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FEW_ACTIVE_SHARE = 0.25
TINY_KL_NATS = 0.1
OVERFIT_SHARE = 0.05
DIVERGED_SHARE = 0.25


def warnings_of(
    record: Mapping[str, Any], *, n_latent: int, best_loss: float | None, n_steps: int
) -> dict[str, str]:
    """Sentences about one epoch's record, by kind; empty when all is well.

    `record` holds `active_units`, `kl_per_dimension` (where there is a posterior),
    `val_loss`, `train_loss` and `n_skipped_steps`; `n_steps` counts the steps so far.
    """
    found: dict[str, str] = {}
    kl = list(record.get("kl_per_dimension", []))
    active = int(record["active_units"])
    if kl and sum(kl) < TINY_KL_NATS:
        found["collapse"] = (
            f"Posterior collapse: the code carries {sum(kl):.2g} nats in all, so the decoder "
            "ignores it; lower beta, add --warmup-steps or --free-nats."
        )
    elif kl and n_latent > 2 and active <= FEW_ACTIVE_SHARE * n_latent:
        found["unused"] = (
            f"Only {active} of {n_latent} dimensions carry information (variance of the mean "
            "> 0.01); choose a smaller --latent, a lower beta, --warmup-steps or --free-nats."
        )
    train, val = float(record["train_loss"]), float(record["val_loss"])
    # First: the loss of an epoch it diverged in lies between the best and where it ended.
    if best_loss is not None and min(train, val) - best_loss > DIVERGED_SHARE * abs(best_loss):
        found["divergence"] = (
            f"Divergence: the loss of training and validation images rose to {val:.1f}, the best "
            f"was {best_loss:.1f}; the best epoch is kept; lower --learning-rate."
        )
    elif best_loss is not None and val > best_loss and val - train > OVERFIT_SHARE * abs(train):
        found["over-fitting"] = (
            f"Over-fitting: the validation loss {val:.1f} lies above the training loss "
            f"{train:.1f} and its own best {best_loss:.1f}; the best epoch is kept; use more "
            "images, a smaller network or fewer epochs."
        )
    skipped = int(record.get("n_skipped_steps", 0))
    if skipped:
        found["skipped"] = (
            f"{skipped} of {n_steps} steps had a gradient that was not finite and were left "
            "out; if they become many, lower --learning-rate or use --precision float32."
        )
    return found
