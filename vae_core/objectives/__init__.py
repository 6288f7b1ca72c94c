"""What training minimises: frozen, stateless dataclasses, one per variant."""

from vae_core.objectives.base import Batch, Objective, Terms
from vae_core.objectives.elbo import AE, VAE, BetaVAE
from vae_core.objectives.registry import OBJECTIVES, build_objective

__all__ = ["AE", "OBJECTIVES", "VAE", "Batch", "BetaVAE", "Objective", "Terms", "build_objective"]
