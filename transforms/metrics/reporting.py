"""DoFns that report counts and times, to Beam's metrics and as an output."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, TypeVar

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.metrics.metric import Metrics
from apache_beam.transforms.window import GlobalWindows

from transforms.metrics import host, live_counts
from transforms.metrics.run_times import StepTime, Stopwatch, add_up

# Tag of the output of every `ReportingFn`.
REPORTS = "reports"
# Namespace of Beam's counters.
NAMESPACE = "beam_audio_embeddings"
# Kinds of reports, the first part of a key.
COUNT = "count"
TIME = "time"

_Item = TypeVar("_Item")


class ReportingFn(beam.DoFn):
    """A DoFn that counts and times its work, and reports both once per bundle.

    Its output `REPORTS` holds `(key, value)`: `(COUNT, split, name)` with an int, and
    `(TIME, step)` with a `StepTime`. The values of a key add up. Counters are Beam's, in the
    namespace `NAMESPACE`, with `_` for `/` in a name. `live_counts` has the same numbers during a
    job: the in-process runner publishes Beam's counters only after it.

    Attributes:
      step: One of `run_times.STEPS`; a subclass that uses `timed` sets it.
    """

    step: ClassVar[str]

    def start_bundle(self) -> None:
        self.stopwatch = Stopwatch()
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self._counters: collections.Counter[str] = collections.Counter()

    def timed(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yields items, and measures the time that creating them takes."""
        return self.stopwatch.of(items)

    def count(self, name: str, number: int = 1, split: str = "") -> None:
        """Adds to a count of the reports and to Beam's counter of the same name."""
        self.report(name, number, split)
        self._counters[name] += number

    def report(self, name: str, number: int = 1, split: str = "") -> None:
        """Adds to a count of the reports."""
        self._counts[split, name] += number

    def count_failure(self, reason: str, split: str = "", is_new: bool = False) -> None:
        """Counts a clip that failed before decoding.

        Args:
          reason: One of `clips.REASONS`.
          split: Split of the clip.
          is_new: Whether the clip has not been counted yet.
        """
        self.count(f"failures/{reason}", split=split)
        if is_new:
            self.count("clips")
        self.increment(done=1, failures=1)

    def increment(self, **amounts: int) -> None:
        """Adds to Beam's counters and to `live_counts`; see there for the names."""
        live_counts.count(**amounts)
        for name, amount in amounts.items():
            self._counters[name] += amount

    def finish_bundle(self) -> Iterator[Any]:
        for name, number in self._counters.items():
            if number:
                Metrics.counter(NAMESPACE, name.replace("/", "_")).inc(number)
        for (split, name), number in self._counts.items():
            if number:
                yield _output((COUNT, split, name), number)
        if self.stopwatch.time is not None:
            spent = dataclasses.replace(self.stopwatch.time, peak_bytes=host.peak_memory() or 0)
            yield _output((TIME, self.step), spent)


def report_of(key: tuple[Any, ...], value: Any) -> pvalue.TaggedOutput:
    """Returns a report as an output of `process`."""
    return pvalue.TaggedOutput(REPORTS, (key, value))


def time_report(step: str, time: StepTime) -> pvalue.TaggedOutput:
    """Returns the time of a step as an output of `process`."""
    return report_of((TIME, step), time)


@dataclasses.dataclass
class SumReports(beam.PTransform):
    """Sums the values of each key of `(key, value)`."""

    def expand(self, reports: pvalue.PCollection) -> pvalue.PCollection:
        return reports | beam.CombinePerKey(add_up)


def _output(key: tuple[Any, ...], value: Any) -> pvalue.TaggedOutput:
    return pvalue.TaggedOutput(REPORTS, GlobalWindows.windowed_value((key, value)))
