"""The decoder that knows where in the picture it draws."""

from __future__ import annotations

import torch
from torch.nn import functional

from tests.fixtures import small_model
from vae_core.model import ModelConfig
from vae_core.nets import Architecture, architecture_for, build_decoder
from vae_core.nets.layers import Broadcast
from vae_core.types import ImageSpec


def test_it_tiles_the_code_beside_the_coordinates_and_convolves() -> None:
    layer = Broadcast(4, 6, (3, 5))
    z = torch.randn(2, 4)
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, 3), torch.linspace(-1, 1, 5), indexing="ij"
    )
    tiled = z[:, :, None, None].expand(-1, -1, 3, 5)
    places = torch.stack([rows, columns]).expand(2, -1, -1, -1)
    kernel = torch.cat([layer.code.weight, layer.place.weight], 1)[..., None, None]
    right = functional.conv2d(torch.cat([tiled, places], 1), kernel, layer.code.bias)
    torch.testing.assert_close(layer(z), right)


def test_a_single_cell_is_the_middle_of_the_picture() -> None:
    layer = Broadcast(2, 3, (1, 1))
    z = torch.randn(2, 2)
    torch.testing.assert_close(layer(z)[:, :, 0, 0], layer.code(z))


def test_only_the_place_tells_cells_apart() -> None:
    spec = ImageSpec(1, 64, 64)
    decoder = build_decoder(architecture_for("broadcast", spec), spec, 3)
    z = torch.randn(1, 3)
    middle = slice(16, 24), slice(16, 24)
    with torch.no_grad():
        image = decoder(z)[0, 0]
        assert not image[middle].allclose(image[24:32, 24:32])
        decoder[0].place.weight.zero_()
        blind = decoder(z)[0, 0]
    # Away from the border, whose convolutions see zeros, each block is now like the next.
    torch.testing.assert_close(blind[middle], blind[24:32, 24:32])


def test_wide_pictures_have_a_cell_per_patch() -> None:
    spec = ImageSpec(3, 40, 100)
    decoder = build_decoder(architecture_for("broadcast", spec), spec, 2)
    assert decoder[0].size == (6, 14)  # padded to 48×112, two strides of the encoder
    assert decoder(torch.zeros(1, 2)).shape == (1, 3, 40, 100)


def test_coordinates_are_not_saved_with_the_weights() -> None:
    model = small_model((1, 64, 64), preset="broadcast")
    assert not any("coordinates" in name for name in model.state_dict())


def test_descriptions_from_before_it_mirror_the_encoder() -> None:
    config = small_model((1, 64, 64), preset="light").config
    data = config.to_json()
    assert data["architecture"].pop("coordinate") == ()
    assert ModelConfig.from_json(data) == config
    assert Architecture("residual").coordinate == ()
