"""The process in which a proof is made. TensorFlow is not imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from transforms.model.native import proving
from transforms.model.native.proving import ProofError

CHILD = """
import os, time
from transforms.model.native import proving
assert proving._ends_with(os.getppid())
print("ready", flush=True)
time.sleep(60)
"""
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}])"


def test_files_of_the_current_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "numpy", "transforms"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the current folder')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "getpid", lambda: 0)  # so it ends before it imports TensorFlow
    with pytest.raises(ProofError, match="could not be compared with TensorFlow: exit status 3"):
        proving.prove_in_process("model", tmp_path, "f", tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell of a parent's end")
def test_the_process_ends_with_one_that_is_killed(pytestconfig: pytest.Config) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=pytestconfig.rootpath
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    parent.kill()
    assert parent.communicate(timeout=30) == (b"", None), "the child holds the pipe until it ends"
