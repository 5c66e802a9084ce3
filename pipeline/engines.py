"""What differs between engines: how a pipeline is made for one, and run."""

import contextlib
import ctypes
import difflib
import os
from collections.abc import Callable, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    StandardOptions,
)
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.runners.runner import PipelineState, create_runner

from pipeline.settings import UsageError

# None where --runner is not given.
_LOCAL_NAMES = (None, "DirectRunner", "direct", "FnApiRunner")
# At least two threads, so that decoding overlaps with the model, which uses all cores by itself.
_LOCAL_DEFAULTS = (
    f"--direct_num_workers={max(2, os.cpu_count() or 1)}",
    "--direct_running_mode=multi_threading",
)


# The parameter of mallopt (malloc.h of glibc).
_M_ARENA_MAX = -8


class JobError(Exception):
    """The engine ended the job without success."""


def beam_options(flags: Sequence[str], own_flags: Sequence[str]) -> PipelineOptions:
    """Parses Beam's flags.

    Args:
      flags: What our own parser left over.
      own_flags: Ours, with the dashes, to suggest from.

    Raises:
      UsageError: A flag is unknown, or Beam refuses a value.
    """
    try:
        options = PipelineOptions([*_LOCAL_DEFAULTS, *flags])
        known = options.get_all_options()
        unknown = set(options.get_all_options(retain_unknown_options=True)) - set(known)
    except SystemExit as error:
        raise UsageError("Beam refuses the flags above") from error
    runner_name = options.view_as(StandardOptions).runner
    if runner_name not in _LOCAL_NAMES:
        try:
            create_runner(runner_name)
        except (ValueError, ImportError, AttributeError) as error:
            raise UsageError(f"--runner={runner_name}: {error}") from error
    if unknown:
        candidates = [*own_flags, *(f"--{name}" for name in known)]
        raise UsageError("; ".join(_unknown(f"--{name}", candidates) for name in sorted(unknown)))
    for before, word in zip(["", *flags], flags, strict=False):
        if not word.startswith("-") and (not before.startswith("-") or "=" in before):
            raise UsageError(f"{word!r} belongs to no flag")
    return options


def run(
    options: PipelineOptions, build: Callable[[beam.Pipeline], None], verbose: bool = False
) -> None:
    """Builds the graph, runs it on the engine of the options, and waits for its end.

    Args:
      options: Name the engine.
      build: Adds the job to a pipeline.
      verbose: Let through what workers in this process print.

    Raises:
      JobError: The engine says that it failed.
      Exception: What an engine in this process passes on from a worker.
    """
    runner_name = options.view_as(StandardOptions).runner
    runner = None
    if runner_name in _LOCAL_NAMES:
        _share_one_heap()
        runner = _local_runner(options)
    pipeline = beam.Pipeline(runner=runner, options=options)
    build(pipeline)
    with contextlib.ExitStack() as stack:
        if runner and not verbose:
            # A failing worker prints the traceback that its exception carries as well.
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
        state = pipeline.run().wait_until_finish()
    if state != PipelineState.DONE:
        raise JobError(f"{runner_name} ended the job with the state {state}")


def _share_one_heap() -> None:
    """Has all threads of this process allocate from one heap, where the C library is glibc's.

    By default each has its own, and what one has freed there another cannot use: of ten hours of
    sound 110 MB stayed behind.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _local_runner(options: PipelineOptions) -> fn_runner.FnApiRunner:
    """Returns Beam's in-process runner; `DirectRunner` itself tries to download another first."""
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


def _unknown(flag: str, candidates: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(flag, candidates, n=1)
    return f"{flag} is unknown" + (f"; did you mean {nearest[0]}?" if nearest else "")
