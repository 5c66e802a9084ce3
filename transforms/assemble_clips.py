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
from transforms.corpus.serialization import deserialize
from transforms.dataset.line_reports import line_report
from transforms.dataset.profiles import Profile
from transforms.dataset.sequence_examples import sequence_example
from transforms.dataset.shards import RECORD_BYTES, Record, record_bytes
from transforms.join_rows import GroupResults
from transforms.metrics.reporting import REPORTS, ReportingFn, with_types
from transforms.metrics.run_times import ASSEMBLING


@dataclasses.dataclass
class AssembleClips(beam.PTransform):
    """Joins each clip with its rows, checks that none is missing, and serialises the record.

    Input: as for `GroupResults`. Outputs: `records` (`Record`) and `reports`, with a `Failure`,
    together exactly one per clip, and `AudioNote`s about records.

    Attributes:
      profile: Layout of the records. Damaged clips fail if it has no `damaged_key`.
      class_map: The `ClassMap`, or a side input with it.
      counts_failures: Whether to count failed clips in Beam's metrics.
    """

    profile: Profile
    class_map: ClassMap | pvalue.AsSingleton
    counts_failures: bool = True

    @no_annotations
    def expand(self, inputs: Mapping[str, pvalue.PCollection]) -> pvalue.DoOutputsTuple:
        assemble = beam.ParDo(
            _AssembleFn(self.profile, self.counts_failures), class_map=self.class_map
        )
        return with_types(
            inputs | GroupResults() | assemble.with_outputs(REPORTS, main="records"),
            records=Record,
        )


class _AssembleFn(ReportingFn):
    step = ASSEMBLING

    def __init__(self, profile: Profile, counts_failures: bool) -> None:
        self._profile = profile
        self._counts_failures = counts_failures

    def process(self, element: tuple[str, Iterable[bytes]], class_map: ClassMap) -> Iterator[Any]:
        self.increment(assembled=1)
        yield from self.timed(self._assembled(*element, class_map))

    def _assembled(
        self, clip_id: str, results: Iterable[bytes], class_map: ClassMap
    ) -> Iterator[Any]:
        keep_damaged = self._profile.damaged_key is not None
        outcome = complete_clip(clip_id, map(deserialize, results), keep_damaged)
        if outcome is None:
            return
        if isinstance(outcome, Failure):
            self.report(f"failures/{outcome.reason}", split=outcome.split)
            if self._counts_failures:
                self.increment(**{f"failures/{outcome.reason}": 1})
            yield line_report(outcome)
            return
        decoded, rows = outcome
        clip = decoded.clip
        labels = class_map.indices(clip.labels)
        record = Record(clip.id, sequence_example(self._profile, decoded, labels, rows), clip.split)
        self._count(decoded)
        self.report(RECORD_BYTES, record_bytes(record), clip.split)
        yield record
        for note in decoded.notes():
            yield line_report(note)

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
