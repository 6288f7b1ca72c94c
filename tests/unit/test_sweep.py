"""A sweep: which runs a grid makes, how they are started, cancelled, and what they come to."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vae_core import sweep as sweeps
from vae_core.errors import ConfigError, TrainingError
from vae_core.runs.store import slug
from vae_core.sweep import (
    MAX_RUNS,
    Sweep,
    cancel_sweep,
    clear_sweep,
    dots_of,
    list_sweeps,
    plan_sweep,
    start_sweep,
)
from vae_core.train.config import TrainConfig

BASE = TrainConfig(minutes=1, objective="beta-vae", objective_options={"free_nats": 0.5})


class Queue:
    """Stands for the runs: keeps what was started, asked and deleted."""

    def __init__(self, root: Path, *, fails_at: int = 99) -> None:
        self.root, self.fails_at = root, fails_at
        self.started: list[tuple[str, tuple[str, ...], str]] = []
        self.status: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.deleted: list[str] = []

    def start(
        self,
        runs: Path,
        name: str,
        *,
        arguments: Sequence[str],
        title: str,
        device: str,
        taken: Collection[str],
    ) -> Any:
        if len(self.started) >= self.fails_at:
            raise TrainingError("The disk is full; make room.")
        self.started.append((name, tuple(arguments), title))
        assert (device, name in taken) == ("auto", False)
        folder = runs / slug(name)
        self.status[folder.name] = "queued" if self.started[1:] else "running"
        return self.view(folder)

    def view(self, folder: Path) -> Any:
        return SimpleNamespace(folder=folder, status=self.status[folder.name])

    def views(self, runs: Path) -> list[Any]:
        return [self.view(runs / name) for name in self.status]

    def ask(self, folder: Path, what: str) -> None:
        self.asked.append((folder.name, what))

    def delete(self, folder: Path) -> None:
        self.deleted.append(folder.name)


def queue_for(patch: pytest.MonkeyPatch, root: Path, **options: int) -> Queue:
    queue = Queue(root, **options)
    patch.setattr(sweeps, "start_run", queue.start)
    patch.setattr(sweeps, "list_runs", queue.views)
    patch.setattr(sweeps, "ask", queue.ask)
    patch.setattr(sweeps, "delete_run", queue.delete)
    return queue


def started(root: Path) -> Sweep:
    configs = plan_sweep(BASE, objectives=["beta-vae"], betas=[0.5, 1, 4], n_latents=[2])
    return start_sweep(root, "faces", data=("--data", "faces"), configs=configs, title="Faces")


def test_a_grid_is_every_combination_and_a_beta_only_where_there_is_one() -> None:
    found = plan_sweep(BASE, objectives=["beta-vae", "vae"], betas=[1, 4], n_latents=[2, 8])
    keys = [(c.objective, c.objective_options.get("beta"), c.n_latent) for c in found]
    assert keys == [
        ("beta-vae", 1, 2), ("beta-vae", 4, 2), ("beta-vae", 1, 8), ("beta-vae", 4, 8),
        ("vae", None, 2), ("vae", None, 8),
    ]  # fmt: skip
    assert {c.minutes for c in found} == {1}
    assert found[0].objective_options == {"free_nats": 0.5, "beta": 1.0}


def test_a_number_of_labels_goes_where_labels_are_seen() -> None:
    base = replace(BASE, n_labels=20)
    found = plan_sweep(base, objectives=["vae", "m2", "attribute-vae"], betas=[1], n_latents=[2])
    assert [c.n_labels for c in found] == [0, 20, 20]


def test_values_named_twice_make_one_run() -> None:
    assert len(plan_sweep(BASE, objectives=["vae", "vae"], betas=[], n_latents=[2, 2])) == 1


@pytest.mark.parametrize("n_latents", [[], list(range(1, MAX_RUNS + 2))])
def test_nothing_and_too_much_are_refused(n_latents: list[int]) -> None:
    with pytest.raises(ConfigError, match=f"expected 1 to {MAX_RUNS}"):
        plan_sweep(BASE, objectives=["vae"], betas=[1], n_latents=n_latents)


def test_a_started_sweep_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_for(monkeypatch, tmp_path)
    sweep = started(tmp_path)
    name, arguments, title = queue.started[0]
    assert (name, title) == ("faces-beta-vae-b0p5-2d", "Faces · beta-vae, β = 0.5, 2-d")
    assert arguments[:2] == ("--data", "faces")
    assert arguments[arguments.index("--beta") + 1] == "0.5"
    assert list_sweeps(tmp_path) == [sweep]
    assert started(tmp_path).name != sweep.name


def test_when_one_cannot_start_none_is_left_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_for(monkeypatch, tmp_path, fails_at=2)
    with pytest.raises(TrainingError, match="disk is full"):
        started(tmp_path)
    assert [what for _, what in queue.asked] == ["pause", "pause"]
    assert list_sweeps(tmp_path) == []


def test_one_that_cannot_be_asked_keeps_no_other_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, tried = queue_for(monkeypatch, tmp_path, fails_at=2), list[str]()

    def full(folder: Path, _: str) -> None:
        tried.append(folder.name)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sweeps, "ask", full)
    with pytest.raises(TrainingError, match="disk is full"):
        started(tmp_path)
    assert tried == [name for name, _, _ in reversed(queue.started)]


def test_two_sweeps_of_one_name_at_the_same_moment_are_both_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_for(monkeypatch, tmp_path)
    write, between = sweeps.write_json, list[Sweep]()

    def slow(path: Path, data: Any) -> None:
        monkeypatch.setattr(sweeps, "write_json", write)
        between.append(started(tmp_path))
        write(path, data)

    monkeypatch.setattr(sweeps, "write_json", slow)
    sweep = started(tmp_path)
    assert {found.name for found in list_sweeps(tmp_path)} == {sweep.name, between[0].name}
    assert sweep.name != between[0].name


def test_a_sweep_is_noted_beside_its_runs_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_for(monkeypatch, tmp_path)
    start_sweep(tmp_path, "../a/b", data=(), configs=[BASE], title="x")
    assert [path.name for path in tmp_path.iterdir()] == ["a-b-sweep.sweep.json"]


def test_closing_a_sweep_deletes_nothing_that_was_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_for(monkeypatch, tmp_path)
    sweep = started(tmp_path)
    queue.status.update(dict.fromkeys(sweep.runs, "stopped"))
    paused = tmp_path / sweep.runs[0] / "training"
    paused.mkdir(parents=True)
    (paused / "state.safetensors").write_bytes(b"an hour of work")
    clear_sweep(tmp_path, sweep)
    assert queue.deleted == list(sweep.runs[1:])


def test_cancelling_keeps_what_was_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_for(monkeypatch, tmp_path)
    sweep = started(tmp_path)
    cancel_sweep(tmp_path, sweep)
    assert [what for _, what in queue.asked] == ["pause", "pause", "finish"]
    queue.status.update(dict.fromkeys(sweep.runs, "stopped"))
    (tmp_path / sweep.runs[0]).mkdir()
    (tmp_path / sweep.runs[0] / "card.json").write_text("{}")
    clear_sweep(tmp_path, sweep)
    assert queue.deleted == list(sweep.runs[1:])
    assert list_sweeps(tmp_path) == []


def test_dots_come_from_the_cards_of_finished_runs(tiny_checkpoints: Path) -> None:
    sweep = Sweep("x", "X", ("digits-2d", "missing", "faces-tiny"))
    first, second = dots_of(tiny_checkpoints, sweep)
    card = json.loads((tiny_checkpoints / "digits-2d" / "card.json").read_text("utf-8"))
    assert first.rate_nats == card["metrics"]["kl_nats"]
    assert (first.label, second.label) == ("vae, 2-d", "vae, 8-d")


def test_codes_without_a_width_have_no_rate(tiny_checkpoints: Path, tmp_path: Path) -> None:
    card = json.loads((tiny_checkpoints / "digits-2d" / "card.json").read_text("utf-8"))
    card["model"]["posterior"] = "point"
    (tmp_path / "ae").mkdir()
    (tmp_path / "ae" / "card.json").write_text(json.dumps(card))
    (dot,) = dots_of(tmp_path, Sweep("x", "X", ("ae",)))
    assert dot.rate_nats is None


@pytest.mark.parametrize("text", ["", "[]", '{"runs": 3}', '{"runs": ["a"]}', "\x00"])
def test_a_damaged_sweep_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.sweep.json").write_text(text)
    assert list_sweeps(tmp_path) == []


def test_a_changed_sweep_cannot_name_folders_elsewhere(tmp_path: Path) -> None:
    names = ["../../etc", "/etc", "..", ".hidden", "good"]
    text = json.dumps({"title": "x", "runs": names})
    (tmp_path / "x.sweep.json").write_text(text)
    assert list_sweeps(tmp_path)[0].runs == ("good",)
