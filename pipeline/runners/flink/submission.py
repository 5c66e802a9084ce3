"""Beam's runner for Flink clusters: it submits a jar to the cluster's REST interface."""

import contextlib
import os
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability import flink_runner
from apache_beam.runners.portability.flink_uber_jar_job_server import (
    FlinkBeamJob,
    FlinkUberJarJobServer,
)

from pipeline.errors import JobError
from pipeline.runners.causes import explanation
from transforms.storage import http

_CONNECT_SECONDS = 10.0
# Flink answers only after it has translated the job into its own graph.
_ANSWER_SECONDS = 600.0


class FlinkRunner(flink_runner.FlinkRunner):
    """Submits to the REST interface of a cluster with `--flink_submit_uber_jar`."""

    def default_job_server(self, options: PipelineOptions) -> Any:
        server = super().default_job_server(options)
        if isinstance(server, FlinkUberJarJobServer):
            with contextlib.suppress(OSError):
                os.rmdir(server._temp_dir)  # of each server one that nobody uses
            server = _JobServer(server._master_url, options)
            with contextlib.suppress(OSError):
                os.rmdir(server._temp_dir)
        return server


class _JobServer(FlinkUberJarJobServer):
    def create_beam_job(
        self, job_id: str, job_name: str, pipeline: Any, options: Any
    ) -> "_FlinkJob":
        return _FlinkJob(
            self._master_url,
            self.executable_jar(),
            job_id,
            job_name,
            pipeline,
            options,
            artifact_port=self._artifact_port,
        )


class _FlinkJob(FlinkBeamJob):
    def run(self) -> None:
        try:
            super().run()
        except RuntimeError as error:
            raise JobError(
                f"{self._master_url} refuses the job: {explanation(str(error))}"
            ) from error
        finally:
            # The cluster has copied it for the job, restarts included. Each is 160 MB.
            self.delete_jar()
            with contextlib.suppress(OSError):
                os.unlink(self._jar)

    def request(self, method: Any, path: str, expected_status: int = 200, **kwargs: Any) -> Any:
        timeout = (_CONNECT_SECONDS, _ANSWER_SECONDS)
        try:
            with http.translate_errors(self._master_url, f"{self._master_url}/{path}"):
                return super().request(method, path, expected_status, timeout=timeout, **kwargs)
        except OSError as error:
            raise JobError(
                f"the job was not submitted, or nobody knows ({method.__name__.upper()} {path}):"
                f" {error}; see whether {self._master_url} runs one"
            ) from error
