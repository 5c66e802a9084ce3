"""Requests that submit a job to Flink, through outages of the cluster."""

import io
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import JobError, JobGoesOnError, RunnerLostError
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


class Passing(FlinkRest):
    """A cluster that answers otherwise at first.

    Attributes:
      first: By the end of a path, the answers before Flink's own.
    """

    def __init__(self, **first: Any) -> None:
        super().__init__("RUNNING")
        self.first = {f"/{end}": list(answers) for end, answers in first.items()}

    def answer(self, call: Call) -> tuple[int, Any]:
        answers = self.first.get(
            "/" + call.path.rpartition("/")[2] if call.method == "POST" else ""
        )
        return answers.pop(0) if answers else super().answer(call)


@pytest.fixture
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (submission, waiting):
        monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(waiting, "OUTAGE_SECONDS", 0.5)
    monkeypatch.setattr(waiting, "_INSIST_SECONDS", 0.05)


@pytest.mark.usefixtures("_fast")
@pytest.mark.parametrize(
    "first",
    [
        {
            "upload": [
                (503, {}),
                (500, {"errors": ["busy"]}),
                (502, {}),
                (200, {}),
                (200, None),
            ]
        },
        {"run": [(503, {"errors": ["ongoing leader election"]}), (429, {})]},
    ],
)
def test_a_cluster_that_cannot_now_is_waited_for(jar: str, first: Any) -> None:
    said: list[str] = []
    with Passing(**first) as flink:
        submitted = job(flink.url, said.append, jar)
        submitted.run()
    assert submitted._flink_job_id == JOB
    assert "does not respond" in said[0]
    assert "responds again" in said[1]
    assert len(said) == 2
    assert flink._jar == b"PK jar"


@pytest.mark.usefixtures("_fast")
@pytest.mark.parametrize(
    "answer", [(502, {}), (504, {}), (500, {}), (200, {}), (200, []), (200, None)]
)
def test_a_job_that_may_run_is_not_started_twice_nor_its_output_removed(
    jar: str, answer: tuple[int, Any]
) -> None:
    with (
        Passing(run=[answer]) as flink,
        pytest.raises(
            JobGoesOnError, match="may have the job or not: see http://localhost"
        ) as found,
    ):
        job(flink.url, print, jar).run()
    assert found.value.where == flink.url
    assert len([each for each in flink.lines("POST") if each.endswith("/run")]) == 1
    assert flink.lines("DELETE") == [f"DELETE /v1/jars/{JAR}"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_a_refusal_is_final(jar: str, status: int) -> None:
    with (
        Passing(upload=[(status, {})]) as flink,
        pytest.raises(JobError, match=f"refuses the job: {status} [A-Z][A-Za-z ]+$"),
    ):
        job(flink.url, print, jar).run()


@pytest.mark.usefixtures("_fast")
def test_a_jar_that_cannot_be_deleted_is_named(jar: str) -> None:
    class Keeping(FlinkRest):
        def answer(self, call: Call) -> tuple[int, Any]:
            return (503, {}) if call.method == "DELETE" else super().answer(call)

    said: list[str] = []
    with Keeping("RUNNING") as flink:
        job(flink.url.replace("//", "//me:s3cret@"), said.append, jar).run()
    (line,) = said
    assert line.startswith("NOTE: the job's jar of some 160 MB stays on the cluster")
    assert f"delete {flink.url}/jars/{JAR} yourself" in line
    assert len(flink.lines("DELETE")) > 1


@pytest.mark.usefixtures("_fast")
@pytest.mark.parametrize("number", [1, 2])
def test_what_an_interrupted_request_has_made_is_taken_back(
    jar: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    waits = iter(range(1, 9))

    def interrupted(_: Any) -> None:
        if next(waits) == number:
            raise KeyboardInterrupt
        await_all(_)

    await_all = submission._await
    monkeypatch.setattr(submission, "_await", interrupted)
    said: list[str] = []
    with FlinkRest("RUNNING") as flink:
        with pytest.raises(KeyboardInterrupt):
            job(flink.url, said.append, jar).run()
        cancelled = [f"PATCH /v1/jobs/{JOB}?mode=cancel"] if number == 2 else []
        assert flink.lines("PATCH") == cancelled
        assert flink.lines("DELETE") == [f"DELETE /v1/jars/{JAR}"]
    assert said[0].startswith("interrupted: waiting for the answer of the Flink cluster")


@pytest.mark.usefixtures("_fast")
def test_a_job_that_may_run_after_an_interruption_is_named(
    jar: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(submission, "_await", interrupted)
    said: list[str] = []
    with Passing(upload=[(502, {})]) as flink, pytest.raises(KeyboardInterrupt):
        job(flink.url, said.append, jar).run()
    assert (
        said[1]
        == f"NOTE: the Flink cluster {flink.url} may have the job or its jar: see that address"
    )
