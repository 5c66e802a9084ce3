"""AssembleClips: from rows to complete records."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.corpus.clips import Failure
from transforms.corpus.labels import ClassMap
from transforms.corpus.runs import DecodedClip, complete_clip
from transforms.dataset.profiles import Profile
from transforms.dataset.sequence_examples import sequence_example
from transforms.dataset.shards import Record
from transforms.metrics.reporting import REPORTS, ReportingFn
from transforms.metrics.run_times import ASSEMBLING

FAILURES = "failures"
NOTES = "notes"


@dataclasses.dataclass
class AssembleClips(beam.PTransform):
    """Joins each clip with its rows, checks that none is missing, and serialises the record.

    Input: a dict of `decode_results` (`(clip id, serialized DecodedClip, DamagedAudio or
    Failure)`), `rows` (`(clip id, RowRun)`) and `model_failures` (`(clip id, message)`). Outputs:
    `records` (`Record`) and `failures` (`Failure`), together exactly one per clip; `notes`
    (`AudioNote`) about records; and `reports`.

    Attributes:
      profile: Layout of the records. Damaged clips fail if it has no `damaged_key`.
      class_map: Side input with the `ClassMap`.
      counts_failures: Whether to count failed clips in Beam's metrics.
    """

    profile: Profile
    class_map: pvalue.AsSingleton
    counts_failures: bool = True

    @no_annotations
    def expand(self, inputs: Mapping[str, pvalue.PCollection]) -> pvalue.DoOutputsTuple:
        return (
            inputs
            | beam.CoGroupByKey()
            | beam.ParDo(
                _AssembleFn(self.profile, self.counts_failures), class_map=self.class_map
            ).with_outputs(FAILURES, NOTES, REPORTS, main="records")
        )


class _AssembleFn(ReportingFn):
    step = ASSEMBLING

    def __init__(self, profile: Profile, counts_failures: bool) -> None:
        self._profile = profile
        self._counts_failures = counts_failures

    def process(
        self, element: tuple[str, Mapping[str, Iterable[Any]]], class_map: ClassMap
    ) -> Iterator[Any]:
        self.increment(assembled=1)
        yield from self.timed(self._assembled(element, class_map))

    def _assembled(
        self, element: tuple[str, Mapping[str, Iterable[Any]]], class_map: ClassMap
    ) -> Iterator[Any]:
        outcome = complete_clip(*element, self._profile.damaged_key is not None)
        if outcome is None:
            return
        if isinstance(outcome, Failure):
            self.report(f"failures/{outcome.reason}", split=outcome.split)
            if self._counts_failures:
                self.increment(**{f"failures/{outcome.reason}": 1})
            yield pvalue.TaggedOutput(FAILURES, outcome)
            return
        decoded, rows = outcome
        clip = decoded.clip
        labels = class_map.indices(clip.labels)
        data = sequence_example(self._profile, decoded, labels, rows)
        self._count(decoded)
        yield Record(clip.id, data, clip.split)
        for note in decoded.notes():
            yield pvalue.TaggedOutput(NOTES, note)

    def _count(self, decoded: DecodedClip) -> None:
        for name, number in (
            ("records", 1),
            ("rows", decoded.num_rows),
            ("samples", decoded.num_samples),
            ("padded_clips", int(decoded.padded)),
            ("truncated_clips", int(decoded.truncated)),
            ("rows_skipped", decoded.num_rows_skipped),
            ("damaged_clips", int(bool(decoded.damages))),
            ("notes", len(decoded.damages)),
            ("damaged_microseconds", decoded.damaged_microseconds),
            (f"decoders/{decoded.decoder}", 1),
        ):
            self.report(name, number, decoded.clip.split)
        self.increment(records=1)
