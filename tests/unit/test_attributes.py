"""Attributes: how they are named, what they cost, and that a dimension comes to stand for one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.fixtures import pixels, quick_maps, small_model, stripes
from vae_core.checkpoint import load_checkpoint
from vae_core.cli import main
from vae_core.data.imageset import Factor, ImageSet
from vae_core.data.targets import label_targets, named_targets, values_of
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.images import score_images
from vae_core.model import Autoencoder
from vae_core.objectives import AttributeVAE, Batch, BetaVAE, Terms
from vae_core.pipeline import plan_model
from vae_core.posterior import Posterior
from vae_core.recipes import check_settings
from vae_core.train import TrainConfig, train
from vae_core.train.feeds import known_attributes
from vae_core.train.run import Run
from vae_core.train.runtime import choose_runtime
from vae_core.train.step import hide_attributes

GLASSES = ("none", "round", "square")
X = pixels(4)
KNOWN = torch.tensor([[0.5, -1.0], [torch.nan, 2.0], [0.0, torch.nan], [torch.nan, torch.nan]])


def described() -> ImageSet:
    """Stripes with a number, a category of three and one of two kinds known of each."""
    images, draw = stripes(60), np.random.default_rng(0)
    kinds = draw.integers(0, 3, 60).astype(np.float32)
    smile = draw.uniform(-1, 1, 60).astype(np.float32)
    factors = {
        "smile": Factor(smile), "glasses": Factor(kinds, GLASSES),
        "hat": Factor((kinds > 1).astype(np.float32), ("no", "yes")),
        "still": Factor(np.ones(60, np.float32)),
        "scarf": Factor(np.zeros(60, np.float32), GLASSES),
    }  # fmt: skip
    return replace(images, factors=factors)


# ---- names -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ((), ["smile", "glasses: none", "glasses: round", "glasses: square", "hat: yes"]),
        (("hat", "smile"), ["hat: yes", "smile"]),
        (("glasses: round",), ["glasses: round"]),
        (("glasses",), ["glasses: none", "glasses: round", "glasses: square"]),
        (("label",), ["steep"]),
        (("steep", "smile"), ["steep", "smile"]),
    ],
)
def test_attributes_are_named_in_the_order_asked(asked: tuple[str, ...], found: list[str]) -> None:
    assert [target.name for target in named_targets(described(), asked)] == found


def test_without_factors_all_labels_are_meant() -> None:
    bare = replace(described(), factors={})
    assert [t.name for t in named_targets(bare, ())] == ["steep"]
    assert [t.name for t in label_targets(bare)] == ["steep"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (("frown",), r"attribute\(s\) frown came, but known are label, steep, smile"),
        (("still",), "still came"),
        (("scarf",), "scarf came"),
        (("smile", "smile"), "name something twice"),
        (("glasses", "glasses: round"), "name something twice"),
    ],
)
def test_names_that_cannot_be_meant_are_told(asked: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        named_targets(described(), asked)


def test_pictures_of_which_nothing_is_known_have_no_attributes() -> None:
    with pytest.raises(DataError, match="neither labels nor factors are known"):
        named_targets(replace(described(), factors={}, labels=None), ())


def test_values_are_found_where_they_do_not_vary() -> None:
    some = described()
    one = some.take(np.flatnonzero(some.factors["glasses"].values == 1))
    assert values_of(one, ["glasses: round", "glasses: none"]).mean(0).tolist() == [1, 0]


# ---- cost --------------------------------------------------------------------------------------
def terms(objective: AttributeVAE | BetaVAE, known: Tensor | None, model: Autoencoder) -> Terms:
    batch = Batch(X, torch.Generator().manual_seed(0), attributes=known)
    return objective(model, batch, torch.tensor(0.0))


@pytest.mark.parametrize("posterior", ["diagonal", "full"])
def test_the_cost_is_the_expected_log_density(posterior: str) -> None:
    model = small_model(likelihood="gaussian", posterior=posterior)
    with torch.no_grad():
        cost = terms(AttributeVAE(attribute_std=0.3), KNOWN, model).parts["attributes"]
        q: Posterior = model.encode(X)
        z = q.sample(n=200_000, generator=torch.Generator().manual_seed(1))[..., :2]
    density = torch.distributions.Normal(z, 0.3).log_prob(KNOWN.nan_to_num())
    expected = -(density.mean(0) * KNOWN.isfinite()).sum(1)
    torch.testing.assert_close(cost, expected, rtol=0.01, atol=0.01)
    assert float(cost[3]) == 0


def test_the_cost_comes_on_top_of_a_beta_vae_and_leaves_the_elbo() -> None:
    model = small_model(likelihood="gaussian")
    plain = terms(BetaVAE(beta=2), None, model)
    told = terms(AttributeVAE(beta=2), KNOWN, model)
    torch.testing.assert_close(told.loss, plain.loss + told.parts["attributes"])
    torch.testing.assert_close(told.parts["elbo"], plain.parts["elbo"])
    torch.testing.assert_close(terms(AttributeVAE(beta=2), None, model).loss, plain.loss)


def test_only_the_dimensions_of_attributes_are_pulled_by_them() -> None:
    mean = torch.zeros(4, 3, requires_grad=True)
    q = Posterior(mean, torch.zeros(4, 3))
    model = small_model(likelihood="gaussian")
    model.encode = lambda *_: q  # type: ignore[method-assign,assignment]
    terms(AttributeVAE(), KNOWN, model).parts["attributes"].sum().backward()
    assert mean.grad is not None
    assert ((mean.grad[:, :2] != 0) <= KNOWN.isfinite()).all()
    assert (mean.grad[0, :2].sign() == torch.tensor([-1.0, 1.0])).all()
    assert not mean.grad[:, 2].any()


def test_bad_options_and_too_small_codes_are_told() -> None:
    with pytest.raises(ConfigError, match="--attribute-std 0 came, expected a number above 0"):
        AttributeVAE(attribute_std=0)
    with pytest.raises(ConfigError, match="2 attributes came for 1 latent dimensions"):
        terms(AttributeVAE(), KNOWN, small_model(n_latent=1, likelihood="gaussian"))
    config = TrainConfig(objective="attribute-vae", n_latent=4)
    with pytest.raises(ConfigError, match=r"5 attributes came .* give --latent 5 or more"):
        plan_model(described(), config)


# ---- training ----------------------------------------------------------------------------------
def fitted(folder: Path, **options: object) -> tuple[float, float]:
    """Correlation of dimensions 0 and 1 with how steep held-out stripes are."""
    images = stripes(600)
    config = TrainConfig(
        objective=str(options.pop("objective", "attribute-vae")), n_latent=3, preset="mlp",
        epochs=15, batch_size=32, learning_rate=5e-3, likelihood="gaussian", device="cpu",
        **options,  # type: ignore[arg-type]
    )  # fmt: skip
    model_config, _ = plan_model(images, config)
    model, _ = train(
        images, folder, model_config=model_config, config=config,
        runtime=choose_runtime("cpu", "float32"),
    )  # fmt: skip
    held_out = images.subset("test")
    z = score_images(model, held_out.images).mean
    assert held_out.labels is not None
    found = np.corrcoef(z.T, held_out.labels)[-1]
    return float(found[0]), float(abs(found[1]))


NAMED = {"attributes": "label"}


def test_a_dimension_comes_to_stand_for_its_attribute(tmp_path: Path) -> None:
    named, other = fitted(tmp_path, objective_options=NAMED)
    assert named > 0.85
    assert other < named - 0.3


def test_few_known_attributes_suffice(tmp_path: Path) -> None:
    named, _ = fitted(tmp_path, objective_options=NAMED, n_labels=60)
    assert named > 0.6


def test_attributes_are_hidden_by_seed() -> None:
    known = np.arange(12, dtype=np.float64).reshape(6, 2)
    known[0] = np.nan
    kept = hide_attributes(known, n_labels=3, seed=0)
    assert int(np.isfinite(kept).any(1).sum()) == 3
    assert not np.isfinite(kept[0]).any()
    assert np.nanmax(np.abs(kept - known)) == 0
    assert hide_attributes(known, n_labels=0, seed=0) is known
    with pytest.raises(ConfigError, match="attributes are known of 5 training images"):
        hide_attributes(known, n_labels=6, seed=0)


def seen(images: ImageSet, **options: Any) -> tuple[Any, Any]:
    """Scores of the attributes of training and validation images as a run would see them."""
    config = TrainConfig(objective="attribute-vae", objective_options={}, **options)
    step = SimpleNamespace(objective=AttributeVAE())
    run = cast(Run, SimpleNamespace(config=config, step_module=step))
    return known_attributes(run, images.subset("train"), images.subset("val"))


def test_scores_are_standard_among_the_attributes_a_run_sees() -> None:
    everything, checked = seen(described())
    np.testing.assert_allclose(everything.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(everything.std(0), 1, atol=1e-5)
    assert checked.shape[1] == everything.shape[1] == 5
    few, none = seen(described(), n_labels=20)
    assert none is None and int(np.isfinite(few).any(1).sum()) == 20
    # Nothing of the hidden ones, not even their mean.
    np.testing.assert_allclose(np.nanmean(few, 0), 0, atol=1e-6)
    np.testing.assert_allclose(np.nanstd(few, 0), 1, atol=1e-5)


def test_what_does_not_vary_among_the_seen_counts_as_unknown() -> None:
    alone, _ = seen(described(), n_labels=1)
    assert not np.isfinite(alone).any()


# ---- before a run ------------------------------------------------------------------------------
def check(attributes: str = "", *, classes: str = "", factors: str = "", n_labels: int = 0) -> None:
    config = TrainConfig(
        objective="attribute-vae", objective_options={"attributes": attributes}, n_labels=n_labels
    )
    check_settings(config, n_images=400, classes=classes.split(), factors=factors.split())


def test_what_the_pictures_lack_is_told_before_a_run() -> None:
    check("glasses: round, smile", factors="smile glasses", n_labels=1)
    check("label", classes="cat dog")
    with pytest.raises(ConfigError, match="needs something known of each image"):
        check(classes="cat")
    with pytest.raises(ConfigError, match=r"frown came, but known are smile, label, cat, dog"):
        check("frown", classes="cat dog", factors="smile")
    many = " ".join(f"class{k}" for k in range(33))
    with pytest.raises(ConfigError, match="33 attributes came for 32 latent dimensions"):
        check(classes=many)
    check(classes=many, factors="smile")
    with pytest.raises(ConfigError, match="class18 and 14 more; choose among these"):
        check("frown", classes=many)
    with pytest.raises(ConfigError, match=r"expected 1 \(one picture\) to 320"):
        check(factors="smile", n_labels=321)


def test_the_command_line_names_dimensions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--data", "faces", "--images", "40", "--epochs", "1", "--preset", "mlp"]
    command += ["--objective", "attribute-vae", "--attributes", "smile, glasses: none"]
    with quick_maps():
        assert main([*command, "--latent", "3", "--out", str(tmp_path / "a")]) == 0
    assert "Dimensions 0 to 1 stand for smile, glasses: none." in capsys.readouterr().err
    card = json.loads((tmp_path / "a" / "card.json").read_text(encoding="utf-8"))
    assert card["objective"]["attributes"] == "smile, glasses: none"
    assert card["attributes"] == ["smile", "glasses: none"]
    assert load_checkpoint(tmp_path / "a").codes.dimension_order.tolist() == [0, 1, 2]
    assert main([*command, "--latent", "1", "--out", str(tmp_path / "b")]) == 2
    assert "give --latent 2 or more" in capsys.readouterr().err
