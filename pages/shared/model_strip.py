"""A row of small pictures that a model decodes: how one recognises it among others."""

from __future__ import annotations

import numpy as np

from pages.shared.show import data_uri
from vae_core.checkpoint import load_checkpoint
from vae_core.errors import ExplorerError
from vae_core.examine import decode

GAP = 2


def draw_strip(path: str, *, n: int) -> str:
    """Decodes of n held-out images side by side as a data URI; "" where that fails.

    Beside the cache of open models: a list of many must not push out the one in use.
    """
    try:
        checkpoint = load_checkpoint(path)
        rows = checkpoint.codes.held_out
        chosen = np.random.default_rng(3).choice(rows, min(n, len(rows)), replace=False)
        images = decode(checkpoint, checkpoint.codes.mean[chosen])
    except ExplorerError:
        return ""
    # Grey between the pictures is seen on light and dark pages alike.
    gap = np.full((*images.shape[1:3], GAP), 0.5, np.float32)
    parts = [part for image in images for part in (gap, image)][1:]
    return data_uri(np.concatenate(parts, axis=2))
