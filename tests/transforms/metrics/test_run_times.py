"""How long steps took."""

import types
from collections.abc import Iterator

import pytest

from transforms.metrics import run_times
from transforms.metrics.run_times import (
    ASSEMBLING,
    DECODING,
    LISTING,
    LOADING,
    MODEL,
    STARTING,
    WRITING,
    StepTime,
    Stopwatch,
    add_up,
    run_info,
)


def test_times_of_threads_add_up_and_span_all_of_them() -> None:
    times = [
        StepTime(2.0, 10.0, 12.0),
        StepTime(3.0, 11.0, 15.0, number=2, peak_bytes=9),
        StepTime(1.0, 9.0, 10.0, peak_bytes=5),
    ]
    sum_ = add_up(times)
    assert sum_ == StepTime(6.0, 9.0, 15.0, number=4, peak_bytes=9)
    assert sum_.span == 6.0


def test_what_is_done_with_items_does_not_count_for_making_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0

    def work(seconds: float) -> None:
        nonlocal now
        now += seconds

    clock = types.SimpleNamespace(time=lambda: now, perf_counter=lambda: now)
    monkeypatch.setattr(run_times, "time", clock)

    def items() -> Iterator[int]:
        for each in range(2):
            work(0.25)
            yield each

    stopwatch = Stopwatch()
    assert stopwatch.time is None
    for _ in stopwatch.of(items()):
        work(4.0)
    assert stopwatch.time is not None
    assert stopwatch.time.seconds == 0.5
    assert stopwatch.time.span == 0.25 + 4 + 0.25 + 4
    assert stopwatch.time.number == 3, "two items and the end"


def test_things_that_were_done_together_are_counted_one_by_one() -> None:
    stopwatch = Stopwatch()
    stopwatch.add(2.0, 3)
    stopwatch.add(1.0)
    assert stopwatch.time is not None
    assert (stopwatch.time.seconds, stopwatch.time.number) == (3.0, 4)


def test_an_error_while_making_an_item_is_handed_on() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(Stopwatch().of(items()))


@pytest.mark.parametrize(
    ("decoding", "loading", "processes", "model", "assembling", "expected", "share"),
    [
        (150.0, 5.0, 1, 90.0, 1, MODEL, 0.87),  # two threads decode beside it
        (180.0, 5.0, 1, 20.0, 1, DECODING, 0.72),
        (0.1, 60.0, 1, 5.0, 1, LOADING, 0.58),  # a trial of a few clips
        (150.0, 20.0, 4, 360.0, 1, MODEL, 0.87),  # a model in each process
        (150.0, 5.0, 1, 90.0, 400, ASSEMBLING, 0.8),
    ],
)
def test_what_bounded_a_run(
    decoding: float,
    loading: float,
    processes: int,
    model: float,
    assembling: int,
    expected: str,
    share: float,
) -> None:
    end = 200 + assembling
    times = {
        LISTING: StepTime(1.0, 100, 101),
        DECODING: StepTime(decoding, 101, 200),
        LOADING: StepTime(loading, 101, 101 + loading / processes, number=processes),
        MODEL: StepTime(model, 106, 200, number=7, peak_bytes=8),
        ASSEMBLING: StepTime(1.0, 200, end),
        WRITING: StepTime(1.0, end, end + 1),
    }
    info = run_info(times)
    assert info["bounded_by"] == expected
    assert info["seconds"] == end + 1 - 100
    assert info["steps"][expected]["share"] == pytest.approx(share, abs=0.02)
    assert [*info["steps"]] == [*times]
    assert (info["workers"], info["batches"], info["peak_bytes"]) == (processes, 7, 8)


def test_starts_of_workers_bound_a_run_whose_steps_are_idle() -> None:
    # Two machines that each start ten workers one after another, and list a second in all.
    times = {
        STARTING: StepTime(80.0, 100, 148, number=20),
        LISTING: StepTime(1.0, 104, 140),
        DECODING: StepTime(0.5, 120, 124),
        LOADING: StepTime(8.0, 116, 120, number=2),
        MODEL: StepTime(0.5, 120, 124),
        WRITING: StepTime(0.1, 149, 150),
    }
    info = run_info(times)
    assert info["bounded_by"] == STARTING
    assert info["steps"][STARTING] == {"seconds": 80.0, "share": pytest.approx(0.89, abs=0.02)}
    assert info["steps"][LISTING]["share"] == 0.02
    assert (info["workers"], info["worker_starts"]) == (2, 20)
    # Against a long job they are little.
    long = run_info(times | {MODEL: StepTime(1_000.0, 120, 620), WRITING: StepTime(1, 620, 621)})
    assert long["bounded_by"] == MODEL
    assert long["steps"][STARTING]["share"] < 0.05


def test_a_run_of_which_nothing_was_measured_is_told_as_that() -> None:
    nothing = run_info({})
    assert nothing["bounded_by"] is None
    assert (nothing["workers"], nothing["batches"], nothing["peak_bytes"]) == (0, 0, 0)
    assert run_info({LISTING: StepTime(0.0, 5.0, 5.0)})["steps"][LISTING]["share"] == 0.0
