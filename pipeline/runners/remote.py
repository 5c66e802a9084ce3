"""Submitting a job to a cluster, awaiting its end, and cancelling it."""

import threading
from collections.abc import Callable
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
)
from apache_beam.portability.api import beam_job_api_pb2_grpc
from apache_beam.runners.dataflow.dataflow_runner import DataflowRuntimeException
from apache_beam.runners.runner import PipelineState

from pipeline.errors import JobError
from pipeline.runners import causes, dataflow, waiting
from pipeline.runners.flink import slots
from pipeline.runners.flink.job import FlinkJob
from pipeline.runners.flink.rest import Cluster
from pipeline.runners.job_server import ServerJob
from pipeline.runners.options import flink_master, is_dataflow, pool_address
from pipeline.runners.waiting import RemoteJob, Status
from pipeline.terminal import memory

_STATE_SECONDS = 1
# The messages of Prism, Flink and Dataflow.
WORKER_GONE = (
    *("SDK worker disconnected", "SDK harness exited", "lost contact with the service"),
    *("SDK harness closed connection", "CANCELLED: client cancelled"),
)


def run(
    pipeline: beam.Pipeline,
    options: PipelineOptions,
    wait: bool,
    say: Callable[[str], None],
    shows_states: bool = True,
    show: Callable[[Status], None] | None = None,
    verbose: bool = False,
) -> str | None:
    """Submits a job; returns its final state, or None if the launcher does not wait for it.

    Args:
      pipeline: The job.
      options: Beam's options.
      wait: Wait for the end.
      say: Prints a line.
      shows_states: Print each new state of the job.
      show: Called with each status of the job.
      verbose: Print the runner's whole text about a job that has failed.

    Raises:
      UsageError: The job is too large for the runner.
      JobError: The job has failed.
      RunnerLostError: The cluster has lost the job, or does not respond.
      KeyboardInterrupt: The user interrupts; the job is cancelled.
    """
    if master := flink_master(options):
        parallelism = options.view_as(FlinkRunnerOptions).parallelism
        slots.await_free(Cluster(master), parallelism, wait, say)
    if is_dataflow(options):
        dataflow.check_graph(pipeline)
    result: Any = pipeline.run()
    if is_dataflow(options) and not getattr(result, "has_job", False):
        template = options.view_as(GoogleCloudOptions).template_location
        print(f"template  {template}" if template else "nothing was submitted", flush=True)
        return None
    job = _remote_job(result, options)
    say(f"submitted {job.where if job else _where(result, options)}")
    if not wait:
        return None
    if job is None:
        return _await_by_beam(result, options, say, shows_states)
    try:
        status = waiting.await_end(job, say, shows_states, show)
        if status.state == PipelineState.FAILED:
            raise JobError(_cause(job, pool_address(options), say if verbose else None))
        return status.state
    except KeyboardInterrupt:
        waiting.cancel(job, say)
        raise
    finally:
        result._cleanup()


def with_cause(text: str) -> str:
    """Returns the runner's message about a failed job, with the likely cause if it has none."""
    if any(words in text for words in WORKER_GONE):
        return (
            f"{text.strip()}: a worker is gone; it may have been killed, or its memory may have"
            f" been too small: {memory.ADVICE}"
        )
    return text


def _remote_job(result: Any, options: PipelineOptions) -> RemoteJob | None:
    """Returns the job as this program follows it; None where only Beam can."""
    service = getattr(result, "_job_service", None)
    # Beam's server in this process has uploaded the job itself.
    uploaded: Any = getattr(service, "_jobs", {}).get(getattr(result, "_job_id", None))
    if flink_id := getattr(uploaded, "_flink_job_id", None):
        return FlinkJob(Cluster(uploaded._master_url), flink_id, pool_address(options))
    if isinstance(service, beam_job_api_pb2_grpc.JobServiceStub):
        endpoint = options.view_as(PortableOptions).job_endpoint
        return ServerJob(result, endpoint or "a server of this program")
    return None


def _cause(job: RemoteJob, pool: str, say: Callable[[str], None] | None) -> str:
    try:
        text = waiting.insist(job.cause)
    except (waiting.NoAnswerError, grpc.RpcError, OSError) as error:
        text = f"the cause is unknown: {job.cluster} {error}"
    why = causes.explanation(text, pool)
    if say is not None and text.strip() != why:
        say(text)
    why = with_cause(why) or "the runner does not say why"
    return why if "Traceback" in why else f"the job failed: {why}"


def _await_by_beam(
    result: Any, options: PipelineOptions, say: Callable[[str], None], shows_states: bool
) -> str:
    """Waits for the end of a job of Dataflow, or of a runner in this process."""
    where = _where(result, options)
    ended = threading.Event()
    if shows_states:
        arguments = (result, is_dataflow(options), where, say, ended)
        threading.Thread(target=_print_states, args=arguments, name="states", daemon=True).start()
    try:
        return str(result.wait_until_finish())
    except (RuntimeError, DataflowRuntimeException) as error:
        raise JobError(with_cause(str(error))) from error
    except KeyboardInterrupt:
        _cancel(result, where, say)
        raise
    finally:
        ended.set()


def _cancel(result: Any, where: str, say: Callable[[str], None]) -> None:
    say("cancelling the job")
    try:
        result.cancel()
    except Exception as error:
        say(f"the job could not be cancelled: {error}; stop it yourself: {where}")


def _print_states(
    result: Any, is_dataflow: bool, where: str, say: Callable[[str], None], ended: threading.Event
) -> None:
    """Prints each new state of a job but the final one, which is reported elsewhere."""
    printed = None
    while not ended.wait(_STATE_SECONDS):
        try:
            # Waiting for the end keeps these up to date, without a request of our own.
            state = result.state if is_dataflow else result._state
        except Exception:
            continue  # waiting for the end reports the error
        if state not in (printed, PipelineState.UNKNOWN) and not PipelineState.is_terminal(state):
            say(f"{str(state).lower()}  {where}")
        printed = state


def _where(result: Any, options: PipelineOptions) -> str:
    """Returns the address of a submitted job that Beam follows."""
    if is_dataflow(options):
        cloud = options.view_as(GoogleCloudOptions)
        return (
            f"https://console.cloud.google.com/dataflow/jobs/{cloud.region}/{result.job_id()}"
            f"?project={cloud.project}"
        )
    return str(result._job_id)
