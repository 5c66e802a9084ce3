"""The status of a job on Flink in words."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.runners.runner import PipelineState

from pipeline.runners.flink.job import FlinkJob
from pipeline.runners.flink.rest import Cluster
from pipeline.runners.waiting import NoAnswerError, UnknownJobError
from tests.stand_ins.flink_rest import JOB, FlinkRest

FRAME = "\tat org.apache.flink.runtime.jobmaster.JobMaster.run(JobMaster.java:1)\n"
LOST = (
    "java.util.concurrent.TimeoutException: Heartbeat of TaskManager with id taskmanager2 timed"
    f" out.\n{FRAME}"
)


class Clock:
    now = 1_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture(params=["1.19.0", "2.0.0"])
def flink(request: pytest.FixtureRequest) -> Iterator[FlinkRest]:
    with FlinkRest("RUNNING", version=request.param) as flink:
        yield flink


def test_states_tasks_and_counters(flink: FlinkRest, clock: Clock) -> None:
    running = FlinkJob(Cluster(flink.url), JOB, "")
    assert running.where == f"{flink.url}/#/job/{JOB}"
    flink.tasks = {"running": 2, "finished": 6, "created": 4}
    flink.counters = {"found": 30, "rows": 50}
    status = running.status()
    assert (status.state, status.words) == (PipelineState.RUNNING, "running")
    assert (status.tasks_done, status.tasks) == (6, 12)
    assert status.counts == {"found": 60, "rows": 100}, "of all steps"
    for state, beam_state in (
        ("INITIALIZING", PipelineState.STARTING),
        ("CREATED", PipelineState.STARTING),
        ("FINISHED", PipelineState.DONE),
        ("FAILED", PipelineState.FAILED),
        ("CANCELED", PipelineState.CANCELLED),
        ("SUSPENDED", PipelineState.RUNNING),
    ):
        flink.state = state
        assert running.status().state == beam_state


def test_a_lost_task_manager_and_missing_slots_are_told(flink: FlinkRest, clock: Clock) -> None:
    running = FlinkJob(Cluster(flink.url), JOB, "")
    assert running.status().words == "running"
    clock.now += 10
    flink.exception, flink.state = LOST, "RESTARTING"
    assert running.status().words == "restarting: lost task manager taskmanager2"
    flink.managers.pop()
    flink.managers[0].free = 0
    flink.state, flink.tasks = "RUNNING", {"scheduled": 4, "created": 2}
    assert running.status().words == "restarting: lost task manager taskmanager2"
    clock.now += 6
    assert running.status().words == (
        "restarting: lost task manager taskmanager2; waiting for 2 slots: the cluster has 0 free of"
        " 4, in 1 task managers"
    )
    flink.exception = f"org.apache.flink.PartitionConnectionException: not reachable.\n{FRAME}"
    flink.exceptions_at += 1
    clock.now += 6
    assert running.status().words.startswith("restarting: lost task manager taskmanager2; waiting")
    flink.tasks = {"running": 4}
    clock.now += 6
    assert running.status().words == "running"


def test_a_job_that_stands_still_is_told(flink: FlinkRest, clock: Clock) -> None:
    running = FlinkJob(Cluster(flink.url), JOB, "pool:50000")
    for _ in range(20):
        flink.num_records += 1
        clock.now += 20
        assert running.status().words == "running"
    words = []
    for _ in range(20):
        clock.now += 20
        words.append(running.status().words)
    assert words[4] == "running"
    shared = (
        "If the 2 task managers share the worker pool pool:50000, they stop each other's workers:"
        " give each a pool of its own"
    )
    assert words[8] == (
        "running; no new records for 2 minutes. Workers may be busy, since they send rows in parts"
        " of 10 MB; one that is killed is noticed after about 3, and its step starts again."
        f" {shared}"
    )
    assert words[19] == (
        "running; no new records for 5 minutes. Workers may be busy, since they send rows in parts"
        " of 10 MB. If they use no CPU, one was killed, or could not start, before it had"
        " connected, and Flink waits for it without end: see the log of pool:50000, and cancel the"
        f" job. {shared}"
    )
    assert len({*words}) == 3, "each is printed once"
    flink.num_records += 1
    clock.now += 20
    assert running.status().words == "running"


def test_the_cause_is_the_latest_exception(
    flink: FlinkRest, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            flink.exception = LOST

    monkeypatch.setattr(time, "sleep", sleep)
    assert FlinkJob(Cluster(flink.url), JOB, "").cause() == LOST
    assert min(slept) > 3, "Flink caches its answers for 3 s"


def test_a_cluster_that_is_gone_or_has_lost_the_job(flink: FlinkRest, clock: Clock) -> None:
    flink.knows_job = False
    with pytest.raises(UnknownJobError):
        FlinkJob(Cluster(flink.url), JOB, "").status()
    gone = FlinkJob(Cluster("http://localhost:1"), JOB, "")
    with pytest.raises(NoAnswerError, match=r"^does not respond \(localhost:1 does not answer: "):
        gone.status()


def test_a_job_is_cancelled(flink: FlinkRest, clock: Clock) -> None:
    FlinkJob(Cluster(flink.url), JOB, "").cancel()
    assert flink.state == "CANCELED"


def test_the_state_counts_where_its_details_fail(flink: FlinkRest, clock: Clock) -> None:
    details = ("exceptions", "accumulators", f"/{JOB}", "/v1/overview")
    given = flink.answer
    others: list[tuple[int, Any]] = [(500, {}), (404, {}), (403, {}), (200, []), (200, "x")]
    for answer in [*others, (200, {}), (200, None)]:
        flink.answer = lambda call, answer=answer: (  # type: ignore[method-assign, misc]
            answer if call.path.endswith(details) else given(call)
        )
        running = FlinkJob(Cluster(flink.url), JOB, "pool:1")
        for finished in range(9):
            flink.tasks = {"running": 2, "scheduled": 2, "finished": finished}
            status = running.status()
            assert (status.words, status.tasks_done) == ("running", finished)
            clock.now += 20
        flink.state = "FINISHED"
        assert running.status().state == PipelineState.DONE
        flink.state = "RUNNING"


def test_a_gateway_may_hide_the_overview_of_jobs(flink: FlinkRest, clock: Clock) -> None:
    given = flink.answer
    flink.answer = lambda call: (  # type: ignore[method-assign]
        (404, {}) if call.path.endswith("jobs/overview") else given(call)
    )
    running = FlinkJob(Cluster(flink.url), JOB, "")
    flink.tasks = {"running": 2, "finished": 6}
    status = running.status()
    assert (status.words, status.tasks_done, status.tasks) == ("running", 6, 8)
    flink.answer = lambda call: (  # type: ignore[method-assign]
        (200, {"state": "FINISHED"}) if call.path.endswith(JOB) else (404, {})
    )
    assert running.status().state == PipelineState.DONE
    flink.answer = lambda call: (404, {})  # type: ignore[method-assign]
    with pytest.raises(UnknownJobError):
        running.status()


@pytest.mark.parametrize("answer", [(200, []), (200, {}), (200, {"jobs": [{}]}), (200, None)])
def test_what_is_not_flinks_may_pass(
    flink: FlinkRest, clock: Clock, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, object]
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    flink.answer = lambda call: answer  # type: ignore[method-assign]
    running = FlinkJob(Cluster(flink.url), JOB, "")
    for call in (running.status, running.cause):
        with pytest.raises(NoAnswerError, match="does not respond as Flink does"):
            call()


def test_a_job_without_further_attempts_fails_with_its_cause(
    flink: FlinkRest, clock: Clock
) -> None:
    flink.exception, flink.state = LOST, "FAILING"
    words = FlinkJob(Cluster(flink.url), JOB, "").status().words
    assert words == "failing: lost task manager taskmanager2"


def test_a_job_that_ended_while_it_was_cancelled_is_no_error(
    flink: FlinkRest, clock: Clock
) -> None:
    given = flink.answer
    flink.answer = lambda call: (  # type: ignore[method-assign]
        (409, {}) if call.method == "PATCH" else given(call)
    )
    running = FlinkJob(Cluster(flink.url), JOB, "")
    with pytest.raises(OSError, match="409"):
        running.cancel()
    flink.state = "FINISHED"
    running.cancel()
