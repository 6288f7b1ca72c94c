"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# What decides how fast float32 and bfloat16 are.
WIDE = ("avx2", "avx512f", "avx512_bf16", "amx_tile")


def machine_facts() -> dict[str, object]:
    """Processor, cores, load and versions, fit for JSON."""
    names = ("torch", "streamlit", "plotly", "numpy", "umap-learn")
    return {
        "processor": _cpuinfo("model name") or platform.processor(),
        "instructions": [name for name in WIDE if name in _cpuinfo("flags").split()],
        "cores": os.cpu_count(),
        "load_1min": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in names},
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _cpuinfo(name: str) -> str:
    """A line of what Linux says of the first processor; "" elsewhere."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
