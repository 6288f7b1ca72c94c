"""The documentation names what the code has, and nothing else."""

from __future__ import annotations

import re

import pytest

from tests.fixtures import ROOT
from vae_core.likelihoods import LIKELIHOODS
from vae_core.objectives import OBJECTIVES
from vae_core.posterior import POSTERIORS

TEXT = (ROOT / "docs" / "objectives.md").read_text(encoding="utf-8")
HEADINGS = dict(re.findall(r"^### `([\w-]+)` — (\w+)$", TEXT, re.MULTILINE))


def test_every_objective_has_its_heading_with_its_class() -> None:
    assert {name: maker.__name__ for name, maker in OBJECTIVES.items()} == HEADINGS  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [*LIKELIHOODS, *POSTERIORS])
def test_every_likelihood_and_posterior_is_in_its_table(name: str) -> None:
    assert f"| `{name}` |" in TEXT


def test_every_benchmark_says_what_it_measures() -> None:
    helpers = {"__init__", "machine", "native_app"}
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - helpers
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert scripts == set(re.findall(r"^\| `(\w+)\.py` \|", text, re.MULTILINE))


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    for path in (ROOT / "README.md", ROOT / "benchmarks" / "README.md"):
        head = 0
        for line in path.read_text(encoding="utf-8").splitlines():
            cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            assert not head or not cells or cells == head, f"{path.name}: {line}"
            head = cells
