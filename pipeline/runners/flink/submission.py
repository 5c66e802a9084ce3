"""Beam's runner for Flink clusters: it submits a jar to the cluster's REST interface."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from typing import Any

import urllib3.exceptions
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability import flink_runner
from apache_beam.runners.portability.flink_uber_jar_job_server import (
    FlinkBeamJob,
    FlinkUberJarJobServer,
)

from pipeline.errors import JobError, RunnerLostError
from pipeline.runners.causes import explanation
from pipeline.runners.waiting import POLL_SECONDS, NoAnswerError, Outage
from transforms.storage import http

# To connect; and to answer, which Flink does after it has translated the job into its own graph.
_TIMEOUT = (10.0, 600.0)
_NOT_CONNECTED = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)


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

    def run(self) -> None:
        try:
            super().run()
        except RuntimeError as error:
            why = explanation(_answered(str(error)))
            raise JobError(f"{self._master_url} refuses the job: {why}") from error
        except KeyboardInterrupt:
            if self._jar_uploaded:
                self.say(f"NOTE: the job may run all the same: see {self._master_url}")
            raise
        finally:
            # The cluster has copied it for the job, restarts included. Each is 160 MB.
            self.delete_jar()
            with contextlib.suppress(OSError):
                os.unlink(self._jar)

    def post(self, path: str, **kwargs: Any) -> Any:
        cluster = f"the Flink cluster {self._master_url}"
        outage = Outage(cluster, self.say)
        while True:
            try:
                with http.translate_errors(self._master_url, f"{self._master_url}/{path}"):
                    answer = super().post(path, timeout=_TIMEOUT, **kwargs)
            except OSError as error:
                refused = NoAnswerError(f"does not respond ({error})")
                if not _has_not_connected(error):
                    raise RunnerLostError(
                        f"{cluster} {refused}, and may have the job or not: see {self._master_url}"
                    ) from error
                if gone := outage.note(refused):
                    raise RunnerLostError(f"{gone}; nothing was submitted") from error
                for _, file in kwargs.get("files", {}).values():
                    file.seek(0)
                time.sleep(POLL_SECONDS)
            else:
                outage.end()
                return answer


def _answered(text: str) -> str:
    """Returns what Flink says in Beam's message about a refused request."""
    with contextlib.suppress(ValueError, LookupError, TypeError):
        return "\n".join(json.loads(text[text.index("{") :])["errors"])
    return text


def _has_not_connected(error: OSError) -> bool:
    """Returns whether a request has not reached the cluster, so that it is safe to repeat."""
    reason = error.__cause__
    while reason is not None and not isinstance(reason, _NOT_CONNECTED):
        inner = getattr(reason, "reason", None) or next(iter(reason.args), None)
        reason = inner if isinstance(inner, BaseException) else None
    return reason is not None
