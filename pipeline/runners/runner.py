"""Runners: checks before a job, and submitting, awaiting, monitoring and cancelling it."""

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

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
from apache_beam.runners.runner import PipelineRunner, PipelineState, create_runner
from google.api_core.exceptions import GoogleAPIError

from pipeline.errors import JobError, RunnerLostError, UsageError
from pipeline.folders.reachability import check_storages
from pipeline.runners import local, remote
from pipeline.runners.flink import slots
from pipeline.runners.flink.rest import Cluster, without_password
from pipeline.runners.flink.submission import FlinkRunner
from pipeline.runners.options import (
    flink_master,
    is_dataflow,
    is_elsewhere,
    is_flink,
    is_local,
    pool_address,
)
from pipeline.runners.waiting import NoAnswerError, Status
from pipeline.terminal import console, progress

# The timeout of a request that finds out whether a service runs.
_PROBE_SECONDS = 4


def check(options: PipelineOptions, wait: bool = True) -> None:
    """Refuses a runner that does not respond, or cannot run a job, within seconds.

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
        pool = pool_address(options)
        # A runner on this machine has its workers here as well. In a cluster, the address may be
        # right although nothing responds to it here.
        if pool and _is_here(endpoint, pool):
            _check_grpc(f"--environment_config={pool}", pool, "start the worker pool")
    if master := flink_master(options):
        _check_flink(master, options)


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
    show: Callable[[Status], None] | None = None,
) -> bool:
    """Builds a job, runs it on the runner of the options, and waits for its end.

    Args:
      options: Beam's options, which name the runner.
      build: Adds the job to a pipeline.
      verbose: Show what workers in this process print, and all that a runner says of a failure.
      wait: Wait for the end; else return as soon as the job is submitted.
      shows_states: Print the states of a job that runs elsewhere.
      show: Called with each status of a job that runs elsewhere.

    Returns:
      Whether the job has run to its end.

    Raises:
      RunnerLostError: The runner or one of its workers is gone.
      JobError: The runner reports that the job failed.
      KeyboardInterrupt: The user interrupts; the job is cancelled.
      Exception: The exception of a worker in this process.
    """
    say = functools.partial(progress.say, sys.stderr)
    runner: PipelineRunner | None = None
    if is_local(options):
        runner = local.runner(options)
    elif is_flink(options):
        runner = FlinkRunner(say)
    pipeline = beam.Pipeline(runner=runner, options=options)
    build(pipeline)
    state: str | None
    # Threads that fail print the traceback that the job's exception carries as well.
    with console.hide_stderr(verbose), _errors_of_runner():
        if is_local(options):
            state = local.run(pipeline)
        else:
            state = remote.run(pipeline, options, wait, say, shows_states, show, verbose)
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
        raise RunnerLostError(remote.with_cause(remote.WORKER_GONE[0])) from error
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


def _check_grpc(flag: str, address: str, advice: str) -> None:
    with contextlib.closing(grpc.insecure_channel(address)) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_PROBE_SECONDS)
        except grpc.FutureTimeoutError as error:
            raise UsageError(
                f"{flag}: nothing responds there within {_PROBE_SECONDS} s; {advice}, or use"
                " another address"
            ) from error


def _check_flink(flink_master: str, options: PipelineOptions) -> None:
    """Refuses a cluster that does not respond, or that cannot run the job."""
    jar = options.view_as(FlinkRunnerOptions).flink_job_server_jar or ""
    if jar and "://" not in jar and not os.path.isfile(jar):
        raise UsageError(f"--flink_job_server_jar={jar} is no file; use a path or URL of a jar")
    cluster = Cluster(flink_master)
    flag = f"--flink_master={without_password(flink_master)}"
    try:
        version = str(cluster.read("config", _PROBE_SECONDS)["flink-version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{flag}: no Flink responds there: {error}; start the cluster, or use the address of"
            " its JobManager's REST interface"
        ) from error
    known = FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    if ".".join(version.split(".")[:2]) not in known:
        raise UsageError(
            f"{flag}: it is Flink {version} (this version of Beam supports {', '.join(known)})"
        )
    parallelism = options.view_as(FlinkRunnerOptions).parallelism
    say = functools.partial(progress.say, sys.stderr)
    try:
        slots.check(cluster, parallelism, pool_address(options), say)
    except (NoAnswerError, OSError) as error:
        raise UsageError(f"{flag}: the cluster {error}") from error


def _is_here(*addresses: str | None) -> bool:
    hosts = {(address or "").rpartition("://")[2].rpartition(":")[0] for address in addresses}
    return hosts <= {"localhost", "127.0.0.1", "[::1]"}


def _message(error: grpc.RpcError) -> str:
    details: Callable[[], str] | None = getattr(error, "details", None)
    return (details() if details else None) or str(error)
