"""Workers, and the supervision of them: crashes, hangs and memory."""

import dataclasses
import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from types import TracebackType
from typing import IO, Any

from tests.fuzz.corpus import Seed

# More than importing the decoders takes on a busy machine.
_START_SECONDS = 120
_DUMP_SECONDS = 2
_MOST_TEXT = 4_000
# Writing a mutated file to a disk may take longer than decoding it.
_IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a case may take: seconds, and the memory of the process that runs it."""

    seconds: float = 20
    peak_mb: float = 500


@dataclasses.dataclass(frozen=True)
class Report:
    """What came of a case.

    Attributes:
      number: Number of the case.
      outcomes: How often each outcome occurred.
      seconds: How long it took; that of the limit after a hang.
      peak_mb: Peak of the process while it ran; 0 if it did not end.
      kind: Kind of fault: `exception`, `crash`, `hang` or `memory`; empty for none.
      text: What is known of the fault.
    """

    number: int
    outcomes: dict[str, int] = dataclasses.field(default_factory=dict)
    seconds: float = 0
    peak_mb: float = 0
    kind: str = ""
    text: str = ""


def run_cases(
    numbers: Iterator[int],
    seeds: list[Seed],
    seed: int,
    target: str,
    num_workers: int = 1,
    limits: Limits = Limits(),
) -> Iterator[Report]:
    """Runs cases, several at a time; yields their reports as they end.

    Args:
      numbers: Numbers of the cases; taken as workers become free.
      seeds: The corpus.
      seed: Seed of the cases.
      target: Module and name of a `targets.Target`.
      num_workers: Number of processes.
      limits: What a case may take.
    """
    lock = threading.Lock()
    reports: Queue[Report | None] = Queue()

    def next_number() -> int | None:
        with lock:
            return next(numbers, None)

    def work(folder: Path, index: int) -> None:
        try:
            with (
                (folder / f"errors-{index}").open("a+b") as errors,
                _Worker([target, str(seed), str(folder)], limits, errors) as worker,
            ):
                while (number := next_number()) is not None:
                    reports.put(worker.run(number))
        finally:
            reports.put(None)

    with (
        tempfile.TemporaryDirectory(prefix="fuzz-", dir=_IN_MEMORY) as name,
        ThreadPoolExecutor(num_workers) as pool,
    ):
        (Path(name) / "seeds").write_bytes(pickle.dumps(seeds))
        futures = [pool.submit(work, Path(name), index) for index in range(num_workers)]
        for _ in futures:
            yield from iter(reports.get, None)
        for future in futures:
            future.result()


class _Worker:
    """A process that runs cases, started again after each fault."""

    def __init__(self, arguments: list[str], limits: Limits, errors: IO[bytes]) -> None:
        self._command = [sys.executable, "-m", "tests.fuzz.worker", *arguments]
        self._limits = limits
        # Opened to append: it is emptied before each case, while the process writes to it.
        self._errors = errors
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def run(self, number: int) -> Report:
        """Runs a case."""
        process = self._process or self._start()
        assert process.stdin is not None
        self._errors.truncate(0)
        process.stdin.write(b"%d\n" % number)
        process.stdin.flush()
        answer = self._answer(process, self._limits.seconds)
        if answer:
            report = _of_answer(number, json.loads(answer), self._limits)
        elif answer is None:
            process.send_signal(signal.SIGABRT)  # faulthandler then tells where it is
            self._wait(process)
            report = Report(number, {}, self._limits.seconds, 0, "hang", self._error_text())
        else:
            self._wait(process)
            text = f"{_describe_end(process.returncode)}\n{self._error_text()}"
            report = Report(number, {}, 0, 0, "crash", text)
        if report.kind:
            self._stop()
        return report

    def _start(self) -> "subprocess.Popen[bytes]":
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        )
        if self._answer(self._process, _START_SECONDS) != b"ready\n":
            self._stop()
            raise RuntimeError(f"the worker does not start: {self._error_text()}")
        return self._process

    def _answer(self, process: "subprocess.Popen[bytes]", seconds: float) -> bytes | None:
        """Returns the next line; none of an ended process; None after too long."""
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            return process.stdout.readline() if selector.select(seconds) else None

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        try:
            process.wait(_DUMP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _error_text(self) -> str:
        self._errors.seek(0)
        text = self._errors.read()[-_MOST_TEXT:].decode(errors="backslashreplace")
        return text.partition("\nExtension modules:")[0]


def _of_answer(number: int, answer: dict[str, Any], limits: Limits) -> Report:
    kind, text = ("exception", answer["fault"]) if answer["fault"] else ("", "")
    if not kind and answer["peak_mb"] > limits.peak_mb:
        kind = "memory"
        text = f"{answer['peak_mb']:.0f} MB (allowed: {limits.peak_mb:.0f})"
    return Report(number, answer["outcomes"], answer["seconds"], answer["peak_mb"], kind, text)


def _describe_end(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"killed by {signal.Signals(-status).name}"
