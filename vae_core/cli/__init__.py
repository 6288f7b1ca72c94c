"""The command line: one dict of verbs, flags generated from the dataclasses' fields."""

from vae_core.cli.main import STOPPED, VERBS, build_parser, main

__all__ = ["STOPPED", "VERBS", "build_parser", "main"]
