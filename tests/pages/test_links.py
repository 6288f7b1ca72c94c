"""A link to a code finds the model the code was made for, whatever it is called here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.pages.conftest import OpenApp
from tests.pages.test_pages import assert_whole, words
from vae_core.checkpoint import Checkpoint
from vae_core.export import read_plain, write_permalink, write_plain

Z = np.linspace(-1, 1, 8).astype(np.float32)


def plain(text: str) -> NDArray[np.float32]:
    found = read_plain(text, n_latent=len(Z))
    assert found is not None
    return found


def test_a_link_to_a_code_of_another_model_switches_to_that_model(
    open_app: OpenApp, faces_checkpoint: Checkpoint
) -> None:
    link = write_permalink(faces_checkpoint.key, Z)
    app = open_app("walk", model="digits-2d", code=link)
    assert_whole(app)
    assert not app.warning
    assert app.query_params["model"] == "faces-tiny"
    assert "the code in the link" in words(app)
    assert np.array_equal(plain(app.query_params["z"]), np.round(Z, 3))


def test_a_model_under_a_name_unknown_here_is_found_by_its_weights(
    open_app: OpenApp, faces_checkpoint: Checkpoint
) -> None:
    app = open_app("walk", model="their-name", code=write_permalink(faces_checkpoint.key, Z))
    assert not app.warning
    assert app.query_params["model"] == "faces-tiny"


def test_a_link_to_a_model_that_is_not_here_says_so(open_app: OpenApp) -> None:
    app = open_app("walk", model="digits-2d", code=write_permalink("0123456789abcdef", Z))
    assert_whole(app)
    assert app.query_params["model"] == "digits-2d"
    assert "0123456789abcdef came, expected one of model" in app.warning[0].value


def test_after_the_first_visit_the_visitor_chooses(
    open_app: OpenApp, faces_checkpoint: Checkpoint
) -> None:
    app = open_app("walk", code=write_permalink(faces_checkpoint.key, Z))
    app.selectbox(key="model_widget").set_value("digits-2d").run()
    assert_whole(app)
    assert not app.warning
    assert app.query_params["model"] == "digits-2d"


def test_plain_codes_come_back_and_nonsense_does_not() -> None:
    assert np.array_equal(plain(write_plain(Z)), np.round(Z, 3))
    for text in ("", "1,2", "1,2,nan", "1,2,1e7", "1,2,x"):
        assert read_plain(text, n_latent=3) is None
