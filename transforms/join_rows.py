"""JoinRows: from runs of rows to one array per clip."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.corpus.clips import Failure
from transforms.corpus.runs import complete_clip
from transforms.corpus.serialization import deserialize, serialize
from transforms.dataset.line_reports import line_report
from transforms.decode_patches import DECODE_RESULTS
from transforms.metrics.reporting import REPORTS, ReportingFn, with_types
from transforms.metrics.run_times import ASSEMBLING


@dataclasses.dataclass
class GroupResults(beam.PTransform):
    """Groups all that is known of a clip.

    Input: a dict of `decode_results` (`(clip id, serialized DecodedClip, DamagedAudio or
    Failure)`) and `rows` (`(clip id, RowRun or message)`). Output: `(clip id, serialized)`, once a
    clip.
    """

    @no_annotations
    def expand(self, inputs: Mapping[str, pvalue.PCollection]) -> pvalue.PCollection:
        kind = tuple[str, bytes]
        rows = inputs["rows"] | beam.MapTuple(_serialized).with_output_types(kind)
        return (inputs[DECODE_RESULTS], rows) | beam.Flatten() | beam.GroupByKey()


@dataclasses.dataclass
class JoinRows(beam.PTransform):
    """Joins the rows of each clip, and checks that none is missing.

    Input: as for `GroupResults`. Outputs: `rows` (`(clip id, float32 [num_rows, embedding_size])`)
    and `reports`, with a `Failure` for each other clip, and `AudioNote`s about clips with rows.

    Attributes:
      keep_damaged: Whether damaged clips have rows; otherwise they fail.
      counts_failures: Whether to count failed clips in Beam's metrics.
    """

    keep_damaged: bool
    counts_failures: bool = True

    @no_annotations
    def expand(self, inputs: Mapping[str, pvalue.PCollection]) -> pvalue.DoOutputsTuple:
        join = beam.ParDo(_JoinFn(self.keep_damaged, self.counts_failures))
        return with_types(
            inputs | GroupResults() | join.with_outputs(REPORTS, main="rows"),
            rows=tuple[str, np.ndarray],
        )


class _JoinFn(ReportingFn):
    step = ASSEMBLING

    def __init__(self, keep_damaged: bool, counts_failures: bool) -> None:
        self._keep_damaged = keep_damaged
        self._counts_failures = counts_failures

    def process(self, element: tuple[str, Iterable[bytes]]) -> Iterator[Any]:
        clip_id, results = element
        outcome = complete_clip(clip_id, map(deserialize, results), self._keep_damaged)
        if outcome is None:
            return
        if isinstance(outcome, Failure):
            if self._counts_failures:
                self.increment(**{f"failures/{outcome.reason}": 1})
            yield line_report(outcome)
            return
        decoded, rows = outcome
        yield clip_id, rows
        for note in decoded.notes():
            yield line_report(note)


def _serialized(clip_id: str, result: Any) -> tuple[str, bytes]:
    return clip_id, serialize(result)
