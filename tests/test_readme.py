"""The README's commands are real: they parse, and the app they start answers."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.browser.server import running_app
from tests.fixtures import ROOT
from vae_core.cli import build_parser

RUN = "pip install -r requirements.txt && streamlit run app.py"
TEST = "pip install -r requirements-dev.txt && pytest"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fenced(language: str) -> list[str]:
    """The contents of all fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """All lines of the shell blocks, continued lines joined, comments dropped."""
    lines = "\n".join(fenced("bash")).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


OURS = [line for line in commands() if line.startswith("python -m vae_core")]


def test_the_two_commands_stand_alone_in_their_blocks() -> None:
    blocks = [block.strip() for block in fenced("bash")]
    assert RUN in blocks
    assert TEST in blocks


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_met_by_what_is_installed(name: str) -> None:
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith("-r")]
    assert wanted
    for line in wanted:
        requirement = Requirement(line)
        found = version(requirement.name)
        assert requirement.specifier.contains(found), f"{line} is not met by {found}"


def test_torch_is_pinned_exactly() -> None:
    assert "torch==2.13.0" in (ROOT / "requirements.txt").read_text().splitlines()


def test_the_app_starts_as_the_readme_says(tiny_checkpoints: Path) -> None:
    command = RUN.partition("&&")[2].split()
    with running_app(tiny_checkpoints, command=command) as app:
        assert app.healthy()


def test_examples_cover_the_command_line() -> None:
    verbs = {shlex.split(line)[3] for line in OURS}
    assert {"train", "evaluate", "reconstruct", "sample", "encode"} <= verbs


@pytest.mark.parametrize("line", OURS)
def test_example_is_understood_by_the_command_line(line: str) -> None:
    words = shlex.split(line.partition("#")[0])
    args = build_parser().parse_args(words[3:])
    assert args.verb == words[3]


@pytest.mark.parametrize("line", OURS)
def test_example_names_real_things(line: str) -> None:
    words = shlex.split(line)
    named = [word for word in words if word.startswith("checkpoints/")]
    for word in named:
        assert (ROOT / word / "card.json").is_file(), f"{word} of the README is not shipped"


@pytest.mark.parametrize("block", fenced("python"))
def test_python_example_compiles(block: str) -> None:
    compile(block, "README.md", "exec")


def test_links_in_the_readme_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_nothing_is_left_to_fill_in() -> None:
    assert re.findall(r"^[A-Z]+_TABLE$|^LIMITS$", README, flags=re.MULTILINE) == []
