"""The rules of the house, held by reading the source: who imports whom, and how files look."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.fixtures import ROOT

CORE, PAGES = ROOT / "vae_core", ROOT / "pages"
MAX_LINES = 350

# Each layer may import only what stands in an earlier line. `data` knows no model.
ORDER = (
    ("types", "errors", "files", "card"),
    ("device", "grid", "estimators", "data"),
    ("likelihoods", "posterior"),
    ("nets",),
    ("model",),
    ("objectives", "evaluate"),
    ("latent",),
    ("checkpoint",),
    ("examine", "library", "portable", "report", "train"),
    ("apply", "export", "pipeline", "recipes"),
    ("mapping",),
    ("cli",),
    ("runs",),
    ("sweep",),
    ("__init__", "__main__"),
)
RANK = {layer: rank for rank, layers in enumerate(ORDER) for layer in layers}
# Narrower than the order: what these may use of the project besides themselves.
ONLY = {
    "data": {"types", "errors", "files"},
    "estimators": set(),
    "evaluate": {"errors", "types", "estimators", "likelihoods", "posterior", "model", "data"},
    "latent": {"errors", "types", "files", "estimators", "posterior", "model", "data", "evaluate"},
    "grid": set(),
    "export": {"errors", "files", "grid", "data", "latent", "checkpoint", "examine"},
}

core_files = sorted(CORE.rglob("*.py"))
page_files = sorted(PAGES.rglob("*.py"))
sources = sorted([*core_files, *page_files, ROOT / "app.py", *(ROOT / "tests").rglob("*.py")])


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def each(files: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", files, ids=short)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Full names of all modules that a file imports, inside functions too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{short(path)}:{node.lineno} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)


def layer_of(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def used_layers(path: Path) -> set[str]:
    parts = (name.split(".") for name in imported(path) if name.startswith("vae_core."))
    return {part[1] for part in parts if part[1] in RANK} - {layer_of(path)}


def calls(path: Path, name: str) -> list[int]:
    """Lines that use `name`, as a bare name or an attribute starting so."""
    found = []
    for node in ast.walk(tree_of(path)):
        is_name = isinstance(node, ast.Name) and node.id == name
        is_attribute = isinstance(node, ast.Attribute) and node.attr.startswith(name)
        if is_name or is_attribute:
            found.append(node.lineno)
    return found


def test_every_part_of_the_core_has_its_layer() -> None:
    assert {layer_of(path) for path in core_files} == set(RANK)


@each(core_files)
def test_a_layer_imports_only_what_stands_above_it(path: Path) -> None:
    layer = layer_of(path)
    assert [used for used in used_layers(path) if RANK[used] >= RANK[layer]] == []
    assert used_layers(path) <= ONLY.get(layer, set(RANK))


@each(core_files)
def test_the_core_knows_no_page_and_no_web_framework(path: Path) -> None:
    tops = {name.split(".")[0] for name in imported(path)}
    assert not tops & {"streamlit", "plotly", "pages", "app", "tests"}


@each(core_files)
def test_only_the_command_line_talks(path: Path) -> None:
    assert calls(path, "print") == []


@each(core_files)
def test_nothing_is_unpickled_or_reseeded(path: Path) -> None:
    names = set(imported(path))
    assert not names & {"pickle", "joblib", "torch.load", "random"}
    assert "numpy.random.seed" not in names
    source = path.read_text(encoding="utf-8")
    assert "torch.load(" not in source
    assert "allow_pickle=True" not in source
    assert "np.random.seed(" not in source
    assert "torch.manual_seed(" not in source


@each([path for path in page_files if path.name != "cache.py"])
def test_only_one_file_caches(path: Path) -> None:
    assert calls(path, "cache_data") == calls(path, "cache_resource") == []


@each(sorted(PAGES.glob("*.py")))
def test_a_page_reads_top_to_bottom(path: Path) -> None:
    assert not {name.split(".")[0] for name in imported(path)} & {"torch", "numpy"}
    assert not any(isinstance(node, ast.Try) for node in ast.walk(tree_of(path)))


@each(page_files)
def test_pages_leave_training_to_the_core(path: Path) -> None:
    assert not any(name == "torch" or name.startswith("torch.") for name in imported(path))


@each(sources)
def test_files_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public functions, classes, and methods of public classes; a Protocol's own text covers it."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef) and "Protocol" not in map(ast.unparse, node.bases):
                methods = (m for m in node.body if isinstance(m, ast.FunctionDef))
                yield from (m for m in methods if not m.name.startswith("_"))


@each(core_files)
def test_every_public_name_says_what_it_is(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree) or not tree.body
    assert [node.name for node in public(tree) if not ast.get_docstring(node)] == []


@each(core_files)
def test_no_function_takes_open_ended_options(path: Path) -> None:
    assert [node.name for node in public(tree_of(path)) if getattr(node, "args", None) is not None
            and node.args.kwarg] == []  # type: ignore[union-attr]  # fmt: skip


def test_functions_are_short() -> None:
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for path in core_files
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None
    )
    assert lengths[len(lengths) // 2] <= 12


def test_the_core_imports_without_the_app_and_without_umap() -> None:
    import subprocess
    import sys

    code = "import sys, vae_core.cli; print({'streamlit', 'plotly', 'umap'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "set()", done.stderr
