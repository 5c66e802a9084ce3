"""Two runs into one output: the second is refused, until the first has ended or was killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import reading
from tests.running import embed
from tests.sounds import noise, write_wav
from transforms.storage.leases import FILE_NAME

_HOLD = """
import sys, time
from transforms.storage import leases
leases.take(sys.argv[1])
print("taken", flush=True)
time.sleep(600)
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lease of the folder `out`."""
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


@pytest.mark.parametrize("flags", [[], ["--overwrite"], ["--name=other"]])
def test_the_second_is_refused_at_the_start(
    flags: list[str],
    held: subprocess.Popen[str],
    raw: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_wav(tmp_path / "a.wav", noise(32_000))
    assert embed(tmp_path / "out", *raw, *flags, f"--input={tmp_path / 'a.wav'}") == 2
    error = capsys.readouterr().err
    assert f"is in use by process {held.pid} on {os.uname().nodename}, since 20" in error
    assert error.count("\n") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == [FILE_NAME]
    held.kill()
    held.wait()
    assert embed(tmp_path / "out", *raw, *flags, f"--input={tmp_path / 'a.wav'}") == 0
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_a_folder_where_no_lease_can_be_written_is_used_with_a_note(
    raw: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_wav(tmp_path / "a.wav", noise(32_000))
    (tmp_path / "out" / FILE_NAME).mkdir(parents=True)  # as odd as it gets
    assert embed(tmp_path / "out", *raw, f"--input={tmp_path / 'a.wav'}") == 0
    assert "NOTE: --output cannot be reserved for this run ([Errno 21]" in capsys.readouterr().err
    assert reading.info(tmp_path / "out")["counts"]["records"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["multi_threading", "multi_processing"])
def test_a_run_after_a_killed_one_starts_at_once(
    vggish_model: str, tmp_path: Path, mode: str
) -> None:
    write_wav(tmp_path / "a.wav", noise(600 * 16_000))  # some seconds of work
    how = [f"--direct_running_mode={mode}", "--direct_num_workers=2", "--profile=raw"]
    flags = [*how, f"--model={vggish_model}", f"--input={tmp_path / 'a.wav'}"]
    flags.append("--engine=tensorflow")  # which takes longer
    first = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "embed", f"--output={tmp_path / 'out'}", *flags],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + 300
    while not (tmp_path / "out" / FILE_NAME).exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(4.0)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (tmp_path / "out/dataset.json").exists(), "it was killed too late"
    assert embed(tmp_path / "out", *flags) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "audio-00000-of-00001.tfrecord", "audio-failures.jsonl", "dataset.json", "schema.pbtxt"
    ]  # fmt: skip
