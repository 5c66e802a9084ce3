"""Commands that are refused."""

from pathlib import Path

import pytest

from pipeline import cli


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Runs a command that must be refused; returns the one line that says why."""
    assert cli.main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err
