"""The section "Understand" on a tiny model, without a browser."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.shared import posterior_chart
from tests.fixtures import save_small, small_model, stripes
from vae_core.apply.results import Result, results_csv, results_zip
from vae_core.apply.verdict import Score, Verdict, scale_of, verdict
from vae_core.checkpoint import add_part, load_checkpoint
from vae_core.evaluate.calibration import calibrate_model
from vae_core.latent import encode_set

SET = stripes(600)


@pytest.fixture(scope="module", params=["diagonal", "full"])
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    model = small_model(posterior=request.param, likelihood="gaussian")
    path = tmp_path_factory.mktemp("models") / request.param
    save_small(path, model=model, codes=encode_set(model, SET))
    found = calibrate_model(model, SET)
    assert found is not None
    add_part(path, found)
    return path


def shown(folder: Path, n: int, *, seed: int = 5) -> str:
    """All HTML and text of the section for n pictures; seed 0 gives those of the codes."""

    def page(path: str, n: int, seed: int) -> None:
        from pages.shared import understand
        from pages.shared.reconstruct import Item
        from tests.fixtures import stripes
        from vae_core.checkpoint import load_checkpoint

        images = stripes(n if seed else 600, seed=seed).images[:n]
        items = [Item(f"<b>{k}</b>.png", image, ("resized",)) for k, image in enumerate(images)]
        understand.section(load_checkpoint(path), items[0], items)

    app = AppTest.from_function(page, args=(str(folder), n, seed), default_timeout=60).run()
    assert [element.value for element in app.exception] == []
    parts = [element.proto.body for element in app.get("html")]
    return "\n".join([*parts, *(element.value for element in [*app.markdown, *app.caption])])


def test_one_picture_is_judged_and_its_posterior_drawn(folder: Path) -> None:
    said = shown(folder, 1)
    found = verdict(load_checkpoint(folder), stripes(1, seed=5).images)[0]
    assert f'data-level="{found.level}"' in said
    assert all(f"<b>z{dim}</b>" in said for dim in range(3))
    assert ('data-testid="correlation"' in said) == (folder.name == "full")
    # The diagonal of the correlations names the dimensions.
    assert all((f">z{dim}</span>" in said) == (folder.name == "full") for dim in range(3))
    assert 'data-testid="ranking"' not in said


def test_a_sample_is_not_its_own_neighbour_at_a_distance(folder: Path) -> None:
    assert "this very image" in shown(folder, 21, seed=0)
    assert "this very image" not in shown(folder, 1)


def test_a_batch_is_ranked_and_names_are_text(folder: Path) -> None:
    said = shown(folder, 3)
    found = verdict(load_checkpoint(folder), stripes(3, seed=5).images, scale=scale_of(
        load_checkpoint(folder)))  # fmt: skip
    order = sorted(range(3), key=lambda k: -found[k].score)
    table = said[said.index('data-testid="ranking"') :]
    places = [table.index(f"&lt;b&gt;{k}&lt;/b&gt;.png") for k in order]
    assert places == sorted(places)
    assert "<b>0</b>.png" not in table[: max(places)]


def test_a_posterior_narrower_than_a_pixel_is_still_drawn() -> None:
    first, rest = posterior_chart.dimensions(
        np.zeros(14, np.float32), np.full(14, 1e-6, np.float32), range(14), {3: "smile <3"}
    )
    assert first.count("<img") == 12
    assert rest.count("<img") == 2
    assert "smile &lt;3" in first
    assert "nan" not in first


def result(name: str) -> Result:
    found = Verdict("unusual", 3.0, 0.02, 0.05, "words", (Score("share missed", 0.5, "", 0.97),))
    return Result(name, SET.images[0], SET.images[0] / np.float32(255), 0.25, found)


def test_results_as_csv_start_no_formula_and_as_zip_use_no_name() -> None:
    results = [result("=1+1.png"), result("../../up.png")]
    rows = list(csv.DictReader(io.StringIO(results_csv(results))))
    assert [row["picture"] for row in rows] == ["'=1+1.png", "../../up.png"]
    assert (rows[0]["verdict"], rows[0]["share missed (percentile)"]) == ("unusual", "0.97")
    with zipfile.ZipFile(io.BytesIO(results_zip(results))) as archive:
        assert sorted(archive.namelist()) == [
            "0000-rebuilt.png", "0000-seen.png", "0001-rebuilt.png", "0001-seen.png", "results.csv",
        ]  # fmt: skip
