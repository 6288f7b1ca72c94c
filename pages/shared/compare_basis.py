"""The common images that maps and neighbourhoods are compared on, with each model's codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pages.shared import cache
from pages.shared.compare_choice import Comparison, images_at, pca_of, places_apart
from vae_core.apply.compare import Coder
from vae_core.latent.projection import fit_pca

Floats = NDArray[np.float32]
# Large pictures cost ten milliseconds each to draw again.
N_IMAGES: Final = 1_000
N_LARGE: Final = 300
PIXELS: Final = "Raw pixels"


@dataclass(frozen=True)
class Basis:
    """M images of the common ones: `places` in `common.ids`, `images` uint8 `[M,C,H,W]`.

    `codes` `[M,D]` by the coder's name in their order, PCA last. `is_original` is False where
    the images had to be decoded from the first model's codes.
    """

    places: NDArray[np.int64]
    images: NDArray[np.uint8]
    codes: dict[str, Floats]
    is_original: bool

    @property
    def descriptions(self) -> dict[str, Floats]:
        """The codes, and the pixels themselves."""
        values = self.images.reshape(len(self.images), -1)
        pixels: Floats = (values / np.float32(255)).astype(np.float32)
        return {**self.codes, PIXELS: pixels}


def basis_of(comparison: Comparison) -> Basis:
    """The same images whatever is shown above: stored codes where there are any."""
    names = tuple(coder.name for coder in comparison.coders)
    found: Basis = cache.kept(
        lambda: _basis(comparison), "basis", names, *comparison.checkpoints
    )  # fmt: skip
    return found


def _basis(comparison: Comparison) -> Basis:
    n = N_LARGE if comparison.is_large else N_IMAGES
    common, first = comparison.common, comparison.coders[0]
    apart = places_apart(first.checkpoint, common)
    places = np.sort(np.random.default_rng(0).permutation(apart)[:n])
    images, is_original = images_at(first, common, places)
    codes: dict[str, Floats] = {}
    for coder, known in zip(comparison.coders, common.rows, strict=True):
        stored = coder.checkpoint.codes.mean
        codes[coder.name] = coder.encode(images) if known is None else stored[known[places]]
    linear = pca_of(comparison)[0]
    codes[linear.name] = linear.encode(images)
    return Basis(places, images, codes, is_original)


def places_on(comparison: Comparison, basis: Basis, number: int, *, kind: str) -> Floats:
    """Where the images lie on a coder's map: float32 `[M,2]`.

    `kind` is "umap" or "pca"; a code of two numbers is its own map, PCA shows its first two.
    """
    coders: list[Coder] = [*comparison.coders, pca_of(comparison)[0]]
    coder, codes = coders[number], basis.codes[coders[number].name]
    if codes.shape[1] == 2:
        return codes
    if number >= len(comparison.coders):
        return _two(codes)
    checkpoint, known = comparison.coders[number].checkpoint, comparison.common.rows[number]
    projection = checkpoint.maps.get(kind)
    if projection is None:
        return fit_pca(basis.codes[coder.name]).xy
    if known is not None:
        return projection.xy[known[basis.places]]
    return projection.transform(codes)


def _two(codes: Floats) -> Floats:
    """The first two numbers of codes, padded with zeros where there is one."""
    padded = np.zeros((len(codes), 2), np.float32)
    padded[:, : min(2, codes.shape[1])] = codes[:, :2]
    return padded
