"""ListClips: from inputs to clips."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.typehints.decorators import no_annotations

from transforms.corpus.clips import Clip, Failure
from transforms.metrics import live_counts
from transforms.metrics.reporting import REPORTS, ReportingFn
from transforms.metrics.run_times import LISTING
from transforms.storage import files

FAILURES = "failures"


@dataclasses.dataclass
class ListClips(beam.PTransform):
    """Lists files, folders and globs in the workers.

    Input: absolute paths as bytes, `os.fsencode`d, because Beam's coder for text refuses those that
    are not UTF-8. Outputs: `clips` (`Clip`), `failures` (`Failure`: what could not be
    listed) and `reports`, in which files that are skipped are counted.
    """

    @no_annotations
    def expand(self, inputs: pvalue.PCollection[bytes]) -> pvalue.DoOutputsTuple:
        return (
            inputs
            # An input to a worker: without it the runner fuses them all into one.
            | beam.Reshuffle()
            | beam.ParDo(_ListFn()).with_outputs(FAILURES, REPORTS, main="clips")
        )


class _ListFn(ReportingFn):
    step = LISTING

    def process(self, path: bytes) -> Iterator[Any]:
        for found in self.timed(files.list_input(os.fsdecode(path))):
            count_found(self, found)
            if isinstance(found, Clip):
                yield found
            elif isinstance(found, Failure):
                yield pvalue.TaggedOutput(FAILURES, found)
            else:
                self.count(f"skipped/{found.why}")


def count_found(counting: ReportingFn, found: object) -> None:
    """Counts a clip that a DoFn found, or one that failed already; nothing else."""
    if isinstance(found, Clip):
        live_counts.count(found=1)
    elif isinstance(found, Failure):
        live_counts.count(found=1, done=1, failures=1)
        counting.count_failure(found.reason, found.split, is_new=True)
