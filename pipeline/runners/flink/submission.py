"""Beam's runner for Flink clusters: it submits a jar to the cluster's REST interface."""

import concurrent.futures
import contextlib
import os
import posixpath
import threading
import time
from collections.abc import Callable
from typing import Any

import requests
import urllib3.exceptions
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability import flink_runner
from apache_beam.runners.portability.flink_uber_jar_job_server import (
    FlinkBeamJob,
    FlinkUberJarJobServer,
)

from pipeline.errors import JobError, JobGoesOnError, RunnerLostError
from pipeline.runners import waiting
from pipeline.runners.causes import explanation
from pipeline.runners.flink.job import FlinkJob
from pipeline.runners.flink.rest import Cluster, understood
from pipeline.runners.waiting import POLL_SECONDS, NoAnswerError, Outage
from transforms.storage import http
from transforms.storage.retries import RETRYABLE_STATUSES

# To connect; and to answer, which Flink does after it has translated the job into its own graph.
_TIMEOUT = (10.0, 600.0)
_NOT_CONNECTED = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
# Flink without a leader, and proxies without a Flink: the job has surely not been started.
_NOT_STARTED = (429, 503)
# For the answer to a request when the user interrupts, so that what it tells can be taken back.
_LAST_SECONDS = 20.0
_SIGNAL_SECONDS = 0.5


class _RefusedError(Exception):
    """The cluster answers that it does not do what is requested.

    Attributes:
      status: The HTTP status.
    """

    def __init__(self, answer: requests.Response) -> None:
        self.status = answer.status_code
        self._why = explanation(_errors(answer))
        super().__init__(
            self._why or f"{http.status_words(self.status)}{http.quote(answer.content)}"
        )

    def is_final(self, is_upload: bool) -> bool:
        """Returns whether Flink would refuse the same request again."""
        # Flink's own 500: the job cannot be translated. An upload may be repeated at no risk.
        is_flink = self.status == 500 and self._why and not is_upload
        return bool(is_flink) or self.status not in RETRYABLE_STATUSES


class FlinkRunner(flink_runner.FlinkRunner):
    """Submits to the REST interface of a cluster with `--flink_submit_uber_jar`.

    Args:
      say: Prints a line: the cluster does not respond, and is waited for.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def default_job_server(self, options: PipelineOptions) -> Any:
        server = super().default_job_server(options)
        if isinstance(server, FlinkUberJarJobServer):
            with contextlib.suppress(OSError):
                os.rmdir(server._temp_dir)  # of each server one that nobody uses
            server = _JobServer(server._master_url.rstrip("/"), options)
            server.say = self._say
            with contextlib.suppress(OSError):
                os.rmdir(server._temp_dir)
        return server


class _JobServer(FlinkUberJarJobServer):
    say: Callable[[str], None]

    def executable_jar(self) -> Any:
        try:
            return super().executable_jar()
        except (OSError, ValueError, LookupError, RuntimeError) as error:
            why = http.cause(error) if isinstance(error, OSError) else error
            raise JobError(
                f"the jar of Beam's job server cannot be had: {why}; name one with"
                " --flink_job_server_jar"
            ) from error

    def create_beam_job(
        self, job_id: str, job_name: str, pipeline: Any, options: Any
    ) -> "_FlinkJob":
        job = _FlinkJob(
            self._master_url,
            self.executable_jar(),
            job_id,
            job_name,
            pipeline,
            options,
            artifact_port=self._artifact_port,
        )
        job.say = self.say
        return job


class _FlinkJob(FlinkBeamJob):
    say: Callable[[str], None]

    @property
    def _cluster(self) -> Cluster:
        return Cluster(self._master_url)

    def run(self) -> None:
        try:
            self._upload_and_start()
        except KeyboardInterrupt:
            if job_id := getattr(self, "_flink_job_id", ""):
                waiting.cancel(FlinkJob(self._cluster, job_id, ""), self.say)
            raise

    def _upload_and_start(self) -> None:
        try:
            self._stop_artifact_service()
            with open(self._jar, "rb") as jar:
                self.post("v1/jars/upload", self._keep_jar, files={"jarfile": ("beam.jar", jar)})
            entry = {"entryClass": "org.apache.beam.runners.flink.FlinkPipelineRunner"}
            self.post(f"v1/jars/{self._flink_jar_id}/run", self._keep_job, json=entry)
        finally:
            # The cluster has copied it for the job, restarts included. Each is 160 MB.
            self.delete_jar()
            with contextlib.suppress(OSError):
                os.unlink(self._jar)

    def _keep_jar(self, answer: Any) -> None:
        self._flink_jar_id = posixpath.basename(answer["filename"])
        self._jar_uploaded = True

    def _keep_job(self, answer: Any) -> None:
        self._flink_job_id = answer["jobid"]

    def delete_jar(self) -> None:
        if self._jar_uploaded:
            self._jar_uploaded = False
            try:
                waiting.insist(lambda: self._cluster.delete_jar(self._flink_jar_id))
            except FileNotFoundError:
                pass
            except (NoAnswerError, OSError) as error:
                self.say(
                    f"NOTE: the job's jar of some 160 MB stays on the cluster: {self._cluster}"
                    f" {error}; delete {self._cluster.url}/jars/{self._flink_jar_id} yourself"
                )

    def post(self, path: str, keep: Callable[[Any], None] = lambda _: None, **kwargs: Any) -> Any:
        """Sends a request, again as long as the cluster has surely not started the job.

        Args:
          path: Path of the request.
          keep: Takes what is needed from the answer.
          kwargs: Other arguments of `requests.post`.

        Raises:
          JobError: The cluster refuses the request.
          RunnerLostError: The cluster does not respond.
        """
        outage = Outage(str(self._cluster), self.say)
        is_upload = path.endswith("/upload")
        while True:
            try:
                answer = self._answer(path, keep, kwargs)
            except (OSError, NoAnswerError, _RefusedError) as error:
                if isinstance(error, _RefusedError) and error.is_final(is_upload):
                    raise JobError(f"{self._cluster.url} refuses the job: {error}") from error
                words = error if isinstance(error, NoAnswerError) else f"does not respond ({error})"
                if not is_upload and not _is_not_started(error):
                    raise JobGoesOnError(
                        f"{self._cluster} {words}, and may have the job or not: see"
                        f" {self._cluster.url}",
                        self._cluster.url,
                    ) from error
                if gone := outage.note(NoAnswerError(words)):
                    raise RunnerLostError(f"{gone}; nothing was submitted") from error
                for _, file in kwargs.get("files", {}).values():
                    file.seek(0)
                time.sleep(POLL_SECONDS)
            else:
                outage.end()
                return answer

    def _answer(self, path: str, keep: Callable[[Any], None], kwargs: dict[str, Any]) -> Any:
        """Returns the answer to one request.

        It is sent by a thread: if the user interrupts, the answer is waited for a little longer, so
        that nothing stays on the cluster.
        """
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def send() -> None:
            try:
                future.set_result(self._send(path, kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=send, name="request", daemon=True).start()
        try:
            _await(future)
        except KeyboardInterrupt:
            self.say(f"interrupted: waiting for the answer of {self._cluster} to take it back")
            try:
                keep(future.result(_LAST_SECONDS))
            except Exception:
                self.say(f"NOTE: {self._cluster} may have the job or its jar: see that address")
            raise
        answer = future.result()
        with understood():
            keep(answer)
        return answer

    def _send(self, path: str, kwargs: dict[str, Any]) -> Any:
        with http.translate_errors(self._cluster.url, self._cluster.url):
            answer = requests.post(f"{self._master_url}/{path}", timeout=_TIMEOUT, **kwargs)
            if not 200 <= answer.status_code < 300:
                raise _RefusedError(answer)
            return answer.json()


def _await(future: concurrent.futures.Future[Any]) -> None:
    """Waits in steps: a signal that another thread receives does not end a wait of this one."""
    while not future.done():
        concurrent.futures.wait([future], _SIGNAL_SECONDS)


def _errors(answer: requests.Response) -> str:
    """Returns what Flink says about a refused request; nothing if it is not Flink that answers."""
    with contextlib.suppress(ValueError, LookupError, TypeError):
        return "\n".join(answer.json()["errors"])
    return ""


def _is_not_started(error: Exception) -> bool:
    """Returns whether a request has surely started no job, so that it is safe to repeat."""
    if isinstance(error, _RefusedError):
        return error.status in _NOT_STARTED
    reason = error.__cause__
    while reason is not None and not isinstance(reason, _NOT_CONNECTED):
        inner = getattr(reason, "reason", None) or next(iter(reason.args), None)
        reason = inner if isinstance(inner, BaseException) else None
    return reason is not None
