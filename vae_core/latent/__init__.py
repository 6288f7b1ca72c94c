"""Codes of a set, and maps of them."""

from vae_core.latent.codes import Codes, encode_set
from vae_core.latent.neighbours import nearest
from vae_core.latent.projection import (
    LinearProjection,
    NeighbourProjection,
    Projection,
    fit_pca,
    fit_umap,
    plane,
)

__all__ = [
    "Codes",
    "LinearProjection",
    "NeighbourProjection",
    "Projection",
    "encode_set",
    "fit_pca",
    "fit_umap",
    "nearest",
    "plane",
]
