"""A sweep: a small grid of runs on the same images, queued one after the other.

RUNS/<name>.sweep.json     which runs belong together; the runs are folders like any others
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Final

from vae_core.checkpoint import CARD
from vae_core.errors import CheckpointError, ConfigError, ExplorerError
from vae_core.files import write_json
from vae_core.objectives.registry import objective_fields
from vae_core.runs.store import RunView, ask, delete_run, read_run, start_run
from vae_core.train.arguments import arguments_of
from vae_core.train.config import TrainConfig

MAX_RUNS: Final = 24
SUFFIX: Final = ".sweep.json"


@dataclass(frozen=True)
class Sweep:
    """Runs that belong together, by the names of their folders."""

    name: str
    title: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Dot:
    """What one finished run of a sweep came to, on held-out images.

    `rate_nats` is the KL per image, `squared_error` the mean over pixel values on [0,1];
    `beta` is None for objectives that have none.
    """

    name: str
    objective: str
    beta: float | None
    n_latent: int
    rate_nats: float
    squared_error: float
    psnr_db: float
    active_units: int

    @property
    def label(self) -> str:
        """What sets it apart from the others, in a few words."""
        beta = "" if self.beta is None else f", β = {self.beta:g}"
        return f"{self.objective}{beta}, {self.n_latent}-d"


def plan_sweep(
    base: TrainConfig,
    *,
    objectives: Sequence[str],
    betas: Sequence[float],
    n_latents: Sequence[int],
) -> tuple[TrainConfig, ...]:
    """`base` for every combination; an objective without a beta comes once per latent size.

    `ConfigError` when nothing is chosen, or more than `MAX_RUNS`.
    """
    found: list[TrainConfig] = []
    for objective, n_latent in product(dict.fromkeys(objectives), dict.fromkeys(n_latents)):
        known = objective_fields(objective)
        kept = {k: v for k, v in base.objective_options.items() if k in known and k != "beta"}
        choices = [{"beta": float(b)} for b in dict.fromkeys(betas)] if "beta" in known else [{}]
        found += [
            replace(base, objective=objective, n_latent=n_latent, objective_options=kept | one)
            for one in choices
        ]
    if not 1 <= len(found) <= MAX_RUNS:
        raise ConfigError(
            f"These values make {len(found)} runs, expected 1 to {MAX_RUNS}; "
            f"choose {'fewer values' if found else 'at least one of each'}."
        )
    return tuple(found)


def title_of(config: TrainConfig) -> str:
    """What sets a run apart from the others of its sweep."""
    options = config.objective_options
    beta = f", β = {options['beta']:g}" if "beta" in options else ""
    return f"{config.objective}{beta}, {config.n_latent}-d"


def start_sweep(
    runs: Path, name: str, *, data: Sequence[str], configs: Sequence[TrainConfig], title: str,
    device: str = "auto", taken: Collection[str] = (),
) -> Sweep:  # fmt: skip
    """Queue one run per configuration; `data` are the arguments that name the images.

    `taken` and errors as in `start_run`. A run that cannot be started takes those before it back.
    """
    started: list[RunView] = []
    try:
        for config in configs:
            view = start_run(
                runs, f"{name}-{_slug(config)}", arguments=(*data, *arguments_of(config)),
                title=f"{title} · {title_of(config)}", device=device, taken=taken,
            )  # fmt: skip
            started.append(view)
        sweep = Sweep(_free_name(runs, name), title, tuple(view.folder.name for view in started))
        write_json(runs / f"{sweep.name}{SUFFIX}", {"format": 1, **asdict(sweep)})
    except (ExplorerError, OSError):
        for view in started:
            ask(view.folder, "pause")
        raise
    return sweep


def _slug(config: TrainConfig) -> str:
    beta = config.objective_options.get("beta")
    parts = [config.objective, *([] if beta is None else [f"b{beta:g}"]), f"{config.n_latent}d"]
    return "-".join(parts).replace(".", "p")


def _free_name(runs: Path, name: str) -> str:
    n, free = 1, f"{name}-sweep"
    while (runs / f"{free}{SUFFIX}").exists():
        n += 1
        free = f"{name}-sweep-{n}"
    return free


def list_sweeps(runs: Path) -> list[Sweep]:
    """All sweeps below `runs` that can be read, the latest first."""
    if not runs.is_dir():
        return []
    files = sorted(runs.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
    read = (_read(path) for path in files)
    return [sweep for sweep in read if sweep is not None]


def _read(path: Path) -> Sweep | None:
    """None for a file that somebody changed beyond use: the runs themselves are still listed."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        names = [str(name) for name in found["runs"]]
        # A name is a folder beside this file, never a path.
        good = tuple(name for name in names if Path(name).name == name and name[:1] != ".")
        return Sweep(path.name.removesuffix(SUFFIX), str(found["title"]), good)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def views_of(runs: Path, sweep: Sweep) -> list[RunView]:
    """How its runs stand, in their order; those that were deleted are left out."""
    views = []
    for name in sweep.runs:
        try:
            views.append(read_run(runs / name))
        except ExplorerError:
            continue
    return views


def dots_of(runs: Path, sweep: Sweep) -> list[Dot]:
    """What its finished runs came to, in their order."""
    found = (_dot(runs / name) for name in sweep.runs)
    return [dot for dot in found if dot is not None]


def _dot(folder: Path) -> Dot | None:
    try:
        card: Mapping[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
        metrics, objective = card["metrics"], card["objective"]
        beta = objective.get("beta")
        return Dot(
            folder.name, str(objective["name"]), None if beta is None else float(beta),
            int(card["model"]["n_latent"]), float(metrics["kl_nats"]),
            float(metrics["squared_error"]), float(metrics["psnr_db"]),
            int(metrics["active_units"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError, CheckpointError):
        return None


def cancel_sweep(runs: Path, sweep: Sweep) -> None:
    """Take its waiting runs out of the queue; the one at work finishes with its best weights."""
    # From the end: the next in the queue must not begin before it is asked to leave.
    for view in reversed(views_of(runs, sweep)):
        if view.status in ("queued", "running"):
            ask(view.folder, "pause" if view.status == "queued" else "finish")


def clear_sweep(runs: Path, sweep: Sweep) -> None:
    """Delete its runs that never trained, and forget the sweep; finished models stay."""
    for view in views_of(runs, sweep):
        is_unused = view.status in ("stopped", "failed") and not (view.folder / CARD).is_file()
        if is_unused:
            delete_run(view.folder)
    (runs / f"{sweep.name}{SUFFIX}").unlink(missing_ok=True)
