"""Settings without a browser: plain choices set the rest, and every option has its widget."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

from pages.shared import train_estimate
from pages.shared.train_data import Chosen
from pages.shared.train_settings import Settings, command_line
from vae_core.objectives.registry import OBJECTIVES, objective_fields
from vae_core.train.config import TrainConfig
from vae_core.types import ImageSpec

FIELDS = [item for item in fields(TrainConfig) if item.name != "objective_options"]


@dataclass(frozen=True)
class Found:
    """What settings ask of an inspection."""

    n_images: int
    spec: ImageSpec
    classes: dict[str, int]
    sheet: NDArray[np.uint8]
    factors: tuple[str, ...] = ("smile",)


def dots(*, moving: bool) -> NDArray[np.uint8]:
    """White dots on black, all over the pictures or always in their middle."""
    sheet = np.zeros((25, 1, 64, 64), np.uint8)
    for place, image in enumerate(sheet):
        top, left = divmod(place if moving else 12, 5)
        image[0, 12 * top : 12 * top + 8, 12 * left : 12 * left + 8] = 255
    return sheet


def some(n_images: int = 400, *, moving: bool = False) -> Chosen:
    found = Found(n_images, ImageSpec(1, 64, 64), {}, dots(moving=moving))
    return Chosen(source="/x/some.zip", inspection=cast(Any, found), name="some")


def _script() -> None:
    import streamlit as st

    from pages.shared.train_settings import choose_settings
    from tests.pages.test_train_settings import some

    moving = st.session_state.get("moving", False)
    st.session_state["settings"] = choose_settings(some(moving=moving))


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_function(_script, default_timeout=60).run()


def settings(app: AppTest) -> Settings:
    assert not app.exception
    found = app.session_state["settings"]
    assert isinstance(found, Settings), [item.value for item in app.error]
    return found


def widgets(app: AppTest) -> Iterator[Any]:
    yield from (*app.selectbox, *app.number_input, *app.toggle, *app.text_input)


def widget(app: AppTest, prefix: str) -> Any:
    return next(item for item in widgets(app) if str(item.key).startswith(f"{prefix}_some"))


def pick(app: AppTest, key: str, value: str) -> None:
    app.session_state[key] = value
    app.run()


def test_the_defaults_are_a_minute_for_good_reconstructions(app: AppTest) -> None:
    assert settings(app).arguments == ("--minutes", "1")
    assert settings(app).title == "some · good reconstructions"


def test_every_field_has_a_widget_with_its_sentence(app: AppTest) -> None:
    for item in FIELDS:
        help_text = widget(app, f"train_x_{item.name}").help
        assert help_text.lower() == f"{item.metadata['help']}.".lower()


@pytest.mark.parametrize("objective", ["capacity-vae", "denoising-vae", "iwae", "attribute-vae"])
def test_every_option_of_an_objective_has_a_widget(app: AppTest, objective: str) -> None:
    widget(app, "train_x_objective").set_value(objective).run()
    for name, (_, default, sentence) in objective_fields(objective).items():
        shown = widget(app, f"train_o_{objective}_{name}")
        assert shown.value == default
        assert shown.help.lower() == f"{sentence}.".lower()
    assert settings(app).config.objective == objective


def test_attributes_are_asked_for_by_name(app: AppTest) -> None:
    widget(app, "train_x_objective").set_value("attribute-vae").run()
    assert widget(app, "train_o_attribute-vae_attributes").placeholder == "all"
    widget(app, "train_o_attribute-vae_attributes").set_value("frown").run()
    assert "frown came, but known are smile" in app.error[0].value
    widget(app, "train_o_attribute-vae_attributes").set_value("smile").run()
    words = settings(app).arguments
    assert words[words.index("--attributes") + 1] == "smile"


def test_things_that_move_get_their_network_for_independent_dimensions(app: AppTest) -> None:
    pick(app, "train_goal", "independent")
    assert "--preset" not in settings(app).arguments
    app = AppTest.from_function(_script, default_timeout=60)
    app.session_state["moving"] = True
    app.run()
    assert "--preset" not in settings(app).arguments
    pick(app, "train_goal", "independent")
    words = settings(app).arguments
    assert words[words.index("--preset") + 1] == "broadcast"
    assert widget(app, "train_x_preset").value == "broadcast"


def test_a_plain_choice_sets_the_options_anew(app: AppTest) -> None:
    widget(app, "train_x_n_latent").set_value(7).run()
    assert "--latent" in settings(app).arguments
    pick(app, "train_goal", "manifold")
    assert widget(app, "train_x_n_latent").value == 2
    pick(app, "train_length", "until")
    assert widget(app, "train_x_minutes").value is None
    assert "--patience-epochs" in settings(app).arguments


def test_an_option_goes_into_the_arguments(app: AppTest) -> None:
    widget(app, "train_x_objective").set_value("beta-vae").run()
    widget(app, "train_o_beta-vae_beta").set_value(2.5).run()
    words = settings(app).arguments
    assert words[words.index("--beta") + 1] == "2.5"
    line = command_line(("--data", "/x/so me.zip"), settings(app), out="runs/some")
    assert line.startswith("python -m vae_core train --data '/x/so me.zip' --objective beta-vae")
    assert line.endswith("--out runs/some --watch --share-cores")


def test_the_device_is_the_queues_not_an_argument(app: AppTest) -> None:
    widget(app, "train_x_device").set_value("cpu").run()
    assert settings(app).device == "cpu"
    assert "--device" not in settings(app).arguments


def test_a_bad_combination_is_told_in_one_sentence_before_start(app: AppTest) -> None:
    widget(app, "train_x_objective").set_value("m2").run()
    assert app.session_state["settings"] is None
    assert next(item.value for item in app.error).startswith("The objective 'm2' needs labels")
    widget(app, "train_x_objective").set_value("vae").run()
    assert app.session_state["settings"] is not None


def test_what_will_disappoint_is_told_but_allowed(app: AppTest) -> None:
    widget(app, "train_x_objective").set_value("wae").run()
    assert "compares the codes of a batch" in app.warning[0].value
    assert settings(app).config.objective == "wae"


def test_every_objective_can_be_chosen(app: AppTest) -> None:
    assert list(widget(app, "train_x_objective").options) == list(OBJECTIVES)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "5 s"), (44, "45 s"), (80, "1 min 20 s"), (119, "2 min"), (1_800, "30 min"),
     (7_500, "2 h 5 min")],
)  # fmt: skip
def test_times_are_told_as_they_are_spoken(seconds: float, words: str) -> None:
    assert train_estimate.duration(seconds) == words


def test_an_estimate_is_one_sentence() -> None:
    figures = {
        "seconds_total": 80, "images_per_second": 700.4, "memory_bytes": 6.2e8,
        "seconds_training": 60, "seconds_per_epoch": 0.5,
    }  # fmt: skip
    said = train_estimate.in_words(figures)
    assert "About **1 min 20 s** in all, 0.6 GB of memory: 700 pictures per second" in said
    assert "each seen about 120 times" in said


def test_an_unwanted_estimate_never_begins_and_a_bad_one_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = "import sys, time; time.sleep(0.5); sys.exit(f'There is nothing at {sys.argv[2]}.')"
    monkeypatch.setattr(train_estimate, "VERB", ("-c", code))
    bad = train_estimate.EstimateJob(("--data", "/no/such/folder"))
    waiting = train_estimate.EstimateJob(("--data", "faces"))
    waiting.stop()
    bad._thread.join(60)
    waiting._thread.join(5)
    assert (bad.state, bad.problem) == ("failed", "There is nothing at /no/such/folder.")
    assert (waiting.state, waiting.problem, waiting._process) == ("running", "", None)


def test_a_measurement_under_way_is_stopped_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_estimate, "VERB", ("-c", "import time; time.sleep(300)"))
    job = train_estimate.EstimateJob(("--data", "faces"))
    while job._process is None:
        time.sleep(0.01)
    job.stop()
    job._thread.join(30)
    assert not job._thread.is_alive()


def test_a_measurement_the_system_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_estimate.sys, "executable", "/no/such/python")
    job = train_estimate.EstimateJob(("--data", "faces"))
    job._thread.join(10)
    assert job.state == "failed"
    assert "could not be started" in job.problem
    assert "/no/such/python" in job.problem


def test_an_answer_becomes_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_estimate, "VERB", ("-c", "print('{\"seconds_total\": 80}')"))
    job = train_estimate.EstimateJob(("--data", "faces"))
    job._thread.join(60)
    assert (job.state, job.figures) == ("done", {"seconds_total": 80})
