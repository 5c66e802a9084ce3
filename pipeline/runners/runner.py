"""What differs between engines: how a job is submitted, waited for, looked after and cancelled."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable
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
from pipeline.terminal import console

# Of each request that asks whether somebody is there at all.
_PROBE_SECONDS = 4
_STATE_SECONDS = 1
# How Prism, Flink and Dataflow say it.
_WORKER_GONE = ("SDK worker disconnected", "SDK harness exited", "lost contact with the service")


def check(options: PipelineOptions, wait: bool = True) -> None:
    """Refuses an engine that is not there, within seconds.

    Args:
      options: Name the engine.
      wait: The launcher waits for the end of the job.

    Raises:
      UsageError: Says who does not answer, or that this engine cannot be left alone.
    """
    if not wait and not is_elsewhere(options):
        raise UsageError("--no_wait: the job runs in this very process, and would end with it")
    if is_local(options):
        return
    name = options.view_as(StandardOptions).runner
    if is_dataflow(options):
        cloud = options.view_as(GoogleCloudOptions)
        places = {
            "--temp_location": cloud.temp_location,
            "--staging_location": cloud.staging_location,
        }
        check_storages(((flag, path) for flag, path in places.items() if path), to_write=True)
    # This asks the storages as well, with Beam's patience.
    if errors := PipelineOptionsValidator(options, create_runner(name)).validate():
        raise UsageError(f"--runner={name}: {' '.join(errors)}")
    portable = options.view_as(PortableOptions)
    endpoint = portable.job_endpoint
    if endpoint and endpoint != "embed":
        _check_grpc(f"--job_endpoint={endpoint}", endpoint, "start the job server")
        pool = portable.environment_config or portable.lookup_environment_option(
            "external_service_address"
        )
        # An engine on this machine has its workers here as well. Seen from a cluster the address
        # may be right though nobody answers here.
        if (portable.environment_type or "").upper() == "EXTERNAL" and _is_here(endpoint, pool):
            _check_grpc(f"--environment_config={pool}", pool, "start the worker pool")
    flink_master = options.view_as(FlinkRunnerOptions).flink_master
    if is_flink(options) and not endpoint and flink_master[:1] != "[":
        _check_flink(flink_master)


def run(
    options: PipelineOptions,
    build: Callable[[beam.Pipeline], None],
    *,
    verbose: bool = False,
    wait: bool = True,
    shows_states: bool = True,
) -> bool:
    """Builds the graph, runs it on the engine of the options, and waits for its end.

    Args:
      options: Name the engine.
      build: Adds the job to a pipeline.
      verbose: Let through what workers in this process print.
      wait: Else the job is left to the engine as soon as it is submitted.
      shows_states: Print the states of a job that runs elsewhere.

    Returns:
      Whether the job has run to its end.

    Raises:
      RunnerLostError: The engine or one of its workers is gone.
      JobError: The engine says that it failed.
      KeyboardInterrupt: The user wants no more of it; the job is cancelled.
      Exception: What an engine in this process passes on from a worker.
    """
    runner: PipelineRunner | None = None
    if is_local(options):
        runner = local.runner(options)
    elif is_flink(options):
        runner = FlinkRunner()
    pipeline = beam.Pipeline(runner=runner, options=options)
    build(pipeline)
    user = sys.stderr
    # Threads that fail print the traceback that the job's exception carries as well.
    with console.threads_kept_quiet(verbose):
        try:
            state: str | None
            if is_local(options):
                state = local.run(pipeline)
            else:
                state = _run_elsewhere(pipeline, options, wait, user, shows_states)
        except local.WorkerLostError as error:
            raise RunnerLostError(str(error)) from error
        except grpc.RpcError as error:
            raise RunnerLostError(f"the engine is gone: {_words(error)}") from error
        except requests.RequestException as error:
            raise RunnerLostError(f"the engine does not answer: {error}") from error
        except GoogleAPIError as error:
            raise JobError(f"Dataflow refuses the job: {error}") from error
    if state == PipelineState.DONE:
        return True
    if state is None:
        return False
    raise JobError(f"{options.view_as(StandardOptions).runner} ended the job as {state}")


def exit_immediately(status: int) -> NoReturn:
    """Ends this process without the threads of the engine, which would be waited for.

    Its worker processes would for a minute wait for an engine that is gone.
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
    """Submits a job; returns its state at the end, or None where it is not waited for.

    Args:
      pipeline: The job.
      options: Name the engine.
      wait: For the end.
      user: Takes what the user should read meanwhile.
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
        threading.Thread(target=_tell_states, args=arguments, name="states", daemon=True).start()
    try:
        return str(result.wait_until_finish())
    except (RuntimeError, DataflowRuntimeException) as error:
        raise JobError(_explained(str(error))) from error
    except KeyboardInterrupt:
        print("cancelling the job", file=user, flush=True)
        try:
            result.cancel()
        except Exception as error:
            print(
                f"it could not be cancelled: {error}; see to it that it ends: {where}",
                file=user,
                flush=True,
            )
        raise
    finally:
        ended.set()


def _tell_states(
    result: Any, is_dataflow: bool, where: str, user: TextIO, ended: threading.Event
) -> None:
    """Prints each new state of a job, but the last one: what becomes of that is told elsewhere."""
    told = None
    while not ended.wait(_STATE_SECONDS):
        try:
            # What waits for the end keeps these up to date: no request of our own is made.
            state = result.state if is_dataflow else result._state
        except Exception:
            continue  # who waits for the end says what is wrong
        if state not in (told, PipelineState.UNKNOWN) and not PipelineState.is_terminal(state):
            print(f"{str(state).lower()}  {where}", file=user, flush=True)
        told = state


def _explained(text: str) -> str:
    """Returns what an engine says of a job that failed, with the likely cause where it has none."""
    if any(words in text for words in _WORKER_GONE):
        return (
            f"{text.strip()}: a worker is gone; it may have been killed, or its memory may not have"
            " been enough"
        )
    return text


def _where(result: Any, options: PipelineOptions) -> str:
    """Returns how to look after a submitted job."""
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
    """Returns Flink's address and its name of the job, where Beam has uploaded that itself."""
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
                f"{flag}: nobody answers there within {_PROBE_SECONDS} s; {advice}, or name another"
                " address"
            ) from error


def _check_flink(flink_master: str) -> None:
    url = flink_master if "://" in flink_master else f"http://{flink_master}"
    try:
        answer = requests.get(f"{url}/v1/config", timeout=_PROBE_SECONDS)
        answer.raise_for_status()
        version = str(answer.json()["flink-version"])
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--flink_master={flink_master}: no Flink answers there: {error}; start the cluster, or"
            " name the address of its JobManager's REST interface"
        ) from error
    known = FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    if ".".join(version.split(".")[:2]) not in known:
        raise UsageError(
            f"--flink_master={flink_master}: it is Flink {version}; this version of Beam knows"
            f" {', '.join(known)}"
        )


def _is_here(*addresses: str | None) -> bool:
    hosts = {(address or "").rpartition("://")[2].rpartition(":")[0] for address in addresses}
    return hosts <= {"localhost", "127.0.0.1", "[::1]"}


def _words(error: grpc.RpcError) -> str:
    details: Callable[[], str] | None = getattr(error, "details", None)
    return (details() if details else None) or str(error)
