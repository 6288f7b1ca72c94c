"""The shape of a network as plain data, and the named presets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from vae_core.errors import ConfigError
from vae_core.types import ImageSpec

Kind = Literal["residual", "mlp", "burgess"]


@dataclass(frozen=True)
class Architecture:
    """Everything that fixes the network's shape besides image size and latent size.

    `patch`: pixels are folded into channels in patch×patch blocks before the first
    convolution (space-to-depth). `widths`: channels of each resolution, finest first, or
    the hidden layers of an `mlp`. `blocks`: residual blocks at each resolution. `mid_width`:
    channels after the first of two steps that undo a patch of 4 or 8. `last`: how a last factor
    of 2 is undone, by a pixel shuffle (quicker) or by resizing and a convolution (smoother).
    `dense`: hidden layers between a residual net's coarsest features and its code: without
    them one number cannot say where a shape is, since the code enters the grid linearly.
    `coordinate`: channels of a residual net's decoder that gives each cell of the finest grid
    the whole code and where the cell is, instead of mirroring the encoder (a spatial broadcast
    decoder, Watters et al. 2019, arXiv:1901.07017, here of 1×1 convolutions).
    """

    kind: Kind
    patch: int = 1
    widths: tuple[int, ...] = (64,)
    blocks: tuple[int, ...] = (1,)
    mid_width: int = 16
    last: Literal["shuffle", "resize"] = "shuffle"
    dense: tuple[int, ...] = ()
    coordinate: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        numbers = (self.patch, self.mid_width, *self.widths, *self.dense, *self.coordinate)
        n_blocks_fit = self.kind != "residual" or len(self.blocks) == len(self.widths)
        if self.kind not in get_args(Kind) or min(numbers) < 1 or not n_blocks_fit:
            raise ConfigError(
                f"The network description {self} makes no sense, expected a kind of "
                f"{', '.join(get_args(Kind))}, positive widths and as many blocks; take a preset."
            )

    @property
    def multiple(self) -> int:
        """Height and width are padded to a multiple of this many pixels."""
        if self.kind == "mlp":
            return 1
        if self.kind == "burgess":
            return 1 << len(self.widths)
        return self.patch << (len(self.widths) - 1)


PRESETS: Final = (
    "auto", "compact", "slim", "fast", "light", "shapes", "broadcast", "mlp", "mlp-s", "conv-s",
    "conv-m", "burgess",
)  # fmt: skip


def _fast(spec: ImageSpec) -> Architecture:
    side = max(spec.height, spec.width)
    if side <= 12:
        return Architecture("residual", patch=1, widths=(32, 64), blocks=(0, 1))
    if side <= 40:
        return Architecture("residual", patch=4, widths=(64,), blocks=(1,))
    widths = [48, 96]
    while side / (4 * 2 ** (len(widths) - 1)) > 6 and len(widths) < 6:
        widths.append(128)
    # Convolutions at the finest grids cost most and give least: blocks sit at the coarsest.
    blocks = (0,) * (len(widths) - 1) + (1,)
    return Architecture("residual", patch=4, widths=tuple(widths), blocks=blocks, last="resize")


def _compact(spec: ImageSpec) -> Architecture:
    side = max(spec.height, spec.width)
    if side <= 12:
        return replace(_fast(spec), dense=(64,))
    if side <= 40:
        return Architecture("residual", patch=4, widths=(24,), blocks=(1,), dense=(384,))
    widths = [24]
    while side / (8 * 2 ** (len(widths) - 1)) > 8 and len(widths) < 6:
        widths.append(48)
    blocks = (0,) * len(widths)
    return Architecture("residual", patch=8, widths=tuple(widths), blocks=blocks, dense=(384,))


def _slim(spec: ImageSpec) -> Architecture:
    side = max(spec.height, spec.width)
    if side <= 12:
        return _compact(spec)
    widths = [24, 40]
    while side / (4 * 2 ** (len(widths) - 1)) > 4 and len(widths) < 6:
        widths.append(40)
    blocks = (1,) * len(widths)
    return Architecture("residual", patch=4, widths=tuple(widths), blocks=blocks, dense=(128,))


def _light(spec: ImageSpec) -> Architecture:
    side, widths = max(spec.height, spec.width), [16, 32]
    while side / (4 * 2 ** (len(widths) - 1)) > 6 and len(widths) < 6:
        widths.append(32)
    return Architecture("residual", patch=4, widths=tuple(widths), blocks=(0,) * len(widths))


def _conv(spec: ImageSpec, *, scale: int) -> Architecture:
    side, widths = max(spec.height, spec.width), [32 * scale, 64 * scale, 128 * scale]
    while side / 2 ** (len(widths) - 1) > 7 and len(widths) < 6:
        widths.append(128 * scale)
    return Architecture("residual", patch=1, widths=tuple(widths), blocks=(1,) * len(widths))


def architecture_for(preset: str, spec: ImageSpec) -> Architecture:
    """The architecture a preset name means for images of this size.

    `auto` = `compact`: space-to-depth, few channels and a dense layer on either side of the
    code: the best bound for a minute or ten on a CPU. `slim`: a third of its weights, in a
    deeper net that works at several resolutions. `fast`: more channels, nothing dense.
    `light`: a third of its channels. `shapes`: `light` with two dense layers on either side
    of the code.
    `broadcast`: the encoder of `compact`, narrower, and a decoder that knows where in the
    picture it draws: position soon comes to lie in two dimensions.
    `conv-s`/`conv-m`: full-resolution residual nets for a GPU. `mlp`: two tanh layers of
    200 (Burda et al. 2015); `mlp-s`: of 96 and 48, for 8×8 images. `burgess`: four strided
    convolutions of 32 and two dense layers of 256 (Burgess et al. 2018).
    `ConfigError` for an unknown name.
    """
    if preset in ("auto", "compact"):
        return _compact(spec)
    if preset == "slim":
        return _slim(spec)
    if preset == "fast":
        return _fast(spec)
    if preset == "light":
        return _light(spec)
    if preset == "shapes":
        return replace(_light(spec), dense=(256, 256))
    if preset == "broadcast":
        return replace(_compact(spec), dense=(128,), coordinate=(64, 64, 64))
    if preset == "mlp":
        return Architecture("mlp", widths=(200, 200))
    if preset == "mlp-s":
        return Architecture("mlp", widths=(96, 48))
    if preset == "burgess":
        return Architecture("burgess", widths=(32, 32, 32, 32))
    if preset in ("conv-s", "conv-m"):
        return _conv(spec, scale=1 if preset == "conv-s" else 2)
    raise ConfigError(f"Preset '{preset}' is unknown; choose one of {', '.join(PRESETS)}.")
