"""Take noise out of a picture: by the encoder, by searching for its code, or by principal axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from vae_core.apply.anchors import Anchors, decode_anchors
from vae_core.apply.observe import see_noisy
from vae_core.apply.search import Progress, is_near_best, prior_for, search_codes
from vae_core.checkpoint import Checkpoint
from vae_core.errors import ConfigError, DataError
from vae_core.objectives.denoising import CORRUPTIONS, corrupt

Floats = NDArray[np.float32]

METHODS: Final = ("search", "encoder")
N_CHAINS, CLIMB_STEPS, DRAW_STEPS = 8, 40, 60
PCA_COMPONENTS: Final = 50


@dataclass(frozen=True)
class Noise:
    """How a picture was spoilt: a kind of `CORRUPTIONS` and its amount, see `corrupt`."""

    kind: str = "gaussian"
    amount: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in CORRUPTIONS or not 0 <= self.amount <= 1:
            raise ConfigError(
                f"Noise '{self.kind}' of amount {self.amount:g} came, expected one of "
                f"{', '.join(CORRUPTIONS)} and an amount from 0 to 1; choose for example "
                "gaussian 0.5."
            )


@dataclass(frozen=True)
class Denoised:
    """The picture `image` float32 `[C,H,W]` in [0,1] and the code `[D]` it is nearest to."""

    image: Floats
    code: Floats


def add_noise(clean: Floats, noise: Noise, *, seed: int = 0) -> Floats:
    """Spoil a picture float `[C,H,W]` in [0,1]; the same noise for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.from_numpy(np.ascontiguousarray(clean, np.float32))[None]
    spoilt: Floats = corrupt(x, noise.kind, amount=noise.amount, generator=generator)[0].numpy()
    return spoilt


def trained_noise(card: Mapping[str, Any]) -> Noise | None:
    """The noise a checkpoint's card says it was trained to take out, or None."""
    objective = card["objective"]
    if not str(objective.get("name", "")).startswith("denoising"):
        return None
    return Noise(str(objective["noise"]), float(objective["amount"]))


@torch.no_grad()
def denoise_by_encoder(checkpoint: Checkpoint, noisy: Floats) -> Denoised:
    """Encode and decode a picture float `[C,H,W]` in [0,1].

    Right for models trained to denoise; other encoders never saw noise and are misled by it.
    `DataError` for another shape.
    """
    model = checkpoint.model
    x = torch.from_numpy(np.ascontiguousarray(noisy, np.float32))[None].to(model.device)
    code = model.encode(x).mean
    return Denoised(model.decode(code)[0].cpu().numpy(), code[0].cpu().numpy())


def denoise_by_search(
    checkpoint: Checkpoint,
    noisy: Floats,
    noise: Noise,
    *,
    n_chains: int = N_CHAINS,
    climb_steps: int = CLIMB_STEPS,
    draw_steps: int = DRAW_STEPS,
    seed: int = 0,
    anchors: Anchors | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Denoised:
    """The average picture under p(z | noisy), the noise's own likelihood in it.

    Any model with a decoder can do this: what the noise did is known, so no encoder is asked.
    The average over draws is the picture of least expected squared error; without `draw_steps`
    it is the most plausible one. Noisy is float `[C,H,W]` in [0,1]. Errors: `DataError` for
    another shape, `SearchCancelledError`.
    """
    model = checkpoint.model
    if noisy.shape != model.spec.shape:
        raise DataError(
            f"A picture of shape {noisy.shape} came, the model expects {model.spec.shape}; "
            "prepare it for the model first."
        )
    y = torch.from_numpy(np.ascontiguousarray(noisy, np.float32)).to(model.device)
    anchors = anchors or decode_anchors(checkpoint)
    pixels = np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8)
    everywhere = np.ones(noisy.shape[1:], np.bool_)
    # The difference to a noisy picture ranks clean ones as that to the clean one would, nearly.
    near = torch.from_numpy(anchors.nearest(pixels, everywhere, k=n_chains - 1))
    with torch.no_grad():
        starts = torch.cat([near.to(model.device), model.encode(y[None]).mean])
    found = search_codes(
        model,
        see_noisy(model.likelihood, y, noise.kind, amount=noise.amount),
        starts,
        prior=prior_for(model, checkpoint.codes),
        climb_steps=climb_steps,
        draw_steps=draw_steps,
        seed=seed,
        progress=progress,
        cancelled=cancelled,
    )
    good = is_near_best(found.log_joint, model.n_latent)
    mean = found.mean_images[good if draw_steps else found.log_joint.argmax()[None]].mean(0)
    return Denoised(mean.cpu().numpy(), found.codes[found.log_joint.argmax()].cpu().numpy())


@dataclass(frozen=True)
class PrincipalAxes:
    """The mean `[V]` and the k directions `[k,V]` of largest variance of clean pictures."""

    mean: Floats
    axes: Floats

    def denoise(self, noisy: Floats) -> Floats:
        """The picture `[C,H,W]` in [0,1] projected on the axes; `DataError` for another size."""
        if noisy.size != len(self.mean):
            raise DataError(
                f"A picture of shape {noisy.shape} came for axes of {len(self.mean)} values; "
                "give one of the size the axes were fitted to."
            )
        offset = noisy.reshape(-1).astype(np.float32) - self.mean
        rebuilt = self.mean + self.axes.T @ (self.axes @ offset)
        image: Floats = rebuilt.clip(0, 1).reshape(noisy.shape)
        return image


def fit_axes(images: NDArray[np.uint8], *, n: int = PCA_COMPONENTS) -> PrincipalAxes:
    """Principal axes of clean pictures uint8 `[N,C,H,W]`; `DataError` for fewer than two.

    No more axes than pictures less one.
    """
    if len(images) < 2:
        raise DataError(f"{len(images)} pictures came, principal axes need 2 or more.")
    x = torch.from_numpy(images.reshape(len(images), -1)).float() / 255
    mean = x.mean(0)
    n = min(n, len(x) - 1, x.shape[1])
    # Whichever side is shorter: pixels against pixels, or pictures against pictures.
    if x.shape[1] <= len(x):
        axes = torch.linalg.eigh((x - mean).T @ (x - mean)).eigenvectors[:, -n:].T
    else:
        values, sides = torch.linalg.eigh((x - mean) @ (x - mean).T)
        axes = sides[:, -n:].T @ (x - mean) / values[-n:].clamp_min(1e-12).sqrt()[:, None]
    return PrincipalAxes(mean.numpy(), axes.flip(0).contiguous().numpy())
