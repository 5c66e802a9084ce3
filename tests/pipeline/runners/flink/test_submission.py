"""Requests that submit a job to Flink, through outages of the cluster."""

import io
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import JobError, RunnerLostError
from pipeline.runners import waiting
from pipeline.runners.flink import submission
from tests.stand_ins.flink_rest import JAR, JOB, FlinkRest
from tests.stand_ins.processes import free_port
from tests.stand_ins.rest import Call


def job(url: str, say: Callable[[str], None], jar: str = "") -> Any:
    """A job whose jar is complete; nothing else of it is needed here."""
    made: Any = object.__new__(submission._FlinkJob)
    made._master_url, made._jar, made._jar_uploaded, made.say = url, jar, False, say
    made._stop_artifact_service = lambda: None
    return made


@pytest.fixture
def jar(tmp_path: Any) -> str:
    path = tmp_path / "job.jar"
    path.write_bytes(b"PK jar")
    return str(path)


def test_no_jar_stays_on_the_cluster_nor_here(jar: str, tmp_path: Any) -> None:
    with FlinkRest("RUNNING") as flink:
        submitted = job(flink.url, print, jar)
        submitted.run()
        assert submitted._flink_job_id == JOB
        assert flink.lines("POST", "DELETE") == [
            "POST /v1/jars/upload",
            f"POST /v1/jars/{JAR}/run",
            f"DELETE /v1/jars/{JAR}",
        ]
    assert not [*tmp_path.iterdir()]


def test_a_job_that_flink_refuses_leaves_no_jar_and_no_java(jar: str, tmp_path: Any) -> None:
    class Refusing(FlinkRest):
        def answer(self, call: Call) -> tuple[int, Any]:
            if call.path.endswith("/run"):
                return 500, {"errors": ["java.lang.Error: no such class\n\tat a.b(C.java:1)\n"]}
            return super().answer(call)

    with Refusing("RUNNING") as flink:
        with pytest.raises(JobError, match=r"refuses the job: Error: no such class$"):
            job(flink.url, print, jar).run()
        assert flink.lines("DELETE") == [f"DELETE /v1/jars/{JAR}"]
    assert not [*tmp_path.iterdir()]


def test_a_cluster_that_refuses_connections_for_a_while_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(submission, "POLL_SECONDS", 0.01)
    flink = FlinkRest("RUNNING")
    address = flink._server.server_address
    flink._server.server_close()
    said: list[str] = []
    answers: list[Any] = []

    def upload() -> None:
        files = {"jarfile": ("beam.jar", io.BytesIO(b"PK jar"))}
        answers.append(job(flink.url, said.append).post("v1/jars/upload", files=files))

    thread = threading.Thread(target=upload)
    thread.start()
    while not said:
        time.sleep(0.01)
    flink._server = type(flink._server)(address, flink._server.RequestHandlerClass)
    flink._thread = threading.Thread(target=flink._server.serve_forever, args=(0.02,), daemon=True)
    with flink:
        thread.join(60)
    assert [answer["status"] for answer in answers] == ["success"]
    assert flink._jar == b"PK jar", "from its beginning again"
    assert "does not respond" in said[0]
    assert "responds again" in said[1]


def test_a_cluster_that_does_not_come_back_gets_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "OUTAGE_SECONDS", 0.05)
    with pytest.raises(RunnerLostError, match=r"the runner is gone: .*; nothing was submitted$"):
        job(f"http://localhost:{free_port()}", print).post("v1/jars/upload")


def test_a_request_that_may_have_arrived_is_not_repeated() -> None:
    class Broken(FlinkRest):
        def answer(self, call: Call) -> tuple[int, Any]:
            raise ConnectionResetError

    with Broken("RUNNING") as flink:
        flink._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        with pytest.raises(RunnerLostError, match="may have the job or not: see http://localhost"):
            job(flink.url, print).post("v1/jars/x/run")
        assert len(flink.lines("POST")) == 1
