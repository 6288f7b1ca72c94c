"""A checkpoint is a folder: weights, a card that says everything, codes and maps of them.

    model.safetensors  weights            card.json  what it is, how it was made, hashes
    codes.npz          posteriors of up to 10,000 held-out images, or of all of them (`map`)
    map.npz            their maps
    prior.npz          a mixture fitted to the codes (optional)
    calibration.npz    what the model says of held-out images, to judge others by (optional)

Nothing is ever unpickled; every file's sha256 stands in the card and is checked.
"""

from __future__ import annotations

import hashlib
import io
import platform
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load

from vae_core.card import card_problem, parse_card
from vae_core.device import choose_device
from vae_core.errors import CheckpointError, ConfigError, DataError
from vae_core.evaluate.calibration import Calibration
from vae_core.files import replace_file, replace_files, sha256_of, write_json, write_tensors
from vae_core.latent.codes import Codes
from vae_core.latent.mixture import MixturePrior
from vae_core.latent.projection import Projection
from vae_core.latent.stored import check_codes, map_arrays, map_of
from vae_core.model import Autoencoder, ModelConfig, check_shapes

FORMAT: Final = "latent-explorer/1"
CARD: Final = "card.json"
FILES: Final = ("model.safetensors", "codes.npz", "map.npz")
PRIOR: Final = "prior.npz"
CALIBRATION: Final = "calibration.npz"
OPTIONAL: Final = (PRIOR, CALIBRATION)
# Above this files are stored as they are: packing the codes of a million images takes seven
# CPU seconds and saves an eighth.
_PACK_BELOW_BYTES: Final = 16_000_000
_PICKLE_STARTS: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


def key_of(card: Mapping[str, Any]) -> str:
    """Sixteen hex digits that name the weights a card stands beside."""
    return str(card["files"]["model.safetensors"])[:16]


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model with its card; codes and maps are read when first asked for."""

    path: Path
    model: Autoencoder
    card: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def key(self) -> str:
        """Sixteen hex digits that name these very weights."""
        return key_of(self.card)

    @property
    def codes_key(self) -> str:
        """Sixteen hex digits that name these very codes: rows mean nothing in other ones."""
        return str(self.card["files"]["codes.npz"])[:16]

    @cached_property
    def codes(self) -> Codes:
        """The stored codes; `CheckpointError` when the file is missing or damaged."""
        return _read_codes(self.path, self.card)

    @cached_property
    def maps(self) -> dict[str, Projection]:
        """The stored maps by name, UMAP first; `CheckpointError` when damaged."""
        return _read_maps(self.path, self.card, self.codes)

    @cached_property
    def prior(self) -> MixturePrior | None:
        """The mixture fitted to the codes, or None; `CheckpointError` when damaged."""
        if PRIOR not in self.card["files"]:
            return None
        with _opened_npz(self.path, PRIOR, self.card) as arrays:
            try:
                return MixturePrior.from_arrays(arrays)
            except DataError as error:
                raise ValueError(str(error)) from error

    @cached_property
    def calibration(self) -> Calibration | None:
        """What the model says of held-out images, or None; `CheckpointError` when damaged."""
        if CALIBRATION not in self.card["files"]:
            return None
        with _opened_npz(self.path, CALIBRATION, self.card) as arrays:
            try:
                return Calibration.from_arrays(arrays)
            except DataError as error:
                raise ValueError(str(error)) from error


@dataclass(frozen=True)
class Listed:
    """One folder seen by `list_checkpoints`: a card, or the sentence why there is none."""

    path: Path
    card: Mapping[str, Any] | None
    problem: str = ""

    @property
    def key(self) -> str | None:
        """`Checkpoint.key` of what the folder holds, None without a card."""
        return None if self.card is None else key_of(self.card)


def save_checkpoint(
    path: Path,
    model: Autoencoder,
    *,
    card: Mapping[str, Any],
    codes: Codes,
    maps: Mapping[str, Projection],
    prior: MixturePrior | None = None,
    calibration: Calibration | None = None,
) -> None:
    """Write all files; the card comes last, so that a folder with a card is complete.

    `OSError` on a full disk: a checkpoint that was there before still is.
    """
    path.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    if not all(bool(v.isfinite().all()) for v in weights.values()):
        raise CheckpointError(
            f"The weights for {path} hold values that are not finite and were not written; "
            "train again with a lower learning rate."
        )
    parts = {"codes.npz": codes.to_arrays(), "map.npz": map_arrays(maps)}
    parts |= {} if prior is None else {PRIOR: prior.to_arrays()}
    parts |= {} if calibration is None else {CALIBRATION: calibration.to_arrays()}
    with replace_files(path, last=CARD) as new:
        write_tensors(new / "model.safetensors", weights, note={"format": FORMAT})
        for name, arrays in parts.items():
            _write_npz(new / name, arrays)
        full = {
            "format": FORMAT,
            **card,
            "model": model.config.to_json(),
            "label_names": list(codes.label_names),
            "factor_categories": {n: list(f.categories) for n, f in codes.factors.items()},
            "n_codes": len(codes),
            "n_images": codes.n_total,
            "files": {name: sha256_of(new / name) for name in ("model.safetensors", *parts)},
        }
        write_json(new / CARD, full)
    for name in set(OPTIONAL) - set(parts):
        (path / name).unlink(missing_ok=True)


def add_part(
    path: Path, part: Calibration | MixturePrior, *, note: Mapping[str, Any] | None = None
) -> None:
    """Write or replace a part of the checkpoint in `path`, its hash, and a `note` on it."""
    name, card = CALIBRATION if isinstance(part, Calibration) else PRIOR, read_card(path)
    _write_npz(path / name, part.to_arrays())
    card["files"] = {**card["files"], name: sha256_of(path / name)}
    if note is not None:
        card[name.removesuffix(".npz")] = dict(note)
    write_json(path / CARD, card)


def _write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    is_small = sum(array.nbytes for array in arrays.values()) < _PACK_BELOW_BYTES
    with replace_file(path) as temporary, temporary.open("wb") as opened:
        (np.savez_compressed if is_small else np.savez)(opened, **dict(arrays))  # type: ignore[arg-type]


def read_card(path: Path) -> dict[str, Any]:
    """The card of the checkpoint folder `path`; `CheckpointError` when there is no good one."""
    card_path = path / CARD
    if not path.is_dir():
        raise CheckpointError(
            f"'{path}' is not a folder, a checkpoint folder was expected; give the folder that "
            "train wrote."
        )
    if not card_path.is_file():
        raise CheckpointError(
            f"'{path}' has no {CARD}, so it is not a checkpoint of this project (or its training "
            "did not finish); give a folder that train completed."
        )
    try:
        card = parse_card(card_path)
        found = card["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"'{card_path}' is damaged or not a card of this project ({repr(error)[:120]}); "
            "restore it from a backup or train again."
        ) from error
    if found != FORMAT:
        raise CheckpointError(
            f"'{path}' is written in format '{str(found)[:80]}', this version reads '{FORMAT}'; "
            "use the version of Latent Explorer that wrote it."
        )
    problem = card_problem(card)
    if problem:
        raise CheckpointError(
            f"'{card_path}' was changed or is damaged: {problem}; undo the change, restore it "
            "from a backup or train again."
        )
    return card


def own_words(path: Path) -> dict[str, Any]:
    """What a person wrote into a card and a run that goes on must keep: notes, a new title."""
    try:
        card = read_card(path)
    except CheckpointError:
        return {}
    names = ("notes", "title", "renamed") if card.get("renamed") else ("notes",)
    return {name: card[name] for name in names if name in card}


def verify_checkpoint(path: Path) -> dict[str, Any]:
    """Check that all files are there with the hashes of the card; returns the card."""
    card = read_card(path)
    for name in (*FILES, *(n for n in OPTIONAL if n in card["files"])):
        _checked_bytes(path, name, card)
    return card


def _checked_bytes(path: Path, name: str, card: Mapping[str, Any]) -> bytes:
    try:
        data = (path / name).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"'{path}' lacks {name}, which its card lists; copy the whole folder again."
        ) from error
    # Real weights start with their header's length, which may look like a pickle's start.
    is_header = data[8:9] == b"{"
    if name.endswith(".safetensors") and data.startswith(_PICKLE_STARTS) and not is_header:
        raise CheckpointError(
            f"'{path / name}' is a pickle or a zip under another name, not safetensors; it is "
            "never opened because loading it could run foreign code. Get the real file."
        )
    if hashlib.sha256(data).hexdigest() != card["files"].get(name):
        raise CheckpointError(
            f"'{path / name}' is damaged: its sha256 is not the one in the card; copy the "
            "folder again from where it came."
        )
    return data


def load_checkpoint(path: str | Path, *, device: str = "cpu") -> Checkpoint:
    """Load a checkpoint folder, hashes checked, model in eval mode on `device`.

    Raises `CheckpointError` with one sentence when the folder is missing, damaged, foreign
    or of another version.
    """
    folder = Path(path)
    card = read_card(folder)
    data = _checked_bytes(folder, "model.safetensors", card)
    try:
        config, weights = ModelConfig.from_json(card["model"]), load(data)
        # Before anything of the size a card asks for is made.
        check_shapes(config, weights)
        model = Autoencoder(config)
        model.load_state_dict(weights)
    except (
        SafetensorError, RuntimeError, ConfigError, ValueError, TypeError, LookupError,
        ArithmeticError, MemoryError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise CheckpointError(
            f"The weights in '{folder}' do not fit the model its card describes ({reason}); "
            "the card or the weights come from somewhere else."
        ) from error
    return Checkpoint(folder, model.eval().to(choose_device(device)[0]), card)


@contextmanager
def _opened_npz(
    path: Path, name: str, card: Mapping[str, Any]
) -> Iterator[dict[str, NDArray[Any]]]:
    """The arrays of a file; whatever turns out to be missing or odd is told of that file."""
    data = _checked_bytes(path, name, card)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as opened:
            arrays = {key: opened[key] for key in opened.files}
        yield arrays
    except (
        OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
        MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise CheckpointError(
            f"'{path / name}' or what the card says of it cannot be read ({repr(error)[:120]}); "
            "copy the folder again."
        ) from error


def _read_codes(path: Path, card: Mapping[str, Any]) -> Codes:
    with _opened_npz(path, "codes.npz", card) as arrays:
        codes = Codes.from_arrays(arrays, card)
        check_codes(codes, n_codes=card["n_codes"], n_latent=card["model"]["n_latent"])
        return codes


def _read_maps(path: Path, card: Mapping[str, Any], codes: Codes) -> dict[str, Projection]:
    with _opened_npz(path, "map.npz", card) as arrays:
        names = sorted((k.removesuffix(".xy") for k in arrays if k.endswith(".xy")), reverse=True)
        return {name: map_of(name, arrays, codes) for name in names}


def list_checkpoints(folder: Path) -> list[Listed]:
    """Every folder below `folder` that has or should have a card, by name.

    A folder whose card is bad is listed with the sentence that says so.
    """
    found: list[Listed] = []
    if not folder.is_dir():
        return found
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        try:
            found.append(Listed(path, read_card(path)))
        except CheckpointError as error:
            if (path / CARD).is_file() or (path / "model.safetensors").is_file():
                found.append(Listed(path, None, str(error)))
    return found


def versions() -> dict[str, str]:
    """Versions that matter for making the weights again."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
