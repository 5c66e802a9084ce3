"""How long the steps of a run took, and which of them bounded it."""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

LISTING = "listing"
DECODING = "decoding"
LOADING = "loading the model"
MODEL = "the model"
ASSEMBLING = "assembling"
WRITING = "writing"
STEPS = (LISTING, DECODING, LOADING, MODEL, ASSEMBLING, WRITING)

_Item = TypeVar("_Item")


@dataclasses.dataclass(frozen=True)
class StepTime:
    """The time of a step, of any number of workers and threads; times add up.

    Attributes:
      seconds: That it worked for: threads at the same time count each.
      first: When it began, in seconds since 1970, by the worker's clock.
      last: When it ended.
      number: Of measurements: of the model's, batches.
      peak_bytes: The most memory that a process had had by then; 0 where it is not known.
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
        """Seconds from its begin to its end."""
        return max(0.0, self.last - self.first)


def just_ended(seconds: float) -> StepTime:
    """Returns the time of something that took so long and has ended right now."""
    now = time.time()
    return StepTime(seconds, now - seconds, now)


class Stopwatch:
    """Sums up the time of a step in one thread."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._first: float | None = None
        self._last = 0.0
        self._number = 0

    @property
    def time(self) -> StepTime | None:
        """What was measured, or None where nothing was."""
        if self._first is None:
            return None
        return StepTime(self._seconds, self._first, self._last, self._number)

    def of(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Hands on items; what making them takes counts, and not what is done with them."""
        iterator = iter(items)
        while True:
            started = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.add(time.perf_counter() - started)
            yield item

    def add(self, seconds: float, number: int = 1) -> None:
        """Counts a number of things that took so long together and have ended right now."""
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
    """Returns what `dataset.json` says of how the run went.

    A step's share is that of the run's time in which nothing but this step kept it going: the
    model's calls wait for each other, decoding goes on beside them and counts where the model is
    idle, and the other steps have their time for themselves.

    Args:
      times: By step; steps that had nothing to do are absent.
    """
    # Each process loads the model once, and calls it by itself.
    processes = times[LOADING].number if LOADING in times else 0
    facts = {
        "workers": processes,
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
