"""The decoder written down as a flat list of operations, to run where there is no torch.

Activations are one image, height × width × channels, flat float32. Weights follow in one
float32 block; `w` and `b` in an operation are offsets into it, counted in values.

    dense           [n_in][n_out], outputs in height-width-channel order
    conv, conv_transpose   [k][k][c_in][c_out], zero padding
    view  up  shuffle  groupnorm  act  push  add  crop
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from vae_core.errors import ConfigError
from vae_core.model import Autoencoder
from vae_core.nets.layers import Broadcast, Crop, Residual

Floats = NDArray[np.float32]
Operation = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """`header` is JSON-able; `weights` float32 `[n]`."""

    header: dict[str, Any]
    weights: Floats


class _Writer:
    def __init__(self, n_latent: int) -> None:
        self.n_latent = n_latent
        self.ops: list[Operation] = []
        self.blocks: list[Floats] = []
        self.n_weights = 0

    def store(self, tensor: Tensor | NDArray[Any]) -> int:
        array = tensor.detach().cpu().numpy() if isinstance(tensor, Tensor) else tensor
        flat = np.ascontiguousarray(array, np.float32).ravel()
        self.blocks.append(flat)
        self.n_weights += flat.size
        return self.n_weights - flat.size

    def add(self, op: str, **fields: Any) -> None:
        self.ops.append({"op": op, **fields})


_ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.SiLU: "silu",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
}


def _bias(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, n: int) -> NDArray[Any]:
    return np.zeros(n, np.float32) if layer.bias is None else layer.bias.detach().cpu().numpy()


def _dense(layer: nn.Linear, writer: _Writer, shape: tuple[int, ...] | None) -> None:
    # A model with classes decodes without a label here: its inputs would all be zero.
    weight = layer.weight.detach().cpu().numpy()
    if not writer.ops:
        weight = weight[:, : writer.n_latent]
    order = np.arange(layer.out_features)
    if shape is not None:
        order = order.reshape(shape).transpose(1, 2, 0).ravel()
    fields = {"n_in": weight.shape[1], "n_out": layer.out_features}
    w = writer.store(weight[order].T)
    writer.add("dense", **fields, w=w, b=writer.store(_bias(layer, len(order))[order]))
    if shape is not None:
        writer.add("view", h=shape[1], w=shape[2], c=shape[0])


def _broadcast(layer: Broadcast, writer: _Writer) -> None:
    # The code enters each cell alike: a dense layer whose biases say where the cell is.
    weight, bias = layer.code.weight.detach().cpu().numpy(), _bias(layer.code, layer.n_channels)
    place = layer.place(layer.coordinates).detach().cpu().numpy()
    height, width = layer.size
    w = writer.store(np.tile(weight[:, : writer.n_latent].T, height * width))
    n_out = height * width * layer.n_channels
    writer.add("dense", n_in=writer.n_latent, n_out=n_out, w=w, b=writer.store(bias + place))
    writer.add("view", h=height, w=width, c=layer.n_channels)


def _convolution(layer: nn.Conv2d | nn.ConvTranspose2d, writer: _Writer) -> None:
    transposed = isinstance(layer, nn.ConvTranspose2d)
    weight = layer.weight.detach().cpu().numpy()
    # torch keeps [out][in] for a convolution and [in][out] for a transposed one.
    kernel = weight.transpose(2, 3, 0, 1) if transposed else weight.transpose(2, 3, 1, 0)
    padding = layer.padding[0]
    writer.add(
        "conv_transpose" if transposed else "conv",
        k=layer.kernel_size[0],
        stride=layer.stride[0],
        pad=padding,
        c_in=layer.in_channels,
        c_out=layer.out_channels,
        w=writer.store(kernel),
        b=writer.store(_bias(layer, layer.out_channels)),
    )


def _simple(layer: nn.Module, writer: _Writer) -> None:
    if isinstance(layer, nn.GroupNorm):
        w, b = writer.store(layer.weight), writer.store(layer.bias)
        writer.add("groupnorm", groups=layer.num_groups, eps=layer.eps, w=w, b=b)
    elif isinstance(layer, nn.Upsample):
        writer.add("up")
    elif isinstance(layer, nn.PixelShuffle):
        writer.add("shuffle", r=layer.upscale_factor)
    elif isinstance(layer, Crop):
        writer.add("crop", h=layer.height, w=layer.width, top=layer.top, left=layer.left)
    elif type(layer) in _ACTIVATIONS:
        writer.add("act", kind=_ACTIVATIONS[type(layer)])
    else:
        raise ConfigError(
            f"The decoder holds a {type(layer).__name__}, which cannot be written as a portable "
            "operation; use one of the presets."
        )


def _walk(layers: nn.Sequential, writer: _Writer) -> None:
    modules = list(layers)
    for index, layer in enumerate(modules):
        if isinstance(layer, nn.Linear):
            _dense(layer, writer, _shape_ahead(modules[index + 1 :]))
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            _convolution(layer, writer)
        elif isinstance(layer, Broadcast):
            _broadcast(layer, writer)
        elif isinstance(layer, Residual):
            writer.add("push")
            _walk(layer.body, writer)
            writer.add("add")
        elif not isinstance(layer, nn.Unflatten):
            _simple(layer, writer)


def _shape_ahead(rest: list[nn.Module]) -> tuple[int, ...] | None:
    """Shape of the unflatten that follows, past point-wise activations only."""
    for layer in rest:
        if isinstance(layer, nn.Unflatten):
            return tuple(int(n) for n in layer.unflattened_size)
        if type(layer) not in _ACTIVATIONS:
            return None
    return None


def decoder_program(model: Autoencoder) -> Program:
    """The decoder of `model`, its output squashed to [0,1] as `decode` does.

    `ConfigError` when the decoder holds a layer outside the list.
    """
    writer = _Writer(model.n_latent)
    _walk(model.decoder, writer)
    writer.add("act", kind=model.likelihood.shown_by)
    channels, height, width = model.spec.shape
    header = {
        "n_latent": model.n_latent,
        "shape": [height, width, channels],
        "ops": writer.ops,
        "n_weights": writer.n_weights,
    }
    return Program(header, np.concatenate(writer.blocks))


def run_program(program: Program, z: Floats) -> Floats:
    """Run a program in numpy for one code `[D]` → image `[H,W,C]`: the reference, slow."""
    x: Floats = np.asarray(z, np.float32)
    stack: list[Floats] = []
    for op in program.header["ops"]:
        if op["op"] == "push":
            stack.append(x)
        elif op["op"] == "add":
            x = x + stack.pop()
        else:
            x = _RUNNERS[op["op"]](x, op, program.weights)
    return x.reshape(program.header["shape"])


Runner = Callable[[Floats, Operation, Floats], Floats]


def _run_dense(x: Floats, op: Operation, weights: Floats) -> Floats:
    n = op["n_in"] * op["n_out"]
    matrix = weights[op["w"] : op["w"] + n].reshape(op["n_in"], op["n_out"])
    out: Floats = x.ravel() @ matrix + weights[op["b"] : op["b"] + op["n_out"]]
    return out


def _run_view(x: Floats, op: Operation, weights: Floats) -> Floats:  # noqa: ARG001
    return x.reshape(op["h"], op["w"], op["c"])


def _kernel(op: Operation, weights: Floats) -> tuple[Floats, Floats]:
    k, c_in, c_out = op["k"], op["c_in"], op["c_out"]
    n = k * k * c_in * c_out
    return (
        weights[op["w"] : op["w"] + n].reshape(k, k, c_in, c_out),
        weights[op["b"] : op["b"] + c_out],
    )


def _run_conv(x: Floats, op: Operation, weights: Floats) -> Floats:
    kernel, bias = _kernel(op, weights)
    k, stride, pad = op["k"], op["stride"], op["pad"]
    padded = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(0, 1))
    picked = windows[::stride, ::stride]
    out: Floats = np.einsum("hwcij,ijco->hwo", picked, kernel, optimize=True) + bias
    return out


def _run_conv_transpose(x: Floats, op: Operation, weights: Floats) -> Floats:
    kernel, bias = _kernel(op, weights)
    k, stride, pad = op["k"], op["stride"], op["pad"]
    height, width = ((n - 1) * stride + k for n in x.shape[:2])
    out = np.zeros((height, width, op["c_out"]), np.float32)
    for row in range(k):
        for column in range(k):
            part = x @ kernel[row, column]
            out[row : row + stride * x.shape[0] : stride][
                :, column : column + stride * x.shape[1] : stride
            ] += part
    cropped: Floats = out[pad : height - pad, pad : width - pad] + bias
    return cropped


def _run_up(x: Floats, op: Operation, weights: Floats) -> Floats:  # noqa: ARG001
    return x.repeat(2, axis=0).repeat(2, axis=1)


def _run_shuffle(x: Floats, op: Operation, weights: Floats) -> Floats:  # noqa: ARG001
    r, (h, w, c) = op["r"], x.shape
    split = x.reshape(h, w, c // (r * r), r, r)
    return split.transpose(0, 3, 1, 4, 2).reshape(h * r, w * r, c // (r * r))


def _run_groupnorm(x: Floats, op: Operation, weights: Floats) -> Floats:
    c = x.shape[2]
    grouped = x.reshape(-1, op["groups"], c // op["groups"])
    mean = grouped.mean((0, 2), keepdims=True)
    scaled = (grouped - mean) / np.sqrt(grouped.var((0, 2), keepdims=True) + op["eps"])
    gain, shift = (weights[op[k] : op[k] + c] for k in ("w", "b"))
    out: Floats = (scaled.reshape(x.shape) * gain + shift).astype(np.float32)
    return out


def _sigmoid(x: Floats) -> Floats:
    out: Floats = (0.5 * (1 + np.tanh(0.5 * x))).astype(np.float32)
    return out


def _run_act(x: Floats, op: Operation, weights: Floats) -> Floats:  # noqa: ARG001
    kinds: dict[str, Callable[[Floats], Floats]] = {
        "relu": lambda v: np.maximum(v, 0),
        "silu": lambda v: v * _sigmoid(v),
        "tanh": np.tanh,
        "sigmoid": _sigmoid,
        "clamp01": lambda v: np.clip(v, 0, 1),
    }
    return kinds[op["kind"]](x)


def _run_crop(x: Floats, op: Operation, weights: Floats) -> Floats:  # noqa: ARG001
    return x[op["top"] : op["top"] + op["h"], op["left"] : op["left"] + op["w"]]


_RUNNERS: dict[str, Runner] = {
    "dense": _run_dense,
    "view": _run_view,
    "conv": _run_conv,
    "conv_transpose": _run_conv_transpose,
    "up": _run_up,
    "shuffle": _run_shuffle,
    "groupnorm": _run_groupnorm,
    "act": _run_act,
    "crop": _run_crop,
}
