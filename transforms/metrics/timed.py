"""DoFns that note how long they work; the times flow through the job as counts do."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, TypeVar

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.transforms.window import GlobalWindows

from transforms.metrics import host
from transforms.metrics.run_times import Stopwatch, add_up

TIMES = "times"

_Item = TypeVar("_Item")


class TimedFn(beam.DoFn):
    """Gives with each bundle, as its output `TIMES`, the time of what went through `timed`.

    Attributes:
      step: One of `run_times.STEPS`.
    """

    step: ClassVar[str]

    def start_bundle(self) -> None:
        self.stopwatch = Stopwatch()

    def timed(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Hands on items, and notes the time that making them takes."""
        return self.stopwatch.of(items)

    def finish_bundle(self) -> Iterator[Any]:
        if self.stopwatch.time is not None:
            spent = dataclasses.replace(self.stopwatch.time, peak_bytes=host.peak_memory() or 0)
            yield pvalue.TaggedOutput(TIMES, GlobalWindows.windowed_value((self.step, spent)))


@dataclasses.dataclass
class SumTimes(beam.PTransform):
    """Adds up `(step, StepTime)`: each step once."""

    def expand(self, times: pvalue.PCollection) -> pvalue.PCollection:
        return times | beam.CombinePerKey(add_up)
