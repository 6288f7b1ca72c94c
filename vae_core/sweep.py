"""A sweep: a small grid of runs on the same images, queued one after the other.

RUNS/<name>.sweep.json     which runs belong together; the runs are folders like any others
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import count, product
from pathlib import Path
from typing import Final

from vae_core.checkpoint import CARD, read_card
from vae_core.errors import ConfigError, ExplorerError
from vae_core.files import write_json
from vae_core.objectives.registry import build_objective, objective_fields, sees_labels
from vae_core.runs.store import RunView, ask, delete_run, list_runs, slug, start_run
from vae_core.train.arguments import arguments_of
from vae_core.train.config import TrainConfig
from vae_core.train.control import has_state

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

    `rate_nats` is the KL per image, None where codes are points without a width: it has no
    meaning there. `squared_error` is the mean over pixel values on [0,1]; `beta` is None for
    objectives that have none.
    """

    name: str
    objective: str
    beta: float | None
    n_latent: int
    rate_nats: float | None
    squared_error: float
    psnr_db: float
    active_units: int

    @property
    def label(self) -> str:
        """What sets it apart from the others, in a few words."""
        return _label(self.objective, self.beta, self.n_latent)


def _label(objective: str, beta: float | None, n_latent: int) -> str:
    return f"{objective}{'' if beta is None else f', β = {beta:g}'}, {n_latent}-d"


def plan_sweep(
    base: TrainConfig,
    *,
    objectives: Sequence[str],
    betas: Sequence[float],
    n_latents: Sequence[int],
) -> tuple[TrainConfig, ...]:
    """`base` for every combination; an objective without a beta comes once per latent size.

    A number of labels goes to the objectives that see any. `ConfigError` when nothing is chosen,
    or more than `MAX_RUNS`.
    """
    found: list[TrainConfig] = []
    for objective, n_latent in product(dict.fromkeys(objectives), dict.fromkeys(n_latents)):
        known = objective_fields(objective)
        kept = {k: v for k, v in base.objective_options.items() if k in known and k != "beta"}
        choices = [{"beta": float(b)} for b in dict.fromkeys(betas)] if "beta" in known else [{}]
        n_labels = base.n_labels if sees_labels(build_objective(objective, kept)) else 0
        own = replace(base, objective=objective, n_latent=n_latent, n_labels=n_labels)
        found += [replace(own, objective_options=kept | one) for one in choices]
    if not 1 <= len(found) <= MAX_RUNS:
        raise ConfigError(
            f"These values make {len(found)} runs, expected 1 to {MAX_RUNS}; "
            f"choose {'fewer values' if found else 'at least one of each'}."
        )
    return tuple(found)


def title_of(config: TrainConfig) -> str:
    """What sets a run apart from the others of its sweep."""
    return _label(config.objective, config.objective_options.get("beta"), config.n_latent)


def start_sweep(
    runs: Path, name: str, *, data: Sequence[str], configs: Sequence[TrainConfig], title: str,
    device: str = "auto", taken: Collection[str] = (),
) -> Sweep:  # fmt: skip
    """Queue one run per configuration; `data` are the arguments that name the images.

    `taken` as in `start_run`. When one cannot be started those before it are asked to leave the
    queue; errors as in `start_run`, and `OSError` on a full disk.
    """
    started: list[RunView] = []
    try:
        for config in configs:
            view = start_run(
                runs, f"{name}-{_slug(config)}", arguments=(*data, *arguments_of(config)),
                title=f"{title} · {title_of(config)}", device=device, taken=taken,
            )  # fmt: skip
            started.append(view)
        names = tuple(view.folder.name for view in started)
        file = _new_file(runs, slug(name))
        sweep = Sweep(file.name.removesuffix(SUFFIX), title, names)
        write_json(file, {"format": 1, **asdict(sweep)})
    except (ExplorerError, OSError):
        # From the end, as in `cancel_sweep`; what cannot be asked keeps no other from it.
        for view in reversed(started):
            with suppress(OSError):
                ask(view.folder, "pause")
        raise
    return sweep


def _slug(config: TrainConfig) -> str:
    beta = config.objective_options.get("beta")
    parts = [config.objective, *([] if beta is None else [f"b{beta:g}"]), f"{config.n_latent}d"]
    return "-".join(parts).replace(".", "p")


def _new_file(runs: Path, name: str) -> Path:
    """Made here and now: of two sweeps that want the same name at once only one can make it."""
    for number in count(1):
        file = runs / f"{name}-sweep{'' if number == 1 else f'-{number}'}{SUFFIX}"
        with suppress(FileExistsError):
            file.touch(exist_ok=False)
            break
    return file


def list_sweeps(runs: Path) -> list[Sweep]:
    """All sweeps below `runs` that can be read, the latest first."""
    if not runs.is_dir():
        return []
    files = sorted(runs.glob(f"*{SUFFIX}"), key=_seconds_written, reverse=True)
    read = (_read(path) for path in files)
    return [sweep for sweep in read if sweep is not None]


def _seconds_written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        # Forgotten in another tab meanwhile.
        return 0.0


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
    # One look at the queue for all: a page asks every other second.
    found = {view.folder.name: view for view in list_runs(runs)}
    return [found[name] for name in sweep.runs if name in found]


def dots_of(runs: Path, sweep: Sweep) -> list[Dot]:
    """What its finished runs came to, in their order."""
    found = (_dot(runs / name) for name in sweep.runs)
    return [dot for dot in found if dot is not None]


def _dot(folder: Path) -> Dot | None:
    try:
        card = read_card(folder)
        metrics, objective, model = card["metrics"], card["objective"], card["model"]
        beta = objective.get("beta")
        return Dot(
            folder.name, objective["name"], None if beta is None else float(beta),
            model["n_latent"],
            None if model.get("posterior") == "point" else float(metrics["kl_nats"]),
            float(metrics["squared_error"]), float(metrics["psnr_db"]),
            int(metrics["active_units"]),
        )  # fmt: skip
    except (ExplorerError, ValueError, KeyError, TypeError):
        return None


def cancel_sweep(runs: Path, sweep: Sweep) -> None:
    """Take its waiting runs out of the queue; the one at work finishes with its best weights."""
    # From the end: the next in the queue must not begin before it is asked to leave.
    for view in reversed(views_of(runs, sweep)):
        if view.status in ("queued", "running"):
            ask(view.folder, "pause" if view.status == "queued" else "finish")


def clear_sweep(runs: Path, sweep: Sweep) -> None:
    """Delete its runs that never trained, and forget the sweep; what was learnt stays."""
    for view in views_of(runs, sweep):
        is_used = (view.folder / CARD).is_file() or has_state(view.folder)
        if view.status in ("stopped", "failed") and not is_used:
            # One that somebody started again meanwhile, or whose files are held, stays too.
            with suppress(ExplorerError, OSError):
                delete_run(view.folder)
    (runs / f"{sweep.name}{SUFFIX}").unlink(missing_ok=True)
