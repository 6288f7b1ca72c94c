"""Several models on the same images: what is shared, what is converted, and PCA among them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.fixtures import (
    Answer,
    Refused,
    save_small,
    sharp_model,
    small_model,
    stripes,
    write_pictures,
)
from vae_core.apply.compare import (
    ModelCoder,
    blend,
    common_images,
    fit_linear,
    likeness,
    neighbours_of,
    see,
    traverse,
)
from vae_core.apply.compare_report import (
    card_rate,
    figures_of,
    measured_figures,
    read_report,
    reported_rates,
)
from vae_core.apply.compare_sheet import comparison_sheet
from vae_core.checkpoint import Checkpoint, load_checkpoint
from vae_core.errors import ConfigError, DataError
from vae_core.evaluate.rate import rate_point
from vae_core.latent.codes import encode_set


@pytest.fixture
def one(tmp_path: Path) -> Checkpoint:
    return load_checkpoint(save_small(tmp_path / "one"))


def other_model(tmp_path: Path, rows: slice = slice(None), **options: int) -> Checkpoint:
    model = small_model(likelihood="gaussian", seed=7, **options)  # type: ignore[arg-type]
    codes = encode_set(model, stripes(40).take(np.arange(40)[rows]))
    return load_checkpoint(save_small(tmp_path / "other", model=model, codes=codes))


# ---- images in common ---------------------------------------------------------------------------
def test_only_images_held_out_by_all_are_compared(one: Checkpoint, tmp_path: Path) -> None:
    other = other_model(tmp_path, slice(0, 40, 2))
    common = common_images([one, other], least=1)
    assert common.is_held_out
    held = [set(c.codes.ids[c.codes.held_out].tolist()) for c in (one, other)]
    assert set(common.ids.tolist()) == held[0] & held[1]
    for checkpoint, rows in zip((one, other), common.rows, strict=True):
        assert rows is not None
        assert np.array_equal(checkpoint.codes.ids[rows], common.ids)


def test_a_model_of_other_data_has_no_rows(one: Checkpoint, tmp_path: Path) -> None:
    other = other_model(tmp_path)
    card = {**other.card, "data": {"source": "elsewhere"}}
    common = common_images([one, replace(other, card=card)])
    assert common.rows[1] is None
    assert common.rows[0] is not None


@pytest.mark.parametrize(("source", "is_shared"), [("faces", False), ("sprites", True)])
def test_faces_of_another_seed_are_other_faces(
    one: Checkpoint, tmp_path: Path, source: str, is_shared: bool
) -> None:
    def drawn(checkpoint: Checkpoint, seed: int) -> Checkpoint:
        return replace(
            checkpoint, card={**checkpoint.card, "data": {"source": source, "seed": seed}}
        )

    common = common_images([drawn(one, 0), drawn(other_model(tmp_path), 1)])
    assert (common.rows[1] is not None) is is_shared


def test_too_few_images_in_common_are_told(one: Checkpoint, tmp_path: Path) -> None:
    held = set(one.codes.ids[one.codes.held_out].tolist())
    elsewhere = [i for i in range(40) if i not in held]
    model = small_model(likelihood="gaussian")
    codes = encode_set(model, stripes(40).take(np.array(elsewhere)))
    other = load_checkpoint(save_small(tmp_path / "b", model=model, codes=codes))
    assert not common_images([one, other]).is_held_out


# ---- coders -------------------------------------------------------------------------------------
def test_images_of_another_shape_are_converted_for_each_model(one: Checkpoint) -> None:
    seen = see(ModelCoder(one, "one"), stripes(6, (3, 16, 12)).images)
    assert seen.images.shape == seen.rebuilt.shape == (6, 1, 8, 8)
    assert seen.difference.shape == (6, 8, 8)
    assert seen.kl_nats is not None


def test_the_quality_is_that_of_what_is_shown(one: Checkpoint) -> None:
    images = stripes(5).images
    seen = see(ModelCoder(one, "one"), images)
    x = torch.from_numpy(images).float() / 255
    with torch.no_grad():
        error = (one.model.decode(one.model.encode(x).mean) - x).square().mean((1, 2, 3))
    assert np.allclose(seen.quality.mse, error.numpy(), rtol=1e-4)


def test_a_plain_autoencoder_has_no_kl(tmp_path: Path) -> None:
    model = small_model(posterior="point")
    plain = ModelCoder(load_checkpoint(save_small(tmp_path / "ae", model=model)), "ae")
    assert plain.is_plain
    assert see(plain, stripes(4).images).kl_nats is None


def test_pca_with_all_components_loses_nothing_and_with_fewer_more() -> None:
    images = stripes(90).images
    whole = fit_linear(images, 64)
    errors = [see(whole.with_dimensions(n), images).quality.mse.mean() for n in (1, 4, 16, 64)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-6
    assert whole.with_dimensions(4).name == "PCA, 4 dimensions"


def test_pca_draws_have_the_spread_of_the_set() -> None:
    linear = fit_linear(stripes(300).images, 3)
    drawn = linear.draw(4_000, seed=1)
    assert np.allclose(drawn.std(0), linear.encode(stripes(300).images).std(0), rtol=0.1)


def test_one_image_is_too_few_for_pca() -> None:
    with pytest.raises(DataError, match="at least 2"):
        fit_linear(stripes(1).images, 3)


def test_models_of_one_size_draw_the_same_codes(one: Checkpoint, tmp_path: Path) -> None:
    a, b = ModelCoder(one, "a"), ModelCoder(other_model(tmp_path), "b")
    assert np.array_equal(a.draw(5, seed=2), b.draw(5, seed=2))
    assert not np.array_equal(a.draw(5, seed=2), a.draw(5, seed=3))


def test_a_blend_keeps_its_ends_and_meets_in_the_middle() -> None:
    a, b = np.array([0.0, 4.0], np.float32), np.array([2.0, 0.0], np.float32)
    assert blend(a, b, n=3).tolist() == [[0, 4], [1, 2], [2, 0]]


def test_a_traversal_changes_one_number_alone() -> None:
    codes = traverse(np.array([1.0, 2.0, 3.0], np.float32), 1, [-1, 5])
    assert codes.tolist() == [[1, -1, 3], [1, 5, 3]]
    with pytest.raises(ConfigError, match="0 to 2"):
        traverse(codes[0], 3, [0])


# ---- likeness -----------------------------------------------------------------------------------
def test_likeness_pairs_everything_with_everything() -> None:
    random = np.random.default_rng(0)
    code = random.normal(size=(200, 4)).astype(np.float32)
    noise = random.normal(size=(200, 3)).astype(np.float32)
    found = likeness({"a": code, "turned": code[:, ::-1] * 2, "noise": noise})
    assert list(found.agreement) == [10, 50]
    assert found.agreement[10][1, 0] == pytest.approx(1)
    assert found.agreement[10][2, 0] == pytest.approx(found.chance[10], abs=0.03)
    assert found.cka[0, 1] == pytest.approx(1)
    assert abs(found.cka[0, 2]) < 0.1


def test_few_images_are_compared_by_fewer_neighbours() -> None:
    code = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    assert list(likeness({"a": code, "b": code}).agreement) == [3]


def test_an_image_is_not_its_own_neighbour() -> None:
    codes = np.array([[0.0], [0.0], [1.0], [5.0]], np.float32)
    assert neighbours_of(codes, 0, k=2).tolist() == [1, 2]


# ---- figures ------------------------------------------------------------------------------------
REPORT = {
    "labels": [
        {"features": "pca-3", "linear": 0.75}, {"features": "codes", "linear": 0.8}],
    "rates": {"n_images": 9, "points": ["?",
        {"name": "mean code, step 1", "bits_per_image": 9.0, "mse": 0.1, "psnr_db": 10.0},
        {"name": "mean code, step 2", "bits_per_image": 4.0, "mse": 0.2, "psnr_db": 7.0},
        {"name": "PNG, lossless", "bits_per_image": 90.0, "mse": 0.0, "psnr_db": None}]},
}  # fmt: skip


def with_report(checkpoint: Checkpoint, *, key: str | None = None, ssim: float = 0.9) -> Checkpoint:
    report = {**REPORT, "about": {"key": key or checkpoint.key}, "pictures": {"ssim": ssim}}
    (checkpoint.path / "report.json").write_text(json.dumps(report), "utf-8")
    return checkpoint


def test_figures_come_from_the_report_of_these_weights_alone(
    one: Checkpoint, tmp_path: Path
) -> None:
    other = with_report(other_model(tmp_path), key="0" * 16)
    figures = {f.name: f for f in figures_of([with_report(one), other])}
    assert figures["SSIM, all held-out images"].values == (0.9, None)
    assert figures["Labels read linearly"].values == (80.0, None)
    assert figures["Latent dimensions"].values == (3, 3)


def test_pca_has_the_figures_a_report_holds_of_it(one: Checkpoint, tmp_path: Path) -> None:
    pair = [other_model(tmp_path), with_report(one)]
    figures = {f.name: f for f in figures_of(pair, linear=[3, 2])}
    assert figures["Labels read linearly"].values == (None, 80.0, 75.0, None)
    assert figures["Labels read linearly"].best == (1,)
    assert figures["Latent dimensions"].values == (3, 3, 3, 2)


def test_pca_of_other_data_is_not_taken_for_this_ones(one: Checkpoint, tmp_path: Path) -> None:
    other = with_report(other_model(tmp_path))
    stranger = replace(other, card={**other.card, "data": {"source": "elsewhere"}})
    figures = {f.name: f for f in figures_of([one, stranger], linear=[3])}
    assert figures["Labels read linearly"].values == (None, 80.0, None)


def test_what_is_measured_here_counts_pca_too(one: Checkpoint) -> None:
    images = stripes(30).images
    seen = [see(ModelCoder(one, "one"), images), see(fit_linear(images, 20), images)]
    psnr, ssim = measured_figures(seen)
    assert psnr.best == ssim.best == (1,)
    assert psnr.values[1] == seen[1].quality.report().psnr


@pytest.mark.parametrize("text", ["", "[]", '{"about": 3}', "{"])
def test_a_damaged_report_is_none(one: Checkpoint, text: str) -> None:
    (one.path / "report.json").write_text(text, "utf-8")
    assert read_report(one.path, key=one.key) is None


def test_best_is_told_for_models_of_the_same_data_only(one: Checkpoint, tmp_path: Path) -> None:
    def with_psnr(checkpoint: Checkpoint, value: float, source: str = "stripes") -> Checkpoint:
        card = {**checkpoint.card, "metrics": {"psnr_db": value}, "data": {"source": source}}
        return replace(checkpoint, card=card)

    a, b = with_psnr(one, 20), with_psnr(other_model(tmp_path), 24)
    assert figures_of([a, b])[0].best == (1,)
    assert figures_of([a, with_psnr(b, 24, "elsewhere")])[0].best == ()


def test_pictures_of_another_size_have_no_best(one: Checkpoint, tmp_path: Path) -> None:
    model = small_model((1, 16, 16), likelihood="gaussian")
    codes = encode_set(model, stripes(40, (1, 16, 16)))
    larger = load_checkpoint(save_small(tmp_path / "larger", model=model, codes=codes))
    figures = {f.name: f for f in figures_of([with_report(one), with_report(larger, ssim=0.95)])}
    assert figures["SSIM, all held-out images"].values == (0.9, 0.95)
    assert figures["SSIM, all held-out images"].best == ()
    images = stripes(6, (1, 16, 16)).images
    seen = [see(ModelCoder(c, c.name), images) for c in (one, larger)]
    assert [figure.best for figure in measured_figures(seen)] == [(), ()]


def test_rates_are_read_by_kind_in_rising_order() -> None:
    found = reported_rates(REPORT, "mean code")
    assert found is not None
    assert (found.bits, found.psnr_db, found.steps) == ((4, 9), (7, 10), ("step 2", "step 1"))
    assert reported_rates(REPORT, "PCA") is None
    assert reported_rates(None, "PCA") is None


def test_a_cards_rate_is_its_kl_in_bits() -> None:
    card = {"metrics": {"kl_nats": np.log(2) * 12, "squared_error": 0.01}, "model": {}}
    assert card_rate(card) == pytest.approx((12, 20))
    assert card_rate({**card, "model": {"posterior": "point"}}) is None
    assert card_rate({**card, "metrics": {"kl_nats": 3.0, "squared_error": -1}}) is None


def test_a_cards_dot_lies_at_the_height_of_the_lines() -> None:
    # Over images of unequal errors, the mean of the decibels is not those of the mean error.
    point = rate_point("mean code, step 1", 9.0, (0.1 + 0.001) / 2)
    metrics = {"kl_nats": 1.0, "psnr_db": (10 + 30) / 2, "squared_error": point.mse}
    dot = card_rate({"metrics": metrics, "model": {}})
    assert dot is not None and dot[1] == pytest.approx(point.psnr_db)


# ---- the verb -----------------------------------------------------------------------------------
@pytest.fixture
def two_digits(tiny_checkpoints: Path, tmp_path: Path) -> tuple[str, str]:
    model = sharp_model()
    card = json.loads((tiny_checkpoints / "digits-2d" / "card.json").read_text("utf-8"))
    known = load_checkpoint(tiny_checkpoints / "digits-2d")
    other = save_small(tmp_path / "sharp", model=model, codes=replace(
        known.codes, mean=np.zeros((len(known.codes), 3), np.float32),
        log_std=np.zeros((len(known.codes), 3), np.float32),
        kl_nats=np.zeros((len(known.codes), 3), np.float32)))  # fmt: skip
    written = json.loads((other / "card.json").read_text("utf-8"))
    (other / "card.json").write_text(json.dumps({**written, "data": card["data"]}), "utf-8")
    return str(tiny_checkpoints / "digits-2d"), str(other)


def test_the_verb_sets_models_beside_pca(
    two_digits: tuple[str, str], answer: Answer, tmp_path: Path
) -> None:
    out = tmp_path / "sheet.png"
    found = answer("compare", *two_digits, "--data", "digits", "--limit", "60", "--out", str(out))
    names = [model["name"] for model in found["models"]]
    assert names == [*two_digits, "PCA, 3 dimensions", "PCA, 2 dimensions"]
    assert found["n_images"] == 60
    assert np.array(found["neighbours"]["10"]).shape == (5, 5)
    with Image.open(out) as sheet:
        assert sheet.height > 5 * 64


def test_images_new_to_all_models_are_not_told_apart_by_the_models_own_ids(
    two_digits: tuple[str, str], answer: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("vae_core.cli.comparing.say", said.append)
    pictures = write_pictures(tmp_path / "waves", 60, side=8)
    assert answer("compare", *two_digits, "--data", str(pictures))["n_images"] == 6
    assert said == []


def test_a_sheet_keeps_the_shape_of_its_pictures() -> None:
    images = stripes(3, (1, 16, 40)).images
    sheet = comparison_sheet([see(fit_linear(images, 2), images)], images)
    tile = sheet.crop((260, 4, 340, 36)).convert("L").resize((40, 16), Image.Resampling.NEAREST)
    assert np.array_equal(np.asarray(tile), images[0, 0])


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ([], "1 checkpoints came"),
        (["no/such/model", "--out", "sheet.txt"], "let its name end in .png"),
        (["--limit", "2"], "expected 4 to"),
    ],
)
def test_the_verb_refuses_what_is_no_comparison(
    tiny_checkpoints: Path, refused: Refused, more: list[str], sentence: str
) -> None:
    path = str(tiny_checkpoints / "digits-2d")
    assert sentence in refused("compare", path, *more, "--data", "digits")
