"""Plain choices become configurations that train, and arguments the command line reads back."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from tests.fixtures import stripes
from vae_core.cli import build_parser
from vae_core.cli.training import config_of
from vae_core.data.imageset import ImageSet
from vae_core.errors import ConfigError
from vae_core.objectives import Objective, build_objective
from vae_core.pipeline import plan_model
from vae_core.recipes import GOALS, LENGTHS, advice, check_settings, recipe
from vae_core.train.arguments import arguments_of
from vae_core.train.config import TrainConfig
from vae_core.types import ImageSpec

GREY, COLOUR = ImageSpec(1, 8, 8), ImageSpec(3, 64, 64)


def parsed(arguments: tuple[str, ...]) -> TrainConfig:
    args = build_parser().parse_args(["train", "--data", "x", "--out", "y", *arguments])
    return config_of(args)


def objective_of(config: TrainConfig) -> Objective:
    """Options left at their default are not named in arguments."""
    return build_objective(config.objective, config.objective_options)


@pytest.fixture
def images() -> ImageSet:
    return stripes(40)


@pytest.mark.parametrize(("goal", "length"), list(product(GOALS, LENGTHS)))
@pytest.mark.parametrize("spec", [GREY, COLOUR], ids=str)
def test_every_choice_is_read_back_by_the_command_line(
    goal: str, length: str, spec: ImageSpec
) -> None:
    for n_images in (40, 400, 60_000):
        wanted = recipe(goal, length, spec=spec, n_images=n_images)
        got = parsed(arguments_of(wanted))
        assert replace(got, objective_options={}) == replace(wanted, objective_options={})
        assert objective_of(got) == objective_of(wanted)
        check_settings(wanted, n_images=n_images, classes=("cat", "dog"))
        assert advice(wanted, spec=spec, n_images=n_images) == ()


@pytest.mark.parametrize("goal", GOALS)
def test_every_goal_plans_a_model_for_a_tiny_set(goal: str, images: ImageSet) -> None:
    config = recipe(goal, "1", spec=images.spec, n_images=len(images))
    model, _ = plan_model(images, config)
    assert model.n_latent == config.n_latent
    assert (config.n_latent == 2) == (goal == "manifold")


def test_arguments_hold_what_differs_from_the_default_only() -> None:
    assert arguments_of(TrainConfig()) == ()
    config = TrainConfig(
        objective="iwae", learning_rate=1e-4, minutes=0.2, compile=True,
        objective_options={"doubly_reparameterised": False, "importance_samples": 5},
    )  # fmt: skip
    words = ("--objective", "iwae", "--minutes", "0.2", "--learning-rate", "0.0001", "--compile")
    assert arguments_of(config) == (*words, "--no-doubly-reparameterised")
    assert parsed(arguments_of(config)).objective_options == {"doubly_reparameterised": False}


def test_few_images_are_not_asked_for_a_total_correlation() -> None:
    few = recipe("independent", "1", spec=COLOUR, n_images=400)
    many = recipe("independent", "1", spec=COLOUR, n_images=5_000)
    assert (few.objective, many.objective) == ("beta-vae", "beta-tcvae")


def test_things_that_move_get_a_decoder_that_knows_places_where_that_helps() -> None:
    for goal in GOALS:
        moving = recipe(goal, "1", spec=COLOUR, n_images=400, moving=True)
        still = recipe(goal, "1", spec=COLOUR, n_images=400)
        assert moving.preset == ("broadcast" if goal == "independent" else "auto")
        assert replace(moving, preset="auto") == still


def test_until_it_stops_improving_ends_by_itself_and_is_bounded() -> None:
    found = recipe("reconstructions", "until", spec=GREY, n_images=10**7)
    assert found.minutes is None
    assert 0 < found.patience_epochs < found.epochs


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(ConfigError, match="'world peace' is none of reconstructions"):
        recipe("world peace", "1", spec=GREY, n_images=40)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (TrainConfig(objective="m2"), "needs labels but the images are in 0 class"),
        (TrainConfig(n_labels=5), "'vae' sees no labels"),
        (TrainConfig(n_validation=201), "half of the 400 images at least are to train on"),
        (TrainConfig(objective="iwae", objective_options={"importance_samples": 0}), "1 or more"),
    ],
)
def test_what_cannot_train_is_told_before(config: TrainConfig, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_settings(config, n_images=400, classes=())


def test_labels_have_to_be_enough_for_the_classes() -> None:
    config = TrainConfig(objective="m2", n_labels=3)
    with pytest.raises(ConfigError, match=r"expected 10 \(one per class\) to 320"):
        check_settings(config, n_images=400, classes="0123456789")
    with pytest.raises(ConfigError, match="all that are not held out"):
        check_settings(replace(config, n_labels=321), n_images=400, classes="abc")
    check_settings(config, n_images=400, classes="abc")


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (TrainConfig(objective="beta-tcvae"), "compares the codes of a batch"),
        (TrainConfig(objective="capacity-vae"), "more epochs or a shorter warm-up"),
        (TrainConfig(n_latent=100), "more than the 64 values"),
        (TrainConfig(objective="ae", posterior="full"), "has no effect"),
    ],
)
def test_what_will_disappoint_is_told(config: TrainConfig, word: str) -> None:
    assert any(word in sentence for sentence in advice(config, spec=GREY, n_images=400))
