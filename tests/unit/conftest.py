"""The command line run in this process, for good and for bad input."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures import Answer, Refused, strict
from vae_core.cli import main


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Answer:
    """Run a command with --json and return its one object, alone on one line of stdout."""

    def run(*argv: object) -> dict[str, Any]:
        capsys.readouterr()
        assert main([*map(str, argv), "--json"]) == 0
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        return strict(out)

    return run


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must fail with code 2 and an empty stdout; returns stderr's last line."""

    def run(*argv: object) -> str:
        capsys.readouterr()
        assert main([*map(str, argv), "--json"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "Traceback" not in err
        assert err.endswith(".\n")
        return err.splitlines()[-1]

    return run
