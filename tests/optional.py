"""What tests can do without: where it is absent they are skipped, and told what to install.

All of it is asked for here. In a run that may not skip (REQUIRE_ALL_TESTS is set) the test fails.
"""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

# Of this environment: its programs need not be on the PATH.
BIN = Path(sys.executable).parent
STAND_INS = "pip install -e '.[stand-ins]'"
REFERENCES = "pip install -e '.[references]'"


def need(is_there: bool, what: str, way: str) -> None:
    """Skips the test where something is not there.

    Args:
      is_there: Whether it is.
      what: Its name.
      way: To have it, as a command or in words.
    """
    if is_there:
        return
    reason = f"{what} is absent: {way}"
    if os.environ.get("REQUIRE_ALL_TESTS"):
        pytest.fail(f"{reason}; and this run may not skip")
    pytest.skip(reason)


def need_module(name: str, way: str = STAND_INS) -> None:
    """Skips the test where a module of Python cannot be found; it is not imported."""
    try:
        is_there = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # of a name with dots, the package in front of them is absent
        is_there = False
    need(is_there, f"the module {name}", way)


def need_no_module(name: str) -> None:
    """Skips the test where a module of Python is installed, whose absence it is about."""
    need(importlib.util.find_spec(name) is None, f"an environment without {name}", "make one")


def program(name: str, way: str = STAND_INS) -> str:
    """Returns where a program is, or skips the test."""
    found = shutil.which(name, path=f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}")
    need(found is not None, f"the program {name}", way)
    return str(found)
