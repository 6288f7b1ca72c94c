"""What the linked maps and the shared sliders need in the browser."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pages.shared.assets import publish
from vae_core.apply.compare import Linear


def array_url(array: NDArray[Any], kind: str) -> str:
    """Publish an array as a file named by its content; `kind` as in numpy ("<f4", "|u1")."""
    return _url("compare", np.ascontiguousarray(array, np.dtype(kind)).tobytes(), "bin")


def _url(name: str, data: bytes, suffix: str) -> str:
    return publish(f"{name}-{hashlib.sha256(data).hexdigest()[:16]}.{suffix}", data)


def linear_part(linear: Linear) -> dict[str, Any]:
    """PCA as a decoder the browser runs; its code counts standard deviations."""
    n, (channels, height, width) = linear.n_latent, linear.spec.shape
    # Activations in the browser are height × width × channels.
    order = np.arange(linear.mean.size).reshape(linear.spec.shape).transpose(1, 2, 0).ravel()
    weights = (linear.axes * linear.std[:, None])[:, order]
    header = {
        "n_latent": n,
        "shape": [height, width, channels],
        "ops": [
            {"op": "dense", "n_in": n, "n_out": linear.mean.size, "w": 0, "b": weights.size},
            {"op": "view", "h": height, "w": width, "c": channels},
            {"op": "act", "kind": "clamp01"},
        ],
    }
    values = np.concatenate([weights.ravel(), linear.mean[order]]).astype("<f4").tobytes()
    url = _url("decoder", values, "bin")
    return {
        "key": f"pca-{hashlib.sha256(values).hexdigest()[:16]}",
        "decoder_json": _url("decoder", json.dumps(header).encode(), "json"),
        "decoder_bin": url,
        "shape": header["shape"],
    }
