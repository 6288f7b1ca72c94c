"""Encoder and decoder networks for any channel count and size."""

from vae_core.nets.architecture import PRESETS, Architecture, architecture_for
from vae_core.nets.build import build_decoder, build_encoder

__all__ = ["PRESETS", "Architecture", "architecture_for", "build_decoder", "build_encoder"]
