"""Bytes from a visitor → pixels for the model, or the sentence why not."""

from __future__ import annotations

from typing import Literal, Protocol

from vae_core.data.centring import prepare_centred
from vae_core.data.pixels import Prepared, prepare
from vae_core.errors import DataError
from vae_core.types import ImageSpec


class Fitting(Protocol):
    """How to make a picture fit."""

    @property
    def fit(self) -> Literal["crop", "pad", "stretch", "centre"]: ...
    @property
    def invert(self) -> bool: ...


def prepare_upload(
    data: bytes, spec: ImageSpec, *, name: str, options: Fitting
) -> tuple[Prepared | None, str]:
    """The prepared picture, or None and one sentence for the visitor."""
    try:
        if options.fit == "centre":
            return prepare_centred(data, spec, name=name, invert=options.invert), ""
        return prepare(data, spec, name=name, fit=options.fit, invert=options.invert), ""
    except DataError as error:
        return None, str(error)
