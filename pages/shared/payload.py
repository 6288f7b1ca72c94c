"""From a checkpoint to what the browser elements need: files published once, small JSON."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pages.shared.assets import publish, publish_made
from vae_core.checkpoint import Checkpoint
from vae_core.examine import manifold
from vae_core.grid import picture_grid
from vae_core.latent.projection import LinearProjection, Projection, plane
from vae_core.latent.trust import TrustScale
from vae_core.portable import decoder_program

MANIFOLD_CELLS = 28
ERROR, KL, LABEL, SPLIT = "reconstruction error", "KL", "label", "split"
ELBO = "ELBO"
LARGEST_I16 = 32.767


def _publish(name: str, data: bytes | memoryview, suffix: str) -> str:
    digest = hashlib.sha256(data).hexdigest()[:16]
    return publish(f"{name}-{digest}.{suffix}", data)


def publish_array(name: str, array: NDArray[Any], kind: str) -> str:
    """URL path of an array's bytes as numbers of a kind such as "<f4"; published once."""
    return _publish(name, _bytes_of(np.ascontiguousarray(array, np.dtype(kind))), "bin")


def _bytes_of(array: NDArray[Any]) -> memoryview:
    """The bytes of a contiguous array, not copied: codes of a million images are 32 MB."""
    return memoryview(array.reshape(-1).view(np.uint8).data)


def model_part(checkpoint: Checkpoint) -> dict[str, Any]:
    """The decoder as a program the browser runs."""
    program = decoder_program(checkpoint.model)
    weights = program.weights.astype("<f4").tobytes()
    return {
        "key": checkpoint.key,
        "decoder_json": _publish("decoder", json.dumps(program.header).encode(), "json"),
        "decoder_bin": _publish("decoder", weights, "bin"),
        "shape": program.header["shape"],
    }


def points_part(checkpoint: Checkpoint) -> dict[str, Any]:
    """The real codes, as a file: thousandths in 16 bits where they fit, else float32.

    Codes are decoded with three decimals anyway, so nothing is lost that was shown.
    """
    codes = checkpoint.codes
    kind, n_bytes = ("i16", 2) if is_near(codes.mean) else ("f32", 4)
    # Named by the hash of the file they come from, which was checked: not hashed a second time.
    url = publish_made(
        f"codes-{kind}-{checkpoint.codes_key}.bin",
        size_bytes=codes.mean.size * n_bytes,
        make=lambda: _bytes_of(thousandths(codes.mean) if kind == "i16" else _floats(codes.mean)),
    )
    return {
        "n": len(codes),
        "n_total": codes.n_total,
        "d": checkpoint.model.n_latent,
        "type": kind,
        "codes": url,
    }


def is_near(codes: NDArray[np.float32]) -> bool:
    """Whether codes fit in 16 bits as thousandths: |z| below 32.767."""
    return bool(max(abs(float(codes.min())), abs(float(codes.max()))) < LARGEST_I16)


def thousandths(codes: NDArray[np.float32]) -> NDArray[np.int16]:
    """Codes in thousandths, rounded as `snap` rounds."""
    rounded: NDArray[np.int16] = np.rint(codes * np.float32(1000)).astype("<i2")
    return rounded


def _floats(codes: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(codes, "<f4")


def projection_choices(checkpoint: Checkpoint) -> list[str]:
    """Names of the maps: the latent plane first where there is one, then UMAP, PCA."""
    stored = list(checkpoint.maps)
    return ["0,1", *stored] if checkpoint.model.n_latent == 2 else [*stored, "dimensions"]


def whole_number(text: str) -> int | None:
    """ "12" → 12; None for anything but a few plain digits (to Python, "²" is a digit too)."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def parse_plane(name: str) -> tuple[int, int] | None:
    """ "3,7" → (3, 7); None for anything else."""
    numbers = [whole_number(part) for part in name.split(",")]
    if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
        return None
    return numbers[0], numbers[1]


def projection_of(checkpoint: Checkpoint, name: str) -> Projection:
    """The map called `name`: a stored one or a pair of dimensions such as "3,7"."""
    pair = parse_plane(name)
    if pair is not None:
        return plane(checkpoint.codes.mean, *pair)
    return checkpoint.maps[name]


def is_projection(checkpoint: Checkpoint, name: str) -> bool:
    """Whether `name` (from a link, say) is a map of this checkpoint."""
    pair, n_latent = parse_plane(name), checkpoint.model.n_latent
    if pair is not None:
        return pair[0] != pair[1] and max(pair) < n_latent
    return name in checkpoint.maps


def projection_part(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    """Where the points lie and how a spot becomes a code."""
    projection, pair = projection_of(checkpoint, name), parse_plane(name)
    axes = {"umap": ["UMAP 1", "UMAP 2"], "pca": ["PC 1", "PC 2"]}.get(name, ["", ""])
    if pair is not None:
        axes = [f"z{pair[0]}", f"z{pair[1]}"]
    label = name.upper() if pair is None else f"dimensions {pair[0]} and {pair[1]}"
    return projection_message(projection, name=name, label=label, axes=axes)


def projection_message(
    projection: Projection, *, name: str, label: str, axes: list[str]
) -> dict[str, Any]:
    """A projection in the form the map element takes."""
    inverse: dict[str, Any] = {"kind": "neighbours", "k": 8, "power": 2}
    if isinstance(projection, LinearProjection):
        inverse = {
            "kind": "linear",
            "origin": projection.origin.tolist(),
            "x_axis": projection.axes[0].tolist(),
            "y_axis": projection.axes[1].tolist(),
        }
    return {
        "id": name,
        "label": label,
        "axis_labels": axes,
        "xy": publish_array("xy", projection.xy, "<f4"),
        "inverse": inverse,
    }


def colour_choices(checkpoint: Checkpoint) -> list[str]:
    """What points can be coloured by."""
    codes = checkpoint.codes
    labels = [LABEL] if codes.labels is not None and LABEL not in codes.factors else []
    splits = [SPLIT] if len(np.unique(codes.split)) > 1 else []
    bound = [KL, ELBO] if codes.kl_nats.any() else []
    return [*labels, *codes.factors, ERROR, *bound, *splits]


def categories_part(
    label: str, names: list[str], values: NDArray[Any], *, muted: tuple[int, ...] = ()
) -> dict[str, Any]:
    """A colouring by up to 255 named kinds, of the model's or the visitor's own making."""
    url = publish_array("colour", values, "|u1")
    part = {"label": label, "kind": "categories", "names": names, "values": url}
    return part | ({"muted": list(muted)} if muted else {})


def _continuous(label: str, values: NDArray[Any]) -> dict[str, Any]:
    url = publish_array("colour", values, "<f4")
    return {"label": label, "kind": "continuous", "values": url}


@dataclass(frozen=True)
class Colouring:
    """One value `[N]` per point: a number, or where there are `names` the number of its kind.

    Kinds in `muted` step back: grey, below the others.
    """

    label: str
    values: NDArray[Any]
    names: tuple[str, ...] | None = None
    muted: tuple[int, ...] = ()


def colouring_of(checkpoint: Checkpoint, name: str) -> Colouring | None:
    """What points are coloured by; None for a name that is not among the choices."""
    codes = checkpoint.codes
    if name == ERROR:
        return Colouring("√ squared error", np.sqrt(codes.squared_error))
    if name == KL:
        return Colouring("KL (nats)", codes.kl_per_image)
    if name == ELBO:
        return Colouring("ELBO (nats)", codes.elbo)
    if name == SPLIT:
        return Colouring("split", codes.split, ("train", "validation", "test"))
    factor = codes.factors.get(name)
    if factor is not None:
        return Colouring(_words(name), factor.values, tuple(factor.categories) or None)
    if name == LABEL and codes.labels is not None:
        return _label_colouring(checkpoint)
    return None


def colouring_part(found: Colouring) -> dict[str, Any]:
    """A colouring in the form the map element takes."""
    if found.names is None:
        return _continuous(found.label, found.values)
    return categories_part(found.label, list(found.names), found.values, muted=found.muted)


def colour_part(checkpoint: Checkpoint, name: str) -> dict[str, Any] | None:
    """A colouring by its name; None as in `colouring_of`."""
    found = colouring_of(checkpoint, name)
    return None if found is None else colouring_part(found)


def _label_colouring(checkpoint: Checkpoint) -> Colouring:
    """Labels as kinds; beyond 255 of them the rest share one colour."""
    codes = checkpoint.codes
    assert codes.labels is not None
    names = list(codes.label_names) or [str(i) for i in range(int(codes.labels.max()) + 1)]
    if len(names) > 255:
        names = [*names[:254], f"{len(names) - 254} more"]
    return Colouring("label", np.minimum(codes.labels, len(names) - 1), tuple(names))


def _words(name: str) -> str:
    return name.replace("_", " ")


def trust_part(
    scale: TrustScale, *, rows: NDArray[np.int64] | None = None
) -> dict[str, Any] | None:
    """What the browser needs to judge a code; None where nothing could be calibrated.

    With `rows` the nearest of these codes counts, as it did where the limits were learnt.
    """
    if not scale.limits:
        return None
    return {
        "used": np.flatnonzero(scale.is_used).tolist(),
        "rows": None if rows is None else publish_array("rows", rows, "<i4"),
        "centre": scale.centre.tolist(),
        "spread": scale.spread.tolist(),
        "typical_distance": scale.typical_distance,
        "limits": {name: list(limit) for name, limit in scale.limits.items()},
    }


def _backdrop(checkpoint: Checkpoint, projection: Projection) -> dict[str, Any]:
    """The decoded plane behind the points of a 2-D model."""
    low, high = projection.xy.min(0), projection.xy.max(0)
    margin = 0.03 * (high - low)
    (x0, y0), (x1, y1) = (low - margin).tolist(), (high + margin).tolist()
    # Square cells: the longer side gets MANIFOLD_CELLS of them.
    cell = max(x1 - x0, y1 - y0, 1e-6) / MANIFOLD_CELLS
    n_columns, n_rows = (max(1, round(side / cell)) for side in (x1 - x0, y1 - y0))
    images = manifold(checkpoint, reach=(x0, x1, y0, y1), n_columns=n_columns, n_rows=n_rows)
    buffer = BytesIO()
    picture_grid(images, n_columns=n_columns).save(buffer, "PNG", optimize=True)
    url = "data:image/png;base64," + b64encode(buffer.getvalue()).decode()
    return {"url": url, "x0": x0, "x1": x1, "y0": y0, "y1": y1}


def map_data(checkpoint: Checkpoint, projection: str, colour: str) -> dict[str, Any]:
    """All of the map's data that does not depend on the visitor."""
    codes = checkpoint.codes
    label = colour_part(checkpoint, LABEL) if codes.labels is not None else None
    on_plane = checkpoint.model.n_latent == 2 and projection == "0,1"
    shown = projection_of(checkpoint, projection)
    return {
        "model": model_part(checkpoint),
        "points": points_part(checkpoint),
        "projection": projection_part(checkpoint, projection),
        "colour": colour_part(checkpoint, colour),
        "hover": {
            "labels": label and {"names": label["names"], "values": label["values"]},
            "ids": publish_array("ids", codes.ids, "<i4"),
        },
        "backdrop": _backdrop(checkpoint, shown) if on_plane else None,
        "marks": [],
        "select": None,
    }
