"""Beam's in-process runner, with workarounds for its faults."""

import contextlib
import ctypes
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.runners.portability.portable_runner import JobServiceHandle

from pipeline.terminal import memory

# The parameter of mallopt, from malloc.h of glibc.
_M_ARENA_MAX = -8
# The message of Beam's thread that waits for a worker process, when that has ended.
_WORKER_ENDED = "Worker subprocess exited"

# Threads hand over Python's lock after 5 ms by default. 10,000 clips of 1 s with an instant model
# took 6 % less time at this value, and no less at 500 ms.
_SWITCH_SECONDS = 0.05
_SIGNAL_SECONDS = 0.5


class WorkerLostError(Exception):
    """A worker process has ended; threads of the runner wait for it for ever."""


def runner(options: PipelineOptions) -> fn_runner.FnApiRunner:
    """Returns Beam's in-process runner; `DirectRunner` itself tries to download another first."""
    _share_one_heap()
    sys.setswitchinterval(_SWITCH_SECONDS)
    # Beam flushes written data once a second from a thread that does not wait for the end of an
    # element: the two halves are then read as garbage, or as other elements (in 2.77, 100,000 small
    # elements written within 2 s broke one run in two). Without the limit, Beam flushes by size,
    # between elements.
    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    # Without this, the options do not reach workers in other processes.
    provision_info = fn_runner.ExtendedProvisionInfo(
        beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    )
    return fn_runner.FnApiRunner(provision_info=provision_info)


def run(pipeline: beam.Pipeline) -> str:
    """Runs a pipeline and returns its state.

    Raises:
      WorkerLostError: A worker process has ended before the job.
      Exception: The exception of a worker in this process.
    """
    # Beam waits without end for a worker process that is killed at the start. A thread of Beam dies
    # of that, which is noticed here.
    outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def watch(died: threading.ExceptHookArgs) -> None:
        if _WORKER_ENDED in str(died.exc_value):
            outcomes.put(
                WorkerLostError(
                    f"a worker process has ended ({died.exc_value}): it may have been killed, or"
                    f" the memory may have been too small: {memory.ADVICE}"
                )
            )
        else:
            previous(died)

    def run_to_the_end() -> None:
        try:
            outcomes.put(pipeline.run().wait_until_finish())
        except BaseException as error:
            outcomes.put(error)

    previous, threading.excepthook = threading.excepthook, watch
    try:
        with _noticing_lack_of_threads(outcomes):
            threading.Thread(target=run_to_the_end, name="runner", daemon=True).start()
            outcome = _next(outcomes)
    finally:
        threading.excepthook = previous
    if isinstance(outcome, BaseException):
        raise outcome
    return str(outcome)


def _next(outcomes: "queue.SimpleQueue[Any]") -> Any:
    """Waits in steps: a signal that another thread receives does not end a wait of this one."""
    while True:
        try:
            return outcomes.get(timeout=_SIGNAL_SECONDS)
        except queue.Empty:
            continue


@contextlib.contextmanager
def _noticing_lack_of_threads(outcomes: "queue.SimpleQueue[Any]") -> Iterator[None]:
    """Puts an error where a thread of this process cannot start: Beam then waits without end."""
    start = threading.Thread.start

    def start_or_tell(thread: threading.Thread) -> None:
        try:
            start(thread)
        except RuntimeError:
            if thread.ident is None:
                message = f"out of memory, or of processes (no thread can start): {memory.ADVICE}"
                outcomes.put(WorkerLostError(message))
            raise

    threading.Thread.start = start_or_tell  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]


def _share_one_heap() -> None:
    """Lets all threads of this process allocate from one heap, where the C library is glibc.

    By default each thread has its own, and memory that is freed there cannot be used by others:
    110 MB were lost over ten hours of audio.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
