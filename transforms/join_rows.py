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
from transforms.metrics.reporting import REPORTS, ReportingFn
from transforms.metrics.run_times import ASSEMBLING

FAILURES = "failures"
NOTES = "notes"


@dataclasses.dataclass
class JoinRows(beam.PTransform):
    """Joins the rows of each clip, and checks that none is missing.

    Input: as for `AssembleClips`. Outputs: `rows` (`(clip id, float32 [num_rows,
    embedding_size])`) and `failures` (`Failure`), together exactly one per clip; `notes`
    (`AudioNote`) about clips with rows; and `reports`.

    Attributes:
      keep_damaged: Whether damaged clips have rows; otherwise they fail.
      counts_failures: Whether to count failed clips in Beam's metrics.
    """

    keep_damaged: bool
    counts_failures: bool = True

    @no_annotations
    def expand(self, inputs: Mapping[str, pvalue.PCollection]) -> pvalue.DoOutputsTuple:
        joined = (
            inputs
            | beam.CoGroupByKey()
            | beam.ParDo(_JoinFn(self.keep_damaged, self.counts_failures)).with_outputs(
                FAILURES, NOTES, REPORTS, main="rows"
            )
        )
        joined.rows.element_type = tuple[str, np.ndarray]
        return joined


class _JoinFn(ReportingFn):
    step = ASSEMBLING

    def __init__(self, keep_damaged: bool, counts_failures: bool) -> None:
        self._keep_damaged = keep_damaged
        self._counts_failures = counts_failures

    def process(self, element: tuple[str, Mapping[str, Iterable[Any]]]) -> Iterator[Any]:
        outcome = complete_clip(*element, self._keep_damaged)
        if outcome is None:
            return
        if isinstance(outcome, Failure):
            if self._counts_failures:
                self.increment(**{f"failures/{outcome.reason}": 1})
            yield pvalue.TaggedOutput(FAILURES, outcome)
            return
        decoded, rows = outcome
        yield element[0], rows
        for note in decoded.notes():
            yield pvalue.TaggedOutput(NOTES, note)
