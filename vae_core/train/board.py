"""TensorBoard, for those who have it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vae_core.errors import ConfigError


class Board:
    """Writes every number of a record below `folder`/tensorboard, against the step.

    `ConfigError` when the package tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise ConfigError(
                "--tensorboard was given but the package tensorboard is not installed; "
                "run pip install tensorboard, or leave the option out."
            ) from error
        self.writer = SummaryWriter(str(folder / "tensorboard"))

    def write(self, record: Mapping[str, Any]) -> None:
        """Log one epoch's record; lists become one curve per entry."""
        step = int(record["step"])
        for name, value in record.items():
            values = {name: value} if not isinstance(value, list) else {
                f"{name}/{i}": v for i, v in enumerate(value)
            }  # fmt: skip
            for label, number in values.items():
                if isinstance(number, int | float):
                    self.writer.add_scalar(label, number, step)
        self.writer.flush()

    def close(self) -> None:
        """Finish the file."""
        self.writer.close()
