"""Memory that runs out: the message says so, and what to do."""

import queue
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.errors import JobError
from pipeline.runners import local, remote
from pipeline.terminal import memory, summary
from tests.running import run_program
from tests.sounds import noise, write_wav

RAN_OUT = [
    "MemoryError",
    "MemoryError: Unable to allocate 37.3 GiB for an array with shape (10000000000,)",
    "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 37.3 GiB for an array",
    "RuntimeError: numpy._core._exceptions._ArrayMemoryError: Unable [while running 'Decode']",
    "tensorflow.python.framework.errors_impl.ResourceExhaustedError: Graph execution error:",
    "transforms.model.errors.ModelError: /m is not a SavedModel that loads: OOM when allocating",
    "RuntimeError: std::bad_alloc",
    "OSError: [Errno 12] Cannot allocate memory: '/a'",
    "ImportError: libtensorflow_cc.so.2: failed to map segment from shared object",
    "RuntimeError: can't start new thread",
]
OTHERS = [
    "    except MemoryError:",
    "OSError: /a/MemoryError.wav does not exist",
    "ValueError: of no matter",
]


@pytest.mark.parametrize("line", RAN_OUT)
def test_every_way_to_say_so_is_told(line: str) -> None:
    text = f"Traceback (most recent call last):\n  File x\n{line}\n"
    why = summary.explanation(JobError(text))
    assert why.startswith("out of memory (")
    assert "--direct_num_workers=1" in why
    assert "\n" not in why


@pytest.mark.parametrize("line", OTHERS)
def test_other_errors_are_not(line: str) -> None:
    assert memory.explanation(f"Traceback\n{line}\n") is None


def test_numpy_itself() -> None:
    import numpy as np

    with pytest.raises(MemoryError) as caught:
        np.ones(2**46)
    assert summary.explanation(caught.value).startswith("out of memory (")


def test_a_job_that_cannot_start_threads_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    outcomes: queue.SimpleQueue[object] = queue.SimpleQueue()
    with local._noticing_lack_of_threads(outcomes):
        thread = threading.Thread(target=int)
        thread.start()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
        assert outcomes.empty()
        for name in ("_start_new_thread", "_start_joinable_thread"):  # before, and since 3.13
            monkeypatch.setattr(threading, name, no_thread, raising=False)
        with pytest.raises(RuntimeError, match="new thread"):
            threading.Thread(target=int).start()
    lost = outcomes.get_nowait()
    assert isinstance(lost, local.WorkerLostError)
    assert str(lost).startswith("out of memory, or of processes")


def test_a_killed_worker_is_told_with_what_to_do() -> None:
    assert memory.ADVICE in remote.with_cause("SDK worker disconnected")


@pytest.mark.slow
@pytest.mark.parametrize("num_kilobytes", [600_000, 1_200_000, 2_400_000])
def test_a_limit_of_memory(num_kilobytes: int, raw: list[str], tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", noise(32_000))
    words = " ".join([*raw, f"--input={tmp_path / 'a.wav'}", f"--output={tmp_path / 'out'}"])
    command = f"ulimit -v {num_kilobytes}; exec {sys.executable} -m pipeline embed {words}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("engine: ")]
    assert lines[0].startswith("error: out of memory"), done.stderr
    assert "Traceback" not in done.stderr
    assert run_program("embed", *words.split()).returncode == 0, "nothing is left in its way"
