"""`Autoencoder`: encode → Posterior, decode, sample. It knows no loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vae_core.errors import ConfigError, DataError
from vae_core.likelihoods import AnyLikelihood, build_likelihood
from vae_core.nets import Architecture, build_decoder, build_encoder
from vae_core.posterior import POINT_LOG_STD, POSTERIORS, Posterior, full_posterior
from vae_core.types import ImageSpec

# Keeps exp(log_std) finite in float32 whatever an untrained or foreign encoder says.
LOG_STD_RANGE = (-12.0, 6.0)


@dataclass(frozen=True)
class ModelConfig:
    """All that is needed to build a model before its weights are loaded.

    `posterior` is diagonal, full, or point for a code without width. With `n_classes` > 0
    encoder and decoder also take a label; with `is_classifier` the encoder says one, too.
    """

    spec: ImageSpec
    n_latent: int
    architecture: Architecture
    likelihood: str
    posterior: str = "diagonal"
    n_classes: int = 0
    is_classifier: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data for the card."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ModelConfig:
        """Inverse of `to_json`; `ConfigError` when a field is missing or of a wrong kind."""
        try:
            # Cards from before there were these layers do not name them.
            shape: dict[str, Any] = {"dense": (), "coordinate": ()} | data["architecture"]
            for name in ("widths", "blocks", "dense", "coordinate"):
                shape[name] = tuple(int(n) for n in shape[name])
            spec = ImageSpec(**{k: int(v) for k, v in data["spec"].items()})
            return cls(
                spec,
                int(data["n_latent"]),
                Architecture(**shape),
                str(data["likelihood"]),
                str(data.get("posterior", "diagonal")),
                int(data.get("n_classes", 0)),
                bool(data.get("is_classifier", False)),
            )
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
        if config.posterior not in POSTERIORS:
            raise ConfigError(
                f"Posterior '{config.posterior}' is unknown; choose one of {', '.join(POSTERIORS)}."
            )
        self.config = config
        self.encoder, n_features = build_encoder(config.architecture, config.spec)
        n_inputs = n_features + config.n_classes
        self.mean_head = nn.Linear(n_inputs, config.n_latent)
        has_width = config.posterior != "point"
        self.log_std_head = nn.Linear(n_inputs, config.n_latent) if has_width else None
        for head in (self.mean_head, self.log_std_head):
            if head is not None:
                nn.init.normal_(head.weight, std=0.01 / n_inputs**0.5)
                nn.init.zeros_(head.bias)
        nn.init.normal_(self.mean_head.weight, std=1 / n_inputs**0.5)
        self.factor_head = self._extra_head(n_inputs, config.n_latent * (config.n_latent - 1) // 2,
                                            wanted=config.posterior == "full")  # fmt: skip
        self.label_head = self._extra_head(n_features, config.n_classes,
                                           wanted=config.is_classifier)  # fmt: skip
        self.decoder = build_decoder(
            config.architecture, config.spec, config.n_latent + config.n_classes
        )
        self.likelihood: AnyLikelihood = build_likelihood(config.likelihood)

    @staticmethod
    def _extra_head(n_inputs: int, n_outputs: int, *, wanted: bool) -> nn.Linear | None:
        if not wanted or n_outputs == 0:
            return None
        head = nn.Linear(n_inputs, n_outputs)
        nn.init.normal_(head.weight, std=0.01 / n_inputs**0.5)
        nn.init.zeros_(head.bias)
        return head

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

    def features(self, x: Tensor) -> Tensor:
        """What the encoder's trunk makes of images float `[B,C,H,W]` in [0,1]: `[B,F]`.

        `DataError` when the shape is not the model's.
        """
        if x.ndim != 4 or tuple(x.shape[1:]) != self.spec.shape:
            raise DataError(
                f"Images of shape {tuple(x.shape)} came, the model expects "
                f"[B, {', '.join(map(str, self.spec.shape))}]; resize or convert them first."
            )
        # Small log-stds and KLs do not survive half precision: the heads stay in float32.
        features: Tensor = self.encoder(x).float()
        return features

    def posterior_of(self, features: Tensor, y: Tensor | None = None) -> Posterior:
        """q(z|x) or q(z|x,y) from the trunk's features `[B,F]`; see `encode`."""
        with torch.autocast(features.device.type, enabled=False):
            features = self._with_label(features, y)
            mean = self.mean_head(features)
            if self.log_std_head is None:
                return Posterior(mean, torch.full_like(mean, POINT_LOG_STD))
            log_std = self.log_std_head(features).clamp(*LOG_STD_RANGE)
            if self.factor_head is None:
                return Posterior(mean, log_std)
            return full_posterior(mean, log_std, self.factor_head(features))

    def _with_label(self, values: Tensor, y: Tensor | None) -> Tensor:
        """Append a one-hot label; zeros where it is unknown (None or −1)."""
        if not self.config.n_classes:
            return values
        one_hot = values.new_zeros(len(values), self.config.n_classes)
        if y is not None:
            known = (y >= 0).to(values.dtype)[:, None]
            one_hot = one_hot.scatter(1, y.clamp_min(0)[:, None], known)
        return torch.cat([values, one_hot], 1)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Posterior:
        """q(z|x) of images float `[B,C,H,W]` in [0,1]; deterministic.

        `y` int64 `[B]`, −1 where unknown, is used by models with classes only. `DataError`
        when the shape is not the model's.
        """
        return self.posterior_of(self.features(x), y)

    def classify(self, features: Tensor) -> Tensor:
        """Logits `[B,n_classes]` of q(y|x) from the trunk's features; needs a classifier.

        `ConfigError` for a model without one.
        """
        if self.label_head is None:
            raise ConfigError(
                "This model says no labels, one with a classifier was expected; train one with "
                "--objective m2 on a set with labels."
            )
        with torch.autocast(features.device.type, enabled=False):
            logits: Tensor = self.label_head(features)
        return logits

    def decode_raw(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Raw decoder output float32 `[B,C,H,W]`: logits or unclipped means."""
        raw: Tensor = self.decoder(self._with_label(z, y))
        return raw.float()

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The likelihood's mean for codes `[B,D]`: images `[B,C,H,W]` in [0,1].

        `y` as in `encode`. `DataError` when the codes are not of the model's size.
        """
        if z.ndim != 2 or z.shape[1] != self.n_latent:
            raise DataError(
                f"Codes of shape {tuple(z.shape)} came, the model expects [B, {self.n_latent}]; "
                "give one row of that many numbers per image."
            )
        return self.likelihood.mean(self.decode_raw(z, y))

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


class _ShapesOnly(TorchFunctionMode):
    """Leaves out all that would fill a tensor: on the meta device that loads half of torch."""

    def __torch_function__(
        self, func: Any, _: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name.endswith("_") and not name.endswith("__"):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def check_shapes(config: ModelConfig, weights: Mapping[str, Tensor]) -> None:
    """`ConfigError` unless these are the weights of such a model, told without building one."""
    with torch.device("meta"), _ShapesOnly():
        planned = {k: tuple(v.shape) for k, v in Autoencoder(config).state_dict().items()}
    found = {k: tuple(v.shape) for k, v in weights.items()}
    for name in sorted(planned.keys() | found.keys()):
        if planned.get(name) != found.get(name):
            raise ConfigError(
                f"{name[:80]} is {_shape(found.get(name))} in the file, expected "
                f"{_shape(planned.get(name))}; take the card and the weights of one model."
            )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else "x".join(map(str, shape)) or "one number"
