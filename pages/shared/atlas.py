"""Originals for the map as sheets of small pictures, drawn while the visitor already looks."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import Any, Final

from pages.shared import assets
from vae_core.checkpoint import Checkpoint
from vae_core.errors import ExplorerError
from vae_core.export.atlas import COLUMNS, PER_SHEET, AtlasPlan, Find, atlas_sheets, plan_atlas
from vae_core.files import replace_file

LONGEST_PAUSE_SECONDS: Final = 0.5


def plan_of(checkpoint: Checkpoint) -> AtlasPlan:
    """Which tiles there will be; models with the same codes of the same data share them."""
    return plan_atlas(checkpoint.codes, checkpoint.model.spec.shape, source=checkpoint.card["data"])


def start(checkpoint: Checkpoint, find: Find, plan: AtlasPlan) -> dict[str, Any]:
    """Begin to draw the sheets in the background; what the map element needs to follow them.

    Once per plan and process. `index` is a small file that names the sheets that are ready; see
    web/README.md.
    """
    urls: list[str | None] = [None] * plan.n_sheets
    index = _tell(plan, urls, done=False)
    threading.Thread(
        target=_draw, args=(checkpoint, find, plan, urls), name=f"atlas {plan.key}", daemon=True
    ).start()
    return {
        "n": plan.n,
        "tile": [plan.height, plan.width],
        "columns": COLUMNS,
        "per_sheet": PER_SHEET,
        "index": index,
    }


def _draw(checkpoint: Checkpoint, find: Find, plan: AtlasPlan, urls: list[str | None]) -> None:
    """Publish sheet after sheet; what cannot be drawn stays the model's reconstruction."""
    try:
        sheets = atlas_sheets(find, checkpoint.codes, plan, breathe=_Breath())
        for number, data in enumerate(sheets):
            digest = hashlib.sha256(data).hexdigest()[:16]
            urls[number] = assets.publish(f"atlas-{digest}.webp", data)
            _tell(plan, urls, done=False)
    except (ExplorerError, OSError):
        pass  # the index then says done with sheets missing, and the map shows reconstructions
    finally:
        _tell(plan, urls, done=True)


class _Breath:
    """Sleeps as long as the work since the last breath took.

    Python runs one thread at a time: for each moment of drawing the pages get as long a turn.
    """

    def __init__(self) -> None:
        self.since = time.monotonic()

    def __call__(self) -> None:
        time.sleep(min(time.monotonic() - self.since, LONGEST_PAUSE_SECONDS))
        self.since = time.monotonic()


def _tell(plan: AtlasPlan, urls: list[str | None], *, done: bool) -> str:
    """Write the index anew; returns its URL path."""
    name = f"atlas-{plan.key}.json"
    assets.STATIC_DIR.mkdir(parents=True, exist_ok=True)
    with replace_file(assets.STATIC_DIR / name) as temporary:
        temporary.write_text(json.dumps({"sheets": urls, "done": done}), encoding="utf-8")
    return f"{assets.URL_PREFIX}/{name}"
