"""`Run`: the moving parts of a training run, how they start and how they are saved."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vae_core.errors import ConfigError
from vae_core.model import Autoencoder, ModelConfig
from vae_core.objectives import Objective, build_objective
from vae_core.train.config import TrainConfig
from vae_core.train.processes import Processes, wrapped
from vae_core.train.runtime import Runtime
from vae_core.train.state import Position, has_state, load_state, save_state
from vae_core.train.step import TrainStep


@dataclass
class Run:
    """A run's moving parts. `module` is what gradients flow through: the step, as it is or
    wrapped for several processes or compiled; `ema` the average of the weights, if any.

    `loss_sum` is over the images of the `n_good` steps of this epoch whose gradient was finite;
    `is_finishing` once somebody asked it to end now with the best it has.
    """

    step_module: TrainStep
    module: nn.Module
    optimizer: torch.optim.Optimizer
    position: Position
    best: dict[str, Tensor]
    loss_sum: Tensor
    n_good: Tensor
    folder: Path
    config: TrainConfig
    runtime: Runtime
    processes: Processes
    ema: Autoencoder | None = None
    told: set[str] = field(default_factory=set)
    is_finishing: bool = False

    @property
    def model(self) -> Autoencoder:
        """The raw model that is being trained."""
        return self.step_module.model

    @property
    def shown_model(self) -> Autoencoder:
        """The model that is validated and kept: the average where there is one."""
        return self.model if self.ema is None else self.ema

    def save(self) -> None:
        """Write the state, unless the weights went bad; only the first process writes."""
        if not self.processes.is_main or not _all_finite(self.model):
            return
        self.position.loss_sum = float(self.loss_sum)
        self.position.n_good_steps = int(self.n_good)
        save_state(
            self.folder,
            self.position,
            model=self.model,
            optimizer=self.optimizer,
            best=self.best,
            ema=None if self.ema is None else self.ema.state_dict(),
            config=self.config.to_json(),
        )


def _all_finite(model: Autoencoder) -> bool:
    return all(bool(p.isfinite().all()) for p in model.parameters())


def start_run(
    folder: Path,
    spec: ModelConfig,
    config: TrainConfig,
    runtime: Runtime,
    *,
    processes: Processes,
    resume: bool,
    initial: Autoencoder | None,
) -> Run:
    """A new run, or the saved one in `folder`; `initial` gives the weights to begin with.

    A full covariance may begin from a diagonal model: the correlations begin near 0.
    `ConfigError` when `initial` is of another shape.
    """
    model = _new_model(spec, config, initial).to(runtime.device)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective: Objective = build_objective(config.objective, config.objective_options)
    optimizer = build_optimizer(model, config, runtime)
    ema = copy.deepcopy(model).requires_grad_(False) if config.ema_decay else None
    position, best = Position(), dict[str, Tensor]()
    if resume and has_state(folder):
        position, best = load_state(folder, model=model, optimizer=optimizer, ema=ema)
    step_module = TrainStep(model, objective)
    module = wrapped(step_module, processes, device=runtime.device)
    if config.compile:
        module = torch.compile(module)  # type: ignore[assignment]
    return Run(
        step_module, module, optimizer, position, best,
        torch.tensor(position.loss_sum, dtype=torch.float64, device=_wide(runtime.device)),
        torch.tensor(position.n_good_steps, device=runtime.device),
        folder, config, runtime, processes, ema,
    )  # fmt: skip


def _wide(device: torch.device) -> torch.device:
    """Where float64 sums can live: Apple GPUs know no float64."""
    return torch.device("cpu") if device.type == "mps" else device


def _new_model(spec: ModelConfig, config: TrainConfig, initial: Autoencoder | None) -> Autoencoder:
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would reseed every GPU too.
        torch.default_generator.manual_seed(config.seed)
        model = Autoencoder(spec)
    if initial is not None:
        begun_with = initial.state_dict()
        if (spec.posterior, initial.config.posterior) == ("full", "diagonal"):
            own = model.state_dict()
            begun_with |= {k: v for k, v in own.items() if k.startswith("factor_head.")}
        try:
            model.load_state_dict(begun_with)
        except RuntimeError as error:
            raise ConfigError(
                "The model given to start from has another shape than these options describe; "
                "give the same latent size, network, likelihood and posterior as it has (only a "
                "full covariance may begin from a diagonal one)."
            ) from error
    return model


def build_optimizer(
    model: Autoencoder, config: TrainConfig, runtime: Runtime
) -> torch.optim.Optimizer:
    """AdamW over two groups; each group's `speed` multiplies the learning rate."""
    fused = runtime.device.type in ("cpu", "cuda")
    return torch.optim.AdamW(
        _parameter_groups(model),
        config.learning_rate,
        weight_decay=config.weight_decay,
        fused=fused,
    )


def _parameter_groups(model: Autoencoder) -> list[dict[str, Any]]:
    """The likelihood's σ is one number with a long way to go: it learns ten times faster."""
    quick = list(model.likelihood.parameters())
    known = {id(p) for p in quick}
    rest = [p for p in model.parameters() if id(p) not in known]
    groups: list[dict[str, Any]] = [{"params": rest, "speed": 1.0}]
    if quick:
        groups.append({"params": quick, "speed": 10.0, "weight_decay": 0.0})
    return groups
