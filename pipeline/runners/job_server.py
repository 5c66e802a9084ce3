"""A job on a job server, as Beam's Job API reports it: Prism, Flink's, Spark's."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import grpc
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability.portable_runner import PipelineResult
from apache_beam.runners.runner import PipelineState

from pipeline.runners import causes
from pipeline.runners.monitoring import counters
from pipeline.runners.waiting import NoAnswerError, Status, UnknownJobError

_SECONDS = 10.0
_COUNTS_SECONDS = 5.0
_ERROR = beam_job_api_pb2.JobMessage.JOB_MESSAGE_ERROR


class ServerJob:
    """A job that was submitted to a job server; see `waiting.RemoteJob`."""

    def __init__(self, result: PipelineResult, endpoint: str) -> None:
        self.where = f"{result._job_id} at {endpoint}"
        self.cluster = f"the job server {endpoint}"
        self.remains = ""
        self._id: str = result._job_id
        self._service: Any = result._job_service
        self._errors: list[str] = []
        self._traces: list[str] = []
        self._counted = 0.0
        self._counts: Mapping[str, int] = {}
        self._reader = threading.Thread(
            target=self._read, args=(result._message_stream,), name="messages", daemon=True
        )
        self._reader.start()

    def status(self) -> Status:
        request = beam_job_api_pb2.GetJobStateRequest(job_id=self._id)
        number = self._answer(self._service.GetState, request).state
        state = PipelineResult.runner_api_state_to_pipeline_state(number)
        now = time.monotonic()
        if state == PipelineState.RUNNING and now - self._counted > _COUNTS_SECONDS:
            self._counted = now
            self._count()
        words = "" if state in (PipelineState.UNKNOWN, "UNSPECIFIED") else str(state).lower()
        return Status(state, words, counts=self._counts)

    def cause(self) -> str:
        self._reader.join(_SECONDS)  # the last messages may still come
        if not (self._traces or self._errors):
            request = beam_job_api_pb2.JobMessagesRequest(job_id=self._id)
            self._read(self._service.GetMessageStream(request, timeout=_SECONDS))
        return next(reversed(self._traces or self._errors), "")

    def cancel(self) -> None:
        request = beam_job_api_pb2.CancelJobRequest(job_id=self._id)
        self._answer(self._service.Cancel, request)

    def _read(self, messages: Iterable[Any]) -> None:
        with contextlib.suppress(grpc.RpcError):
            for message in messages:
                response = message.message_response
                # Flink's gives the innermost cause as the error, and the whole as a detail.
                if causes.is_java(response.message_text):
                    self._traces.append(response.message_text)
                elif response.importance == _ERROR and response.message_text:
                    self._errors.append(response.message_text)

    def _count(self) -> None:
        """Reads Beam's counters; Flink's job server has none before the end."""
        request = beam_job_api_pb2.GetJobMetricsRequest(job_id=self._id)
        try:
            metrics = self._service.GetJobMetrics(request, timeout=_SECONDS).metrics
        except grpc.RpcError:
            return  # a server need not have them
        infos = metrics.attempted or metrics.committed
        self._counts = counters((info.urn, info.labels, info.payload) for info in infos)

    def _answer(self, call: Callable[..., Any], request: Any) -> Any:
        try:
            return call(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                raise UnknownJobError("does not know the job") from error
            # "failed to connect to all addresses; last error: UNKNOWN: ipv4:…: Connection refused"
            why = str(error.details()).rpartition("last error: ")[2].rpartition(": ")[2]
            raise NoAnswerError(f"does not respond ({why})") from error
