"""Which paths a visitor may name: those below allowed folders, links followed first."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from vae_core.data.shardfiles import expand_braces
from vae_core.errors import DataError

SETTING = "VAE_DATA_ROOTS"
MAX_LENGTH = 2_000


def allowed_path(text: str, roots: Sequence[Path]) -> Path:
    """The path that `text` names, resolved, if it lies below one of `roots`.

    A relative path is looked for below each root in turn. A pattern of shards such as
    `set-{000..009}.tar` is allowed if all it stands for is. Raises `DataError` for a path that
    leads elsewhere, also by way of '..' or a symbolic link, and for one that does not exist.
    """
    asked = text.strip()
    if not asked or len(asked) > MAX_LENGTH or not asked.isprintable():
        raise DataError(
            f"{_shown(asked)} is no path, expected one line of 1 to {MAX_LENGTH:,} characters; "
            "type the folder's path."
        )
    try:
        known = [root.expanduser().resolve() for root in roots]
        candidates = _candidates(Path(asked).expanduser(), known)
        # All that a pattern stands for: one of its choices may hold '..'.
        inside = [
            path for path in candidates if all(_is_below(p, known) for p in _stands_for(path))
        ]
        found = [path for path in inside if _exists(path)]
    # Unknown users after ~, links in a circle, names longer than the disk allows.
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise DataError(
            f"{_shown(asked)} cannot be followed ({why}), expected the path of a folder or file; "
            "check its spelling."
        ) from error
    if not found and len(inside) < max(1, len(candidates)):
        raise DataError(_outside(asked, known))
    if not found:
        raise DataError(
            f"There is nothing at {_shown(asked)}, expected a folder or file below "
            f"{_listed(known)}; check its spelling."
        )
    return found[0]


def roots_from(setting: str, *, otherwise: Iterable[Path]) -> tuple[Path, ...]:
    """The folders of a list separated as PATH is, or those that hold without one."""
    named = tuple(Path(part).expanduser() for part in setting.split(os.pathsep) if part.strip())
    return named or tuple(otherwise)


def _candidates(path: Path, roots: Sequence[Path]) -> list[Path]:
    places = [path] if path.is_absolute() else [root / path for root in roots]
    return [place.resolve() for place in places]


def _stands_for(path: Path) -> list[Path]:
    if not _is_pattern(path):
        return [path]
    return [Path(name).resolve() for name in expand_braces(str(path))]


def _is_pattern(path: Path) -> bool:
    return path.suffix.lower() == ".tar" and "{" in str(path) and not path.exists()


def _exists(path: Path) -> bool:
    return path.exists() or (_is_pattern(path) and all(p.is_file() for p in _stands_for(path)))


def _is_below(path: Path, roots: Sequence[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)


def _outside(asked: str, roots: Sequence[Path]) -> str:
    if not roots:
        return (
            f"{_shown(asked)} came, but this server allows no folders; name some in the setting "
            f"{SETTING} when starting it, or drop the files instead."
        )
    return (
        f"{_shown(asked)} lies outside of what this server allows ({_listed(roots)}); choose a "
        f"path below that, drop the files instead, or add its folder to the setting {SETTING}."
    )


def _listed(roots: Sequence[Path]) -> str:
    return ", ".join(f"'{root}'" for root in roots)


def _shown(asked: str) -> str:
    """Short enough for a sentence, without control characters."""
    plain = "".join(c if c.isprintable() else "�" for c in asked)
    return f"'{plain}'" if len(plain) <= 120 else f"'{plain[:60]}…{plain[-40:]}'"
