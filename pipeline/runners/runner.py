"""Runners: checks before a job, and submitting, awaiting, monitoring and cancelling it."""

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TextIO

import apache_beam as beam
import grpc
import psutil
import requests
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    StandardOptions,
    TestOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.dataflow.dataflow_runner import DataflowRuntimeException
from apache_beam.runners.runner import PipelineRunner, PipelineState, create_runner
from google.api_core.exceptions import GoogleAPIError

from pipeline.errors import JobError, RunnerLostError, UsageError
from pipeline.folders.reachability import check_storages
from pipeline.runners import local
from pipeline.runners.flink import FlinkRunner
from pipeline.runners.options import is_dataflow, is_elsewhere, is_flink, is_local
from pipeline.terminal import console, memory
from transforms.storage import http

# The timeout of a request that finds out whether a service runs.
_PROBE_SECONDS = 4
_STATE_SECONDS = 1
# The messages of Prism, Flink and Dataflow.
_WORKER_GONE = ("SDK worker disconnected", "SDK harness exited", "lost contact with the service")


def check(options: PipelineOptions, wait: bool = True) -> None:
    """Refuses a runner that does not respond, within seconds.

    Args:
      options: Beam's options, which name the runner.
      wait: The launcher waits for the end of the job.

    Raises:
      UsageError: A service does not respond, or this runner needs the launcher.
    """
    if not wait and not is_elsewhere(options):
        raise UsageError("--no_wait: the job runs in this process, and would end with it")
    if is_local(options):
        return
    name = options.view_as(StandardOptions).runner
    if is_dataflow(options):
        cloud = options.view_as(GoogleCloudOptions)
        folders = {
            "--temp_location": cloud.temp_location,
            "--staging_location": cloud.staging_location,
        }
        check_storages(((flag, path) for flag, path in folders.items() if path), to_write=True)
    # This checks the storages as well, with Beam's long timeouts.
    if errors := PipelineOptionsValidator(options, create_runner(name)).validate():
        raise UsageError(f"--runner={name}: {' '.join(errors)}")
    portable = options.view_as(PortableOptions)
    endpoint = portable.job_endpoint
    if endpoint and endpoint != "embed":
        _check_grpc(f"--job_endpoint={endpoint}", endpoint, "start the job server")
        pool = portable.environment_config or portable.lookup_environment_option(
            "external_service_address"
        )
        # A runner on this machine has its workers here as well. In a cluster, the address may be
        # right although nothing responds to it here.
        if (portable.environment_type or "").upper() == "EXTERNAL" and _is_here(endpoint, pool):
            _check_grpc(f"--environment_config={pool}", pool, "start the worker pool")
    flink_master = options.view_as(FlinkRunnerOptions).flink_master
    if is_flink(options) and not endpoint and flink_master[:1] != "[":
        _check_flink(flink_master)


def submits_job(options: PipelineOptions) -> bool:
    """Returns whether a job is submitted, rather than a template of it written."""
    cloud = options.view_as(GoogleCloudOptions)
    return not (
        is_dataflow(options) and (cloud.template_location or options.view_as(TestOptions).dry_run)
    )


def run(
    options: PipelineOptions,
    build: Callable[[beam.Pipeline], None],
    *,
    verbose: bool = False,
    wait: bool = True,
    shows_states: bool = True,
) -> bool:
    """Builds a job, runs it on the runner of the options, and waits for its end.

    Args:
      options: Beam's options, which name the runner.
      build: Adds the job to a pipeline.
      verbose: Show what workers in this process print.
      wait: Wait for the end; else return as soon as the job is submitted.
      shows_states: Print the states of a job that runs elsewhere.

    Returns:
      Whether the job has run to its end.

    Raises:
      RunnerLostError: The runner or one of its workers is gone.
      JobError: The runner reports that the job failed.
      KeyboardInterrupt: The user interrupts; the job is cancelled.
      Exception: The exception of a worker in this process.
    """
    runner: PipelineRunner | None = None
    if is_local(options):
        runner = local.runner(options)
    elif is_flink(options):
        runner = FlinkRunner()
    pipeline = beam.Pipeline(runner=runner, options=options)
    build(pipeline)
    user = sys.stderr
    state: str | None
    # Threads that fail print the traceback that the job's exception carries as well.
    with console.hide_stderr(verbose), _errors_of_runner():
        if is_local(options):
            state = local.run(pipeline)
        else:
            state = _run_elsewhere(pipeline, options, wait, user, shows_states)
    if state == PipelineState.DONE:
        return True
    if state is None:
        return False
    raise JobError(f"{options.view_as(StandardOptions).runner} ended the job as {state}")


@contextlib.contextmanager
def _errors_of_runner() -> Iterator[None]:
    """Raises errors of the runner as errors of the job."""
    try:
        yield
    except RuntimeError as error:
        if "Channel closed prematurely" not in str(error):  # Beam, of a worker process
            raise
        raise RunnerLostError(_with_cause(_WORKER_GONE[0])) from error
    except local.WorkerLostError as error:
        raise RunnerLostError(str(error)) from error
    except grpc.RpcError as error:
        raise RunnerLostError(f"the runner is gone: {_message(error)}") from error
    except requests.RequestException as error:
        raise RunnerLostError(f"the runner does not respond: {error}") from error
    except GoogleAPIError as error:
        raise JobError(f"Dataflow refuses the job: {error}") from error


def exit_immediately(status: int) -> NoReturn:
    """Ends this process without waiting for the threads of the runner.

    Worker processes are killed: they would wait a minute for a runner that is gone.
    """
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    console.forget()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _run_elsewhere(
    pipeline: beam.Pipeline, options: PipelineOptions, wait: bool, user: TextIO, shows_states: bool
) -> str | None:
    """Submits a job; returns its final state, or None if the launcher does not wait for it.

    Args:
      pipeline: The job.
      options: Beam's options.
      wait: Wait for the end.
      user: The stream of messages to the user.
      shows_states: Print the states of the job.
    """
    result = pipeline.run()
    template = options.view_as(GoogleCloudOptions).template_location
    if is_dataflow(options) and not getattr(result, "has_job", False):
        print(f"template  {template}" if template else "nothing was submitted", flush=True)
        return None
    where = _where(result, options)
    print(f"submitted {where}", file=user, flush=True)
    if not wait:
        return None
    ended = threading.Event()
    if shows_states:
        arguments = (result, is_dataflow(options), where, user, ended)
        threading.Thread(target=_print_states, args=arguments, name="states", daemon=True).start()
    try:
        return str(result.wait_until_finish())
    except (RuntimeError, DataflowRuntimeException) as error:
        raise JobError(_with_cause(str(error))) from error
    except KeyboardInterrupt:
        _cancel(result, where, user)
        raise
    finally:
        ended.set()


def _cancel(result: Any, where: str, user: TextIO) -> None:
    print("cancelling the job", file=user, flush=True)
    try:
        result.cancel()
    except Exception as error:
        hint = f"the job could not be cancelled: {error}; stop it yourself: {where}"
        print(hint, file=user, flush=True)


def _print_states(
    result: Any, is_dataflow: bool, where: str, user: TextIO, ended: threading.Event
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
            print(f"{str(state).lower()}  {where}", file=user, flush=True)
        printed = state


def _with_cause(text: str) -> str:
    """Returns the runner's message about a failed job, with the likely cause if it has none."""
    if any(words in text for words in _WORKER_GONE):
        return (
            f"{text.strip()}: a worker is gone; it may have been killed, or its memory may have"
            f" been too small: {memory.ADVICE}"
        )
    return text


def _where(result: Any, options: PipelineOptions) -> str:
    """Returns the address of a submitted job."""
    if is_dataflow(options):
        cloud = options.view_as(GoogleCloudOptions)
        return (
            f"https://console.cloud.google.com/dataflow/jobs/{cloud.region}/{result.job_id()}"
            f"?project={cloud.project}"
        )
    if flink := _flink_job(result):
        return f"{flink[0]}/#/job/{flink[1]}"
    endpoint = options.view_as(PortableOptions).job_endpoint
    return f"{result._job_id} at {endpoint}" if endpoint else str(result._job_id)


def _flink_job(result: Any) -> tuple[str, str] | None:
    """Returns Flink's address and its id of the job, if Beam has uploaded the job itself."""
    jobs = getattr(getattr(result, "_job_service", None), "_jobs", {})
    job: Any = jobs.get(getattr(result, "_job_id", None))
    flink_id = getattr(job, "_flink_job_id", None)
    return (job._master_url, flink_id) if flink_id else None


def _check_grpc(flag: str, address: str, advice: str) -> None:
    with contextlib.closing(grpc.insecure_channel(address)) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_PROBE_SECONDS)
        except grpc.FutureTimeoutError as error:
            raise UsageError(
                f"{flag}: nothing responds there within {_PROBE_SECONDS} s; {advice}, or use"
                " another address"
            ) from error


def _check_flink(flink_master: str) -> None:
    url = flink_master if "://" in flink_master else f"http://{flink_master}"
    try:
        body = http.probe(f"{url}/v1/config", _PROBE_SECONDS, max_bytes=2**20)
        version = str(json.loads(body)["flink-version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--flink_master={flink_master}: no Flink responds there: {error}; start the cluster,"
            " or use the address of its JobManager's REST interface"
        ) from error
    known = FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    if ".".join(version.split(".")[:2]) not in known:
        raise UsageError(
            f"--flink_master={flink_master}: it is Flink {version} (this version of Beam"
            f" supports {', '.join(known)})"
        )


def _is_here(*addresses: str | None) -> bool:
    hosts = {(address or "").rpartition("://")[2].rpartition(":")[0] for address in addresses}
    return hosts <= {"localhost", "127.0.0.1", "[::1]"}


def _message(error: grpc.RpcError) -> str:
    details: Callable[[], str] | None = getattr(error, "details", None)
    return (details() if details else None) or str(error)
