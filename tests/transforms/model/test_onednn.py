"""Whether TensorFlow computes with oneDNN."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from transforms.model import onednn

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("words", "before", "after"),
    [
        ("flags : fpu avx avx2", None, "1"),
        ("flags : fpu avx avx2", "0", "0"),
        ("flags : fpu avx", None, None),
        ("Features : asimd", None, None),
        (None, None, None),
    ],
    ids=["AVX2", "the user has decided", "no AVX2", "ARM", "not Linux"],
)
def test_it_is_preferred_on_cpus_with_avx2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: str | None,
    before: str | None,
    after: str | None,
) -> None:
    monkeypatch.delenv(onednn.VARIABLE, raising=False)
    if before is not None:
        monkeypatch.setenv(onednn.VARIABLE, before)
    if words is not None:
        (tmp_path / "cpuinfo").write_text(words)
    onednn.prefer(tmp_path / "cpuinfo")
    assert os.environ.get(onednn.VARIABLE) == after


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["0", "1"])
def test_the_state_of_the_process_is_reported(asked: str) -> None:
    script = (
        "import os\n"
        "from transforms.model import onednn\n"
        "found = onednn.is_on()\n"
        # Too late: TensorFlow has been imported.
        "os.environ[onednn.VARIABLE] = str(1 - int(os.environ[onednn.VARIABLE]))\n"
        "print(found, onednn.is_on())"
    )
    environment = os.environ | {onednn.VARIABLE: asked}
    said = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    # Some builds of TensorFlow have no oneDNN to switch on.
    assert said in (2 * ["False"], 2 * [str(asked == "1")])


def test_nothing_else_imports_tensorflow() -> None:
    found = set()
    for package in ("pipeline", "transforms"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                if any(name.split(".")[0] == "tensorflow" for name in names):
                    found.add(path.relative_to(ROOT).as_posix())
    assert found == set()
