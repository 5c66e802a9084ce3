"""The output that reaches the user."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.terminal import console

# As TensorFlow 2.21 prints it, before it can be told not to.
NOISE = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795523377.358838   22786 port.cc:153] oneDNN custom operations are on.
I0000 00:00:1795523377.359218   22786 cudart_stub.cc:31] Could not find cuda drivers on your machine
E0000 00:00:1795523377.359218   22786 cuda_executor.cc:1228] INTERNAL: CUDA Runtime error: Failed call to cuInit
* Getting build dependencies for sdist...
  - setuptools>=65
running sdist
no previously-included directories found matching 'tests'
Successfully built beam_audio_embeddings-0.1.0.tar.gz
"""  # noqa: E501


def run(program: str, temporary: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program in a process of its own, with a log in a folder of its own."""
    imports = "from pipeline.terminal import console\nimport os, subprocess, sys\n"
    return subprocess.run(
        [sys.executable, "-c", imports + program],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"TMPDIR": str(temporary)},
    )


def test_output_of_libraries_and_processes_is_hidden_and_ours_is_not(tmp_path: Path) -> None:
    program = f"""
with console.redirect_native_output():
    os.write(2, {NOISE!r}.encode())
    os.write(1, b"psf_fseek: damaged\\n")
    subprocess.run(["sh", "-c", "echo of a child; echo of a child >&2"], check=True)
    print("said")
    print("said to stderr", file=sys.stderr)
    with console.hide_stderr():
        print("of a thread", file=sys.stderr)
os.write(2, b"behind it\\n")
print("behind it")
"""
    done = run(program, tmp_path)
    assert done.stdout == "said\nbehind it\n"
    assert done.stderr == "said to stderr\nbehind it\n"
    assert not [*tmp_path.iterdir()]


def test_verbose_hides_nothing(tmp_path: Path) -> None:
    program = """
with console.redirect_native_output(verbose=True), console.hide_stderr(verbose=True):
    os.write(2, b"of a library\\n")
    print("of a thread", file=sys.stderr)
"""
    assert run(program, tmp_path).stderr == "of a library\nof a thread\n"


def test_recent_output_lacks_the_messages_of_every_run(capfd: pytest.CaptureFixture[str]) -> None:
    with console.redirect_native_output():
        os.write(2, NOISE.encode())
        os.write(2, b"Traceback (most recent call last):\n  File x\nValueError: no\nKilled\n")
        assert console.recent_output() == "ValueError: no\nKilled"
    assert console.recent_output() == ""
    assert capfd.readouterr() == ("", "")


def test_important_warnings_are_printed_once_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    with console.redirect_native_output():
        for _ in range(3):
            os.write(2, b"W0000 op.cc] OOM when allocating tensor\nW0000 of no matter\n")
    assert capfd.readouterr().err == "NOTE: W0000 op.cc] OOM when allocating tensor\n"


def test_any_amount_of_output_is_written_without_waiting(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "_MAX_BYTES", 2**20)
    with console.redirect_native_output():
        log = console._log
        assert log is not None
        for number in range(3):
            os.write(2, b"x" * 2**20 + b"\nline %d\n" % number)
            log.trim()
            assert os.fstat(log.fd).st_size <= console._KEPT_BYTES
            assert console.recent_output().endswith(f"line {number}")
    assert capfd.readouterr() == ("", "")


def test_threads_that_outlive_the_context_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    go_on = threading.Event()

    def outlive() -> None:
        stream = sys.stderr
        go_on.wait(300)
        print("too late", file=stream)

    with console.redirect_native_output(), console.hide_stderr():
        thread = threading.Thread(target=outlive)
        thread.start()
        while not thread.is_alive():
            time.sleep(0.01)
        time.sleep(0.1)
    go_on.set()
    thread.join()
    assert capfd.readouterr() == ("", "")


def test_a_thread_that_outlives_a_job_is_hidden_and_the_main_one_is_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    go_on = threading.Event()

    def outlive() -> None:
        go_on.wait(300)
        print("Traceback of a worker", file=sys.stderr)

    with console.redirect_native_output():
        with console.hide_stderr():
            thread = threading.Thread(target=outlive)
            thread.start()
        go_on.set()
        thread.join()
        print("error: why", file=sys.stderr)
        assert "Traceback of a worker" in console._log.tail()  # type: ignore[union-attr]
    assert capfd.readouterr() == ("", "error: why\n")


def test_a_fatal_error_is_shown_and_earlier_output_stays_in_a_file(
    tmp_path: Path,
) -> None:
    program = """
with console.redirect_native_output():
    os.write(2, b"F0000 check failed\\n")
    os.abort()
"""
    done = run(program, tmp_path)
    assert done.returncode == -signal.SIGABRT
    assert re.match("Fatal Python error: Aborted\n", done.stderr)
    (log,) = tmp_path.iterdir()
    assert log.read_text() == "F0000 check failed\n"


@pytest.mark.slow
def test_an_immediate_exit_leaves_no_file(tmp_path: Path) -> None:
    program = """
from pipeline.runners import runner
with console.redirect_native_output(), console.hide_stderr():
    os.write(2, b"noise")
    print("said")
    runner.exit_immediately(5)
"""
    done = run(program, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (5, "said\n", "")
    assert not [*tmp_path.iterdir()]
