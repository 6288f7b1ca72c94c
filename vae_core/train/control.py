"""What is said to a run and what it says of itself: two small files in its folder, no torch.

training/ask.json        what somebody wants of it: pause or finish
training/progress.json   how far it is
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from vae_core.files import write_json

FOLDER: Final = "training"
# So long a run is looked at more often, by itself and by a page: then there is most to see.
YOUNG_SECONDS: Final = 20.0
Ask = Literal["", "pause", "finish"]
WISHES: Final[tuple[Ask, ...]] = ("pause", "finish")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is none or nothing readable."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def has_state(folder: Path) -> bool:
    """Whether a run in `folder` can be resumed."""
    return (folder / FOLDER / "state.safetensors").is_file()


def read_ask(folder: Path) -> Ask:
    """What is wanted of the run in `folder`; "" for nothing, or for a file that says nothing."""
    asked = read_json(folder / FOLDER / "ask.json").get("ask")
    return next((wish for wish in WISHES if wish == asked), "")


def write_ask(folder: Path, what: Ask) -> None:
    """Want something of the run in `folder`, which looks for it between steps; "" takes it back.

    Raises `OSError` on a full disk.
    """
    path = folder / FOLDER / "ask.json"
    if what == "":
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"ask": what})


def read_progress(folder: Path) -> dict[str, Any]:
    """How far the run in `folder` says it is; empty when it has said nothing readable."""
    return read_json(folder / FOLDER / "progress.json")


def write_progress(folder: Path, data: Mapping[str, Any]) -> None:
    """Say how far it is. Raises `OSError` on a full disk."""
    path = folder / FOLDER / "progress.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, data)


def clear_talk(folder: Path) -> None:
    """Forget what an earlier process in `folder` was asked and said."""
    for name in ("ask.json", "progress.json"):
        (folder / FOLDER / name).unlink(missing_ok=True)
