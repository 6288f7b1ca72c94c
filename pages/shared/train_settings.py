"""What for and how long, in plain words; behind them every option of a run, and its command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import streamlit as st

from pages.shared.train_data import Chosen
from vae_core.data.movement import things_move
from vae_core.errors import ExplorerError
from vae_core.objectives.registry import objective_fields, option_choices
from vae_core.recipes import (
    DEFAULT_GOAL,
    DEFAULT_LENGTH,
    GOALS,
    LENGTHS,
    Choice,
    advice,
    check_settings,
    recipe,
)
from vae_core.train.arguments import arguments_of
from vae_core.train.config import TrainConfig

_ICONS = {
    "reconstructions": ":material/photo_library:",
    "manifold": ":material/scatter_plot:",
    "independent": ":material/tune:",
    "attributes": ":material/label:",
    "denoise": ":material/auto_fix_high:",
}
_LABELS = {
    "n_latent": "Latent dimensions",
    "n_labels": "Number of labels",
    "n_validation": "Validation images",
}
# What an empty field stands for.
_EMPTY = {"attributes": "all"}
# The steps of a number's little arrows; others move by one.
_STEPS = {"learning_rate": 0.001, "weight_decay": 0.0001, "ema_decay": 0.01, "amount": 0.05}


@dataclass(frozen=True)
class Settings:
    """`arguments` are flags of the verb `train` without --data, --out, --title and --device."""

    arguments: tuple[str, ...]
    title: str
    config: TrainConfig

    @property
    def device(self) -> str:
        """Where it shall run; `auto` for the best there is."""
        return self.config.device


def choose_settings(chosen: Chosen) -> Settings | None:
    """The settings of a run on these images; None, with a sentence, while they make no sense."""
    found = chosen.inspection
    goal = _choice("What is the model for?", GOALS, DEFAULT_GOAL, key="train_goal", icons=_ICONS)
    length = _choice("How long may it train?", LENGTHS, DEFAULT_LENGTH, key="train_length")
    usual = f"{chosen.name} · {GOALS[goal].title.lower()}"
    title = st.text_input(
        "Name of the model",
        value=usual,
        max_chars=80,
        key=f"train_title_{chosen.name}_{goal}",
        persist_state="session",
    )
    base = recipe(
        goal, length, spec=found.spec, n_images=found.n_images, moving=things_move(found.sheet)
    )
    with st.expander("Expert settings", icon=":material/construction:"):
        st.caption(
            "Set for the choices above and for these pictures; another choice sets them anew. "
            "Every option is a flag of the command line below."
        )
        values, options = _options(base, scope=f"{chosen.name}_{goal}_{length}")
    try:
        config = TrainConfig(**values, objective_options=options)
        check_settings(
            config, n_images=found.n_images, classes=found.classes, factors=found.factors
        )
    except ExplorerError as error:
        st.error(str(error))
        return None
    for sentence in advice(config, spec=found.spec, n_images=found.n_images):
        st.warning(sentence)
    return Settings(_without_device(arguments_of(config)), title.strip() or usual, config)


def _choice(
    question: str, choices: Mapping[str, Choice], default: str, *, key: str,
    icons: Mapping[str, str] | None = None,
) -> str:  # fmt: skip
    """A row of buttons, and below it the sentence of the one that is chosen."""

    def words(name: str) -> str:
        return f"{icons[name]} {choices[name].title}" if icons else choices[name].title

    chosen = st.segmented_control(
        question, list(choices), default=default, required=True, format_func=words, key=key,
        persist_state="session", wrap=True,
    )  # fmt: skip
    st.caption(choices[str(chosen)].sentence)
    return str(chosen)


def _options(base: TrainConfig, *, scope: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Widgets for the fields of `TrainConfig` and of its objective; what they say."""
    columns = st.columns(2)
    values: dict[str, Any] = {}
    shown = [item for item in fields(TrainConfig) if item.name != "objective_options"]
    for place, item in enumerate(shown):
        with columns[place % len(columns)]:
            values[item.name] = _widget(
                item.name, getattr(base, item.name), sentence=item.metadata["help"],
                choices=item.metadata["choices"], key=f"train_x_{item.name}_{scope}",
            )  # fmt: skip
    return values, _objective_options(values["objective"], base, scope=scope)


def _objective_options(objective: str, base: TrainConfig, *, scope: str) -> dict[str, Any]:
    known, choices = objective_fields(objective), option_choices(objective)
    given = base.objective_options if objective == base.objective else {}
    if known:
        st.markdown(f"**Options of the objective `{objective}`**")
    columns, values = st.columns(2), {}
    for place, (name, (_, default, sentence)) in enumerate(known.items()):
        with columns[place % len(columns)]:
            values[name] = _widget(
                name, given.get(name, default), sentence=sentence,
                choices=choices.get(name, ()), key=f"train_o_{objective}_{name}_{scope}",
            )  # fmt: skip
    return values


def _widget(
    name: str, value: Any, *, sentence: str, choices: tuple[str, ...], key: str
) -> Any:  # fmt: skip
    """The widget that fits a field's value, with the field's sentence as its help."""
    label = _LABELS.get(name, name.replace("_", " ").capitalize())
    sentence = f"{sentence[:1].upper()}{sentence[1:]}."
    if choices:
        return st.selectbox(
            label, choices, index=choices.index(value), help=sentence, key=key,
            persist_state="session",
        )  # fmt: skip
    if isinstance(value, bool):
        return st.toggle(label, value=value, help=sentence, key=key, persist_state="session")
    if isinstance(value, str):
        return st.text_input(
            label, value=value, help=sentence, key=key, placeholder=_EMPTY.get(name, ""),
            persist_state="session",
        )  # fmt: skip
    if isinstance(value, int):
        return st.number_input(
            label, value=value, min_value=0, step=1, help=sentence, key=key,
            persist_state="session",
        )  # fmt: skip
    return st.number_input(
        label, value=value, min_value=0.0, step=_STEPS.get(name, 1.0), format="%g",
        help=sentence, key=key, placeholder="off", persist_state="session",
    )  # fmt: skip


def _without_device(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The queue names the device itself."""
    if "--device" not in arguments:
        return arguments
    at = arguments.index("--device")
    return (*arguments[:at], *arguments[at + 2 :])


def command_line(data: tuple[str, ...], settings: Settings, *, out: str) -> str:
    """The command that makes the same run, to be copied; `data` are the flags of the images."""
    words = ("train", *data, *settings.arguments, "--title", settings.title, "--out", out)
    return shlex.join(("python", "-m", "vae_core", *words, "--watch", "--share-cores"))
