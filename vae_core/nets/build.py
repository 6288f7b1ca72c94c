"""Encoders `[B,C,H,W]` → features `[B,F]` and decoders z `[B,D]` → raw output `[B,C,H,W]`.

Both are plain `nn.Sequential`s, so that the decoder can be written down as a flat list of
operations (`vae_core.portable`) and run outside Python.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn

from vae_core.nets.architecture import Architecture
from vae_core.nets.layers import Broadcast, Crop, Pad, group_norm, residual_block
from vae_core.types import ImageSpec


def padded_size(architecture: Architecture, spec: ImageSpec) -> tuple[int, int]:
    """H and W after padding to what the strides need."""
    multiple = architecture.multiple
    return (
        math.ceil(spec.height / multiple) * multiple,
        math.ceil(spec.width / multiple) * multiple,
    )


def _grid(architecture: Architecture, spec: ImageSpec) -> tuple[int, int]:
    height, width = padded_size(architecture, spec)
    return height // architecture.multiple, width // architecture.multiple


def _stage(n_channels: int, n_blocks: int) -> list[nn.Module]:
    """The work at one resolution: residual blocks, or at least one non-linearity."""
    if n_blocks == 0:
        return [group_norm(n_channels), nn.SiLU()]
    return [residual_block(n_channels) for _ in range(n_blocks)]


def build_encoder(architecture: Architecture, spec: ImageSpec) -> tuple[nn.Sequential, int]:
    """The trunk before the two linear heads, and its number of features F."""
    if architecture.kind == "mlp":
        sizes = (spec.n_values, *architecture.widths)
        dense = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.Tanh())]
        return nn.Sequential(nn.Flatten(), *dense), sizes[-1]
    size = (spec.height, spec.width)
    layers: list[nn.Module] = [Pad(size, padded_size(architecture, spec))]
    height, width = _grid(architecture, spec)
    if architecture.kind == "burgess":
        for a, b in pairwise((spec.channels, *architecture.widths)):
            layers += [nn.Conv2d(a, b, 4, stride=2, padding=1), nn.ReLU()]
        n_flat = height * width * architecture.widths[-1]
        layers += [nn.Flatten(), nn.Linear(n_flat, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
        return nn.Sequential(*layers), 256
    widths = architecture.widths
    if architecture.patch > 1:
        layers.append(nn.PixelUnshuffle(architecture.patch))
    layers.append(nn.Conv2d(spec.channels * architecture.patch**2, widths[0], 3, padding=1))
    for index, n_channels in enumerate(widths):
        if index:
            layers.append(nn.Conv2d(widths[index - 1], n_channels, 3, stride=2, padding=1))
        layers += _stage(n_channels, architecture.blocks[index])
    if architecture.blocks[-1]:
        layers += [group_norm(widths[-1]), nn.SiLU()]
    layers.append(nn.Flatten())
    sizes = (height * width * widths[-1], *architecture.dense)
    layers += [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*layers), sizes[-1]


def _last_layers(
    architecture: Architecture, spec: ImageSpec, *, n_channels: int
) -> list[nn.Module]:
    """From `n_channels` features to raw pixels; the last convolution carries the output bias."""
    patch = architecture.patch
    layers: list[nn.Module] = []
    if patch >= 4:
        # Two steps look smoother than one of 4 or 8, whose blocks never meet.
        mid_width = architecture.mid_width
        layers += [nn.Conv2d(n_channels, 4 * mid_width, 3, padding=1), nn.PixelShuffle(2)]
        layers += [nn.SiLU()]
        n_channels, patch = mid_width, patch // 2
    if patch == 2 and architecture.last == "resize":
        layers += [nn.Upsample(scale_factor=2, mode="nearest")]
        patch = 1
    layers.append(nn.Conv2d(n_channels, spec.channels * patch**2, 3, padding=1))
    if patch > 1:
        layers.append(nn.PixelShuffle(patch))
    return layers


def _coordinate_decoder(
    architecture: Architecture, spec: ImageSpec, n_latent: int
) -> nn.Sequential:
    """Each cell of the finest grid is drawn from the code and from where it is."""
    padded, first = padded_size(architecture, spec), architecture.coordinate[0]
    height, width = (n // architecture.patch for n in padded)
    layers: list[nn.Module] = [Broadcast(n_latent, first, (height, width)), nn.SiLU()]
    for a, b in pairwise(architecture.coordinate):
        layers += [nn.Conv2d(a, b, 1), nn.SiLU()]
    layers += _last_layers(architecture, spec, n_channels=architecture.coordinate[-1])
    return nn.Sequential(*layers, Crop(padded, (spec.height, spec.width)))


def build_decoder(architecture: Architecture, spec: ImageSpec, n_latent: int) -> nn.Sequential:
    """The decoder mirroring `build_encoder`; raw output, no squashing at its end."""
    if architecture.kind == "mlp":
        sizes = (n_latent, *reversed(architecture.widths))
        dense = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.Tanh())]
        last = nn.Linear(sizes[-1], spec.n_values)
        return nn.Sequential(*dense, last, nn.Unflatten(1, spec.shape))
    widths = architecture.widths
    if architecture.coordinate:
        return _coordinate_decoder(architecture, spec, n_latent)
    height, width = _grid(architecture, spec)
    crop = Crop(padded_size(architecture, spec), (spec.height, spec.width))
    n_flat = height * width * widths[-1]
    unflatten = nn.Unflatten(1, (widths[-1], height, width))
    if architecture.kind == "burgess":
        layers: list[nn.Module] = [nn.Linear(n_latent, 256), nn.ReLU(), nn.Linear(256, 256)]
        layers += [nn.ReLU(), nn.Linear(256, n_flat), nn.ReLU(), unflatten]
        for a, b in pairwise((*reversed(widths), spec.channels)):
            layers += [nn.ConvTranspose2d(a, b, 4, stride=2, padding=1), nn.ReLU()]
        return nn.Sequential(*layers[:-1], crop)
    sizes = (n_latent, *reversed(architecture.dense))
    layers = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), nn.SiLU())]
    layers += [nn.Linear(sizes[-1], n_flat), unflatten]
    for index in reversed(range(len(widths))):
        layers += _stage(widths[index], architecture.blocks[index])
        if index:
            layers += [nn.Upsample(scale_factor=2, mode="nearest")]
            layers += [nn.Conv2d(widths[index], widths[index - 1], 3, padding=1)]
    if architecture.blocks[0]:
        layers += [group_norm(widths[0]), nn.SiLU()]
    return nn.Sequential(*layers, *_last_layers(architecture, spec, n_channels=widths[0]), crop)
