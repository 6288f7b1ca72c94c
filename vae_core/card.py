"""What a card must hold, field by field: the app shows many cards and must trust each of them.

A card may have been edited by hand, damaged or written by someone who means harm. What is
checked here is of the kind and the size that every reader relies on; hashes are the
checkpoint's business.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

MAX_BYTES: Final = 16_000_000
MAX_COUNT: Final = 10**12
MAX_SIDE: Final = 4_096
MAX_WIDTH: Final = 1_000_000
MAX_LAYERS: Final = 64
# What one picture may take inside a network, in numbers: 1 GB.
MAX_VALUES: Final = 2**28
MAX_TITLE: Final = 200
MAX_NOTES: Final = 20_000
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_MISSING: Final = object()

# A check gives what it expected in words, or "" for a value that is right.
Check = Callable[[Any], str]


def _whole(least: int, most: int) -> Check:
    def check(value: Any) -> str:
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return "" if good else f"a whole number from {least:,} to {most:,}"

    return check


def _text(most: int = MAX_NOTES) -> Check:
    def check(value: Any) -> str:
        good = isinstance(value, str) and len(value) <= most
        return "" if good else f"text of at most {most:,} letters"

    return check


def _title(value: Any) -> str:
    good = isinstance(value, str) and 1 <= len(value.strip()) <= len(value) <= MAX_TITLE
    return "" if good else f"text of 1 to {MAX_TITLE} letters"


def _truth(value: Any) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _number(value: Any) -> str:
    good = isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
    return "" if good else "a finite number"


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _table(value: Any) -> str:
    return "" if isinstance(value, dict) else "a table"


def _names(value: Any) -> str:
    good = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return "" if good else "a list of names"


def _tables_of_names(value: Any) -> str:
    good = isinstance(value, dict) and not any(_names(names) for names in value.values())
    return "" if good else "a table of lists of names"


def _hashes(value: Any) -> str:
    good = isinstance(value, dict) and all(
        isinstance(text, str) and _SHA256.match(text) for text in value.values()
    )
    return "" if good else "a table of sha256 sums"


def _sizes(least: int, most: int) -> Check:
    one = _whole(least, most)

    def check(value: Any) -> str:
        good = isinstance(value, list) and len(value) <= MAX_LAYERS and not any(map(one, value))
        return "" if good else f"at most {MAX_LAYERS} whole numbers from {least:,} to {most:,}"

    return check


def _maybe(check: Check) -> Check:
    return lambda value: "" if value is None else check(value)


_COUNT: Final = _whole(0, MAX_COUNT)
# A field of "a.b" stands in the table "a". Those that must be there come first.
_REQUIRED: Final[Mapping[str, Check]] = {
    "title": _title,
    "data": _table,
    "data.source": _text(),
    "split": _table,
    "split.seed": _whole(0, 2**63 - 1),
    "objective": _table,
    "objective.name": _text(),
    "metrics": _table,
    "model": _table,
    "model.n_latent": _whole(1, MAX_WIDTH),
    "model.spec": _table,
    "model.spec.channels": _whole(1, MAX_SIDE),
    "model.spec.height": _whole(1, MAX_SIDE),
    "model.spec.width": _whole(1, MAX_SIDE),
    "model.architecture": _table,
    "model.likelihood": _text(),
    "n_codes": _COUNT,
    "n_images": _COUNT,
    "files": _hashes,
    "files.model.safetensors": _text(),
    "files.codes.npz": _text(),
    "files.map.npz": _text(),
}
_OPTIONAL: Final[Mapping[str, Check]] = {
    "notes": _text(),
    "renamed": _truth,
    "command": _text(),
    "split.n_validation": _COUNT,
    "created": _text(),
    "data.n_images": _COUNT,
    "data.n_asked": _maybe(_COUNT),
    "data.seed": _maybe(_whole(0, 2**63 - 1)),
    "objective.noise": _text(),
    "objective.amount": _number,
    "training": _table,
    "training.n_train_images": _maybe(_COUNT),
    "model.n_classes": _whole(0, MAX_WIDTH),
    "model.posterior": _text(),
    "model.is_classifier": _truth,
    "model.architecture.last": _text(),
    "model.architecture.patch": _whole(1, MAX_SIDE),
    "model.architecture.mid_width": _whole(1, MAX_WIDTH),
    "model.architecture.widths": _sizes(1, MAX_WIDTH),
    "model.architecture.blocks": _sizes(0, MAX_LAYERS),
    "model.architecture.dense": _sizes(1, MAX_WIDTH),
    "label_names": _names,
    "attributes": _names,
    "factor_categories": _tables_of_names,
    **{
        f"metrics.{name}": _number
        for name in (
            "n_test_images", "squared_error", "psnr_db", "kl_nats", "active_units", "elbo_nats",
            "sigma",
        )
    },
}  # fmt: skip


def parse_card(path: Path) -> dict[str, Any]:
    """A card as JSON knows it: no NaN, no text that cannot be written as UTF-8.

    `OSError`, `ValueError` or `RecursionError` when the file holds anything else.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number in JSON")

    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES:,} bytes")
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    json.dumps(card, ensure_ascii=False).encode()
    return card


def card_problem(card: Mapping[str, Any]) -> str:
    """What is wrong with a card, as the middle of a sentence; "" for a good one.

    Values are described by their kind, never repeated: they may be anything.
    """
    for required, checks in ((True, _REQUIRED), (False, _OPTIONAL)):
        for field, check in checks.items():
            value = _look_up(card, field)
            if value is _MISSING:
                if required:
                    return f"'{field}' is missing"
                continue
            expected = check(value)
            if expected:
                return f"'{field}' is {_kind(value)}, expected {expected}"
    return _model_problem(card["model"]["spec"], card["model"]["architecture"])


def _model_problem(spec: Mapping[str, int], shape: Mapping[str, Any]) -> str:
    folded = spec["height"] * spec["width"] // shape.get("patch", 1) ** 2
    n_values = folded * max([1, *shape.get("widths", ())])
    if max(n_values, spec["height"] * spec["width"] * spec["channels"]) > MAX_VALUES:
        return f"'model' describes a network of {n_values:,} numbers a picture, which is too large"
    return ""


def _look_up(card: Mapping[str, Any], field: str) -> Any:
    found: Any = card
    while field:
        # Names of files hold dots themselves.
        name, _, field = (field, "", "") if field in found else field.partition(".")
        if name not in found:
            return _MISSING
        found = found[name]
        if field and not isinstance(found, dict):
            return _MISSING
    return found


def _kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "true, false or null"
    if isinstance(value, int | float):
        return "another number"
    if isinstance(value, str):
        return "text" if len(value) <= MAX_TITLE else f"text of {len(value):,} letters"
    return "a list" if isinstance(value, list) else "a table"
