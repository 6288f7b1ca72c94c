"""Measures: a model and images in, numbers out."""

from vae_core.evaluate.bounds import BoundReport, evidence_bounds
from vae_core.evaluate.images import ImageScores, score_images

__all__ = ["BoundReport", "ImageScores", "evidence_bounds", "score_images"]
