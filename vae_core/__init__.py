"""Latent Explorer's core: train, load and examine variational autoencoders.

`load_checkpoint(path, device="cpu")` gives an object with `.model` (encode, decode,
sample), `.card`, `.codes` and `.maps`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vae_core.checkpoint import Checkpoint, list_checkpoints, load_checkpoint
    from vae_core.errors import ExplorerError

__version__ = "0.2.0"
__all__ = ["Checkpoint", "ExplorerError", "__version__", "list_checkpoints", "load_checkpoint"]


# Asked for by name only (PEP 562): a process that waits for its turn needs no torch.
def __getattr__(name: str) -> Any:
    if name == "ExplorerError":
        from vae_core.errors import ExplorerError

        return ExplorerError
    if name in __all__:
        import vae_core.checkpoint

        return getattr(vae_core.checkpoint, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
