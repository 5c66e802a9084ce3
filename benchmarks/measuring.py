"""Measured processes: time, CPU time and memory of commands, and servers that stay."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
# To look for all that is below a process takes 7 ms of a core, which the measured command lacks.
_SAMPLING_SECONDS = 1.0
_TIMEOUT_SECONDS = 3_600
_MAX_ERROR_CHARACTERS = 2_000


class CaseError(Exception):
    """A measured process did not do what it should; the message has its last output."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A command that has ended.

    Attributes:
      seconds: From its start to its end.
      cpu_seconds: CPU time on all cores, with the processes that it has started and waited for.
      peak_bytes: Most resident memory of it and all below it at one time. Pages that several of
        them share count for each.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def run(
    command: Sequence[str | Path], status: int = 0, environment: Mapping[str, str] | None = None
) -> Run:
    """Runs a command from the checkout, as a user would, and measures it.

    Args:
      command: Program and arguments.
      status: That it has to end with.
      environment: Variables besides those of this process.

    Raises:
      CaseError: It ends with another status, or not within an hour.
    """
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(
            words,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        watch = _MemoryWatch(process.pid)
        limit = threading.Timer(_TIMEOUT_SECONDS, _end, [process.pid])
        limit.start()
        try:
            # In place of process.wait(): the kernel's own account of what it took.
            _, waited, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - started
            process.returncode = os.waitstatus_to_exitcode(waited)
        except BaseException:
            _end(process.pid)
            raise
        finally:
            limit.cancel()
            peak = watch.end()
        if process.returncode != status:
            raise CaseError(
                f"{' '.join(words)} ended with {process.returncode} in place of {status}:"
                f" {_recent_output(output)}"
            )
    # The largest of single processes is known exactly, a sum only by samples.
    exact = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1_024)
    return Run(seconds, usage.ru_utime + usage.ru_stime, max(peak, exact))


class Server:
    """A process that stays, so that it can measure in turn with others after one warm-up.

    Its other end is `benchmarks.serving`.
    """

    def __init__(
        self,
        python: str | Path,
        module: str,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Starts the process.

        Args:
          python: Interpreter of its environment.
          module: Name of a module of this package.
          arguments: Command-line arguments of the module.
          environment: Variables besides those of this process.
        """
        self._name = module
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        self._process = subprocess.Popen(
            [str(python), "-m", module, *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, name: str, **arguments: Any) -> Any:
        """Sends a request and returns the answer.

        Raises:
          CaseError: It has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"call": name, **arguments}), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise CaseError(f"{self._name} has ended: {_recent_output(self._errors)}")
        return json.loads(answer)

    def close(self) -> None:
        """Ends the process."""
        if not self._errors.closed:
            _end(self._process.pid)
            self._process.communicate()
            self._errors.close()


class _MemoryWatch(threading.Thread):
    """Adds up the resident memory of a process and all below it, once a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._peak = 0
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._ended.wait(_SAMPLING_SECONDS):
            self._peak = max(self._peak, sum(_resident_bytes(self._pid)))

    def end(self) -> int:
        """Returns the largest sum in bytes."""
        self._ended.set()
        self.join()
        return self._peak


def _resident_bytes(pid: int) -> Iterator[int]:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                yield each.memory_info().rss


def _end(pid: int) -> None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.Error):
                each.kill()


def _recent_output(output: Any) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")[-_MAX_ERROR_CHARACTERS:].strip() or "(no output)"
