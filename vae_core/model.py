"""`Autoencoder`: encode → Posterior, decode, sample. It knows no loss."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vae_core.errors import ConfigError, DataError
from vae_core.likelihoods import Bernoulli, Gaussian, build_likelihood
from vae_core.nets import Architecture, build_decoder, build_encoder
from vae_core.types import ImageSpec, Posterior

# Keeps exp(log_std) finite in float32 whatever an untrained or foreign encoder says.
LOG_STD_RANGE = (-12.0, 6.0)


@dataclass(frozen=True)
class ModelConfig:
    """All that is needed to build a model before its weights are loaded."""

    spec: ImageSpec
    n_latent: int
    architecture: Architecture
    likelihood: str

    def to_json(self) -> dict[str, Any]:
        """Plain data for the card."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ModelConfig:
        """Inverse of `to_json`; `ConfigError` when a field is missing or of a wrong kind."""
        try:
            shape = dict(data["architecture"])
            for name in ("widths", "blocks"):
                shape[name] = tuple(int(n) for n in shape[name])
            spec = ImageSpec(**{k: int(v) for k, v in data["spec"].items()})
            return cls(spec, int(data["n_latent"]), Architecture(**shape), str(data["likelihood"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"The model description lacks or garbles a field ({error}), expected "
                "spec, n_latent, architecture and likelihood; take a card written by train."
            ) from error


class Autoencoder(nn.Module):
    """An encoder with two linear heads, a decoder, and a likelihood.

    Works for any channel count and image size; sizes that do not divide by the strides
    are padded inside and cropped again.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.n_latent < 1:
            raise ConfigError(f"Latent size {config.n_latent} is too small; give 1 or more.")
        self.config = config
        self.encoder, n_features = build_encoder(config.architecture, config.spec)
        self.mean_head = nn.Linear(n_features, config.n_latent)
        self.log_std_head = nn.Linear(n_features, config.n_latent)
        for head in (self.mean_head, self.log_std_head):
            nn.init.normal_(head.weight, std=0.01 / n_features**0.5)
            nn.init.zeros_(head.bias)
        nn.init.normal_(self.mean_head.weight, std=1 / n_features**0.5)
        self.decoder = build_decoder(config.architecture, config.spec, config.n_latent)
        self.likelihood: Bernoulli | Gaussian = build_likelihood(config.likelihood)

    @property
    def n_latent(self) -> int:
        """Number of latent dimensions D."""
        return self.config.n_latent

    @property
    def spec(self) -> ImageSpec:
        """Image shape the model works on."""
        return self.config.spec

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.mean_head.weight.device

    def encode(self, x: Tensor) -> Posterior:
        """q(z|x) of images float `[B,C,H,W]` in [0,1]; deterministic.

        `DataError` when the shape is not the model's.
        """
        if x.ndim != 4 or tuple(x.shape[1:]) != self.spec.shape:
            raise DataError(
                f"Images of shape {tuple(x.shape)} came, the model expects "
                f"[B, {', '.join(map(str, self.spec.shape))}]; resize or convert them first."
            )
        features = self.encoder(x)
        # Small log-stds and KLs do not survive half precision: the heads stay in float32.
        with torch.autocast(x.device.type, enabled=False):
            features = features.float()
            mean = self.mean_head(features)
            log_std = self.log_std_head(features).clamp(*LOG_STD_RANGE)
        return Posterior(mean, log_std)

    def decode_raw(self, z: Tensor) -> Tensor:
        """Raw decoder output float32 `[B,C,H,W]`: logits or unclipped means."""
        raw: Tensor = self.decoder(z)
        return raw.float()

    def decode(self, z: Tensor) -> Tensor:
        """The likelihood's mean for codes `[B,D]`: images `[B,C,H,W]` in [0,1]."""
        if z.ndim != 2 or z.shape[1] != self.n_latent:
            raise DataError(
                f"Codes of shape {tuple(z.shape)} came, the model expects [B, {self.n_latent}]; "
                "give one row of that many numbers per image."
            )
        return self.likelihood.mean(self.decode_raw(z))

    @torch.no_grad()
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Decode n draws from the prior N(0, I): images `[n,C,H,W]` in [0,1]."""
        device = generator.device if generator is not None else self.device
        z = torch.randn((n, self.n_latent), generator=generator, device=device)
        return self.decode(z.to(self.device))

    @torch.no_grad()
    def start_at_mean(self, mean_image: Tensor) -> None:
        """Set the output bias so that an untrained decoder gives the data's mean.

        `mean_image` `[C,H,W]` in [0,1]: per pixel for dense outputs, else per channel.
        """
        raw = self.likelihood.raw_of_mean(mean_image.to(self.device))
        last = [m for m in self.decoder.modules() if getattr(m, "bias", None) is not None][-1]
        bias = last.bias
        assert isinstance(bias, Tensor)
        if bias.numel() == raw.numel():
            bias.copy_(raw.flatten())
            return
        per_channel = self.likelihood.raw_of_mean(mean_image.mean((1, 2)).to(self.device))
        bias.copy_(per_channel.repeat_interleave(bias.numel() // len(per_channel)))
