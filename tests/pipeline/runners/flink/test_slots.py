"""What a Flink cluster can run, before a job is submitted."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.errors import RunnerLostError, UsageError
from pipeline.runners import waiting
from pipeline.runners.flink import slots
from pipeline.runners.flink.rest import Cluster
from tests.stand_ins.flink_rest import FlinkRest, TaskManager
from tests.stand_ins.rest import Call

POOL = "localhost:50000"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_POLL_SECONDS", "_START_SECONDS", "_SETTLE_SECONDS"):
        monkeypatch.setattr(slots, name, 0.05)


@pytest.fixture
def flink() -> Iterator[FlinkRest]:
    with FlinkRest("RUNNING") as flink:
        yield flink


def check(flink: FlinkRest, parallelism: int, pool: str = "") -> list[str]:
    said: list[str] = []
    slots.check(Cluster(flink.url), parallelism, pool, said.append)
    return said


def test_a_job_that_fits_is_submitted_without_a_word(flink: FlinkRest) -> None:
    assert check(flink, 8, POOL) == []
    assert check(flink, -1, POOL) == []


def test_more_slots_than_the_cluster_has_are_refused_with_both_numbers(flink: FlinkRest) -> None:
    with pytest.raises(
        UsageError,
        match=r"--parallelism=9: .* has 8 slots \(2 task managers\); use"
        " --parallelism=8 at most",
    ):
        check(flink, 9)


def test_the_default_of_the_cluster_counts_where_the_flag_is_absent(flink: FlinkRest) -> None:
    flink.config["parallelism.default"] = "12"
    with pytest.raises(UsageError, match="the cluster's default parallelism of 12"):
        check(flink, -1)


def test_a_cluster_without_task_managers_is_refused_after_a_while(flink: FlinkRest) -> None:
    flink.managers = []
    said: list[str] = []
    with pytest.raises(UsageError, match="has no task managers, and none has registered"):
        slots.check(Cluster(flink.url), 4, POOL, said.append)
    assert said == [
        f"waiting for task managers: the Flink cluster {flink.url} has 0 slots (0 task managers),"
        " and the job needs 4"
    ]


def test_task_managers_that_are_starting_are_waited_for(
    flink: FlinkRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "_START_SECONDS", 60)
    managers, flink.managers = flink.managers, []
    monkeypatch.setattr(time, "sleep", lambda _: flink.managers.append(managers.pop()))
    assert len(check(flink, 8)) == 1
    assert not managers


def test_a_cluster_that_starts_task_managers_itself_is_not_judged(flink: FlinkRest) -> None:
    flink.managers = []
    flink.config["kubernetes.internal.jobmanager.entrypoint.class"] = "x"
    assert check(flink, 8, POOL) == []


@pytest.mark.parametrize(
    "pool", ["localhost:50000", "127.0.0.1:50000", "[::1]:50000", "10.1.1.1:1"]
)
def test_task_managers_with_one_pool_are_refused(flink: FlinkRest, pool: str) -> None:
    flink.managers[1].host = flink.managers[0].host
    with pytest.raises(
        UsageError, match=r"2 task managers would share this worker pool.*--parallelism=4 at most"
    ):
        check(flink, 5, pool)
    (note,) = check(flink, 4, pool)
    assert note.startswith(f"NOTE: --environment_config={pool}: 2 task managers would share")


def test_a_pool_at_one_address_is_shared_by_all_machines(flink: FlinkRest) -> None:
    with pytest.raises(UsageError, match="2 task managers would share this worker pool"):
        check(flink, 8, "10.1.1.1:50000")
    assert check(flink, 8, POOL) == [], "each machine has its own at localhost"


def test_a_name_may_be_another_machine_for_each_task_manager(
    flink: FlinkRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"pool": True, "workers": False}
    monkeypatch.setattr(slots, "_is_known", known.__getitem__)
    (note,) = check(flink, 8, "pool:50000")
    assert "unless pool is another machine for each of them" in note
    assert check(flink, 8, "workers:50000") == []


def test_slots_that_other_jobs_use_are_waited_for(
    flink: FlinkRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    flink.managers = [TaskManager("a", slots=4, free=1)]

    def sleep(_: float) -> None:
        flink.managers[0].free = 4

    monkeypatch.setattr(time, "sleep", sleep)
    said: list[str] = []
    slots.await_free(Cluster(flink.url), 2, True, said.append)
    words = (
        f"1 of 4 slots of the Flink cluster {flink.url} are free, and the job needs 2; 1 other job"
        " runs there"
    )
    assert said == [f"waiting for slots: {words}"]
    flink.managers[0].free = 1
    slots.await_free(Cluster(flink.url), 2, False, said.append)
    assert said[1].startswith(f"NOTE: {words}; Flink ends a job")


def test_a_cluster_that_stops_responding_while_slots_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "OUTAGE_SECONDS", 0.1)
    said: list[str] = []
    with pytest.raises(RunnerLostError, match=r"does not respond .*; nothing was submitted"):
        slots.await_free(Cluster("http://localhost:1"), 2, True, said.append)
    assert len(said) == 1


def test_a_gateway_with_a_part_of_the_interface_is_not_judged() -> None:
    class Gateway(FlinkRest):
        def answer(self, call: Call) -> tuple[int, Any]:
            return (404, {}) if "overview" not in call.path else (200, {"taskmanagers": 1})

    with Gateway() as gateway:
        assert check(gateway, 9, POOL) == []
        slots.await_free(Cluster(gateway.url), 9, True, print)


@pytest.mark.parametrize(
    "config", [{"kubernetes.internal.jobmanager.entrypoint.class": "x"}, {"yarn.tags": "x"}]
)
def test_a_busy_cluster_that_starts_task_managers_itself_is_not_waited_for(
    flink: FlinkRest, config: dict[str, str]
) -> None:
    flink.config = config
    for each in flink.managers:
        each.free = 0
    slots.await_free(Cluster(flink.url), 8, True, pytest.fail)


def test_one_refused_request_does_not_end_the_wait_for_task_managers(
    flink: FlinkRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(slots, "_START_SECONDS", 60)
    managers, flink.managers = flink.managers, []
    given, overviews = flink.answer, iter([None, 503, 500])

    def answer(call: Call) -> tuple[int, Any]:
        status = next(overviews, None) if call.path.endswith("overview") else None
        if status is None:
            return given(call)
        flink.managers = managers
        return status, {}

    flink.answer = answer  # type: ignore[method-assign]
    assert len(check(flink, 8)) == 1


@pytest.mark.parametrize("answer", [(403, {}), (401, {}), (200, []), (200, {"x": 1}), (200, None)])
def test_what_a_gateway_answers_in_place_of_flink_is_not_judged(answer: tuple[int, Any]) -> None:
    class Gateway(FlinkRest):
        def answer(self, call: Call) -> tuple[int, Any]:
            return answer

    with Gateway() as gateway:
        assert check(gateway, 9, POOL) == []
        slots.await_free(Cluster(gateway.url), 9, True, pytest.fail)
        slots.await_free(Cluster(gateway.url), -1, True, pytest.fail)


@pytest.mark.parametrize("status", [403, 404])
def test_slots_count_where_the_configuration_is_hidden(flink: FlinkRest, status: int) -> None:
    given = flink.answer
    flink.answer = lambda call: (  # type: ignore[method-assign]
        (status, {}) if call.path.endswith("/config") else given(call)
    )
    assert check(flink, 8) == []
    with pytest.raises(UsageError, match="has 8 slots"):
        check(flink, 9)


@pytest.mark.parametrize(
    "hosts", [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.1.1"), ("[::1]", "LOCALHOST")]
)
@pytest.mark.parametrize("pool", [POOL, "0.0.0.0:50000", "[::ffff:127.0.0.1]:1", "localhost.:1"])
def test_a_machine_is_known_by_each_of_its_names(
    flink: FlinkRest, hosts: tuple[str, str], pool: str
) -> None:
    for manager, host in zip(flink.managers, hosts, strict=True):
        manager.host = host
    with pytest.raises(UsageError, match="2 task managers would share this worker pool"):
        check(flink, 8, pool)


@pytest.mark.parametrize("pool", ["0.0.0.0:50000", "[::ffff:127.0.0.1]:1"])
def test_each_machine_has_a_pool_of_its_own_at_its_own_address(flink: FlinkRest, pool: str) -> None:
    assert check(flink, 8, pool) == []


def test_one_task_manager_has_any_pool(flink: FlinkRest) -> None:
    flink.managers.pop()
    for pool in (POOL, "10.1.1.1:1", "pool", "[::1", "http://localhost:1"):
        assert check(flink, 4, pool) == []
