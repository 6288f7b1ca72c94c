"""Bytes from a visitor → pixels for the model, or the sentence why not."""

from __future__ import annotations

from typing import Protocol

from vae_core.data.pixels import Prepared, prepare
from vae_core.errors import DataError
from vae_core.types import ImageSpec


class Fitting(Protocol):
    """How to make a picture fit."""

    @property
    def fit(self) -> str: ...
    @property
    def invert(self) -> bool: ...


def prepare_upload(
    data: bytes, spec: ImageSpec, *, name: str, options: Fitting
) -> tuple[Prepared | None, str]:
    """The prepared picture, or None and one sentence for the visitor."""
    try:
        return prepare(data, spec, name=name, fit=options.fit, invert=options.invert), ""
    except DataError as error:
        return None, str(error)
