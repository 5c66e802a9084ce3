"""DoFns that report beside their results: counts and times, to Beam's metrics and as an output."""

import dataclasses
import pickle
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, TypeVar

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.metrics.metric import Metrics
from apache_beam.transforms.window import GlobalWindows
from apache_beam.typehints.decorators import no_annotations
from apache_beam.typehints.native_type_compatibility import convert_to_beam_type

from transforms.metrics import host, live_counts
from transforms.metrics.run_times import STARTING, Stopwatch, just_ended
from transforms.metrics.totals import COUNT as COUNT
from transforms.metrics.totals import TIME as TIME
from transforms.metrics.totals import Totals as Totals

# Tag of the output of every `ReportingFn`: `((kind, split, part), serialized)`. One stream of
# everything beside the clips: each output of a stage and each shuffle costs buffers and workers.
REPORTS = "reports"
ReportKey = tuple[str, str, int]
# The kind of reports that are `Totals`.
TOTALS = "totals"
# Namespace of Beam's counters.
NAMESPACE = "beam_audio_embeddings"

_Item = TypeVar("_Item")
# Taken by the first bundle in this process.
_first_bundles = [True]


class ReportingFn(beam.DoFn):
    """A DoFn that counts and times its work, and reports both once per bundle.

    Its output `REPORTS` holds one `Totals` a bundle, and what a subclass adds with `report_of`.
    Runners may run a bundle again, and Beam's metrics then count it twice; an output is that of the
    one attempt that counts. Counters are Beam's, in the namespace `NAMESPACE`, with `_` for `/` in
    a name. `live_counts` has the same numbers during a job: the in-process runner publishes Beam's
    counters only after it.

    Attributes:
      step: One of `run_times.STEPS`; a subclass that uses `timed` sets it.
    """

    step: ClassVar[str]

    def start_bundle(self) -> None:
        self.stopwatch = Stopwatch()
        self.totals = Totals()
        if (age := _age_at_first_bundle()) is not None:
            self.totals.add((TIME, STARTING), just_ended(age))
        self._counters: dict[str, int] = {}

    def timed(self, items: Iterable[_Item]) -> Iterator[_Item]:
        """Yields items, and measures the time that creating them takes."""
        return self.stopwatch.of(items)

    def count(self, name: str, number: int = 1, split: str = "") -> None:
        """Adds to a count of the reports and to Beam's counter of the same name."""
        self.report(name, number, split)
        self._counters[name] = self._counters.get(name, 0) + number

    def report(self, name: str, number: int = 1, split: str = "") -> None:
        """Adds to a count of the reports."""
        if number:
            self.totals.add((COUNT, split, name), number)

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
            self._counters[name] = self._counters.get(name, 0) + amount

    def finish_bundle(self) -> Iterator[Any]:
        if totals := self.finish():
            report = totals_report(totals)
            yield pvalue.TaggedOutput(REPORTS, GlobalWindows.windowed_value(report))

    def finish(self) -> Totals:
        """Publishes Beam's counters, and returns the totals of the bundle."""
        for name, number in self._counters.items():
            if number:
                Metrics.counter(NAMESPACE, name.replace("/", "_")).inc(number)
        if self.stopwatch.time is not None:
            spent = dataclasses.replace(self.stopwatch.time, peak_bytes=host.peak_memory() or 0)
            self.totals.add((TIME, self.step), spent)
        return self.totals


def _age_at_first_bundle() -> float | None:
    """Returns the seconds since the start of this process, once in one of Beam's worker processes.

    None in a process that builds and runs jobs itself, even where it has workers as threads.
    """
    try:
        _first_bundles.pop()
    except IndexError:
        return None
    # Slow to import where no worker is.
    import psutil
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    frame: Any = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), SdkHarness):
            return max(0.0, time.time() - psutil.Process().create_time())
        frame = frame.f_back
    return None


def report_of(kind: str, split: str, part: int, report: Any) -> pvalue.TaggedOutput:
    """Returns a report as an output of `process`.

    Args:
      kind: Kind of the report.
      split: Split of the dataset that it is about.
      part: Number of the worker that gets all reports of a kind and a split with this number.
      report: Any object that can be pickled.
    """
    return pvalue.TaggedOutput(REPORTS, ((kind, split, part), _serialized(report)))


def totals_report(totals: Totals) -> tuple[ReportKey, bytes]:
    """Returns totals as an element of `REPORTS`."""
    return (TOTALS, "", 0), _serialized(totals)


def with_types(outputs: pvalue.DoOutputsTuple, **types: Any) -> pvalue.DoOutputsTuple:
    """Declares the types of outputs of a `ReportingFn`: untyped elements are larger and slower.

    Args:
      outputs: The outputs, `REPORTS` among them.
      types: Types of the elements of others, by tag.
    """
    for tag, kind in {REPORTS: tuple[ReportKey, bytes], **types}.items():
        outputs[tag].element_type = convert_to_beam_type(kind)
    return outputs


def label_of(collection: pvalue.PCollection, transform: type) -> str:
    """Returns the label, unique in the pipeline, of the composite with a transform in it.

    Args:
      collection: An output of the transform.
      transform: The transform, which has its default label.
    """
    producer: Any = collection.producer
    return producer.full_label.rpartition(f"/{transform.__name__}/")[0]


@dataclasses.dataclass
class SelectReports(beam.PTransform):
    """Selects the reports of a kind.

    Input: a tuple of `REPORTS`. Output: the reports.

    Attributes:
      kind: The kind.
    """

    kind: str

    @no_annotations
    def expand(self, reports: tuple[pvalue.PCollection, ...]) -> pvalue.PCollection:
        return reports | beam.Flatten() | beam.FlatMap(self._selected)

    def _selected(self, element: tuple[ReportKey, bytes]) -> Iterator[Any]:
        (kind, _, _), serialized = element
        if kind == self.kind:
            yield pickle.loads(serialized)


def _serialized(report: Any) -> bytes:
    return pickle.dumps(report, pickle.HIGHEST_PROTOCOL)
