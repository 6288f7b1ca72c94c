"""The shipped sprites model keeps what it is shipped for: one thing per dimension."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.fixtures import ROOT
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.data.sprites import SIZES, render_sprites
from vae_core.evaluate.factors import mig

FOLDER = ROOT / "checkpoints" / "sprites"


@pytest.fixture(scope="module")
def sprites() -> Checkpoint:
    if not (FOLDER / "card.json").exists():
        pytest.skip("checkpoints/sprites is not here; it comes with the repository.")
    return load_checkpoint(FOLDER)


def test_position_and_size_have_dimensions_of_their_own(sprites: Checkpoint) -> None:
    found = mig(sprites.codes.mean, sprites.codes.factors)
    assert found.score >= 0.34
    assert min(found.per_factor[name] for name in ("scale", "x", "y")) >= 0.5
    best = {name: found.mutual_information[:, i].argmax() for i, name in enumerate(SIZES)}
    assert len({best[name] for name in ("scale", "x", "y")}) == 3


@pytest.mark.parametrize(("factor", "axis"), [("x", 2), ("y", 1)])
def test_the_slider_of_a_place_moves_the_shape_that_way_only(
    sprites: Checkpoint, factor: str, axis: int
) -> None:
    found = mig(sprites.codes.mean, sprites.codes.factors)
    dimension = int(found.mutual_information[:, list(SIZES).index(factor)].argmax())
    codes = torch.zeros(5, sprites.model.n_latent)
    codes[:, dimension] = torch.linspace(-1.2, 1.2, 5)
    with torch.no_grad():
        images = sprites.model.decode(codes)[:, 0].numpy()
    middle = {a: _middle(images.sum(3 - a)) for a in (1, 2)}
    steps = np.diff(middle[axis])
    assert (np.sign(steps) == np.sign(steps[0])).all()
    assert np.abs(steps).min() > 2
    assert np.ptp(middle[3 - axis]) < 2


def test_pictures_are_rebuilt_where_they_are(sprites: Checkpoint) -> None:
    ids = sprites.codes.ids[:64]
    images = torch.from_numpy(render_sprites(ids)).float() / 255
    with torch.no_grad():
        rebuilt = sprites.model.decode(sprites.model.encode(images).mean)
    assert 10 * np.log10(1 / float((rebuilt - images).square().mean())) > 22
    for axis in (2, 3):
        shown, right = (_middle(x[:, 0].sum(4 - axis).numpy()) for x in (rebuilt, images))
        assert np.abs(shown - right).max() < 1.5


def _middle(mass: np.ndarray) -> np.ndarray:
    """Mean place in pixels of each row of masses `[N,L]`."""
    return mass @ np.arange(mass.shape[1]) / mass.sum(1)
