"""The status of a job on a job server, as Beam's Job API reports it."""

import contextlib
import time
from collections.abc import Iterator
from concurrent import futures
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from apache_beam.portability.api import (
    beam_job_api_pb2,
    beam_job_api_pb2_grpc,
    metrics_pb2,
)
from apache_beam.runners.runner import PipelineState

from pipeline.runners.job_server import ServerJob
from pipeline.runners.waiting import NoAnswerError, UnknownJobError

JOB = "job-1"


class Server(beam_job_api_pb2_grpc.JobServiceServicer):
    """A job server that says what it is told to."""

    state = beam_job_api_pb2.JobState.RUNNING
    messages: tuple[str, ...] = ("first", "last")

    def GetState(self, request: Any, context: Any) -> Any:  # noqa: N802
        if request.job_id != JOB:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such job")
        return beam_job_api_pb2.JobStateEvent(state=self.state)

    def GetMessageStream(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        for text in self.messages:
            message = beam_job_api_pb2.JobMessage(
                message_text=text, importance=beam_job_api_pb2.JobMessage.JOB_MESSAGE_ERROR
            )
            yield beam_job_api_pb2.JobMessagesResponse(message_response=message)

    def GetJobMetrics(self, request: Any, context: Any) -> Any:  # noqa: N802
        info = metrics_pb2.MonitoringInfo(
            urn="beam:metric:user:sum_int64:v1",
            labels={"NAMESPACE": "beam_audio_embeddings", "NAME": "rows"},
            payload=bytes([7]),
        )
        metrics = beam_job_api_pb2.MetricResults(attempted=[info])
        return beam_job_api_pb2.GetJobMetricsResponse(metrics=metrics)

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.state = beam_job_api_pb2.JobState.CANCELLED
        return beam_job_api_pb2.CancelJobResponse(state=self.state)


@contextlib.contextmanager
def serving(server: Server, port: int = 0) -> Iterator[int]:
    running = grpc.server(futures.ThreadPoolExecutor(4))
    beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(server, running)
    port = running.add_insecure_port(f"localhost:{port}")
    running.start()
    try:
        yield port
    finally:
        running.stop(0).wait()


def job(channel: grpc.Channel, name: str = JOB, messages: Any = ()) -> ServerJob:
    service = beam_job_api_pb2_grpc.JobServiceStub(channel)
    result: Any = SimpleNamespace(_job_id=name, _job_service=service, _message_stream=messages)
    return ServerJob(result, "here:1")


def test_states_counters_and_causes() -> None:
    server = Server()
    with serving(server) as port, grpc.insecure_channel(f"localhost:{port}") as channel:
        running = job(channel)
        assert running.where == f"{JOB} at here:1"
        status = running.status()
        assert (status.state, status.words) == (PipelineState.RUNNING, "running")
        assert status.counts == {"rows": 7}
        assert running.cause() == "last", "read again, as the job's own stream has broken"
        running.cancel()
        assert running.status().state == PipelineState.CANCELLED
        with pytest.raises(UnknownJobError, match=r"^does not know the job$"):
            job(channel, "other").status()


def test_the_whole_trace_of_java_is_the_cause_where_the_server_has_it() -> None:
    trace = "java.lang.Exception: outer\n\tat a.b.C.d(C.java:1)\nCaused by: x.Y: inner\n"
    server = Server()
    server.messages = (trace, "x.Y: inner")
    with serving(server) as port, grpc.insecure_channel(f"localhost:{port}") as channel:
        assert job(channel).cause() == trace


def test_a_job_server_that_comes_back_is_asked_again() -> None:
    with serving(Server()) as port, grpc.insecure_channel(f"localhost:{port}") as channel:
        running = job(channel)
        running.status()
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        with pytest.raises(NoAnswerError, match=r"^does not respond \([^:]*\)$"):
            job(channel).status()
        with serving(Server(), port):
            for _ in range(200):  # gRPC waits for about a second before it tries again
                time.sleep(0.05)
                with contextlib.suppress(NoAnswerError):
                    assert job(channel).status().state == PipelineState.RUNNING
                    return
    raise AssertionError("it does not connect again")
