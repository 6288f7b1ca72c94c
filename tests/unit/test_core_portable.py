"""The decoder as a flat program gives what torch gives."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from tests.fixtures import small_model
from vae_core.checkpoint import Checkpoint
from vae_core.errors import ConfigError
from vae_core.likelihoods import LIKELIHOODS
from vae_core.model import Autoencoder
from vae_core.nets import PRESETS
from vae_core.portable import decoder_program, run_program


def largest_gap(model: Autoencoder, *, n: int = 2) -> float:
    program = decoder_program(model)
    codes = 2 * torch.randn(n, model.n_latent, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        right = model.decode(codes).permute(0, 2, 3, 1).numpy()
    found = np.stack([run_program(program, z) for z in codes.numpy()])
    assert found.shape == right.shape
    return float(np.abs(found - right).max())


def stirred(model: Autoencoder) -> Autoencoder:
    """Norms and zero-initialised layers moved off their start, so that they are tested too."""
    draw = torch.Generator().manual_seed(1)
    for parameter in model.decoder.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=draw)
    return model


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 8, 8), (1, 28, 28), (3, 45, 31), (4, 16, 20)])
def test_the_program_equals_torch(preset: str, shape: tuple[int, int, int]) -> None:
    assert largest_gap(stirred(small_model(shape, preset=preset))) < 1e-4


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_program_squashes_as_the_likelihood_does(likelihood: str) -> None:
    assert largest_gap(stirred(small_model((3, 64, 64), likelihood=likelihood))) < 1e-4


def test_trained_checkpoints_too(
    digits_checkpoint: Checkpoint, faces_checkpoint: Checkpoint
) -> None:
    assert largest_gap(digits_checkpoint.model) < 1e-4
    assert largest_gap(faces_checkpoint.model) < 1e-4


def test_the_header_is_json_and_counts_every_weight() -> None:
    model = small_model((3, 20, 13), preset="conv-s")
    program = decoder_program(model)
    header = json.loads(json.dumps(program.header))
    assert header["shape"] == [20, 13, 3]
    assert header["n_weights"] == program.weights.size
    assert program.weights.size == sum(p.numel() for p in model.decoder.parameters())
    assert program.weights.dtype == np.float32


def test_a_layer_that_cannot_be_written_down_is_named() -> None:
    model = small_model()
    model.decoder.append(nn.Dropout())
    with pytest.raises(ConfigError, match="holds a Dropout, which cannot be written"):
        decoder_program(model)
