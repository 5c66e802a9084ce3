"""The time that each step of a run takes, and the step that limits it."""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

STARTING = "starting workers"
LISTING = "listing"
DECODING = "decoding"
LOADING = "loading the model"
MODEL = "the model"
ASSEMBLING = "assembling"
WRITING = "writing"
STEPS = (STARTING, LISTING, DECODING, LOADING, MODEL, ASSEMBLING, WRITING)

_Item = TypeVar("_Item")


@dataclasses.dataclass(frozen=True)
class StepTime:
    """The time of a step, summed over workers and threads.

    Attributes:
      seconds: Time spent, summed over threads.
      first: Start in seconds since 1970, by the clock of the worker.
      last: End, likewise.
      number: Number of measurements; of the model, number of batches.
      peak_bytes: Peak memory of a process until then; 0 if it is unknown.
    """

    seconds: float
    first: float
    last: float
    number: int = 1
    peak_bytes: int = 0

    def __add__(self, other: "StepTime") -> "StepTime":
        return StepTime(
            self.seconds + other.seconds,
            min(self.first, other.first),
            max(self.last, other.last),
            self.number + other.number,
            max(self.peak_bytes, other.peak_bytes),
        )

    @property
    def span(self) -> float:
        """Seconds from the start to the end."""
        return max(0.0, self.last - self.first)


def just_ended(seconds: float) -> StepTime:
    """Returns the time of work that took this long and ends now."""
    now = time.time()
    return StepTime(seconds, now - seconds, now)


class Stopwatch:
    """Sums the time of a step in one thread."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._first: float | None = None
        self._last = 0.0
        self._number = 0

    @property
    def time(self) -> StepTime | None:
        """The measured time; None without measurements."""
        if self._first is None:
            return None
        return StepTime(self._seconds, self._first, self._last, self._number)

    def of(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yields items; measures the time to create them, without the time of their consumer."""
        advance, clock = iter(items).__next__, time.perf_counter
        while True:
            started = clock()
            try:
                item = advance()
            except StopIteration:
                return
            finally:
                self.add(clock() - started)
            yield item

    def add(self, seconds: float, number: int = 1) -> None:
        """Adds the time of measurements that took this long in total and end now."""
        self._last = time.time()
        if self._first is None:
            self._first = self._last - seconds
        self._seconds += seconds
        self._number += number


def add_up(times: Iterable[StepTime]) -> StepTime:
    """Returns the sum of one or more times."""
    first, *rest = times
    return sum(rest, first)


def run_info(times: Mapping[str, StepTime]) -> dict[str, Any]:
    """Returns the `run` section of `dataset.json`.

    The share of a step is the part of the run's time that this step alone accounts for. Calls of
    the model run one after the other; decoding runs beside them and accounts for the time in which
    the model is idle; the other steps do not overlap. Where workers are processes that are started
    for the job, perhaps one after another for its stages, a step lasts longer than it is busy: then
    its busy time counts, and starts account for the time in which no step is busy.

    Args:
      times: Time by step; idle steps are absent.
    """
    # Each process loads the model once.
    processes = times[LOADING].number if LOADING in times else 0
    facts = {
        "workers": processes,
        "worker_starts": times[STARTING].number if STARTING in times else 0,
        "batches": times[MODEL].number if MODEL in times else 0,
        "peak_bytes": max((each.peak_bytes for each in times.values()), default=0),
    }
    if not times:
        return {"seconds": 0.0, "steps": {}, "bounded_by": None, **facts}
    seconds = add_up(times.values()).span
    shares = {step: each.span for step, each in times.items()}
    with_sound = [times[step] for step in (DECODING, LOADING, MODEL) if step in times]
    if with_sound:
        idle = add_up(with_sound).span
        for step in (LOADING, MODEL):
            if step in times:
                shares[step] = times[step].seconds / max(1, processes)
                idle -= shares[step]
        shares[DECODING] = max(0.0, idle)
    if STARTING in times:
        for step in times.keys() - {STARTING, LOADING, MODEL}:
            shares[step] = min(shares[step], times[step].seconds)
        busy = sum(share for step, share in shares.items() if step != STARTING)
        shares[STARTING] = min(times[STARTING].seconds, max(0.0, seconds - busy))
    steps = {
        step: {
            "seconds": round(times[step].seconds, 3),
            "share": round(min(1.0, shares[step] / seconds), 3) if seconds else 0.0,
        }
        for step in STEPS
        if step in times
    }
    return {
        "seconds": round(seconds, 3),
        "steps": steps,
        "bounded_by": max(steps, key=lambda step: float(steps[step]["share"])),
        **facts,
    }
