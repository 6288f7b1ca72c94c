"""`Look`: the factors of a portrait turned into colours and the geometry of a turned head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import asin, cos, sin

import numpy as np

from vae_core.data.canvas import Array, along, mix, rgb

HAIR_STYLES = ("bald", "short", "long", "curly", "bun")
HAIR_COLOURS = ("black", "brown", "red", "blond", "grey")
GLASSES = ("none", "round", "square", "sunglasses")

_SKIN = ("fbe3d2", "f5cfb2", "e7b48d", "cd9469", "a56e48", "79492f", "563322", "44291d")
_HAIR = ("2a2530", "6b4430", "b5542c", "e3b765", "b9bcc4")
_IRIS = ("5a3a28", "6b4a2c", "4f8a5b", "4a86b8", "63788c")
_SHADOW = np.array([[[0.84]], [[0.70]], [[0.68]]], np.float32)  # warm: red fades least


@dataclass(frozen=True)
class Look:
    """Factors turned into colours and geometry; x-positions follow the turned head."""

    skin: Array
    shade: Array
    light: Array
    hair: Array
    hair_light: Array
    hair_dark: Array
    iris: Array
    lips: Array
    style: str
    glasses: str
    smile: float
    openness: float
    brow: float
    turn: float
    age: float
    background: float

    @property
    def x(self) -> float:
        """Middle of the head."""
        return 32 + 1.0 * self.turn

    def at(self, u: float, *, depth: float = 1.0) -> float:
        """x of a point at u = -1..1 across the face, on a ball turned by the head's yaw."""
        return self.x + 13.6 * depth * sin(asin(u) + 0.42 * self.turn)

    def narrow(self, u: float) -> float:
        """Foreshortening of widths there."""
        return cos(asin(u) + 0.42 * self.turn) / cos(asin(u))


def look_of(f: Mapping[str, float]) -> Look:
    """The look of checked factors."""
    skin, hair = along(_SKIN, f["skin_tone"]), rgb(_HAIR[int(f["hair_colour"])])
    return Look(
        skin=skin,
        shade=skin * _SHADOW,
        light=mix(skin, rgb("fff0dc"), 0.38),
        hair=hair,
        hair_light=mix(hair, rgb("ffe9cf"), 0.30),
        hair_dark=hair * np.float32(0.74),
        iris=rgb(_IRIS[int(f["hair_colour"])]),
        lips=mix(skin * _SHADOW, rgb("c8475a"), 0.45),
        style=HAIR_STYLES[int(f["hair_style"])],
        glasses=GLASSES[int(f["glasses"])],
        smile=f["smile"],
        openness=f["eye_openness"],
        brow=f["brow"],
        turn=f["head_turn"],
        age=f["age_lines"],
        background=f["background"],
    )
