"""Waiting for the end of a job on a cluster, through its outages."""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from apache_beam.runners.runner import PipelineState

from pipeline.errors import JobGoesOnError, RunnerLostError
from pipeline.runners import waiting
from pipeline.runners.waiting import NoAnswerError, Status, UnknownJobError

RUNNING = Status(PipelineState.RUNNING, "running")
WAITING = Status(PipelineState.RUNNING, "running; waiting for 2 slots")
DONE = Status(PipelineState.DONE, "finished")
REFUSED = NoAnswerError("does not respond (Connection refused)")
UNKNOWN = UnknownJobError("does not know the job")


class Job:
    where = "http://here/#/job/1"
    cluster = "the cluster http://here"
    remains = "workers may live on"

    def __init__(self, statuses: Iterator[Status | NoAnswerError]) -> None:
        self._statuses = statuses
        self.is_cancelled = False

    def status(self) -> Status:
        status = next(self._statuses)
        if isinstance(status, NoAnswerError):
            raise status
        return status

    def cause(self) -> str:
        return ""

    def cancel(self) -> None:
        self.is_cancelled = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], float]]:
    """Seconds that pass only where the program sleeps."""
    now = [1_000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", sleep)
        patched.setattr(time, "monotonic", lambda: now[0])
        yield lambda: now[0]


def awaited(*statuses: Status | NoAnswerError) -> tuple[Status, list[str]]:
    said: list[str] = []
    return waiting.await_end(Job(iter(statuses)), said.append), said


def test_each_new_state_is_printed_once(clock: Callable[[], float]) -> None:
    status, said = awaited(RUNNING, RUNNING, WAITING, WAITING, RUNNING, DONE)
    assert status is DONE
    assert said == [
        "running  http://here/#/job/1",
        "running; waiting for 2 slots  http://here/#/job/1",
        "running  http://here/#/job/1",
    ]


def test_states_are_shown_and_not_printed_where_that_is_not_wanted(
    clock: Callable[[], float],
) -> None:
    said: list[str] = []
    shown: list[Status] = []
    job = Job(iter([RUNNING, WAITING, DONE]))
    waiting.await_end(job, said.append, shows_states=False, show=shown.append)
    assert said == []
    assert shown == [RUNNING, WAITING]


def test_a_passing_outage_is_told_and_waited_for(clock: Callable[[], float]) -> None:
    status, said = awaited(RUNNING, *[REFUSED] * 75, RUNNING, REFUSED, DONE)
    assert status is DONE
    assert said == [
        "running  http://here/#/job/1",
        "the cluster http://here does not respond (Connection refused); waiting for up to 1:30",
        "the cluster http://here responds again after 1:15",
        "the cluster http://here does not respond (Connection refused); waiting for up to 1:30",
        "the cluster http://here responds again after 0:01",
    ]


def test_an_outage_without_end_is_told_in_one_message(clock: Callable[[], float]) -> None:
    begun = clock()
    with pytest.raises(JobGoesOnError) as raised:
        awaited(RUNNING, *[REFUSED] * 1_000)
    assert re.fullmatch(
        r"the runner is gone: since \d\d:\d\d:\d\d the cluster http://here does not respond"
        r" \(Connection refused\). The job may go on there: when it responds again, see"
        r" http://here/#/job/1",
        str(raised.value),
    )
    assert 90 < clock() - begun < 95


def test_a_cluster_that_has_restarted_may_still_recover_the_job(
    clock: Callable[[], float],
) -> None:
    assert awaited(RUNNING, REFUSED, *[UNKNOWN] * 60, RUNNING, DONE)[0] is DONE
    with pytest.raises(RunnerLostError, match="restarted without the job") as raised:
        awaited(RUNNING, REFUSED, *[UNKNOWN] * 1_000)
    assert not isinstance(raised.value, JobGoesOnError)


def test_a_job_is_cancelled_to_its_end(clock: Callable[[], float]) -> None:
    cancelling = Status(PipelineState.CANCELLING, "cancelling")
    job = Job(iter([RUNNING, cancelling, Status(PipelineState.CANCELLED, "canceled")]))
    said: list[str] = []
    waiting.cancel(job, said.append)
    assert job.is_cancelled
    assert said == ["cancelling the job", "NOTE: workers may live on"]
    waiting.cancel(Job(iter([cancelling] * 100)), said.append)
    assert said[-1] == "the job has not ended yet: http://here/#/job/1"
    waiting.cancel(Job(iter([REFUSED] * 5 + [cancelling, DONE])), said.append)
    assert said[-1] == "NOTE: workers may live on", "one refused request is no reason"
    waiting.cancel(Job(iter([REFUSED] * 100)), said.append)
    assert said[-1] == (
        "the job could not be cancelled: the cluster http://here does not respond (Connection"
        " refused); stop it yourself: http://here/#/job/1"
    )


def test_a_second_interruption_ends_the_wait_and_says_so(clock: Callable[[], float]) -> None:
    class Interrupted(Job):
        def cancel(self) -> None:
            raise KeyboardInterrupt

    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        waiting.cancel(Interrupted(iter(())), said.append)
    assert said[1:] == ["interrupted again: the job may not have ended: http://here/#/job/1"]
