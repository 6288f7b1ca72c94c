"""Codes and vectors the visitor kept, by model; they last as long as the session."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

Floats = NDArray[np.float32]
MAX_NAME: Final = 60
_CODES, _VECTORS = "shelf_codes", "shelf_vectors"


@dataclass(frozen=True)
class Kept:
    """A code `z` `[D]` under a name that no other kept code of its model has."""

    name: str
    z: Floats


@dataclass(frozen=True)
class KeptVector:
    """A unit `vector` `[D]`; one step is `scale`; `text` says where it comes from."""

    name: str
    vector: Floats
    scale: float
    text: str


def keep(checkpoint_key: str, name: str, z: Floats) -> Kept:
    """Put a code on the shelf; a name that is taken gets a number."""
    shelf: list[Kept] = _shelf(_CODES, checkpoint_key)
    made = Kept(free_name(name or "code", [item.name for item in shelf]), np.array(z, np.float32))
    shelf.append(made)
    return made


def kept(checkpoint_key: str) -> list[Kept]:
    """The codes kept for this model, oldest first."""
    return list(_shelf(_CODES, checkpoint_key))


def rename(checkpoint_key: str, name: str, new_name: str) -> None:
    """Give a kept code another name; without effect for a name that is not there."""
    _rename(_shelf(_CODES, checkpoint_key), name, new_name)


def drop(checkpoint_key: str, name: str) -> None:
    """Take a code off the shelf."""
    shelf = _shelf(_CODES, checkpoint_key)
    shelf[:] = [item for item in shelf if item.name != name]


def keep_vector(
    checkpoint_key: str, name: str, vector: Floats, scale: float, text: str
) -> KeptVector:
    """Keep a direction `[D]` of any length above 0; it is stored with length 1."""
    shelf: list[KeptVector] = _shelf(_VECTORS, checkpoint_key)
    unit = np.array(vector / np.linalg.norm(vector), np.float32)
    taken = [item.name for item in shelf]
    made = KeptVector(free_name(name or "vector", taken), unit, float(scale), text)
    shelf.append(made)
    return made


def vectors(checkpoint_key: str) -> list[KeptVector]:
    """The vectors kept for this model, oldest first."""
    return list(_shelf(_VECTORS, checkpoint_key))


def rename_vector(checkpoint_key: str, name: str, new_name: str) -> None:
    """Give a kept vector another name; without effect for a name that is not there."""
    _rename(_shelf(_VECTORS, checkpoint_key), name, new_name)


def drop_vector(checkpoint_key: str, name: str) -> None:
    """Take a vector off the shelf."""
    shelf = _shelf(_VECTORS, checkpoint_key)
    shelf[:] = [item for item in shelf if item.name != name]


def _shelf(kind: str, checkpoint_key: str) -> list[Any]:
    shelves: dict[str, list[Any]] = st.session_state.setdefault(kind, {})
    return shelves.setdefault(checkpoint_key, [])


def _rename(shelf: list[Any], name: str, new_name: str) -> None:
    others = [item.name for item in shelf if item.name != name]
    for place, item in enumerate(shelf):
        if item.name == name and new_name.strip():
            shelf[place] = replace(item, name=free_name(new_name, others))


def free_name(name: str, taken: Collection[str]) -> str:
    """`name` in one line, with the smallest number from 2 that makes it unlike all `taken`."""
    name = " ".join(name.split())[:MAX_NAME] or "unnamed"
    found, number = name, 2
    while found in taken:
        found, number = f"{name} {number}", number + 1
    return found
