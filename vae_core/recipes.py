"""Plain choices for a training run: what for, and how long; turned into a configuration.

The figures behind the choices are in docs/decisions/0003, 0004 and 0009 and in docs/objectives.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vae_core.data.targets import LABEL, some_of
from vae_core.errors import ConfigError
from vae_core.objectives.attributes import check_room
from vae_core.objectives.registry import (
    WITHOUT_EVIDENCE,
    attribute_names,
    build_objective,
    sees_labels,
    settling_steps,
    uses_labels,
)
from vae_core.train.config import TrainConfig
from vae_core.types import ImageSpec

# Below this many images a batch is too small to estimate how dependent the dimensions are.
LEAST_FOR_TC_IMAGES: Final = 2_000
LEAST_BATCH_FOR_SETS: Final = 64
_OF_WHOLE_BATCH: Final = frozenset({"beta-tcvae", "info-vae", "wae"})
# With patience the run ends by itself; these only bound it.
_MOST_IMAGES_SEEN, _MOST_EPOCHS, _LEAST_EPOCHS = 2_000_000, 500, 20
HELD_OUT_SHARE: Final = 0.2


@dataclass(frozen=True)
class Choice:
    """One of a few plain choices: its name and the sentence that explains it."""

    title: str
    sentence: str


GOALS: Final[Mapping[str, Choice]] = {
    "reconstructions": Choice(
        "Good reconstructions",
        "Up to 32 numbers per picture, so that it can be rebuilt closely; the best start for "
        "exploring, walking and finding unusual pictures.",
    ),
    "manifold": Choice(
        "See it in 2-D",
        "Only 2 numbers per picture: the map is the whole code, every place on it can be decoded; "
        "reconstructions are rough.",
    ),
    "independent": Choice(
        "Independent dimensions",
        "About 10 numbers that are pushed to vary one thing each, so that a slider changes one "
        "thing; reconstructions are softer.",
    ),
    "attributes": Choice(
        "Named sliders",
        "For pictures of which something is known, by class folders or by a built-in set: the "
        "first numbers of the code stand for it, so that sliders have names and readings meaning.",
    ),
    "denoise": Choice(
        "Remove noise",
        "Sees noisy pictures and learns to give back the clean ones; for noise of about the "
        "strength that can be set below.",
    ),
}
LENGTHS: Final[Mapping[str, Choice]] = {
    "1": Choice("1 minute", "Enough for a first map of some hundred small pictures."),
    "5": Choice("5 minutes", "Sharper; right for some thousand pictures."),
    "30": Choice("30 minutes", "For tens of thousands of pictures, or large ones."),
    "until": Choice(
        "Until it stops improving",
        "Ends by itself when pictures that it has not seen no longer come out better.",
    ),
}
DEFAULT_GOAL: Final = "reconstructions"
DEFAULT_LENGTH: Final = "1"


def recipe(
    goal: str, length: str, *, spec: ImageSpec, n_images: int, moving: bool = False
) -> TrainConfig:
    """The configuration for a goal and a length of `GOALS` and `LENGTHS`.

    `moving`: the pictures show things that move about (`vae_core.data.movement`).
    `ConfigError` for a goal or a length that is not among them.
    """
    for known, given in ((GOALS, goal), (LENGTHS, length)):
        if given not in known:
            raise ConfigError(f"'{given}' is none of {', '.join(known)}; choose one of them.")
    chosen = _of_goal(goal, spec=spec, n_images=n_images)
    if goal == "independent" and moving:
        # Other networks spread a position over several dimensions (docs/decisions/0014).
        chosen["preset"] = "broadcast"
    return TrainConfig(**chosen, **_of_length(length, n_images=n_images))


def _of_goal(goal: str, *, spec: ImageSpec, n_images: int) -> dict[str, Any]:
    # A tiny picture, or a handful of them, has no use for more.
    n_latent = 16 if spec.n_values <= 144 or n_images < 200 else 32
    if goal == "manifold":
        return {"n_latent": 2}
    if goal == "independent":
        name = "beta-tcvae" if n_images >= LEAST_FOR_TC_IMAGES else "beta-vae"
        options = {"beta": _beta_for(spec)}
        return {"n_latent": 10, "objective": name, "objective_options": options}
    if goal == "attributes":
        # More values per picture outweigh what is known of it; and with a low beta the other
        # dimensions say the same once more (docs/decisions/0013).
        options = {"attribute_std": 0.02, "beta": _beta_for(spec)}
        if spec.n_values < 2_000:
            options = {"attribute_std": 0.2, "beta": 1.0}
        return {"n_latent": 32, "objective": "attribute-vae", "objective_options": options}
    if goal == "denoise":
        options = {"amount": 0.3}
        return {
            "n_latent": n_latent, "objective": "denoising-vae", "objective_options": options
        }  # fmt: skip
    return {"n_latent": n_latent}


def _beta_for(spec: ImageSpec) -> float:
    """More values per picture outweigh the KL more: what worked on digits, sprites and faces."""
    return 4.0 if spec.n_values < 2_000 else 6.0 if spec.n_values < 10_000 else 10.0


def _of_length(length: str, *, n_images: int) -> dict[str, Any]:
    if length != "until":
        return {"minutes": float(length)}
    epochs = max(_LEAST_EPOCHS, min(_MOST_EPOCHS, _MOST_IMAGES_SEEN // max(1, n_images)))
    return {"epochs": epochs, "patience_epochs": max(5, epochs // 8)}


def check_settings(
    config: TrainConfig, *, n_images: int, classes: Collection[str], factors: Collection[str] = ()
) -> None:
    """`ConfigError` when a run with these options could not train on such a set.

    `classes` names those the images are sorted into, `factors` what else is known of each.
    """
    n_classes = len(classes)
    objective = build_objective(config.objective, config.objective_options)
    if n_images < 3:
        raise ConfigError(
            f"{n_images} image(s) came, training and its check need at least 3; add images."
        )
    if uses_labels(objective) and n_classes < 2:
        raise ConfigError(
            f"The objective '{config.objective}' needs labels but the images are in "
            f"{n_classes} class(es), 2 or more were expected; sort them into one folder per class "
            "or choose another objective."
        )
    wanted = attribute_names(objective)
    if wanted is not None:
        _check_attributes(wanted, classes=classes, factors=factors)
        if LABEL in wanted or not (wanted or factors):
            check_room(n_classes if n_classes > 2 else 1, config.n_latent)
    if config.n_labels and not sees_labels(objective):
        raise ConfigError(
            f"--n-labels {config.n_labels} came, but '{config.objective}' sees no labels; set it "
            "to 0 or choose conditional-vae, m2 or attribute-vae."
        )
    n_train = _train_images_of(n_images)
    least, why = (1, "one picture") if wanted is not None else (n_classes, "one per class")
    if config.n_labels and not least <= config.n_labels <= n_train:
        raise ConfigError(
            f"--n-labels {config.n_labels} came, expected {least} ({why}) to "
            f"{n_train} (all that are not held out); give a number in that range."
        )
    if 2 * config.n_validation > n_images:
        raise ConfigError(
            f"--n-validation {config.n_validation} came, half of the {n_images:,} images at least "
            "are to train on; give a smaller number, or 0 for the usual one."
        )
    _check_options(config)


def _check_attributes(
    wanted: Sequence[str], *, classes: Collection[str], factors: Collection[str]
) -> None:
    known = [*factors, *([LABEL, *classes] if len(classes) > 1 else [])]
    if not known:
        raise ConfigError(
            "The objective 'attribute-vae' needs something known of each image, and of these "
            "nothing is; sort them into one folder per class, or choose another goal."
        )
    # "glasses: round" is a category of the factor "glasses".
    unknown = [name for name in wanted if not {name, name.partition(": ")[0]} & set(known)]
    if unknown:
        raise ConfigError(
            f"The attribute(s) {', '.join(unknown)} came, but known are {some_of(known)}; "
            "choose among these."
        )


def _train_images_of(n_images: int) -> int:
    """How many are left of a set when as many as usual are held out."""
    return max(1, round(n_images * (1 - HELD_OUT_SHARE)))


def _check_options(config: TrainConfig) -> None:
    options = config.objective_options
    if (n_samples := options.get("importance_samples", 1)) < 1:
        raise ConfigError(f"--importance-samples {n_samples} came, expected 1 or more; 5 is usual.")
    if options.get("label_dropout", 0) > 1:
        raise ConfigError(
            f"--label-dropout {options['label_dropout']:g} came, expected a share from 0 to 1; "
            "0.1 is usual."
        )


def advice(config: TrainConfig, *, spec: ImageSpec, n_images: int) -> tuple[str, ...]:
    """Sentences on options that are allowed but will probably disappoint."""
    found: list[str] = []
    n_train = _train_images_of(n_images)
    batch = config.batch_for(n_train)
    if config.objective in _OF_WHOLE_BATCH and batch < LEAST_BATCH_FOR_SETS:
        found.append(
            f"'{config.objective}' compares the codes of a batch with each other and has only "
            f"{batch} in one; choose a batch size of {LEAST_BATCH_FOR_SETS} or more, or beta-vae."
        )
    settling = settling_steps(build_objective(config.objective, config.objective_options))
    n_steps = max(1, n_train // batch) * config.epochs
    if config.minutes is None and settling > n_steps:
        found.append(
            f"The objective changes over {settling:,} steps but the run has only {n_steps:,}; "
            "choose more epochs or a shorter warm-up."
        )
    if config.n_latent > spec.n_values:
        found.append(
            f"{config.n_latent} latent dimensions are more than the {spec.n_values} values of a "
            "picture; fewer do as well."
        )
    if config.likelihood == "bernoulli" and spec.channels == 3:
        found.append(
            "The likelihood 'bernoulli' tosses every colour value into 0 or 1; 'gaussian' suits "
            "colour pictures."
        )
    if config.objective in WITHOUT_EVIDENCE and config.posterior == "full":
        found.append(
            f"'{config.objective}' samples nothing, so the posterior 'full' has no effect."
        )
    return tuple(found)
