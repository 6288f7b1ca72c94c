"""The browser's decoder draws what torch draws."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.browser.driving import Slider
from tests.browser.server import running_app
from tests.fixtures import ROOT
from vae_core.checkpoint import CARD, Checkpoint, load_checkpoint
from vae_core.examine import decode, snap

N_CODES = 50
TOLERANCE = 2 / 255
SHIPPED = sorted(path.parent for path in (ROOT / "checkpoints").glob(f"*/{CARD}"))

_DECODE = """
([key, codes]) => {
  const decoder = window.__lx.decoders[key];
  const values = codes.flatMap((z) => Array.from(decoder.decode(z)));
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  let text = "";
  for (let i = 0; i < bytes.length; i += 32768)
    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
}
"""


def codes_to_try(checkpoint: Checkpoint) -> NDArray[np.float32]:
    """Real codes, draws from the prior, and far corners."""
    random = np.random.default_rng(7)
    n_latent, real = checkpoint.model.n_latent, checkpoint.codes.mean
    chosen = real[random.choice(len(real), 20, replace=False)]
    draws = random.standard_normal((20, n_latent))
    return snap(np.concatenate([chosen, draws, 6 * draws[:10]]).astype(np.float32))


def decode_in(page: Page, checkpoint: Checkpoint, z: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the page's decoder gives, `[B,C,H,W]`."""
    raw = base64.b64decode(page.evaluate(_DECODE, [checkpoint.key, z.tolist()]))
    channels, height, width = checkpoint.model.spec.shape
    images = np.frombuffer(raw, "<f4").reshape(len(z), height, width, channels)
    return images.transpose(0, 3, 1, 2)


def assert_same_pictures(page: Page, checkpoint: Checkpoint) -> None:
    Slider(page)
    z = codes_to_try(checkpoint)
    assert len(z) == N_CODES
    gap = np.abs(decode_in(page, checkpoint, z) - decode(checkpoint, z)).max()
    assert gap <= TOLERANCE, f"{checkpoint.name}: {255 * gap:.2f}/255"


@pytest.mark.parametrize("name", ["digits-2d", "faces-tiny"])
def test_tiny_models(visit: Visit, tiny_checkpoints: Path, name: str) -> None:
    page = visit(f"/walk?model={name}")
    assert_same_pictures(page, load_checkpoint(tiny_checkpoints / name))


@pytest.mark.skipif(not SHIPPED, reason="no checkpoints are shipped in checkpoints/")
def test_shipped_models(visit: Visit) -> None:
    with running_app(ROOT / "checkpoints") as app:
        for path in SHIPPED:
            page = visit(f"{app.url}/walk?model={path.name}")
            assert_same_pictures(page, load_checkpoint(path))
