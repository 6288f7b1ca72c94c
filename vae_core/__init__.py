"""Latent Explorer's core: train, load and examine variational autoencoders.

`load_checkpoint(path, device="cpu")` gives an object with `.model` (encode, decode,
sample), `.card`, `.codes` and `.maps`.
"""

from vae_core.checkpoint import Checkpoint, list_checkpoints, load_checkpoint
from vae_core.errors import ExplorerError

__version__ = "0.2.0"
__all__ = ["Checkpoint", "ExplorerError", "__version__", "list_checkpoints", "load_checkpoint"]
