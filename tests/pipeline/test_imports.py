"""Import of Beam by the program: what it leaves out, and that it leaves no trace."""

import subprocess
import sys

import pytest

SCRIPT = """\
import gc, sys
from pipeline import imports
module = imports.for_this_process("pipeline.commands.embed")
assert callable(module.run) and gc.isenabled() and gc.get_freeze_count()
print(*(name for name in ("google.cloud.dataflow", "pandas", "tensorflow") if name in sys.modules))
import google.cloud.dataflow, pandas
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
"""


@pytest.mark.parametrize(
    ("flags", "loaded"),
    [([], ""), (["--runner", "x"], "google.cloud.dataflow pandas")],
)
def test_what_other_runners_need_is_imported_for_them_only(flags: list[str], loaded: str) -> None:
    command = [sys.executable, "-c", SCRIPT, "embed", *flags]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip() == loaded
