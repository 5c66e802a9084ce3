"""Output that nobody can take: the exit status is the job's own, and nothing else is printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.terminal import streams
from tests.sounds import noise, write_wav

# Where the shell sends the output, and whether stderr still reaches the test.
NOWHERE = {
    ">/dev/full": True,
    "2>/dev/full": False,
    ">/dev/full 2>&1": False,
    ">&-": True,
    "2>&-": False,
    "<&- >&- 2>&-": False,
    "| head -c 1 >/dev/null": True,
    "2>&1 >/dev/null | head -c 1 >/dev/null": False,
}


def _run(words: str, where: str) -> tuple[int, str]:
    """Runs the program in a shell; returns its own exit status and what reached stderr."""
    command = f"{sys.executable} -m pipeline {words} {where}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], stderr=subprocess.PIPE, text=True, timeout=600, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("where", NOWHERE)
def test_help_and_refusals(where: str) -> None:
    for words, status in (("--help", 0), ("plan --help", 0), ("embed --nosuch", 2)):
        returned, error = _run(words, where)
        assert returned == status, words
        assert error.startswith("beam-audio-embeddings: error: ") == (
            status == 2 and NOWHERE[where]
        )
        assert error.count("\n") <= 1, error


@pytest.mark.parametrize(
    "where",
    [pytest.param(each, marks=pytest.mark.slow) for each in NOWHERE],
)
def test_the_dataset_is_there(where: str, raw: list[str], tmp_path: Path) -> None:
    write_wav(tmp_path / "in/a.wav", noise(32_000))
    (tmp_path / "in/b.wav").write_bytes(b"")
    flags = " ".join([*raw, f"--input={tmp_path}/in", f"--output={tmp_path}/out"])
    status, error = _run(f"embed {flags}", where)
    assert status == 3, error
    assert "Traceback" not in error
    assert "xception" not in error
    assert (tmp_path / "out/dataset.json").exists()
    names = sorted(os.listdir(tmp_path / "out"))
    assert "audio-00000-of-00001.tfrecord" in names
    assert not [name for name in names if name.startswith(".")]


@pytest.mark.slow
@pytest.mark.parametrize("where", NOWHERE)
def test_the_other_commands(where: str, raw: list[str], tmp_path: Path) -> None:
    write_wav(tmp_path / "in/a.wav", noise(32_000))
    flags = " ".join([*raw, f"--input={tmp_path}/in", f"--output={tmp_path}/out"])
    export = f"export-model --untrained --output={tmp_path}/model"
    for words in (f"check {flags}", f"plan {flags}", export, f"embed {flags} --verbose"):
        status, error = _run(words, where)
        assert status == 0, (words, error)
        assert "BrokenPipe" not in error
        assert "No space left" not in error
    assert (tmp_path / "out/dataset.json").exists()


def test_characters_that_the_stream_lacks_are_escaped(tmp_path: Path) -> None:
    with open(tmp_path / "ascii", "w", encoding="ascii") as file:
        assert streams.forgiving(file).write("caf\xe9 …\n") == 7
    assert (tmp_path / "ascii").read_text() == "caf\\xe9 \\u2026\n"
