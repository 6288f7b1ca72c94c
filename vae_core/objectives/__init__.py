"""What training minimises: frozen, stateless dataclasses, one per variant."""

from vae_core.objectives.aggregate import WAE, BetaTCVAE, InfoVAE
from vae_core.objectives.attributes import AttributeVAE
from vae_core.objectives.base import Batch, Objective, Terms
from vae_core.objectives.denoising import DenoisingAE, DenoisingVAE
from vae_core.objectives.elbo import AE, VAE, BetaVAE, CapacityVAE
from vae_core.objectives.importance import IWAE
from vae_core.objectives.labelled import ConditionalVAE, SemiSupervised
from vae_core.objectives.registry import OBJECTIVES, build_objective

__all__ = [
    "AE", "IWAE", "OBJECTIVES", "VAE", "WAE", "AttributeVAE", "Batch", "BetaTCVAE", "BetaVAE",
    "CapacityVAE", "ConditionalVAE", "DenoisingAE", "DenoisingVAE", "InfoVAE", "Objective",
    "SemiSupervised", "Terms", "build_objective",
]  # fmt: skip
