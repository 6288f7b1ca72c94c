"""The browser's decoder, both engines, against torch on programs that use every op."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page
from torch.nn import functional

from pages.shared import assets, components

RUN = """async ({ source, program, weights, z, engine }) => {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const floats = (text) => new Float32Array(bytes(text).buffer);
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { Decoder } = await import(url);
  const decoder = await Decoder.create(program, floats(weights), engine);
  decoder.decode(new Float32Array(program.n_latent));
  return Array.from(decoder.decode(floats(z)));
}"""


@dataclass
class Builder:
    """Writes a random program and keeps what torch needs to run the same layers."""

    n_latent: int
    seed: int = 0
    ops: list[dict[str, Any]] = field(default_factory=list)
    values: list[NDArray[np.float32]] = field(default_factory=list)

    def put(self, *shape: int, scale: float = 1.0) -> int:
        start = sum(value.size for value in self.values)
        generator = np.random.default_rng([self.seed, start])
        self.values.append((scale * generator.normal(size=shape)).astype(np.float32))
        return start

    def dense(self, n_in: int, n_out: int) -> None:
        w, b = self.put(n_in, n_out, scale=n_in**-0.5), self.put(n_out, scale=0.1)
        self.ops.append({"op": "dense", "n_in": n_in, "n_out": n_out, "w": w, "b": b})

    def conv(self, c_in: int, c_out: int, k: int, stride: int, pad: int, up: bool = False) -> None:
        name = "conv_transpose" if up else "conv"
        w, b = self.put(k, k, c_in, c_out, scale=(k * k * c_in) ** -0.5), self.put(c_out)
        sizes = {"k": k, "stride": stride, "pad": pad, "c_in": c_in, "c_out": c_out}
        self.ops.append({"op": name, **sizes, "w": w, "b": b})

    def norm(self, c: int, groups: int) -> None:
        w, b = self.put(c), self.put(c)
        self.ops.append({"op": "groupnorm", "groups": groups, "eps": 1e-5, "w": w, "b": b})

    def add(self, op: str, **values: Any) -> None:
        self.ops.append({"op": op, **values})


def run_in_torch(program: Builder, z: NDArray[np.float32]) -> NDArray[np.float64]:
    weights = torch.from_numpy(np.concatenate([v.ravel() for v in program.values])).double()
    x, stack = torch.from_numpy(z).double()[None], []

    def take(start: int, *shape: int) -> torch.Tensor:
        return weights[start : start + int(np.prod(shape))].reshape(shape)

    for op in program.ops:
        match op["op"]:
            case "dense":
                n_in, n_out = op["n_in"], op["n_out"]
                x = x.reshape(1, -1) @ take(op["w"], n_in, n_out) + take(op["b"], n_out)
            case "view":
                x = x.reshape(1, op["h"], op["w"], op["c"]).permute(0, 3, 1, 2)
            case "conv":
                w = take(op["w"], op["k"], op["k"], op["c_in"], op["c_out"]).permute(3, 2, 0, 1)
                x = functional.conv2d(x, w, take(op["b"], op["c_out"]), op["stride"], op["pad"])
            case "conv_transpose":
                w = take(op["w"], op["k"], op["k"], op["c_in"], op["c_out"]).permute(2, 3, 0, 1)
                b = take(op["b"], op["c_out"])
                x = functional.conv_transpose2d(x, w, b, op["stride"], op["pad"])
            case "up":
                x = functional.interpolate(x, scale_factor=2)
            case "shuffle":
                x = functional.pixel_shuffle(x, op["r"])
            case "groupnorm":
                c = x.shape[1]
                w, b = take(op["w"], c), take(op["b"], c)
                x = functional.group_norm(x, op["groups"], w, b, op["eps"])
            case "act":
                x = {"silu": functional.silu, "clamp01": lambda v: v.clamp(0, 1)}.get(
                    op["kind"], getattr(torch, op["kind"], None)
                )(x)
            case "push":
                stack.append(x)
            case "add":
                x = x + stack.pop()
            case "crop":
                top, left = op["top"], op["left"]
                x = x[:, :, top : top + op["h"], left : left + op["w"]]
    return x[0].permute(1, 2, 0).numpy().ravel()


def residual() -> tuple[Builder, list[int]]:
    program = Builder(5, seed=1)
    program.dense(5, 4 * 3 * 10)
    program.add("view", h=4, w=3, c=10)
    program.norm(10, 5)
    program.add("act", kind="silu")
    program.add("push")
    program.conv(10, 10, 3, 1, 1)
    program.add("act", kind="relu")
    program.add("add")
    program.add("up")
    program.add("crop", h=7, w=5, top=1, left=0)
    program.conv(10, 12, 3, 1, 1)
    program.add("shuffle", r=2)
    program.add("act", kind="sigmoid")
    return program, [14, 10, 3]


def transposed() -> tuple[Builder, list[int]]:
    program = Builder(3, seed=2)
    program.dense(3, 17)
    program.add("act", kind="tanh")
    program.dense(17, 5 * 6 * 9)
    program.add("view", h=5, w=6, c=9)
    program.conv(9, 13, 5, 1, 2)
    program.conv(13, 12, 3, 2, 1)
    program.conv(12, 5, 4, 2, 1, up=True)
    program.conv(5, 6, 5, 3, 1, up=True)
    program.conv(6, 1, 1, 1, 0)
    program.add("act", kind="clamp01")
    return program, [18, 18, 1]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    yield opened
    opened.close()


@pytest.mark.parametrize("engine", ["wasm", "script"])
@pytest.mark.parametrize("build", [residual, transposed])
def test_decoder_agrees_with_torch(page: Page, build: Any, engine: str) -> None:
    program, shape = build()
    z = np.round(np.random.default_rng(3).normal(size=program.n_latent), 3).astype(np.float32)
    weights = np.concatenate([value.ravel() for value in program.values])
    source = Path(assets.STATIC_DIR, Path(components.bundle_url()).name).read_text("utf-8")
    description = {"n_latent": program.n_latent, "shape": shape, "ops": program.ops}
    coded = {
        name: base64.b64encode(v.tobytes()).decode() for name, v in (("weights", weights), ("z", z))
    }
    request = {"source": source, "program": description, "engine": engine, **coded}
    picture = np.array(page.evaluate(RUN, request))
    expected = run_in_torch(program, z)
    assert expected.std() > 0.05
    np.testing.assert_allclose(picture, expected, atol=1e-5)
