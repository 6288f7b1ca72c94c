"""Complete a picture whose pixels are partly hidden: several different answers, the best first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae_core.apply.anchors import Anchors, decode_anchors
from vae_core.apply.observe import see_visible
from vae_core.apply.search import (
    Found,
    LatentPrior,
    Progress,
    is_near_best,
    prior_for,
    search_codes,
)
from vae_core.checkpoint import Checkpoint
from vae_core.errors import ConfigError, DataError

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

MAX_COMPLETIONS: Final = 24
SIDES: Final = ("left", "right", "top", "bottom")
CLIMB_STEPS, DRAW_STEPS = 40, 40


@dataclass(frozen=True)
class Completions:
    """n answers, the most plausible first.

    `codes` float32 `[n,D]`; `decoded` `[n,C,H,W]` in [0,1], what the decoder makes of them;
    `images` the same with the visible pixels of the picture kept. `log_joint` `[n]` in nats:
    log p(visible | z) + log p(z). `weights` `[n]`: their share in the joint, summing to 1.
    `spread` `[H,W]` in [0,1]: the standard deviation over the n answers, averaged over
    channels and weighing all alike; 0 where visible.
    """

    codes: Floats
    images: Floats
    decoded: Floats
    log_joint: Floats
    weights: Floats
    spread: Floats


def complete(
    checkpoint: Checkpoint,
    pixels: NDArray[np.uint8],
    hidden: Bools,
    *,
    n: int = 5,
    n_chains: int = 16,
    climb_steps: int = CLIMB_STEPS,
    draw_steps: int = DRAW_STEPS,
    seed: int = 0,
    anchors: Anchors | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Completions:
    """Fill in the `hidden` pixels bool `[H,W]` of `pixels` uint8 `[C,H,W]` in n different ways.

    Chains start from the encoder's mean of the picture with the hidden part filled, from the
    stored codes that fit the visible part best, and from draws of the prior; they climb to
    modes of p(z | visible) and draw around them. From the chains that are nearly as good as
    the best, n are chosen that differ most where pixels are hidden. `anchors` saves decoding
    the stored codes anew. Errors: `DataError` for shapes that do not fit the model,
    `ConfigError` for an n outside 1 to 24, `SearchCancelledError`.
    """
    _check(checkpoint, pixels, hidden, n)
    anchors = anchors or decode_anchors(checkpoint)
    model, visible = checkpoint.model, torch.from_numpy(~hidden)
    prior = prior_for(model, checkpoint.codes)
    x = torch.from_numpy(pixels).to(model.device).float() / 255
    n_chains = max(n_chains, 2 * n)
    found = search_codes(
        model,
        see_visible(model.likelihood, x, visible.to(model.device)),
        _starts(checkpoint, pixels, hidden, prior=prior, anchors=anchors, n=n_chains, seed=seed),
        prior=prior,
        climb_steps=climb_steps,
        draw_steps=draw_steps,
        seed=seed,
        progress=progress,
        cancelled=cancelled,
    )
    decoded = model.likelihood.mean(found.raw).cpu()
    rows = _choose(
        decoded, found.log_joint.cpu(), torch.from_numpy(hidden), n=n, n_latent=model.n_latent
    )
    return _answers(found, decoded, rows, pixels, hidden)


def half_hidden(size: tuple[int, ...], side: str) -> Bools:
    """A mask `[H,W]` that hides one half: left, right, top or bottom; `ConfigError` for another.

    Of an odd number of rows or columns the middle one stays visible.
    """
    height, width = size
    hidden = np.zeros((height, width), np.bool_)
    rows, columns = slice(None), slice(None)
    parts = {
        "left": (rows, slice(0, width // 2)),
        "right": (rows, slice(width - width // 2, None)),
        "top": (slice(0, height // 2), columns),
        "bottom": (slice(height - height // 2, None), columns),
    }
    if side not in parts:
        raise ConfigError(f"Side '{side}' came, expected one of {', '.join(SIDES)}; choose one.")
    hidden[parts[side]] = True
    return hidden


def _check(checkpoint: Checkpoint, pixels: NDArray[np.uint8], hidden: Bools, n: int) -> None:
    shape = checkpoint.model.spec.shape
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise DataError(
            f"A picture of shape {pixels.shape} and type {pixels.dtype} came, the model expects "
            f"uint8 {shape}; prepare it for the model first."
        )
    if hidden.shape != shape[1:] or hidden.dtype != np.bool_:
        raise DataError(
            f"A mask of shape {hidden.shape} and type {hidden.dtype} came, expected bool "
            f"{shape[1:]}; give one true or false per pixel."
        )
    if not 1 <= n <= MAX_COMPLETIONS:
        raise ConfigError(f"{n} completions were asked for, expected 1 to {MAX_COMPLETIONS}.")


@torch.no_grad()
def _starts(
    checkpoint: Checkpoint,
    pixels: NDArray[np.uint8],
    hidden: Bools,
    *,
    prior: LatentPrior,
    anchors: Anchors,
    n: int,
    seed: int,
) -> Tensor:
    """Codes `[n,D]`: of two fillings, of the nearest anchors, and a quarter from the prior."""
    model, n_drawn = checkpoint.model, n // 4
    fillings = np.stack([
        fill_hidden(pixels, hidden, anchors.mean_image), fill_from_neighbours(pixels, hidden),
    ])  # fmt: skip
    encoded = model.encode(torch.from_numpy(fillings).to(model.device).float()).mean
    near = anchors.nearest(pixels, ~hidden, k=n - n_drawn - len(encoded))
    generator = torch.Generator().manual_seed(seed)
    n_drawn = n - len(encoded) - len(near)
    noise = torch.randn((n_drawn, model.n_latent), generator=generator).to(model.device)
    return torch.cat([encoded, torch.from_numpy(near).to(model.device), prior.to_z(noise)])


def fill_hidden(pixels: NDArray[np.uint8], hidden: Bools, filling: Floats) -> Floats:
    """The picture in [0,1] `[C,H,W]` with the hidden pixels taken from `filling` `[C,H,W]`."""
    filled: Floats = np.where(hidden, filling, pixels / np.float32(255)).astype(np.float32)
    return filled


def fill_from_neighbours(pixels: NDArray[np.uint8], hidden: Bools) -> Floats:
    """The picture in [0,1] with each hidden pixel like its nearest visible one; grey if none is."""
    from scipy.ndimage import distance_transform_edt

    if hidden.all():
        return np.full(pixels.shape, 0.5, np.float32)
    rows, columns = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    return (pixels[:, rows, columns] / np.float32(255)).astype(np.float32)


def _choose(
    decoded: Tensor, log_joint: Tensor, hidden: Tensor, *, n: int, n_latent: int
) -> list[int]:
    """n chains: the best, then those farthest from all chosen where pixels are hidden.

    Only chains nearly as good as the best take part, or the best n where those are fewer.
    """
    order = log_joint.argsort(descending=True)
    n_good = int(is_near_best(log_joint, n_latent).sum())
    pool = order[: max(n_good, n)]
    part = decoded[pool][:, :, hidden].flatten(1)
    gaps = torch.cdist(part, part)
    chosen = [0]
    while len(chosen) < n:
        room = gaps[:, chosen].min(1).values
        room[chosen] = -1
        chosen.append(int(room.argmax()))
    return [int(pool[i]) for i in sorted(chosen)]


def _answers(
    found: Found, decoded: Tensor, rows: list[int], pixels: NDArray[np.uint8], hidden: Bools
) -> Completions:
    images = decoded[rows].numpy()
    log_joint = found.log_joint.cpu()[rows]
    spread = images.std(0).mean(0) * hidden
    return Completions(
        codes=found.codes.cpu()[rows].numpy(),
        images=np.where(hidden, images, pixels / np.float32(255)).astype(np.float32),
        decoded=images,
        log_joint=log_joint.numpy(),
        weights=torch.softmax(log_joint, 0).numpy(),
        spread=spread.astype(np.float32),
    )
