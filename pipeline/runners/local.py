"""Beam's in-process engine, and what it leaves to be put right."""

import contextlib
import ctypes
import queue
import sys
import threading
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.runners.portability.portable_runner import JobServiceHandle

# The parameter of mallopt (malloc.h of glibc).
_M_ARENA_MAX = -8
# What Beam's thread that waits for a worker process raises when that has ended.
_WORKER_ENDED = "Worker subprocess exited"

# A thread that waits for Python's lock has the one that holds it give it up after 5 ms by default.
# 10,000 clips of 1 s with an instant model took 6 % less time at this value, and no less at 500 ms.
_SWITCH_SECONDS = 0.05
_SIGNAL_SECONDS = 0.5


class WorkerLostError(Exception):
    """A worker process has ended; threads of the engine wait for it for ever."""


def runner(options: PipelineOptions) -> fn_runner.FnApiRunner:
    """Returns Beam's in-process runner; `DirectRunner` itself tries to download another first."""
    _share_one_heap()
    sys.setswitchinterval(_SWITCH_SECONDS)
    # Beam's threads hand on what they have written once a second, from another thread that does not
    # wait for the end of an element: the two halves are then read as garbage, or as other elements
    # (in 2.77, 100,000 small elements written within 2 s broke one run of two). Without the limit
    # they hand on by size, between elements.
    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    # Without this the options do not reach workers in processes of their own.
    provision_info = fn_runner.ExtendedProvisionInfo(
        beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    )
    return fn_runner.FnApiRunner(provision_info=provision_info)


def run(pipeline: beam.Pipeline) -> str:
    """Runs a pipeline and returns its state.

    Raises:
      WorkerLostError: A worker process has ended before the job.
      Exception: What a worker in this process has raised.
    """
    # Beam does not look at its worker processes while it waits for them: one that is killed at the
    # start is waited for without end. Its thread dies of that, which is seen here.
    outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def watch(died: threading.ExceptHookArgs) -> None:
        if _WORKER_ENDED in str(died.exc_value):
            outcomes.put(
                WorkerLostError(
                    f"a worker process has ended ({died.exc_value}): it may have been killed, or"
                    " the memory may not have been enough"
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
        threading.Thread(target=run_to_the_end, name="engine", daemon=True).start()
        outcome = _next(outcomes)
    finally:
        threading.excepthook = previous
    if isinstance(outcome, BaseException):
        raise outcome
    return str(outcome)


def _next(outcomes: "queue.SimpleQueue[Any]") -> Any:
    """Waits in steps: a signal that another thread was given does not end a wait of this one."""
    while True:
        try:
            return outcomes.get(timeout=_SIGNAL_SECONDS)
        except queue.Empty:
            continue


def _share_one_heap() -> None:
    """Has all threads of this process allocate from one heap, where the C library is glibc's.

    By default each has its own, and what one has freed there another cannot use: of ten hours of
    sound 110 MB stayed behind.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
