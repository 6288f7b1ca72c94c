"""Files the browser fetches by URL: codes, weights, scripts (Streamlit's static serving)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

STATIC_DIR = Path(__file__).resolve().parents[2] / "static"
URL_PREFIX = "app/static"


def publish(name: str, data: bytes) -> str:
    """Write `data` to static/`name` unless it is there already; returns its URL path.

    The path is relative to the app's root, not to the page (`resolve` in web/common.js). `name`
    carries a hash of the content, so a file of the same name and size is the same file.
    """
    path = STATIC_DIR / name
    if not (path.is_file() and path.stat().st_size == len(data)):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".publish-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    return f"{URL_PREFIX}/{name}"
