"""Saving and loading everything a run needs to go on exactly where it stopped.

Two files: tensors in `state.safetensors`, plain numbers in `state.json`; nothing pickled.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vae_core.errors import CheckpointError, TrainingError
from vae_core.files import replace_file, write_json, write_tensors
from vae_core.model import Autoencoder
from vae_core.train.control import FOLDER, has_state

__all__ = ["FOLDER", "Position", "has_state", "load_state", "read_note", "save_state"]


@dataclass
class Position:
    """Where a run stands; `loss_sum` is over the images of the epoch it is in.

    `n_good_steps` of this epoch had a finite gradient, `n_skipped_steps` of the epochs
    before had not; `n_pieces` is how many parts a batch is cut into to fit into memory.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    images_seen: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best_loss: float | None = None
    best_epoch: int = 0
    n_good_steps: int = 0
    n_skipped_steps: int = 0
    n_pieces: int = 1
    n_train_images: int = 0
    images_per_step: int = 0


def save_state(
    folder: Path,
    position: Position,
    *,
    model: Autoencoder,
    optimizer: torch.optim.Optimizer,
    best: dict[str, Tensor],
    config: dict[str, Any],
    ema: dict[str, Tensor] | None = None,
) -> None:
    """Write the state below `folder`; the old one stays until the new one is complete."""
    target = folder / FOLDER
    target.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    tensors |= {f"ema.{k}": v for k, v in (ema or {}).items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in slots.items()}
    tensors = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    # The numbers travel in the header of the same file: one rename keeps both in step.
    note = json.dumps({"position": asdict(position), "config": config})
    try:
        with replace_file(target / "state.safetensors") as temporary:
            write_tensors(temporary, tensors, note={"state": note})
    except OSError as error:
        raise TrainingError(
            f"The training state in '{target}' could not be written ({error}); make room there "
            "and go on with --resume, the state saved before is as it was."
        ) from error
    write_json(target / "state.json", {"position": asdict(position), "config": config})


def read_note(folder: Path) -> dict[str, Any]:
    """Position and configuration of the run in `folder`; `CheckpointError` if unreadable."""
    from safetensors import safe_open

    path = folder / FOLDER / "state.safetensors"
    try:
        with safe_open(path, framework="pt") as opened:
            note: dict[str, Any] = json.loads(opened.metadata()["state"])
        return note
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"The training state {path} cannot be read ({error}); start again without --resume."
        ) from error


def load_state(
    folder: Path,
    *,
    model: Autoencoder,
    optimizer: torch.optim.Optimizer,
    ema: Autoencoder | None = None,
) -> tuple[Position, dict[str, Tensor]]:
    """Fill model and optimiser from `folder`; returns the position and the best weights."""
    position = Position(**read_note(folder)["position"])
    tensors = load_file(folder / FOLDER / "state.safetensors")
    parts: dict[str, dict[str, Tensor]] = {
        "model": {}, "best": {}, "ema": {}, "optimizer": {}
    }  # fmt: skip
    for name, value in tensors.items():
        head, _, rest = name.partition(".")
        parts[head][rest] = value
    try:
        model.load_state_dict(parts["model"])
        if ema is not None:
            ema.load_state_dict(parts["ema"])
    except RuntimeError as error:
        raise CheckpointError(
            f"The training state in {folder} is of another network; resume with the options "
            "the run was started with, or choose another --out."
        ) from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["optimizer"].items():
        index, _, slot = name.partition(".")
        state.setdefault(int(index), {})[slot] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    for parameter, slots in optimizer.state.items():
        for slot, value in slots.items():
            if value.shape == parameter.shape:
                # The fused update walks over raw memory: same strides, or moments get mixed up.
                slots[slot] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    best = {k: v.to(model.device) for k, v in parts["best"].items()}
    return position, best
