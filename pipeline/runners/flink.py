"""Beam's runner for Flink clusters, with two of its requests to Flink's REST API corrected.

In Beam 2.77 the request to cancel a job uses a path that Flink does not have, and the cause of a
failure is read where Flink 2 no longer reports it: the user read "unknown error".
"""

from typing import Any

import requests
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability import flink_runner
from apache_beam.runners.portability.flink_uber_jar_job_server import (
    FlinkBeamJob,
    FlinkUberJarJobServer,
)


class FlinkRunner(flink_runner.FlinkRunner):
    """Submits to the REST API of a cluster with `--flink_submit_uber_jar`."""

    def default_job_server(self, options: PipelineOptions) -> Any:
        server = super().default_job_server(options)
        if isinstance(server, FlinkUberJarJobServer):
            server = _JobServer(server._master_url, options)
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
    def cancel(self) -> None:
        path = f"v1/jobs/{self._flink_job_id}?mode=cancel"
        self.request(requests.patch, path, expected_status=202)
        self.delete_jar()

    def get(self, path: str, **kwargs: Any) -> Any:
        answer = super().get(path, **kwargs)
        if path.endswith("/exceptions") and "all-exceptions" not in answer:
            entries = answer.get("exceptionHistory", {}).get("entries", [])
            answer["all-exceptions"] = [
                {"exception": entry.get("stacktrace", ""), "timestamp": entry.get("timestamp", 0)}
                for entry in entries
            ]
        return answer
