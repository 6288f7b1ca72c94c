"""The report: every section measured on a tiny model, as JSON and as a page one can read."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.fixtures import stripes
from vae_core.checkpoint import Checkpoint
from vae_core.cli import main
from vae_core.cli.reporting import SECONDS
from vae_core.data.catalogue import load_images
from vae_core.data.imageset import ImageSet
from vae_core.latent.codes import encode_set
from vae_core.model import Autoencoder
from vae_core.report import Measured, measure_report, report_page
from vae_core.report.measure import SECTIONS, plain
from vae_core.report.plots import bars, curves, ticks


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return load_images("digits")


@pytest.fixture(scope="module")
def report(digits_checkpoint: Checkpoint, digits: ImageSet) -> dict[str, Any]:
    foreign = stripes(150, digits.spec.shape)
    measured = Measured(
        digits_checkpoint, digits.subset("train").take(np.arange(400)), digits.subset("test"),
        importance_samples=3, n_bound_images=50, against=foreign,
    )  # fmt: skip
    return measure_report(measured)


def test_every_section_that_applies_is_there(report: dict[str, Any]) -> None:
    assert set(report) - {"about", "left_out"} == set(SECTIONS) - {"factors"}
    assert report["left_out"] == {}


def test_a_report_is_json_without_nan(report: dict[str, Any]) -> None:
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_figures_agree_with_each_other(report: dict[str, Any]) -> None:
    bounds, latent = report["bounds"], report["latent"]
    assert bounds["nll"] <= -bounds["elbo"] + 1e-6
    assert bounds["reconstruction"] + bounds["kl"] == pytest.approx(-bounds["elbo"], rel=1e-4)
    split = latent["kl_split"]
    parts = split["mutual_information"] + split["total_correlation"] + sum(split["dimension_kl"])
    assert parts == pytest.approx(split["sampled_kl"], rel=1e-3)
    assert sum(latent["kl_per_dimension"]) == pytest.approx(split["kl"], rel=1e-3)


def test_a_full_covariance_counts_in_the_parts_of_the_kl(
    digits_checkpoint: Checkpoint, digits: ImageSet
) -> None:
    config = replace(digits_checkpoint.model.config, posterior="full")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Autoencoder(config).eval()
        assert model.factor_head is not None
        model.factor_head.bias.data.fill_(2.0)
    checkpoint = replace(digits_checkpoint, model=model)
    test = digits.subset("test")
    latent = SECTIONS["latent"](Measured(checkpoint, test, test), encode_set(model, test))
    split, kl = latent["kl_split"], latent["kl_per_dimension"].sum()
    assert split.kl == pytest.approx(kl, rel=1e-3)
    assert split.sampled_kl == pytest.approx(kl, abs=4 * split.standard_error)
    assert split.total_correlation > 0.2


def test_rebuilt_pictures_are_nearer_than_drawn_ones(report: dict[str, Any]) -> None:
    distance = {k: v["distance"] for k, v in report["samples"].items()}
    assert distance["held_out"] < distance["rebuilt"]
    assert {"drawn_from_normal", "drawn_from_mixture"} <= set(distance)


def test_codes_pca_and_pixels_stand_side_by_side(report: dict[str, Any]) -> None:
    kinds = [p["features"] for p in report["labels"]]
    assert kinds == ["codes", "pca-2", "pixels"]
    assert all(p["linear"] > p["chance"] for p in report["labels"])


def test_foreign_images_are_told_apart(report: dict[str, Any]) -> None:
    scores = report["foreign"]["scores"]
    assert len(scores) >= 3
    assert max(s["auroc"] for s in scores.values()) > 0.9


def test_rates_name_the_model_and_the_usual_formats(report: dict[str, Any]) -> None:
    names = " ".join(p["name"] for p in report["rates"]["points"]).lower()
    assert all(word in names for word in ("png", "webp", "pca", "bits back"))


class Reader(HTMLParser):
    """Counts tags and remembers which were left open."""

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[str, int] = {}
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_from_outside(report: dict[str, Any]) -> None:
    text, reader = report_page(report), Reader()
    reader.feed(text)
    assert reader.open == []
    assert reader.count["svg"] >= 3
    assert reader.count["h2"] == len(SECTIONS) - 1
    assert "http" not in text.replace("http://www.w3.org", "")


def test_titles_cannot_smuggle_markup_into_the_page(report: dict[str, Any]) -> None:
    about = {**report["about"], "title": "<script>alert(1)</script>"}
    assert "<script>" not in report_page({**report, "about": about})


def test_too_few_images_are_said_section_by_section(
    digits_checkpoint: Checkpoint, digits: ImageSet
) -> None:
    few = digits.subset("test").take(np.arange(6))
    report = measure_report(Measured(digits_checkpoint, few, few, importance_samples=2))
    assert "bounds" in report
    assert report["left_out"]
    assert all(sentence.endswith(".") for sentence in report["left_out"].values())
    assert "Left out" in report_page(report)


def test_factors_are_measured_where_a_set_has_them(faces_checkpoint: Checkpoint) -> None:
    faces = load_images("faces", n_images=120)
    report = measure_report(Measured(faces_checkpoint, faces, faces, importance_samples=1))
    assert {"mig", "sap", "dci", "factor_vae", "readout"} == set(report["factors"])
    assert "MIG" in report_page(report)


def test_the_command_writes_both_files(tiny_checkpoints: Path, tmp_path: Path) -> None:
    command = ["evaluate", str(tiny_checkpoints / "digits-2d"), "--data", "digits", "--limit", "60"]
    command += ["--report", "--importance-samples", "2", "--out", str(tmp_path / "report")]
    assert main(command) == 0
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    assert written["about"]["n_test_images"] == 60
    assert "<h2>Likelihood</h2>" in (tmp_path / "report" / "report.html").read_text()


def test_every_section_has_its_share_of_the_progress() -> None:
    assert list(SECONDS) == ["reading", *SECTIONS]


def test_plain_data_has_no_surprises() -> None:
    given = {"a": np.float32(1.5), "b": [math.inf, np.int64(3)], "c": np.arange(2), "d": None}
    assert plain(given) == {"a": 1.5, "b": [None, 3], "c": [0, 1], "d": None}


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3, 7), (0.001, 0.002), (5, 5e6)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 8
    assert all(low - 1e-9 <= t <= high + 1e-6 for t in found)


@pytest.mark.parametrize("values", [[0.0], [1.0, 2.0], [-1.0, 3.0], [0.0] * 5])
def test_bars_have_one_rectangle_each(values: list[float]) -> None:
    text = bars(values, x_label="x", y_label="y")
    assert text.count("<rect") == len(values)
    assert "nan" not in text


def test_curves_survive_single_points_and_equal_values() -> None:
    text = curves({"one": [(1.0, 2.0)], "flat": [(2.0, 2.0), (3.0, 2.0)]}, x_label="x", y_label="y")
    assert text.count("<polyline") == 2
    assert "nan" not in text
    assert curves({}, x_label="x", y_label="y") == ""
